//! The cells that this node holds, and how each is told to stop.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atelier_proto::ids::CellId;
use atelier_proto::v1;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::executor::Progress;

/// Why a cell's work is to stop; a later reason counts more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    /// The node leaves: the cell is given back.
    Leaving,
    /// The coordinator took it back, and another attempt may have it: nothing is owed for it.
    Dropped,
    /// Nothing can become of it any more: what was kept of it is of no use to anybody.
    Ended,
}

/// Tells a cell's work to stop, and why; clones are the same sign.
#[derive(Debug, Clone, Default)]
pub(super) struct StopSign {
    /// Cancelled when the work is to stop.
    pub(super) token: CancellationToken,
    why: Arc<Mutex<Option<Stop>>>,
}

impl StopSign {
    /// Stops the work. Whoever sees the token cancelled finds the reason.
    fn raise(&self, why: Stop) {
        {
            let mut known = self.lock();
            *known = known.max(Some(why));
        }
        self.token.cancel();
    }

    /// Why the work is to stop, if it is.
    pub(super) fn why(&self) -> Option<Stop> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Stop>> {
        // Every change is one assignment, so a panic elsewhere leaves it whole.
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One cell in hand.
#[derive(Debug)]
struct Held {
    attempt: u32,
    progress: watch::Receiver<Progress>,
    stop: StopSign,
}

/// The cells in hand; clones see the same ones.
#[derive(Debug, Clone, Default)]
pub(super) struct HeldCells(Arc<Mutex<HashMap<CellId, Held>>>);

/// Removes its cell when the attempt ends, however it ends.
#[derive(Debug)]
pub(super) struct HeldCell {
    cells: HeldCells,
    cell: CellId,
    attempt: u32,
    /// Raised when the work is to stop.
    pub(super) stop: StopSign,
}

impl HeldCells {
    fn lock(&self) -> MutexGuard<'_, HashMap<CellId, Held>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a cell in hand. A newer attempt of a cell that is still in hand stops the older one.
    pub(super) fn hold(
        &self,
        cell: CellId,
        attempt: u32,
        progress: watch::Receiver<Progress>,
    ) -> HeldCell {
        let stop = StopSign::default();
        let held = Held {
            attempt,
            progress,
            stop: stop.clone(),
        };
        if let Some(older) = self.lock().insert(cell, held) {
            older.stop.raise(Stop::Dropped);
        }
        HeldCell {
            cells: self.clone(),
            cell,
            attempt,
            stop,
        }
    }

    /// What a renewal says of every cell in hand.
    pub(super) fn progress(&self) -> Vec<v1::CellProgress> {
        let cells = self.lock();
        let progress = cells.iter().map(|(cell, held)| {
            let progress = *held.progress.borrow();
            v1::CellProgress {
                cell: Some(v1::HeldCell {
                    cell_id: cell.to_string(),
                    attempt: held.attempt,
                }),
                rendering: progress.rendering,
                evaluations: progress.evaluations,
                evaluations_planned: progress.planned,
                loss: progress.loss,
            }
        });
        progress.collect()
    }

    /// Stops the cells that the coordinator took back; some of them because they have ended.
    pub(super) fn drop_cells(&self, dropped: &[v1::HeldCell], ended: &[v1::HeldCell]) {
        let ids = |cell: &v1::HeldCell| (cell.cell_id.clone(), cell.attempt);
        let ended: HashSet<_> = ended.iter().map(ids).collect();
        for cell in dropped {
            let has_ended = ended.contains(&ids(cell));
            self.drop_cell(
                cell,
                if has_ended {
                    Stop::Ended
                } else {
                    Stop::Dropped
                },
            );
        }
    }

    fn drop_cell(&self, dropped: &v1::HeldCell, why: Stop) {
        let Ok(cell) = dropped.cell_id.parse() else {
            tracing::warn!(cell = dropped.cell_id, "asked to drop a malformed cell id");
            return;
        };
        if let Some(held) = self.lock().get(&cell)
            && held.attempt == dropped.attempt
            && held.stop.why() < Some(why)
        {
            tracing::info!(%cell, attempt = held.attempt, ?why, "dropped: the coordinator took it back");
            held.stop.raise(why);
        }
    }

    /// Stops every cell because the node leaves.
    pub(super) fn stop_all(&self) {
        for held in self.lock().values() {
            held.stop.raise(Stop::Leaving);
        }
    }
}

impl HeldCell {
    /// The cell and attempt as the wire has them.
    pub(super) fn wire(&self) -> v1::HeldCell {
        v1::HeldCell {
            cell_id: self.cell.to_string(),
            attempt: self.attempt,
        }
    }
}

impl Drop for HeldCell {
    fn drop(&mut self) {
        let mut cells = self.cells.lock();
        if cells
            .get(&self.cell)
            .is_some_and(|held| held.attempt == self.attempt)
        {
            cells.remove(&self.cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(cell: CellId, attempt: u32) -> v1::HeldCell {
        v1::HeldCell {
            cell_id: cell.to_string(),
            attempt,
        }
    }

    #[test]
    fn only_the_attempt_that_was_taken_back_stops() {
        let cells = HeldCells::default();
        let cell = CellId::generate();
        let (_sender, progress) = watch::channel(Progress::default());
        let held = cells.hold(cell, 2, progress);
        cells.drop_cells(&[wire(cell, 1)], &[]);
        assert_eq!(held.stop.why(), None);
        cells.drop_cells(&[wire(cell, 2)], &[wire(cell, 1)]);
        assert_eq!(held.stop.why(), Some(Stop::Dropped));
        assert!(held.stop.token.is_cancelled());
        cells.stop_all();
        assert_eq!(held.stop.why(), Some(Stop::Dropped));
        cells.drop_cells(&[wire(cell, 2)], &[wire(cell, 2)]);
        assert_eq!(held.stop.why(), Some(Stop::Ended));
    }

    #[test]
    fn a_newer_attempt_stops_the_older_and_survives_its_end() {
        let cells = HeldCells::default();
        let cell = CellId::generate();
        let (_sender, progress) = watch::channel(Progress::default());
        let older = cells.hold(cell, 1, progress.clone());
        let newer = cells.hold(cell, 2, progress);
        assert_eq!(older.stop.why(), Some(Stop::Dropped));
        drop(older);
        assert_eq!(cells.progress().len(), 1);
        cells.stop_all();
        assert_eq!(newer.stop.why(), Some(Stop::Leaving));
        drop(newer);
        assert!(cells.progress().is_empty());
    }
}
