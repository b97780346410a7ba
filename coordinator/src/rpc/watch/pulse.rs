//! What changed of the grids that are watched, read once for all who watch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_proto::ids::GridId;
use tokio::sync::watch;

use super::super::Context;
use crate::domain::effort::Estimate;
use crate::domain::summary::Changes;
use crate::estimates;
use crate::ledger::POLL_INTERVAL;
use crate::store::StoreError;

/// Changes that follow each other faster are told together.
const GATHER_INTERVAL: Duration = Duration::from_millis(100);
/// For each of those who watch, changes are gathered so much longer, so that many of them do not slow the work that they
/// watch.
const GATHER_PER_WATCHER: Duration = Duration::from_millis(2);
/// Longest time for which changes are gathered.
const GATHER_INTERVAL_MAX: Duration = Duration::from_secs(5);

/// A grid at one moment, with what changed since the pulse before.
#[derive(Debug)]
pub(super) struct Pulse {
    /// Cells that changed after this are in it.
    pub(super) after_sequence: u64,
    pub(super) changes: Changes,
    pub(super) estimate: Estimate,
}

impl Pulse {
    /// Whether nothing changes any more.
    pub(super) fn is_last(&self) -> bool {
        let summary = &self.changes.summary;
        summary.state.has_ended() && summary.gallery_complete
    }
}

/// What those who watch a grid see.
#[derive(Debug, Clone)]
pub(super) enum Beat {
    /// It has not been read yet.
    NotYet,
    Pulse(Arc<Pulse>),
    /// It is no more.
    Gone,
}

/// The grids that are watched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulses(Arc<Mutex<HashMap<GridId, watch::Sender<Beat>>>>);

impl Pulses {
    fn lock(&self) -> MutexGuard<'_, HashMap<GridId, watch::Sender<Beat>>> {
        // Entries come and go by single calls.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The beats of a grid, from the latest on.
    pub(super) fn of(&self, context: &Context, grid: GridId) -> watch::Receiver<Beat> {
        let mut grids = self.lock();
        if let Some(sender) = grids.get(&grid) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(Beat::NotYet);
        grids.insert(grid, sender.clone());
        let beating = beat(context.clone(), self.clone(), grid, sender);
        context.tasks.spawn(beating);
        receiver
    }

    /// Forgets a grid that nobody watches; false if somebody does.
    fn forget_unwatched(&self, grid: GridId) -> bool {
        let mut grids = self.lock();
        let is_unwatched = grids
            .get(&grid)
            .is_none_or(|sender| sender.receiver_count() == 0);
        if is_unwatched {
            grids.remove(&grid);
        }
        is_unwatched
    }
}

/// Reads a grid whenever it changes, until nobody watches it or nothing changes any more.
async fn beat(context: Context, pulses: Pulses, grid: GridId, sender: watch::Sender<Beat>) {
    let mut bell = context.ledger.changed_bell();
    // Whoever comes first has mostly seen nothing yet.
    let mut after_sequence = 0;
    loop {
        bell.mark_unchanged();
        match read(&context, grid, after_sequence).await {
            Ok(Some(pulse)) => {
                after_sequence = pulse.changes.summary.sequence;
                let is_last = pulse.is_last();
                sender.send_replace(Beat::Pulse(Arc::new(pulse)));
                if is_last {
                    pulses.lock().remove(&grid);
                    return;
                }
            }
            Ok(None) => {}
            Err(StoreError::UnknownGrid(_)) => {
                sender.send_replace(Beat::Gone);
                pulses.lock().remove(&grid);
                return;
            }
            Err(error) => {
                tracing::warn!(%grid, %error, "a watched grid cannot be read; trying again");
            }
        }
        let watchers = sender.receiver_count() as u32;
        let gather = (GATHER_INTERVAL + GATHER_PER_WATCHER * watchers).min(GATHER_INTERVAL_MAX);
        let waiting = async {
            // The ledger, and with it the bell, outlives every watcher.
            let _ = tokio::time::timeout(POLL_INTERVAL, bell.changed()).await;
            tokio::time::sleep(gather).await;
        };
        tokio::select! {
            () = waiting => {}
            () = sender.closed() => {}
            () = context.shutdown.cancelled() => return,
        }
        if sender.receiver_count() == 0 && pulses.forget_unwatched(grid) {
            return;
        }
    }
}

/// A pulse; `None` if nothing has changed since the one before.
async fn read(
    context: &Context,
    grid: GridId,
    after_sequence: u64,
) -> Result<Option<Pulse>, StoreError> {
    let store = context.ledger.store();
    if after_sequence > 0 && store.summary(grid).await?.sequence == after_sequence {
        return Ok(None);
    }
    let changes = store.changes(grid, after_sequence).await?;
    let estimate = estimates::of_grid(&context.ledger, &changes.summary).await?;
    Ok(Some(Pulse {
        after_sequence,
        changes,
        estimate,
    }))
}
