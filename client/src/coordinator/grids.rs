//! What is asked of grids.

use std::time::Duration;

use atelier_proto::connect::Route;
use atelier_proto::ids::{CellId, GridId, RequestId};
use atelier_proto::storage::Storage;
use atelier_proto::v1;
use atelier_proto::v1::grids_client::GridsClient;
use tonic::{Status, Streaming};

use super::view::{Accepted, CellLogs, Change, GridState, GridView, Summary};
use super::{ANSWER_BYTES_MAX, Coordinator, RpcError, convert, request};
use crate::error::Error;
use crate::inputs::CheckedInputs;
use crate::plan::Plan;

/// Grids in one answer of List.
const PAGE_GRIDS: u32 = 1000;
/// How long a coordinator may take to begin a watch, which has no deadline after that.
const WATCH_BEGIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Which grids are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GridFilter {
    /// Those in one of these states; empty: in any.
    pub states: Vec<GridState>,
    /// Those of this submitter.
    pub submitter: Option<String>,
    /// Those that the caller submitted, whom this system calls so.
    pub mine: Option<String>,
    /// Those whose name has this text in it, whatever its case; empty: any.
    pub name: String,
}

fn client(route: Route) -> GridsClient<Route> {
    GridsClient::new(route).max_decoding_message_size(ANSWER_BYTES_MAX)
}

impl Coordinator {
    /// Where the bytes live, with the keys to them: for operators.
    pub async fn storage(&self) -> Result<Storage, Error> {
        let answer = self
            .call(v1::StorageRequest {}, async |route, request| {
                client(route).storage(request).await
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
            .call(message, async |route, request| {
                client(route).submit(request).await
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
            .call(message, async |route, request| {
                client(route).get(request).await
            })
            .await?;
        Ok(GridView::try_from(answer)?)
    }

    /// What nodes logged of the attempts at one cell.
    pub async fn logs(&self, cell: CellId) -> Result<CellLogs, Error> {
        let message = v1::LogsRequest {
            cell_id: cell.to_string(),
        };
        let answer = self
            .call(message, async |route, request| {
                client(route).logs(request).await
            })
            .await?;
        Ok(CellLogs::try_from(answer)?)
    }

    /// The newest `grids_max` of the grids that `filter` lets pass, newest first, and whether there are more.
    pub async fn list(
        &self,
        filter: &GridFilter,
        grids_max: usize,
    ) -> Result<(Vec<Summary>, bool), Error> {
        let mut summaries = Vec::new();
        let mut page_token = String::new();
        loop {
            let wanted = grids_max.saturating_sub(summaries.len());
            let page_size = u32::try_from(wanted).map_or(PAGE_GRIDS, |it| it.clamp(1, PAGE_GRIDS));
            let message = convert::page_wanted(filter, page_size, page_token);
            let answer = self
                .call(message, async |route, request| {
                    client(route).list(request).await
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

    /// Hands out no more cells of a grid.
    pub async fn pause(&self, grid: GridId) -> Result<(), Error> {
        let message = v1::PauseRequest {
            grid_id: grid.to_string(),
        };
        self.call(message, async |route, request| {
            client(route).pause(request).await
        })
        .await?;
        Ok(())
    }

    /// Undoes a pause.
    pub async fn resume(&self, grid: GridId) -> Result<(), Error> {
        let message = v1::ResumeRequest {
            grid_id: grid.to_string(),
        };
        self.call(message, async |route, request| {
            client(route).resume(request).await
        })
        .await?;
        Ok(())
    }

    /// Changes a grid's share of the nodes; -100 to 100.
    pub async fn set_priority(&self, grid: GridId, priority: i32) -> Result<(), Error> {
        let message = v1::SetPriorityRequest {
            grid_id: grid.to_string(),
            priority,
        };
        self.call(message, async |route, request| {
            client(route).set_priority(request).await
        })
        .await?;
        Ok(())
    }

    /// Ends every cell of a grid that has not ended; how many those were.
    pub async fn cancel(&self, grid: GridId) -> Result<u32, Error> {
        let message = v1::CancelRequest {
            grid_id: grid.to_string(),
        };
        let answer = self
            .call(message, async |route, request| {
                client(route).cancel(request).await
            })
            .await?;
        Ok(answer.cancelled)
    }

    /// Queues failed or cancelled cells of a grid again, every failed one if none is named; how many those were.
    pub async fn retry(&self, grid: GridId, cells: &[CellId]) -> Result<u32, Error> {
        let message = v1::RetryRequest {
            grid_id: grid.to_string(),
            cell_ids: cells.iter().map(CellId::to_string).collect(),
        };
        let answer = self
            .call(message, async |route, request| {
                client(route).retry(request).await
            })
            .await?;
        Ok(answer.queued)
    }

    /// Forgets an ended grid and its pictures; its inputs stay.
    pub async fn delete(&self, grid: GridId) -> Result<(), Error> {
        let message = v1::DeleteRequest {
            grid_id: grid.to_string(),
        };
        self.call(message, async |route, request| {
            client(route).delete(request).await
        })
        .await?;
        Ok(())
    }

    /// Changes of a grid after a sequence number, until it has ended and its gallery is complete; without its cells
    /// if `summary_only`.
    pub async fn watch(
        &self,
        grid: GridId,
        after_sequence: u64,
        summary_only: bool,
    ) -> Result<Changes, Error> {
        let message = v1::WatchRequest {
            grid_id: grid.to_string(),
            after_sequence,
            summary_only,
        };
        // The stream has no deadline: a grid may take days. A dead connection is found by the keep-alive.
        let open = |route| {
            let mut client = client(route);
            let request = request(message.clone());
            async move {
                let opening = tokio::time::timeout(WATCH_BEGIN_TIMEOUT, client.watch(request));
                let late = |_| Status::unavailable("it did not begin the watch in time");
                opening.await.map_err(late)?
            }
        };
        let (stream, url) = self.retried(open).await?;
        let url = url.to_owned();
        Ok(Changes { url, stream })
    }
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

    /// What is said of a stream that ended and should not have.
    pub fn ended_early(&self) -> RpcError {
        RpcError::Unavailable {
            url: self.url.clone(),
            message: "it ended the watch before the grid had ended".to_owned(),
        }
    }
}
