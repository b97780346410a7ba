//! Goal: a watch outlives the connection it began on, tells nothing twice, and ends as the grid did.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atelier_proto::ids::GridId;
use atelier_proto::v1;
use atelier_proto::v1::grids_server::{Grids, GridsServer};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::*;
use crate::coordinator::Coordinator;

/// A coordinator with one grid of one cell, whose first watch breaks off in the midst of it.
#[derive(Clone)]
struct Breaking {
    cell: CellId,
    /// Watches begun, at all coordinators over the same database.
    watches: Arc<AtomicU64>,
    /// Those at this one.
    watches_here: Arc<AtomicU64>,
    /// How often the grid was asked for as a whole; the second time it cannot be had.
    gets: Arc<AtomicU64>,
}

impl Breaking {
    fn new() -> Self {
        let grid = GridId::generate();
        Self {
            cell: CellId { grid, place: 0 },
            watches: Arc::default(),
            watches_here: Arc::default(),
            gets: Arc::default(),
        }
    }

    /// Another coordinator over the same database.
    fn sibling(&self) -> Self {
        Self {
            watches_here: Arc::default(),
            ..self.clone()
        }
    }

    /// Serves until the test ends; its URL.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tonic::transport::Server::builder()
            .add_service(GridsServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        url
    }

    fn summary(&self, sequence: u64) -> v1::GridSummary {
        let (state, is_over) = match sequence {
            3.. => (v1::GridState::Finished, true),
            _ => (v1::GridState::Active, false),
        };
        v1::GridSummary {
            grid_id: self.cell.grid.to_string(),
            name: "Grid".to_owned(),
            state: state.into(),
            cells: Some(v1::CellCounts {
                rendering: u32::from(!is_over),
                failed: u32::from(is_over),
                ..v1::CellCounts::default()
            }),
            sequence,
            gallery_complete: is_over,
            ..v1::GridSummary::default()
        }
    }

    fn cell(&self, state: v1::CellState) -> v1::Cell {
        v1::Cell {
            cell_id: self.cell.to_string(),
            photo: Some(0),
            artist: Some(0),
            state: state.into(),
            failure: match state {
                v1::CellState::Failed => "no such layer".to_owned(),
                _ => String::new(),
            },
            ..v1::Cell::default()
        }
    }

    fn change(&self, sequence: u64, state: v1::CellState) -> v1::WatchResponse {
        v1::WatchResponse {
            sequence,
            summary: Some(self.summary(sequence)),
            cells: vec![self.cell(state)],
        }
    }
}

type Changes = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

/// What `#[tonic::async_trait]` would make of a call that this test does not need.
macro_rules! not_asked_for {
    ($($name:ident($request:ident) -> $response:ident;)*) => {$(
        fn $name<'server, 'answer>(
            &'server self,
            _: Request<v1::$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<v1::$response>, Status>> + Send + 'answer>>
        where
            'server: 'answer,
            Self: 'answer,
        {
            Box::pin(async { Err(Status::unimplemented(stringify!($name))) })
        }
    )*};
}

#[tonic::async_trait]
impl Grids for Breaking {
    type WatchStream = Changes;

    async fn get(&self, _: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        let input = v1::Input {
            sha256: "0".repeat(64),
            width: 1,
            height: 1,
        };
        if self.gets.fetch_add(1, Ordering::SeqCst) == 1 {
            return Err(Status::internal("restarting"));
        }
        let (sequence, state) = match self.watches.load(Ordering::SeqCst) {
            0 => (1, v1::CellState::Queued),
            _ => (3, v1::CellState::Failed),
        };
        let grid = v1::Grid {
            summary: Some(self.summary(sequence)),
            photos: vec![v1::Photo {
                name: "hill".to_owned(),
                input: Some(input),
                ..v1::Photo::default()
            }],
            artists: vec![v1::Artist {
                name: "Monet".to_owned(),
                ..v1::Artist::default()
            }],
            ..v1::Grid::default()
        };
        Ok(Response::new(v1::GetResponse {
            grid: Some(grid),
            cells: vec![self.cell(state)],
            failed_attempts: Vec::new(),
        }))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Changes>, Status> {
        let request = request.into_inner();
        self.watches_here.fetch_add(1, Ordering::SeqCst);
        let mut changes = match self.watches.fetch_add(1, Ordering::SeqCst) {
            0 => vec![
                Ok(self.change(2, v1::CellState::Rendering)),
                Err(Status::unavailable("restarting")),
            ],
            // Whoever does not go on from where it was is told nothing. What may have been lost is told again.
            _ if request.after_sequence == 2 => vec![
                Ok(self.change(2, v1::CellState::Rendering)),
                Ok(self.change(3, v1::CellState::Failed)),
            ],
            _ => Vec::new(),
        };
        if request.summary_only {
            for change in changes.iter_mut().flatten() {
                change.cells.clear();
            }
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(changes))))
    }

    not_asked_for! {
        storage(StorageRequest) -> StorageResponse;
        logs(LogsRequest) -> LogsResponse;
        submit(SubmitRequest) -> SubmitResponse;
        list(ListRequest) -> ListResponse;
        pause(PauseRequest) -> PauseResponse;
        resume(ResumeRequest) -> ResumeResponse;
        cancel(CancelRequest) -> CancelResponse;
        retry(RetryRequest) -> RetryResponse;
        set_priority(SetPriorityRequest) -> SetPriorityResponse;
        delete(DeleteRequest) -> DeleteResponse;
    }
}

fn context(urls: &[String], quiet: bool) -> Context {
    Context {
        printer: Printer::new(quiet, false, true),
        coordinator: Coordinator::new(urls).unwrap(),
        shutdown: CancellationToken::new(),
    }
}

fn assert_is_as_it_ended(ended: &Ended) {
    assert_eq!(ended.exit(), Exit::CellsFailed);
    let failure = &ended.failures[0];
    assert_eq!(
        (
            failure.names().to_string().as_str(),
            failure.reason.as_str()
        ),
        ("hill × Monet", "no such layer")
    );
}

#[tokio::test]
async fn a_watch_outlives_its_connection() {
    let server = Breaking::new();
    let context = context(&[server.serve().await], true);
    let mut told = Vec::new();
    let ended = follow_each(&context, server.cell.grid, |_, change| {
        told.push((change.sequence, change.cells.len()));
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(told, [(2, 1), (3, 1)], "no gap, and nothing twice");
    assert_is_as_it_ended(&ended);

    context.shutdown.cancel();
    let interrupted = follow(&context, server.cell.grid).await.unwrap_err();
    assert_eq!(interrupted.exit(), Exit::Interrupted);
    assert!(interrupted.to_string().contains("atelier watch"));
}

#[tokio::test]
async fn a_watch_goes_on_at_the_next_coordinator() {
    let first = Breaking::new();
    let second = first.sibling();
    let urls = [first.serve().await, second.serve().await];
    let context = context(&urls, true);
    let mut sequences = Vec::new();
    let ended = follow_each(&context, first.cell.grid, |_, change| {
        sequences.push(change.sequence);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(sequences, [2, 3]);
    assert_is_as_it_ended(&ended);
    let watches = [&first, &second].map(|it| it.watches_here.load(Ordering::SeqCst));
    assert_eq!(watches, [1, 1]);
}

#[tokio::test]
async fn a_quiet_watch_asks_for_no_cells_and_still_tells_why_some_failed() {
    let server = Breaking::new();
    let context = context(&[server.serve().await], true);
    let ended = follow(&context, server.cell.grid).await.unwrap();
    assert_is_as_it_ended(&ended);
}
