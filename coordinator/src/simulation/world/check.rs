//! What must be true after each operation.

use atelier_proto::ids::CellId;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use proptest::{prop_assert, prop_assert_eq};

use super::super::model::cell::State;
use super::super::operation::COORDINATORS;
use super::nodes::SECONDS;
use super::{CONTENTS, World};
use crate::domain::summary::{Changes, Counts};
use crate::store::StoreError;

/// By how much sums of floating point may differ.
const TOLERANCE: f64 = 1e-9;

impl World {
    /// Compares the grids that may have changed, or all, with what the model says.
    pub(super) async fn compare(&mut self, all: bool) -> TestCaseResult {
        for index in 0..self.model.grids.len() {
            let is_touched = std::mem::take(&mut self.model.grids[index].is_touched);
            if is_touched || all {
                let id = self.model.grids[index].id;
                let at = index % COORDINATORS;
                let read = self.ledgers[at].store().changes(id, 0).await;
                self.compare_grid(index, read)
                    .map_err(|error| TestCaseError::fail(format!("grid {index}: {error}")))?;
            }
        }
        Ok(())
    }

    fn compare_grid(&mut self, index: usize, read: Result<Changes, StoreError>) -> TestCaseResult {
        let grid = &mut self.model.grids[index];
        let changes = match read {
            Ok(changes) => changes,
            Err(StoreError::UnknownGrid(_)) => {
                prop_assert!(!grid.is_known(), "it is gone");
                return Ok(());
            }
            Err(other) => return Err(other.into()),
        };
        prop_assert!(grid.is_known(), "it has come back: {:?}", changes.summary);
        let summary = &changes.summary;
        let seen = self
            .sequences
            .insert(grid.id, summary.sequence)
            .unwrap_or(0);
        let is_changed = std::mem::take(&mut grid.is_changed);
        let expected = std::mem::take(&mut grid.changed);
        prop_assert!(summary.sequence >= seen, "its sequence fell");
        if is_changed || !expected.is_empty() {
            prop_assert!(summary.sequence > seen, "a change has no number");
        }
        prop_assert_eq!(changes.cells.len(), grid.cells.len());
        let mut counts = Counts::default();
        for record in &changes.cells {
            let place = record.id.place as usize;
            let checked = grid.cells[place].check(&record.cell);
            checked.map_err(|error| TestCaseError::fail(format!("cell {place}: {error}")))?;
            let number = record.changed_sequence;
            prop_assert!(number <= summary.sequence);
            prop_assert_eq!(
                number > seen,
                expected.contains(&place),
                "cell {} is told as changed if it has changed: {} after {}",
                place,
                number,
                seen
            );
            *counts.of_mut(&record.cell) += 1;
        }
        prop_assert_eq!(summary.counts, counts, "the counts of the cells");
        prop_assert_eq!(summary.state, grid.state());
        prop_assert_eq!(summary.priority, grid.priority);
        prop_assert_eq!(summary.gallery_complete, grid.gallery_complete);
        let finished_at = summary.finished_at.map(jiff::Timestamp::as_millisecond);
        prop_assert_eq!(finished_at, grid.finished_at);
        let spent = f64::from(counts.done) * SECONDS;
        prop_assert!((summary.seconds_spent - spent).abs() < TOLERANCE);
        let efforts = CONTENTS[grid.content].efforts();
        let open: f64 = efforts
            .zip(&grid.cells)
            .filter(|(_, cell)| !cell.has_ended())
            .map(|(effort, _)| effort.work)
            .sum();
        prop_assert!(
            (summary.work_open - open).abs() < TOLERANCE,
            "{} of work are open, expected {open}",
            summary.work_open
        );
        for (place, cell) in grid.cells.iter().enumerate() {
            if let State::Done { picture } = cell.state {
                let place = place as u32;
                let in_bucket = self.bucket.get(&CellId {
                    grid: grid.id,
                    place,
                });
                prop_assert_eq!(in_bucket.map(|picture| picture.sha256), Some(picture));
                let held_once = in_bucket.is_some_and(|picture| {
                    let number = picture.writer.attempt as usize - 1;
                    let lease = cell.leases.get(number);
                    lease.is_some_and(|lease| lease.node == picture.writer.node)
                });
                prop_assert!(held_once, "it was put by who never held the cell");
            }
        }
        Ok(())
    }
}
