//! The coordinator as the client sees it: the only code that knows gRPC.
//!
//! Wire types stop here; what comes out are the views of [`view`]. A call that the coordinator could not
//! take is tried again for some seconds, an answer is not.

mod convert;
mod error;
pub mod view;

use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use atelier_proto::ids::{GridId, RequestId};
use atelier_proto::storage::Storage;
use atelier_proto::v1;
use atelier_proto::v1::grids_client::GridsClient;
use backon::{ExponentialBuilder, Retryable as _};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};

pub use self::convert::ConvertError;
pub use self::error::RpcError;
use self::view::{Accepted, Change, GridView, Summary};
use crate::error::Error;
use crate::inputs::CheckedInputs;
use crate::plan::Plan;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a call may take, connected.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a call that was not taken is tried again.
const RETRY_DURATION_MAX: Duration = Duration::from_secs(4);
/// A grid of 10,000 cells with their results takes some 8 MiB.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Grids in one answer of List.
const PAGE_GRIDS: u32 = 1000;

/// A coordinator at a URL. It is connected to at the first call.
#[derive(Debug, Clone)]
pub struct Coordinator {
    url: String,
    grids: GridsClient<Channel>,
}

impl Coordinator {
    /// The coordinator at a URL, as in `http://127.0.0.1:7878`.
    ///
    /// # Errors
    /// When the URL is none; nothing is called.
    pub fn new(url: &str) -> Result<Self, RpcError> {
        let bad_url = || RpcError::BadUrl {
            url: url.to_owned(),
        };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| bad_url())?;
        let uri = endpoint.uri();
        if uri.host().is_none_or(str::is_empty) || uri.scheme_str() != Some("http") {
            return Err(bad_url());
        }
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20))
            .keep_alive_while_idle(true)
            .connect_lazy();
        Ok(Self {
            url: url.to_owned(),
            grids: GridsClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX),
        })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where inputs go and galleries lie.
    pub async fn storage(&self) -> Result<Storage, Error> {
        let answer = self
            .call(v1::StorageRequest {}, async |mut grids, request| {
                grids.storage(request).await
            })
            .await?;
        Ok(Storage::try_from(answer.storage.unwrap_or_default())?)
    }

    /// Submits a grid whose inputs are in the bucket. The same request id again makes no second grid.
    pub async fn submit(
        &self,
        request_id: RequestId,
        plan: &Plan,
        inputs: &CheckedInputs,
    ) -> Result<Accepted, Error> {
        let message = convert::submission(request_id, plan, inputs);
        let answer = self
            .call(message, async |mut grids, request| {
                grids.submit(request).await
            })
            .await?;
        Ok(Accepted::try_from(answer)?)
    }

    /// One grid with all its cells.
    pub async fn get(&self, grid: GridId) -> Result<GridView, Error> {
        let message = v1::GetRequest {
            grid_id: grid.to_string(),
        };
        let answer = self
            .call(message, async |mut grids, request| grids.get(request).await)
            .await?;
        Ok(GridView::try_from(answer)?)
    }

    /// The newest `grids_max` grids, newest first, and whether there are more.
    pub async fn list(&self, grids_max: usize) -> Result<(Vec<Summary>, bool), Error> {
        let mut summaries = Vec::new();
        let mut page_token = String::new();
        loop {
            let wanted = grids_max.saturating_sub(summaries.len());
            let message = v1::ListRequest {
                page_size: u32::try_from(wanted).map_or(PAGE_GRIDS, |it| it.clamp(1, PAGE_GRIDS)),
                page_token,
            };
            let answer = self
                .call(message, async |mut grids, request| {
                    grids.list(request).await
                })
                .await?;
            for summary in answer.grids {
                summaries.push(Summary::try_from(summary)?);
            }
            let is_last = answer.next_page_token.is_empty();
            if is_last || summaries.len() >= grids_max {
                let cut = summaries.len() > grids_max;
                summaries.truncate(grids_max);
                return Ok((summaries, cut || !is_last));
            }
            page_token = answer.next_page_token;
        }
    }

    /// Ends every cell of a grid that has not ended; how many those were.
    pub async fn cancel(&self, grid: GridId) -> Result<u32, Error> {
        let message = v1::CancelRequest {
            grid_id: grid.to_string(),
        };
        let answer = self
            .call(message, async |mut grids, request| {
                grids.cancel(request).await
            })
            .await?;
        Ok(answer.cancelled)
    }

    /// Changes of a grid after a sequence number, until it has ended and its gallery is complete.
    pub async fn watch(&self, grid: GridId, after_sequence: u64) -> Result<Changes, Error> {
        let message = v1::WatchRequest {
            grid_id: grid.to_string(),
            after_sequence,
        };
        // No deadline: a grid may take days. A dead connection is found by the keep-alive.
        let open = || async { self.grids.clone().watch(message.clone()).await };
        let stream = self.retried(open).await?;
        Ok(Changes {
            url: self.url.clone(),
            stream,
        })
    }

    async fn call<Message: Clone, Answer>(
        &self,
        message: Message,
        call: impl AsyncFn(GridsClient<Channel>, Request<Message>) -> Result<Response<Answer>, Status>,
    ) -> Result<Answer, RpcError> {
        self.retried(|| async {
            let mut request = Request::new(message.clone());
            request.set_timeout(CALL_TIMEOUT);
            call(self.grids.clone(), request).await
        })
        .await
    }

    async fn retried<Answer, Called>(
        &self,
        call: impl FnMut() -> Called,
    ) -> Result<Answer, RpcError>
    where
        Called: Future<Output = Result<Response<Answer>, Status>>,
    {
        let backoff = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(1))
            .with_total_delay(Some(RETRY_DURATION_MAX));
        let since = Stopwatch::start();
        let answer = call
            .retry(backoff.without_max_times())
            .when(|status| is_passing(status) && since.elapsed() < RETRY_DURATION_MAX)
            .await;
        match answer {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(RpcError::new(&self.url, &status)),
        }
    }
}

/// Whether the coordinator did not take the call, so that the same one may succeed later.
fn is_passing(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::ResourceExhausted)
}

/// Changes of a grid as they happen.
#[derive(Debug)]
pub struct Changes {
    url: String,
    stream: Streaming<v1::WatchResponse>,
}

impl Changes {
    /// The next change; `None` when the coordinator has no more to say.
    pub async fn next(&mut self) -> Result<Option<Change>, Error> {
        match self.stream.message().await {
            Ok(Some(change)) => Ok(Some(Change::try_from(change)?)),
            Ok(None) => Ok(None),
            Err(status) => Err(RpcError::new(&self.url, &status).into()),
        }
    }
}
