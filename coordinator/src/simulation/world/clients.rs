//! What clients do, and what the model says to it.

use proptest::test_runner::{TestCaseError, TestCaseResult};
use proptest::{prop_assert, prop_assert_eq};

use super::super::model::{Done, Grid, Submission};
use super::super::operation::{Fault, How};
use super::{CONTENTS, World};
use crate::domain::grid::GridSpec;
use crate::domain::summary::CellRecord;
use crate::store::{NewGrid, Steering, StoreError};
use atelier_proto::ids::GridId;

impl World {
    pub(super) async fn submit(
        &mut self,
        at: usize,
        request: usize,
        content: usize,
        fault: Fault,
    ) -> TestCaseResult {
        for at in fault.arrives_at(at) {
            let spec: GridSpec = CONTENTS[content].clone();
            let cells = spec.positions().count();
            let is_zoned = !spec.labels().is_empty();
            let submitter = request % 2;
            let new = NewGrid {
                grid: GridId::generate(),
                request: self.requests[request],
                submitter: self.submitters[submitter].clone(),
                priority: 0,
                spec,
                trace_parent: String::new(),
            };
            let (id, now) = (new.grid, self.now(at));
            let expected = self.model.submit(request, content, cells);
            let made = match self.ledgers[at].create_grid(new).await {
                Ok((made, true)) => {
                    prop_assert_eq!((made.grid, made.cells as usize), (id, cells));
                    Submission::New
                }
                Ok((made, false)) => Submission::Known(made.grid),
                Err(StoreError::RequestReused { grid, .. }) => Submission::OtherContent(grid),
                Err(StoreError::TooManyOpen { .. }) => Submission::TooMany,
                Err(other) => return Err(other.into()),
            };
            prop_assert_eq!(made, expected);
            match made {
                Submission::New => {
                    let numbers = [request, content, submitter];
                    let grid = Grid::new(id, numbers, cells, is_zoned, now);
                    self.model.grids.push(grid);
                }
                Submission::Known(_) => self.model.reach("a submission is repeated"),
                Submission::OtherContent(_) => {
                    self.model.reach("a request id is used for something else");
                }
                Submission::TooMany => self.model.reach("a submitter has too many cells"),
            }
        }
        Ok(())
    }

    pub(super) async fn steer(
        &mut self,
        at: usize,
        grid: usize,
        how: How,
        fault: Fault,
    ) -> TestCaseResult {
        let id = self.model.grids[grid].id;
        for at in fault.arrives_at(at) {
            let steering = match how {
                How::Pause => Steering::Pause,
                How::Resume => Steering::Resume,
                How::Priority(priority) => Steering::Priority(priority),
            };
            let steered = self.ledgers[at].steer(id, steering).await;
            let expected = self.model.steer(grid, how);
            prop_assert_eq!(done(steered.map(u32::from))?, expected);
        }
        Ok(())
    }

    pub(super) async fn cancel(&mut self, at: usize, grid: usize, fault: Fault) -> TestCaseResult {
        let id = self.model.grids[grid].id;
        for at in fault.arrives_at(at) {
            let cancelled = self.ledgers[at].cancel_grid(id).await;
            let expected = self.model.cancel(grid, self.now(at));
            prop_assert_eq!(done(cancelled)?, expected);
        }
        Ok(())
    }

    pub(super) async fn retry(
        &mut self,
        at: usize,
        grid: usize,
        places: u8,
        fault: Fault,
    ) -> TestCaseResult {
        let id = self.model.grids[grid].id;
        let chosen: Vec<u32> = (0..8).filter(|place| places >> place & 1 == 1).collect();
        let chosen = Some(&*chosen).filter(|chosen| !chosen.is_empty());
        for at in fault.arrives_at(at) {
            let queued = self.ledgers[at].retry(id, chosen).await;
            let expected = self.model.retry(grid, chosen, self.now(at));
            prop_assert_eq!(done(queued)?, expected);
        }
        Ok(())
    }

    pub(super) async fn delete(&mut self, at: usize, grid: usize, fault: Fault) -> TestCaseResult {
        let id = self.model.grids[grid].id;
        for at in fault.arrives_at(at) {
            let deleted = self.ledgers[at].delete_grid(id).await;
            let expected = self.model.delete(grid, self.now(at));
            prop_assert_eq!(done(deleted.map(|()| 0))?, expected);
        }
        Ok(())
    }

    /// Asks for what changed. Whoever does not hear the answer asks for the same again the next time, wherever that is.
    pub(super) async fn watch(&mut self, at: usize, grid: usize, fault: Fault) -> TestCaseResult {
        let id = self.model.grids[grid].id;
        let watcher = self.watchers.entry(id).or_default();
        let last = fault.arrives_at(at).last();
        for at in fault.arrives_at(at) {
            let changes = match self.ledgers[at].store().changes(id, watcher.after).await {
                Ok(changes) => changes,
                Err(StoreError::UnknownGrid(_)) => {
                    prop_assert!(!self.model.grids[grid].is_known());
                    self.watchers.remove(&id);
                    return Ok(());
                }
                Err(other) => return Err(other.into()),
            };
            prop_assert!(changes.summary.sequence >= watcher.after);
            if fault.is_answered() && last == Some(at) {
                watcher.after = changes.summary.sequence;
                let cells = changes.cells.into_iter();
                watcher
                    .cells
                    .extend(cells.map(|record| (record.id.place, record)));
            }
        }
        if !fault.is_answered() {
            return Ok(());
        }
        let now = self.ledgers[at].store().changes(id, 0).await?.cells;
        prop_assert_eq!(now.len(), watcher.cells.len());
        let differs = |record: &&CellRecord| {
            let seen = &watcher.cells[&record.id.place];
            !record.cell.looks_like(&seen.cell)
        };
        let missed = now.iter().find(differs);
        prop_assert!(
            missed.is_none(),
            "whoever follows the grid missed {missed:?}"
        );
        Ok(())
    }
}

fn done(answer: Result<u32, StoreError>) -> Result<Done, TestCaseError> {
    Ok(match answer {
        Ok(cells) => Done::To(cells),
        Err(StoreError::UnknownGrid(_)) => Done::Unknown,
        Err(StoreError::WrongState { .. }) => Done::WrongState,
        Err(StoreError::NoRetry(..)) => Done::NoRetry,
        Err(other) => return Err(other.into()),
    })
}
