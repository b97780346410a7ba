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
    /// What the coordinator was last told, and in which renewal.
    told: Option<(Progress, u32)>,
    stop: StopSign,
}

/// The cells in hand; clones see the same ones.
#[derive(Debug, Clone, Default)]
pub(super) struct HeldCells(Arc<Mutex<InHand>>);

#[derive(Debug, Default)]
struct InHand {
    cells: HashMap<CellId, Held>,
    /// The node leaves, so that cells that come late are given back too.
    is_leaving: bool,
}

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
    fn lock(&self) -> MutexGuard<'_, InHand> {
        // Every change is one insertion, removal or assignment, so a panic elsewhere leaves it whole.
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
            told: None,
            stop: stop.clone(),
        };
        let mut in_hand = self.lock();
        if in_hand.is_leaving {
            stop.raise(Stop::Leaving);
        }
        if let Some(older) = in_hand.cells.insert(cell, held) {
            older.stop.raise(Stop::Dropped);
        }
        drop(in_hand);
        HeldCell {
            cells: self.clone(),
            cell,
            attempt,
            stop,
        }
    }

    /// The cells in hand as the wire has them.
    pub(super) fn wire(&self) -> Vec<v1::HeldCell> {
        let in_hand = self.lock();
        let cells = in_hand.cells.iter().map(|(cell, held)| v1::HeldCell {
            cell_id: cell.to_string(),
            attempt: held.attempt,
        });
        cells.collect()
    }

    /// How many cells are in hand.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().cells.len()
    }

    /// What the renewal with this number says: of each cell that got on since it was last told, and of each that did not
    /// once in so many renewals. A node holds many more cells than its device works on.
    pub(super) fn renewal(&self, number: u32, unchanged_every: u32) -> Vec<v1::CellProgress> {
        let mut in_hand = self.lock();
        let told = in_hand.cells.iter_mut().filter_map(|(cell, held)| {
            let progress = *held.progress.borrow();
            let is_known = held.told.is_some_and(|(told, at)| {
                told == progress && number.wrapping_sub(at) < unchanged_every
            });
            if is_known {
                return None;
            }
            held.told = Some((progress, number));
            Some(v1::CellProgress {
                cell: Some(v1::HeldCell {
                    cell_id: cell.to_string(),
                    attempt: held.attempt,
                }),
                rendering: progress.rendering,
                evaluations: progress.evaluations,
                evaluations_planned: progress.planned,
                loss: progress.loss,
            })
        });
        told.collect()
    }

    /// A renewal may not have arrived, so the next one says everything.
    pub(super) fn forget_told(&self) {
        for held in self.lock().cells.values_mut() {
            held.told = None;
        }
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
        if let Some(held) = self.lock().cells.get(&cell)
            && held.attempt == dropped.attempt
            && held.stop.why() < Some(why)
        {
            tracing::info!(%cell, attempt = held.attempt, ?why, "dropped: the coordinator took it back");
            held.stop.raise(why);
        }
    }

    /// Stops every cell because the node leaves, and those that are taken in hand from now on.
    pub(super) fn stop_all(&self) {
        let mut in_hand = self.lock();
        in_hand.is_leaving = true;
        for held in in_hand.cells.values() {
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
        let mut in_hand = self.cells.lock();
        if in_hand
            .cells
            .get(&self.cell)
            .is_some_and(|held| held.attempt == self.attempt)
        {
            in_hand.cells.remove(&self.cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use atelier_proto::ids::GridId;

    use super::*;

    fn cell() -> CellId {
        CellId {
            grid: GridId::generate(),
            place: 7,
        }
    }

    fn wire(cell: CellId, attempt: u32) -> v1::HeldCell {
        v1::HeldCell {
            cell_id: cell.to_string(),
            attempt,
        }
    }

    #[test]
    fn only_the_attempt_that_was_taken_back_stops() {
        let cells = HeldCells::default();
        let cell = cell();
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
        let cell = cell();
        let (_sender, progress) = watch::channel(Progress::default());
        let older = cells.hold(cell, 1, progress.clone());
        let newer = cells.hold(cell, 2, progress);
        assert_eq!(older.stop.why(), Some(Stop::Dropped));
        drop(older);
        assert_eq!(cells.count(), 1);
        cells.stop_all();
        assert_eq!(newer.stop.why(), Some(Stop::Leaving));
        drop(newer);
        assert_eq!(cells.count(), 0);
    }

    #[test]
    fn a_cell_that_comes_when_the_node_leaves_is_given_back_too() {
        let cells = HeldCells::default();
        cells.stop_all();
        let (_sender, progress) = watch::channel(Progress::default());
        let late = cells.hold(cell(), 1, progress);
        assert_eq!(late.stop.why(), Some(Stop::Leaving));
        assert!(late.stop.token.is_cancelled());
    }

    #[test]
    fn what_gets_no_further_is_told_now_and_then_and_anew_when_it_may_not_have_arrived() {
        let cells = HeldCells::default();
        let (sender, progress) = watch::channel(Progress::default());
        let grid = GridId::generate();
        let _held = cells.hold(CellId { grid, place: 0 }, 1, progress);
        let told: Vec<usize> = (0..7)
            .map(|number| cells.renewal(number, 3).len())
            .collect();
        assert_eq!(told, [1, 0, 0, 1, 0, 0, 1]);
        sender.send_modify(|progress| progress.evaluations += 1);
        assert_eq!(cells.renewal(7, 3)[0].evaluations, 1);
        assert_eq!(cells.renewal(8, 3).len(), 0);
        cells.forget_told();
        assert_eq!(cells.renewal(9, 3).len(), 1);
    }
}
