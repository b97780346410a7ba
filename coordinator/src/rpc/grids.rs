//! What a client does with grids.

use atelier_gallery::keys::input_key;
use atelier_proto::ids::GridId;
use atelier_proto::v1;
use atelier_proto::v1::grids_server::Grids;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::Span;
use tracing::field::{Empty, display};

use super::status::RpcError;
use super::{Context, convert, watch};
use crate::domain::grid::GridSpec;
use crate::domain::keys::GridNames;
use crate::store::{NewGrid, Submitted};

/// Inputs looked up in the bucket at once, for one submission.
const LOOKUPS_MAX: usize = 16;

/// The `Grids` service.
#[derive(Debug)]
pub(super) struct GridsService {
    context: Context,
}

impl GridsService {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    async fn accept(&self, request: v1::SubmitRequest) -> Result<v1::SubmitResponse, RpcError> {
        let ledger = &self.context.ledger;
        let submission = convert::submission(request)?;
        let spec = GridSpec::accept(submission.draft, self.context.cells_max)?;
        // A grid that was accepted once stays so, whatever has become of its inputs.
        let known = ledger.store().submitted(submission.request).await?;
        if known.is_none() {
            self.check_inputs(&spec).await?;
        }
        let grid = NewGrid {
            grid: GridId::generate(),
            request: submission.request,
            spec,
        };
        let (Submitted { grid, cells }, created) = ledger.create_grid(grid).await?;
        Span::current().record("grid", display(grid));
        tracing::info!(cells, created, "submitted");
        Ok(v1::SubmitResponse {
            grid_id: grid.to_string(),
            cells,
            created,
        })
    }

    async fn check_inputs(&self, spec: &GridSpec) -> Result<(), RpcError> {
        let bucket = &self.context.bucket;
        let lookups = spec.inputs().into_iter().map(|(sha256, field)| async move {
            match bucket.head(&input_key(&sha256)).await? {
                Some(_) => Ok(()),
                None => Err(RpcError::InputMissing { field, sha256 }),
            }
        });
        futures::stream::iter(lookups)
            .buffered(LOOKUPS_MAX)
            .try_collect::<()>()
            .await
    }

    async fn describe(&self, grid: GridId) -> Result<v1::GetResponse, RpcError> {
        let store = self.context.ledger.store();
        let mut changes = store.changes(grid, 0).await?;
        let spec = store.spec(grid).await?;
        let names = GridNames::new(grid, &spec);
        changes.cells.sort_by_key(|record| record.position);
        let cells = changes.cells.iter();
        Ok(v1::GetResponse {
            grid: Some(convert::grid(&changes.summary, &spec)),
            cells: cells
                .map(|cell| convert::cell(cell, &spec, &names))
                .collect(),
        })
    }

    async fn page(&self, request: &v1::ListRequest) -> Result<v1::ListResponse, RpcError> {
        let (entries, before) = convert::page_of(request)?;
        // One more than asked for tells whether there is a further page.
        let mut grids = self
            .context
            .ledger
            .store()
            .grids(before, entries + 1)
            .await?;
        let has_more = grids.len() > entries as usize;
        grids.truncate(entries as usize);
        let last = grids.last().filter(|_| has_more);
        Ok(v1::ListResponse {
            next_page_token: last.map(|last| last.grid.to_string()).unwrap_or_default(),
            grids: grids.iter().map(convert::summary).collect(),
        })
    }

    async fn end(&self, grid: &str) -> Result<v1::CancelResponse, RpcError> {
        let grid = convert::grid_id(grid)?;
        Span::current().record("grid", display(grid));
        let cancelled = self.context.ledger.cancel_grid(grid).await?;
        tracing::info!(cancelled, "cancelled");
        Ok(v1::CancelResponse { cancelled })
    }
}

fn unfilled<T>(call: &str) -> Result<Response<T>, Status> {
    Err(Status::unimplemented(format!(
        "this version of the coordinator does not serve Grids.{call}"
    )))
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

    #[tracing::instrument(name = "Grids.Submit", skip_all, fields(grid = Empty))]
    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        Ok(Response::new(self.accept(request.into_inner()).await?))
    }

    #[tracing::instrument(name = "Grids.Get", skip_all, fields(grid = Empty))]
    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        let grid = convert::grid_id(&request.get_ref().grid_id).map_err(RpcError::from)?;
        Span::current().record("grid", display(grid));
        Ok(Response::new(self.describe(grid).await?))
    }

    #[tracing::instrument(name = "Grids.List", skip_all)]
    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        Ok(Response::new(self.page(request.get_ref()).await?))
    }

    type WatchStream = ReceiverStream<Result<v1::WatchResponse, Status>>;

    #[tracing::instrument(name = "Grids.Watch", skip_all, fields(grid = Empty))]
    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let grid = convert::grid_id(&request.grid_id).map_err(RpcError::from)?;
        Span::current().record("grid", display(grid));
        let changes = watch::follow(&self.context, grid, request.after_sequence).await?;
        Ok(Response::new(changes))
    }

    async fn pause(
        &self,
        _request: Request<v1::PauseRequest>,
    ) -> Result<Response<v1::PauseResponse>, Status> {
        unfilled("Pause")
    }

    async fn resume(
        &self,
        _request: Request<v1::ResumeRequest>,
    ) -> Result<Response<v1::ResumeResponse>, Status> {
        unfilled("Resume")
    }

    #[tracing::instrument(name = "Grids.Cancel", skip_all, fields(grid = Empty))]
    async fn cancel(
        &self,
        request: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::CancelResponse>, Status> {
        Ok(Response::new(self.end(&request.get_ref().grid_id).await?))
    }

    async fn retry(
        &self,
        _request: Request<v1::RetryRequest>,
    ) -> Result<Response<v1::RetryResponse>, Status> {
        unfilled("Retry")
    }

    async fn set_priority(
        &self,
        _request: Request<v1::SetPriorityRequest>,
    ) -> Result<Response<v1::SetPriorityResponse>, Status> {
        unfilled("SetPriority")
    }

    async fn delete(
        &self,
        _request: Request<v1::DeleteRequest>,
    ) -> Result<Response<v1::DeleteResponse>, Status> {
        unfilled("Delete")
    }
}
