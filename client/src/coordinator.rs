//! The coordinator as the client sees it: the only code that knows gRPC.
//!
//! Wire types stop here; what comes out are the views of [`view`]. A call that a coordinator could not
//! take is tried again for some seconds, at the next one if there are several; an answer is not.

mod bucket;
mod convert;
mod error;
mod fleet;
mod grids;
mod members;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;
pub mod view;

use std::time::Duration;

use atelier_gallery::bucket::Bucket;
use atelier_proto::clock::Stopwatch;
use atelier_proto::connect::{Access, Route, TlsFault, is_broken_off};
use atelier_proto::retry;
use atelier_proto::telemetry::context;
use atelier_proto::version;
use backon::{ExponentialBuilder, Retryable as _};
use tonic::{Code, Request, Response, Status};

pub use self::convert::ConvertError;
pub use self::error::RpcError;
pub use self::grids::{Changes, GridFilter};
use self::members::Members;
use crate::error::Error;

/// How long a call may take, connected.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a call that was not taken is tried again. Each coordinator is tried once, however long that takes.
const RETRY_DURATION_MAX: Duration = Duration::from_secs(4);
/// How long a call is tried again that the coordinator asked for again later.
const HINTED_DURATION_MAX: Duration = Duration::from_secs(30);
/// A grid of 10,000 cells with their results and failed attempts takes some 10 MiB.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One or more coordinators over one database, each at a URL. They are connected to at the first call.
#[derive(Debug, Clone)]
pub struct Coordinator {
    members: Members,
    access: Access,
}

impl Coordinator {
    /// The coordinators at these URLs, as in `http://127.0.0.1:7878`, for whoever has neither token nor certificate. The
    /// first is asked until it does not answer.
    ///
    /// # Errors
    /// When there is no URL, or one is none; nothing is called.
    pub fn new(urls: &[impl AsRef<str>]) -> Result<Self, RpcError> {
        Self::with_access(urls, Access::default())
    }

    /// The same for whoever has something to show.
    ///
    /// # Errors
    /// Also when the token would be for all to read on its way there.
    pub fn with_access(urls: &[impl AsRef<str>], access: Access) -> Result<Self, RpcError> {
        Ok(Self {
            members: Members::new(urls, &access)?,
            access,
        })
    }

    /// The bucket with the keys to all of it, which operators get; whom one trusts for the coordinator, one trusts there.
    pub async fn whole_bucket(&self) -> Result<Bucket, Error> {
        let storage = &self.storage().await?;
        let authorities = self.access.authorities();
        Ok(Bucket::connect_trusting(storage, authorities).await?)
    }

    /// Each of them alone, by its URL.
    ///
    /// # Errors
    /// As for all of them together.
    pub fn each(&self) -> Result<Vec<(String, Self)>, RpcError> {
        let urls = self.members.all().map(|member| member.url.clone());
        urls.map(|url| {
            let alone = Self::with_access(&[&url], self.access.clone())?;
            Ok((url, alone))
        })
        .collect()
    }

    /// Where the one is that is asked now.
    pub fn url(&self) -> &str {
        &self.members.current().url
    }

    /// Asks the next one from now on.
    pub fn pass_on(&self) {
        self.members.pass_on(self.members.current());
    }

    async fn call<Message: Clone, Answer>(
        &self,
        message: Message,
        call: impl AsyncFn(Route, Request<Message>) -> Result<Response<Answer>, Status>,
    ) -> Result<Answer, RpcError> {
        let called = self.retried(|route| {
            let mut request = request(message.clone());
            request.set_timeout(CALL_TIMEOUT);
            call(route, request)
        });
        Ok(called.await?.0)
    }

    /// The same of a call that does its work anew each time it comes: it is not sent again.
    async fn call_once<Message, Answer>(
        &self,
        message: Message,
        call: impl AsyncFnOnce(Route, Request<Message>) -> Result<Response<Answer>, Status>,
    ) -> Result<Answer, RpcError> {
        let member = self.members.current();
        let mut request = request(message);
        request.set_timeout(CALL_TIMEOUT);
        let answer = call(member.route.clone(), request).await;
        let answer = answer.map_err(|status| RpcError::new(&member.url, &status))?;
        Ok(answer.into_inner())
    }

    /// The answer to a call, and the URL of the coordinator that gave it.
    async fn retried<Answer, Called>(
        &self,
        call: impl Fn(Route) -> Called,
    ) -> Result<(Answer, &str), RpcError>
    where
        Called: Future<Output = Result<Response<Answer>, Status>>,
    {
        let once = || async {
            let member = self.members.current();
            match call(member.route.clone()).await {
                Ok(answer) => {
                    if let Some(doubt) = version::doubt(answer.metadata()) {
                        tracing::warn!(coordinator = member.url, "{doubt}");
                    }
                    Ok((answer.into_inner(), member.url.as_str()))
                }
                Err(status) => {
                    if is_absent(&status) {
                        self.members.pass_on(member);
                    }
                    Err((status, member))
                }
            }
        };
        let backoff = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(1));
        let since = Stopwatch::start();
        let mut tries = 0;
        let answer = once
            .retry(backoff.without_max_times())
            .when(|(status, _)| {
                tries += 1;
                let duration_max = match retry::hint(status) {
                    Some(_) => HINTED_DURATION_MAX,
                    None => RETRY_DURATION_MAX,
                };
                let is_early = since.elapsed() < duration_max || tries < self.members.len();
                is_passing(status) && is_early
            })
            .adjust(|(status, _), wait| retry::hinted(status, wait))
            .await;
        answer.map_err(|(status, member)| {
            if is_absent(&status) {
                RpcError::new(&self.members.urls(), &status)
            } else {
                RpcError::new(&member.url, &status)
            }
        })
    }
}

/// A request that tells of which version this client is, and of which trace it is a part.
fn request<Message>(message: Message) -> Request<Message> {
    let mut request = Request::new(message);
    version::tell(request.metadata_mut());
    context::inject(request.metadata_mut());
    request
}

/// Whether the coordinator did not take the call, so that the same one may succeed later.
fn is_passing(status: &Status) -> bool {
    // Whom we do not trust now we do not trust in a second either.
    TlsFault::of(status).is_none()
        && (is_absent(status) || status.code() == Code::ResourceExhausted)
}

/// Whether another coordinator may take the call: this one is not there, cannot serve, is silent, or broke off. Calls are
/// idempotent, so one that was taken after all does no harm when it comes again.
fn is_absent(status: &Status) -> bool {
    let is_told = matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled
    );
    is_told || is_broken_off(status)
}
