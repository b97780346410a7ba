//! `Grids.Watch`: what changed of a grid, as it changes.
//!
//! However many watch a grid, it is read once for all of them ([`pulse`]). What a stream tells is fixed by sequence
//! numbers alone, so whoever lost one goes on at another coordinator.

mod pulse;

use std::sync::Arc;
use std::time::Duration;

use atelier_proto::ids::GridId;
use atelier_proto::v1;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument as _;

pub(crate) use self::pulse::Pulses;
use self::pulse::{Beat, Pulse};
use super::status::RpcError;
use super::{Context, convert};
use crate::domain::facts::GridFacts;
use crate::domain::summary::CellRecord;
use crate::store::StoreError;

/// Messages that wait for a slow reader; what changes meanwhile is read when there is room again.
const MESSAGES_MAX: usize = 1;
/// Cells of one message: some 50 KiB, so that what a slow reader leaves lying is not much.
const CELLS_PER_MESSAGE_MAX: usize = 100;
/// How long a reader may leave a message lying. It may go on from where it was when it reads again.
pub(crate) const READ_MAX: Duration = Duration::from_secs(30);

type Sender = mpsc::Sender<Result<v1::WatchResponse, Status>>;

/// What somebody wants to follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) grid: GridId,
    /// Changes after this are wanted.
    pub(super) after_sequence: u64,
    /// No cells are.
    pub(super) summary_only: bool,
}

/// Begins to follow a grid.
///
/// # Errors
/// When there is no such grid; later troubles end the stream with their status.
pub(super) async fn follow(
    context: &Context,
    asked: Asked,
    catching_up: Option<Arc<Semaphore>>,
) -> Result<ReceiverStream<Result<v1::WatchResponse, Status>>, RpcError> {
    let facts = context.ledger.facts(asked.grid).await?;
    // The facts may be older than the end of the grid.
    context.ledger.store().summary(asked.grid).await?;
    let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
    let follower = Follower {
        context: context.clone(),
        facts,
        asked,
        sender: sender.clone(),
        catching_up,
    };
    let following = async move {
        let ended = follower.follow().await;
        drop(follower);
        if let Err(error) = ended {
            // Nobody is left to tell if the reader has gone.
            let _ = sender.send(Err(error.into())).await;
        }
    };
    context.tasks.spawn(following.in_current_span());
    Ok(ReceiverStream::new(receiver))
}

struct Follower {
    context: Context,
    asked: Asked,
    facts: Arc<GridFacts>,
    sender: Sender,
    /// Turns at reading what was missed, which those of one caller share.
    catching_up: Option<Arc<Semaphore>>,
}

impl Follower {
    /// Tells every change until the grid has ended and its gallery is complete, or the reader has gone.
    async fn follow(&self) -> Result<(), RpcError> {
        let mut beats = self.context.pulses.of(&self.context, self.asked.grid);
        let mut after_sequence = self.asked.after_sequence;
        let mut is_first = true;
        loop {
            let beat = beats.borrow_and_update().clone();
            match beat {
                Beat::NotYet => {}
                Beat::Gone => return Err(StoreError::UnknownGrid(self.asked.grid).into()),
                Beat::Pulse(pulse) => {
                    let sequence = pulse.changes.summary.sequence;
                    if (is_first || sequence > after_sequence)
                        && !self.tell(&pulse, after_sequence).await?
                    {
                        return Ok(());
                    }
                    if pulse.is_last() {
                        return Ok(());
                    }
                    is_first = false;
                    after_sequence = after_sequence.max(sequence);
                }
            }
            tokio::select! {
                beat = beats.changed() => beat.map_err(|_| RpcError::ShuttingDown)?,
                () = self.sender.closed() => return Ok(()),
                () = self.context.shutdown.cancelled() => return Err(RpcError::ShuttingDown),
            }
        }
    }

    /// Tells what changed after a sequence number; false if the reader has gone.
    async fn tell(&self, pulse: &Pulse, after_sequence: u64) -> Result<bool, RpcError> {
        let summary = convert::summary(&pulse.changes.summary, pulse.estimate);
        let of_pulse = &pulse.changes.cells;
        let (read, _turn);
        let cells = if self.asked.summary_only {
            &[][..]
        } else if after_sequence >= pulse.after_sequence {
            // They come by their sequence.
            let known = of_pulse.partition_point(|cell| cell.changed_sequence <= after_sequence);
            &of_pulse[known..]
        } else {
            _turn = match &self.catching_up {
                Some(turns) => tokio::select! {
                    turn = turns.acquire() => turn.ok(),
                    // Nothing is read for who has gone meanwhile.
                    () = self.sender.closed() => return Ok(false),
                },
                None => None,
            };
            let store = self.context.ledger.store();
            read = store.changes(self.asked.grid, after_sequence).await?.cells;
            // What changed since the pulse is told with the next one.
            let until = read
                .partition_point(|cell| cell.changed_sequence <= pulse.changes.summary.sequence);
            &read[..until]
        };
        for message in self.messages(&summary, cells, after_sequence) {
            tokio::select! {
                sent = self.sender.send_timeout(Ok(message), READ_MAX) => match sent {
                    Ok(()) => {}
                    Err(SendTimeoutError::Closed(_)) => return Ok(false),
                    Err(SendTimeoutError::Timeout(_)) => return Err(RpcError::NotRead(READ_MAX)),
                },
                () = self.context.shutdown.cancelled() => return Err(RpcError::ShuttingDown),
            }
        }
        Ok(true)
    }

    /// The changes in messages of bounded size. Only the last one carries the grid's sequence: to whoever goes on from
    /// an earlier one, every cell is sent that it has not got for certain.
    fn messages<'a>(
        &'a self,
        summary: &'a v1::GridSummary,
        cells: &'a [CellRecord],
        after_sequence: u64,
    ) -> impl Iterator<Item = v1::WatchResponse> + 'a {
        let messages = cells.len().div_ceil(CELLS_PER_MESSAGE_MAX).max(1);
        (0..messages).map(move |index| {
            let start = index * CELLS_PER_MESSAGE_MAX;
            let end = (start + CELLS_PER_MESSAGE_MAX).min(cells.len());
            let cells = cells.get(start..end).unwrap_or_default();
            let sequence = match cells.last() {
                // Cells come by their sequence, and the next message may begin with one of the same.
                Some(last) if index + 1 < messages => {
                    last.changed_sequence.saturating_sub(1).max(after_sequence)
                }
                Some(_) | None => summary.sequence,
            };
            v1::WatchResponse {
                sequence,
                summary: Some(summary.clone()),
                cells: cells
                    .iter()
                    .filter_map(|cell| convert::cell(cell, &self.facts))
                    .collect(),
            }
        })
    }
}
