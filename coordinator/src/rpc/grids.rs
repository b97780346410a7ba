//! What a client does with grids.

use atelier_proto::ids::{CellId, GridId};
use atelier_proto::telemetry::context;
use atelier_proto::v1;
use atelier_proto::v1::grids_server::Grids;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::Span;
use tracing::field::display;

use super::convert::Page;
use super::status::RpcError;
use super::{Context, about, admitted, charge, convert, turn, watch};
use crate::domain::access::Admitted;
use crate::domain::cell::Cell;
use crate::store::{Steering, Submitted};
use crate::submissions::Submission;
use crate::{estimates, scope};

/// Attempts told of one cell.
const ATTEMPTS_MAX: u32 = 1_000;
/// Failed attempts told of one grid.
const FAILED_ATTEMPTS_MAX: u32 = 10_000;

/// The `Grids` service.
#[derive(Debug)]
pub(super) struct GridsService {
    context: Context,
}

impl GridsService {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    /// A grid that a call names, if it is there for its caller.
    async fn own<T>(&self, request: &Request<T>, grid: &str) -> Result<GridId, RpcError> {
        self.own_grid(request, convert::grid_id(grid)?).await
    }

    /// A cell that a call names, if its grid is there for its caller.
    async fn own_cell<T>(&self, request: &Request<T>, cell: &str) -> Result<CellId, RpcError> {
        let cell = convert::cell_id(cell)?;
        Span::current().record("cell", display(cell));
        self.own_grid(request, cell.grid).await?;
        Ok(cell)
    }

    /// The same of a grid whose id is read.
    async fn own_grid<T>(&self, request: &Request<T>, grid: GridId) -> Result<GridId, RpcError> {
        Span::current().record("grid", display(grid));
        about(request).say(&grid);
        let by = admitted(request)?;
        scope::own(&self.context.ledger, grid, &by.caller).await?;
        Ok(grid)
    }

    async fn accept(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<v1::SubmitResponse, RpcError> {
        let (by, about, turn) = (admitted(&request)?, about(&request), turn(&request));
        // What becomes of the grid belongs to this call.
        let trace_parent = context::of_call(request.metadata());
        let submission = Submission {
            trace_parent,
            ..convert::submission(request.into_inner())?
        };
        let submissions = &self.context.submissions;
        let (Submitted { grid, cells }, created) =
            submissions.accept(submission, &by.caller).await?;
        about.say(&grid);
        Span::current().record("grid", display(grid));
        charge(turn.as_ref(), cells as usize);
        Ok(v1::SubmitResponse {
            grid_id: grid.to_string(),
            cells,
            created,
        })
    }

    async fn describe(&self, grid: GridId) -> Result<v1::GetResponse, RpcError> {
        let ledger = &self.context.ledger;
        let store = ledger.store();
        let facts = ledger.facts(grid).await?;
        let mut changes = store.changes(grid, 0).await?;
        let attempts = store.failed_attempts(grid, FAILED_ATTEMPTS_MAX).await?;
        let estimate = estimates::of_grid(ledger, &changes.summary).await?;
        // Of a large grid, that keeps a thread for long.
        let described = tokio::task::spawn_blocking(move || {
            changes.cells.sort_by_key(|record| record.id.place);
            let cells = changes.cells.iter();
            v1::GetResponse {
                grid: Some(convert::grid(&changes.summary, estimate, &facts.spec)),
                cells: cells
                    .filter_map(|cell| convert::cell(cell, &facts))
                    .collect(),
                failed_attempts: attempts.into_iter().map(convert::attempt).collect(),
            }
        });
        Ok(described.await?)
    }

    async fn log(&self, cell: CellId) -> Result<v1::LogsResponse, RpcError> {
        let ledger = &self.context.ledger;
        let facts = ledger.facts(cell.grid).await?;
        let (record, attempts) = ledger.store().attempts(cell, ATTEMPTS_MAX).await?;
        let rendering_since = match &record.cell {
            Cell::Rendering { rendering, .. } => Some(convert::timestamp(rendering.begun_at)),
            _ => None,
        };
        Ok(v1::LogsResponse {
            cell: convert::cell(&record, &facts),
            node_name: record.node_name.unwrap_or_default(),
            rendering_since,
            attempts: attempts.into_iter().map(convert::attempt).collect(),
        })
    }

    async fn page(
        &self,
        request: &v1::ListRequest,
        by: &Admitted,
    ) -> Result<v1::ListResponse, RpcError> {
        let page: Page<GridId> = convert::page(request.page_size, &request.page_token)?;
        let Some(filter) = convert::filter(request, &by.caller)? else {
            return Ok(v1::ListResponse::default());
        };
        let ledger = &self.context.ledger;
        let read = ledger.store().grids(&filter, page.before, page.read_max());
        let mut grids = read.await?;
        let next_page_token = page.cut(&mut grids, |last| last.grid);
        let mut listed = Vec::with_capacity(grids.len());
        for grid in &grids {
            let estimate = estimates::of_grid(ledger, grid).await?;
            listed.push(convert::summary(grid, estimate));
        }
        Ok(v1::ListResponse {
            grids: listed,
            next_page_token,
        })
    }

    async fn steer(&self, grid: GridId, steering: Steering) -> Result<(), RpcError> {
        let steered = self.context.ledger.steer(grid, steering).await?;
        tracing::info!(?steering, steered, "steered");
        Ok(())
    }

    async fn end(&self, grid: GridId) -> Result<v1::CancelResponse, RpcError> {
        let cancelled = self.context.ledger.cancel_grid(grid).await?;
        tracing::info!(cancelled, "cancelled");
        Ok(v1::CancelResponse { cancelled })
    }

    async fn queue_again(
        &self,
        grid: GridId,
        request: &v1::RetryRequest,
    ) -> Result<v1::RetryResponse, RpcError> {
        let places = convert::places(grid, &request.cell_ids)?;
        let queued = self.context.ledger.retry(grid, places.as_deref()).await?;
        tracing::info!(queued, "queued again");
        Ok(v1::RetryResponse { queued })
    }

    async fn forget(&self, grid: GridId) -> Result<(), RpcError> {
        self.context.ledger.delete_grid(grid).await?;
        tracing::info!("deleted");
        Ok(())
    }
}

#[tonic::async_trait]
impl Grids for GridsService {
    async fn storage(
        &self,
        _request: Request<v1::StorageRequest>,
    ) -> Result<Response<v1::StorageResponse>, Status> {
        let storage = Some((&self.context.storage).into());
        Ok(Response::new(v1::StorageResponse { storage }))
    }

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        Ok(Response::new(self.accept(request).await?))
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        let grid = self.own(&request, &request.get_ref().grid_id).await?;
        let described = self.describe(grid).await?;
        charge(turn(&request).as_ref(), described.cells.len());
        Ok(Response::new(described))
    }

