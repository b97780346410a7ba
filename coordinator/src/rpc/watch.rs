//! `Grids.Watch`: what changed of a grid, as it changes.

use std::sync::Arc;
use std::time::Duration;

use atelier_proto::ids::GridId;
use atelier_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument as _;

use super::status::RpcError;
use super::{Context, convert};
use crate::domain::grid::GridSpec;
use crate::domain::keys::GridNames;
use crate::domain::summary::Changes;
use crate::ledger::POLL_INTERVAL;

/// Messages that wait for a slow reader; what changes meanwhile is read when there is room again.
const MESSAGES_MAX: usize = 4;
/// Cells of one message: some 500 KiB, well below the 4 MiB that gRPC clients take by default.
const CELLS_PER_MESSAGE_MAX: usize = 1_000;
/// Changes that follow each other faster are told together.
const GATHER_INTERVAL: Duration = Duration::from_millis(100);

type Sender = mpsc::Sender<Result<v1::WatchResponse, Status>>;

/// Begins to follow a grid.
///
/// # Errors
/// When there is no such grid; later troubles end the stream with their status.
pub(super) async fn follow(
    context: &Context,
    grid: GridId,
    after_sequence: u64,
) -> Result<ReceiverStream<Result<v1::WatchResponse, Status>>, RpcError> {
    let spec = context.ledger.store().spec(grid).await?;
    let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
    let follower = Follower {
        context: context.clone(),
        names: GridNames::new(grid, &spec),
        spec,
        grid,
        sender: sender.clone(),
    };
    let following = async move {
        if let Err(error) = follower.follow(after_sequence).await {
            // Nobody is left to tell if the reader has gone.
            let _ = sender.send(Err(error.into())).await;
        }
    };
    context.tasks.spawn(following.in_current_span());
    Ok(ReceiverStream::new(receiver))
}

struct Follower {
    context: Context,
    grid: GridId,
    spec: Arc<GridSpec>,
    names: GridNames,
    sender: Sender,
}

impl Follower {
    /// Tells every change until the grid has ended and its gallery is complete, or the reader has gone.
    async fn follow(&self, mut after_sequence: u64) -> Result<(), RpcError> {
        let ledger = &self.context.ledger;
        let mut bell = ledger.changed_bell();
        let mut is_first = true;
        loop {
            bell.mark_unchanged();
            let changes = ledger.store().changes(self.grid, after_sequence).await?;
            let summary = &changes.summary;
            let (sequence, has_ended) = (
                summary.sequence,
                summary.state.has_ended() && summary.gallery_complete,
            );
            if is_first || sequence > after_sequence {
                for message in self.messages(&changes, after_sequence) {
                    tokio::select! {
                        sent = self.sender.send(Ok(message)) => if sent.is_err() {
                            return Ok(());
                        },
                        () = self.context.shutdown.cancelled() => return Err(RpcError::ShuttingDown),
                    }
                }
            }
            if has_ended {
                return Ok(());
            }
            is_first = false;
            after_sequence = sequence;
            let waiting = async {
                // The ledger, and with it the bell, outlives every follower.
                let _ = tokio::time::timeout(POLL_INTERVAL, bell.changed()).await;
                tokio::time::sleep(GATHER_INTERVAL).await;
            };
            tokio::select! {
                () = waiting => {}
                () = self.sender.closed() => return Ok(()),
                () = self.context.shutdown.cancelled() => return Err(RpcError::ShuttingDown),
            }
        }
    }

    /// The changes in messages of bounded size. Only the last one carries the grid's sequence: to whoever goes on from
    /// an earlier one, every cell is sent that it has not got for certain.
    fn messages<'a>(
        &'a self,
        changes: &'a Changes,
        after_sequence: u64,
    ) -> impl Iterator<Item = v1::WatchResponse> + 'a {
        let messages = changes.cells.len().div_ceil(CELLS_PER_MESSAGE_MAX).max(1);
        (0..messages).map(move |index| {
            let start = index * CELLS_PER_MESSAGE_MAX;
            let end = (start + CELLS_PER_MESSAGE_MAX).min(changes.cells.len());
            let cells = changes.cells.get(start..end).unwrap_or_default();
            let sequence = match cells.last() {
                // Cells come by their sequence, and the next message may begin with one of the same.
                Some(last) if index + 1 < messages => {
                    last.changed_sequence.saturating_sub(1).max(after_sequence)
                }
                Some(_) | None => changes.summary.sequence,
            };
            v1::WatchResponse {
                sequence,
                summary: Some(convert::summary(&changes.summary)),
                cells: cells
                    .iter()
                    .map(|cell| convert::cell(cell, &self.spec, &self.names))
                    .collect(),
            }
        })
    }
}
