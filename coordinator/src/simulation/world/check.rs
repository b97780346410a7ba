//! What must be true after each operation, and what at the end.

use std::collections::BTreeSet;

use atelier_proto::ids::{CellId, GridId};
use proptest::test_runner::{TestCaseError, TestCaseResult};
use proptest::{prop_assert, prop_assert_eq};

use super::super::model::Life;
use super::super::model::cell::State;
use super::super::operation::{COORDINATORS, Fault, How, Order};
use super::super::{FORGET_AFTER, GRACE_PERIOD};
use super::nodes::SECONDS;
use super::{CONTENTS, World};
use crate::domain::summary::{Changes, Counts};
use crate::store::{Filter, StoreError};

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
        let changed = std::mem::take(&mut grid.changed);
        prop_assert!(summary.sequence >= seen, "its sequence fell");
        if is_changed || !changed.is_empty() {
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
                changed.contains(&place),
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
        let finished_at = summary.finished_at.map(|time| time.as_millisecond());
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

    /// What is left is done without faults; then everything must have ended as it should.
    pub(super) async fn finish(&mut self) -> TestCaseResult {
        for grid in 0..self.model.grids.len() {
            self.steer(0, grid, How::Resume, Fault::NoFault).await?;
        }
        self.finish_cells().await?;
        self.compare(true).await?;
        for index in 0..self.model.grids.len() {
            if self.model.grids[index].is_known() {
                self.watch(index % COORDINATORS, index, Fault::NoFault)
                    .await?;
            }
            if self.model.grids[index].life != Life::Forgotten {
                self.compare_attempts(index).await?;
            }
        }
        self.compare_nodes().await?;
        self.compare_lists().await?;
        self.forget_everything().await
    }

    async fn compare_attempts(&mut self, index: usize) -> TestCaseResult {
        let id = self.model.grids[index].id;
        let failed = self.ledgers[0].store().failed_attempts(id, 1000).await?;
        let failed: Vec<_> = failed
            .into_iter()
            .map(|failed| {
                let end = failed.end;
                (failed.cell.place, end.attempt, end.node, end.outcome)
            })
            .collect();
        prop_assert_eq!(failed, self.model.failed_attempts(index));
        Ok(())
    }

    async fn compare_nodes(&mut self) -> TestCaseResult {
        let store = self.ledgers[0].store();
        let held = store.cells_held().await?;
        for (id, node) in &self.model.nodes {
            let record = store.node(*id).await?;
            prop_assert_eq!(record.cells_done, node.done);
            prop_assert_eq!(record.health.state.word(), node.state());
            prop_assert_eq!(held.get(id), None);
        }
        Ok(())
    }

    /// However often something was submitted, there is one grid of it.
    async fn compare_lists(&mut self) -> TestCaseResult {
        for (submitter, name) in self.submitters.iter().enumerate() {
            let filter = Filter {
                submitter: Some(name.clone()),
                ..Filter::default()
            };
            let listed = self.ledgers[0].store().grids(&filter, None, 1000).await?;
            let listed: BTreeSet<GridId> = listed.iter().map(|summary| summary.grid).collect();
            let known = self.model.grids.iter();
            let known = known.filter(|grid| grid.is_known() && grid.submitter == submitter);
            let known: BTreeSet<GridId> = known.map(|grid| grid.id).collect();
            prop_assert_eq!(listed, known);
        }
        let line = self.ledgers[0].store().line().await?;
        prop_assert!(line.grids.is_empty(), "it waits though it has ended");
        Ok(())
    }

    /// Deletes all grids, and sees whether something of them comes back.
    async fn forget_everything(&mut self) -> TestCaseResult {
        for grid in 0..self.model.grids.len() {
            self.delete(grid % COORDINATORS, grid, Fault::NoFault)
                .await?;
        }
        self.collect(0).await?;
        self.advance(GRACE_PERIOD + FORGET_AFTER);
        self.collect(1).await?;
        for node in 0..self.nodes.len() {
            self.order(0, node, Order::Lift).await?;
            self.lease(0, node, 64, Fault::NoFault, false).await?;
            for belief in std::mem::take(&mut self.nodes[node].past) {
                let said = super::super::model::cell::Said::Released;
                self.say(1, vec![vec![(belief.cell, belief.holder, said)]])
                    .await?;
            }
        }
        self.compare(true).await?;
        self.compare_lists().await?;
        let left = self.ledgers[0].store().deleted(1).await?;
        prop_assert!(left.is_empty(), "a deleted grid stays");
        for index in 0..self.model.grids.len() {
            prop_assert_eq!(self.model.grids[index].life, Life::Forgotten);
            let id = self.model.grids[index].id;
            let failed = self.ledgers[1].store().failed_attempts(id, 1000).await?;
            prop_assert!(failed.is_empty(), "its attempts stay");
        }
        Ok(())
    }
}