    async fn logs(
        &self,
        request: Request<v1::LogsRequest>,
    ) -> Result<Response<v1::LogsResponse>, Status> {
        let cell = self.own_cell(&request, &request.get_ref().cell_id).await?;
        Ok(Response::new(self.log(cell).await?))
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let by = admitted(&request)?;
        let page = self.page(request.get_ref(), &by).await?;
        charge(turn(&request).as_ref(), page.grids.len());
        Ok(Response::new(page))
    }

    type WatchStream = ReceiverStream<Result<v1::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let grid = self.own(&request, &request.get_ref().grid_id).await?;
        let catching_up = turn(&request).map(|turn| turn.catching_up());
        let request = request.into_inner();
        let asked = watch::Asked {
            grid,
            after_sequence: request.after_sequence,
            summary_only: request.summary_only,
        };
        let changes = watch::follow(&self.context, asked, catching_up).await?;
        Ok(Response::new(changes))
    }

    async fn pause(
        &self,
        request: Request<v1::PauseRequest>,
    ) -> Result<Response<v1::PauseResponse>, Status> {
        let grid = self.own(&request, &request.get_ref().grid_id).await?;
        self.steer(grid, Steering::Pause).await?;
        Ok(Response::new(v1::PauseResponse {}))
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeRequest>,
    ) -> Result<Response<v1::ResumeResponse>, Status> {
        let grid = self.own(&request, &request.get_ref().grid_id).await?;
        self.steer(grid, Steering::Resume).await?;
        Ok(Response::new(v1::ResumeResponse {}))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::CancelResponse>, Status> {
        let grid = self.own(&request, &request.get_ref().grid_id).await?;
        Ok(Response::new(self.end(grid).await?))
    }

    async fn retry(
        &self,
        request: Request<v1::RetryRequest>,
    ) -> Result<Response<v1::RetryResponse>, Status> {
        let grid = self.own(&request, &request.get_ref().grid_id).await?;
        let queued = self.queue_again(grid, request.get_ref()).await?;
        Ok(Response::new(queued))
    }

    async fn set_priority(
        &self,
        request: Request<v1::SetPriorityRequest>,
    ) -> Result<Response<v1::SetPriorityResponse>, Status> {
        let grid = self.own(&request, &request.get_ref().grid_id).await?;
        let priority = convert::priority(request.get_ref().priority).map_err(RpcError::from)?;
        self.steer(grid, Steering::Priority(priority)).await?;
        Ok(Response::new(v1::SetPriorityResponse {}))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteRequest>,
    ) -> Result<Response<v1::DeleteResponse>, Status> {
        let grid = self.own(&request, &request.get_ref().grid_id).await?;
        self.forget(grid).await?;
        Ok(Response::new(v1::DeleteResponse {}))
    }
}
