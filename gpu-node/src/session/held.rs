//! The cells that this node holds, and how each is told to stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atelier_proto::ids::CellId;
use atelier_proto::v1;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::executor::Progress;

/// Why a cell's work is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The coordinator took it back: nothing is owed for it.
    Dropped,
    /// The node leaves: the cell is given back.
    Leaving,
}

/// One cell in hand.
#[derive(Debug)]
struct Held {
    attempt: u32,
    progress: watch::Receiver<Progress>,
    stop: CancellationToken,
    why: Option<Stop>,
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
    /// Cancelled when the work is to stop.
    pub(super) stop: CancellationToken,
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
        let stop = CancellationToken::new();
        let held = Held {
            attempt,
            progress,
            stop: stop.clone(),
            why: None,
        };
        if let Some(older) = self.lock().insert(cell, held) {
            older.stop.cancel();
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

    /// Stops a cell that the coordinator took back.
    pub(super) fn drop_cell(&self, dropped: &v1::HeldCell) {
        let Ok(cell) = dropped.cell_id.parse() else {
            tracing::warn!(cell = dropped.cell_id, "asked to drop a malformed cell id");
            return;
        };
        if let Some(held) = self.lock().get_mut(&cell)
            && held.attempt == dropped.attempt
            && held.why.is_none()
        {
            tracing::info!(%cell, attempt = held.attempt, "dropped: the coordinator took it back");
            held.why = Some(Stop::Dropped);
            held.stop.cancel();
        }
    }

    /// Stops every cell because the node leaves.
    pub(super) fn stop_all(&self) {
        for held in self.lock().values_mut() {
            held.why.get_or_insert(Stop::Leaving);
            held.stop.cancel();
        }
    }
}

impl HeldCell {
    /// Why this cell was stopped, if it was.
    pub(super) fn why_stopped(&self) -> Option<Stop> {
        if !self.stop.is_cancelled() {
            return None;
        }
        let cells = self.cells.lock();
        let held = cells
            .get(&self.cell)
            .filter(|held| held.attempt == self.attempt);
        Some(held.and_then(|held| held.why).unwrap_or(Stop::Dropped))
    }

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
        cells.drop_cell(&wire(cell, 1));
        assert_eq!(held.why_stopped(), None);
        cells.drop_cell(&wire(cell, 2));
        assert_eq!(held.why_stopped(), Some(Stop::Dropped));
        cells.stop_all();
        assert_eq!(held.why_stopped(), Some(Stop::Dropped));
    }

    #[test]
    fn a_newer_attempt_stops_the_older_and_survives_its_end() {
        let cells = HeldCells::default();
        let cell = CellId::generate();
        let (_sender, progress) = watch::channel(Progress::default());
        let older = cells.hold(cell, 1, progress.clone());
        let newer = cells.hold(cell, 2, progress);
        assert_eq!(older.why_stopped(), Some(Stop::Dropped));
        drop(older);
        assert_eq!(cells.progress().len(), 1);
        cells.stop_all();
        assert_eq!(newer.why_stopped(), Some(Stop::Leaving));
        drop(newer);
        assert!(cells.progress().is_empty());
    }
}
