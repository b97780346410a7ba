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

/// A coordinator with one grid of one cell, which breaks off its first watch in the midst of it.
#[derive(Clone)]
struct Breaking {
    grid: GridId,
    cell: CellId,
    watches: Arc<AtomicU64>,
}

impl Breaking {
    fn summary(&self, sequence: u64) -> v1::GridSummary {
        let (state, is_over) = match sequence {
            3.. => (v1::GridState::Finished, true),
            _ => (v1::GridState::Active, false),
        };
        v1::GridSummary {
            grid_id: self.grid.to_string(),
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
        let grid = v1::Grid {
            summary: Some(self.summary(1)),
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
            cells: vec![self.cell(v1::CellState::Queued)],
        }))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Changes>, Status> {
        let after = request.into_inner().after_sequence;
        let changes = match self.watches.fetch_add(1, Ordering::SeqCst) {
            0 => vec![
                Ok(self.change(2, v1::CellState::Rendering)),
                Err(Status::unavailable("restarting")),
            ],
            // Whoever does not go on from where it was is told nothing.
            _ if after == 2 => vec![Ok(self.change(3, v1::CellState::Failed))],
            _ => Vec::new(),
        };
        Ok(Response::new(Box::pin(tokio_stream::iter(changes))))
    }

    not_asked_for! {
        storage(StorageRequest) -> StorageResponse;
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

#[tokio::test]
async fn a_watch_outlives_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Breaking {
        grid: GridId::generate(),
        cell: CellId::from(GridId::generate().as_uuid()),
        watches: Arc::default(),
    };
    let serving = tonic::transport::Server::builder()
        .add_service(GridsServer::new(server.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(serving);
    let context = Context {
        printer: Printer::new(true, false, true),
        coordinator: Coordinator::new(&url).unwrap(),
        shutdown: CancellationToken::new(),
    };

    let mut sequences = Vec::new();
    let ended = follow_each(&context, server.grid, |_, change| {
        sequences.push(change.sequence);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(sequences, [2, 3]);
    assert_eq!(ended.exit(), Exit::CellsFailed);
    let failure = &ended.failures[0];
    assert_eq!(
        (
            failure.names().to_string().as_str(),
            failure.reason.as_str()
        ),
        ("hill × Monet", "no such layer")
    );

    context.shutdown.cancel();
    let interrupted = follow(&context, server.grid).await.unwrap_err();
    assert_eq!(interrupted.exit(), Exit::Interrupted);
    assert!(interrupted.to_string().contains("atelier watch"));
}
