//! What the house does by itself and what operators and fate do to it.

use std::collections::BTreeSet;
use std::time::Duration;

use atelier_proto::clock::Clock;
use atelier_proto::ids::GridId;
use jiff::Timestamp;
use proptest::prop_assert_eq;
use proptest::test_runner::TestCaseResult;

use super::super::model::Life;
use super::super::model::cell::State;
use super::super::operation::Order;
use super::super::{FORGET_AFTER, GRACE_PERIOD};
use super::World;
use crate::domain::node::NodeState;
use crate::expiry;
use crate::store::StoreError;

/// Grids of one look.
const GRIDS_MAX: u32 = 64;

impl World {
    pub(super) async fn expire(&mut self, at: usize) -> TestCaseResult {
        expiry::expire(&self.ledgers[at]).await?;
        self.model.expire(self.now(at));
        Ok(())
    }

    pub(super) async fn order(&mut self, at: usize, node: usize, order: Order) -> TestCaseResult {
        if !self.nodes[node].is_registered {
            return Ok(());
        }
        let id = self.nodes[node].id;
        let reason = "an operator said so".to_owned();
        let state = match order {
            Order::Drain => NodeState::Draining { reason },
            Order::Quarantine => NodeState::Quarantined { reason },
            Order::Lift => NodeState::Active,
        };
        self.ledgers[at].order(id, state).await?;
        self.model.nodes.entry(id).or_default().obey(order);
        Ok(())
    }

    /// A manual clock goes forward alone, so the coordinator gets another one, and a ledger that reads it.
    pub(super) fn set_back(&mut self, at: usize, seconds: u32) {
        let by = Duration::from_secs(seconds.into());
        self.clocks[at] = Clock::manual(self.now(at) - by);
        self.start_anew(at);
    }

    pub(super) async fn restart(&mut self, at: usize) -> TestCaseResult {
        for at in self.database.reopen(&mut self.stores, at).await? {
            self.start_anew(at);
        }
        Ok(())
    }

    pub(super) async fn publish(&mut self, at: usize, grid: usize, is_old: bool) -> TestCaseResult {
        let id = self.model.grids[grid].id;
        let store = self.ledgers[at].store();
        let waiting = store.unpublished().await?;
        let is_waiting = waiting.iter().any(|unpublished| unpublished.grid == id);
        let of_model = &self.model.grids[grid];
        prop_assert_eq!(
            is_waiting,
            of_model.is_known() && !of_model.gallery_complete
        );
        let sequence = match store.summary(id).await {
            Ok(summary) => summary.sequence - u64::from(is_old),
            Err(StoreError::UnknownGrid(_)) => 1,
            Err(other) => return Err(other.into()),
        };
        let is_new = self.ledgers[at].gallery_complete(id, sequence).await?;
        prop_assert_eq!(is_new, self.model.publish(grid, is_old));
        Ok(())
    }

    /// Removes the objects of deleted grids, and their rows some time later.
    pub(super) async fn collect(&mut self, at: usize) -> TestCaseResult {
        let now = self.now(at);
        let deleted = self.ledgers[at].store().deleted(GRIDS_MAX).await?;
        let found: BTreeSet<(GridId, i64)> = deleted
            .iter()
            .map(|(grid, at)| (*grid, at.as_millisecond()))
            .collect();
        let expected = self.model.grids.iter();
        let expected: BTreeSet<(GridId, i64)> = expected
            .filter_map(|grid| match grid.life {
                Life::Deleted(at) => Some((grid.id, at)),
                Life::Known | Life::Forgotten => None,
            })
            .collect();
        prop_assert_eq!(found, expected, "grids that are deleted");
        for (grid, deleted_at) in deleted {
            self.bucket.retain(|cell, _| cell.grid != grid);
            if deleted_at <= now - GRACE_PERIOD {
                self.ledgers[at].store().forget_grid(grid, true).await?;
                if let Some(grid) = self.model.grid_mut(grid) {
                    grid.life = Life::Forgotten;
                }
                self.model.reach("a deleted grid is forgotten");
            }
        }
        Ok(())
    }

    /// Removes pictures of cells that ended without one.
    pub(super) async fn sweep(&mut self, at: usize) -> TestCaseResult {
        let store = self.ledgers[at].store();
        let before: Timestamp = self.now(at) - GRACE_PERIOD;
        let unswept = store.unswept(before, GRIDS_MAX).await?;
        let found: BTreeSet<GridId> = unswept.iter().copied().collect();
        prop_assert_eq!(found, self.model.unswept(self.now(at)), "grids to be swept");
        for grid in unswept {
            let sequence = store.summary(grid).await?.sequence;
            let of_model = self.model.grids.iter().find(|other| other.id == grid);
            let is_done = |place: u32| {
                let cell = of_model.and_then(|grid| grid.cells.get(place as usize));
                cell.is_some_and(|cell| matches!(cell.state, State::Done { .. }))
            };
            let before = self.bucket.len();
            self.bucket
                .retain(|cell, _| cell.grid != grid || is_done(cell.place));
            if self.bucket.len() < before {
                self.model.reach("a grid is swept of a picture");
            }
            store.swept(grid, sequence).await?;
            self.model.swept(grid);
        }
        Ok(())
    }

    pub(super) async fn look_back(&mut self, at: usize) -> TestCaseResult {
        let now = self.now(at);
        let store = self.ledgers[at].store();
        let old = store.ended_before(now - FORGET_AFTER, GRIDS_MAX).await?;
        let found: BTreeSet<GridId> = old.into_iter().collect();
        prop_assert_eq!(&found, &self.model.old(now), "grids that ended long ago");
        self.found_old.extend(found);
        Ok(())
    }

    /// Much may have happened since somebody looked. What was tried again stays, and what was deleted is still to be
    /// removed with its objects.
    pub(super) async fn forget(&mut self, at: usize) -> TestCaseResult {
        for id in std::mem::take(&mut self.found_old) {
            let Some(grid) = self.model.grid_mut(id) else {
                continue;
            };
            grid.is_touched = true;
            let what = match grid.life {
                Life::Known if grid.open() == 0 => {
                    grid.life = Life::Forgotten;
                    "an old grid is forgotten"
                }
                Life::Known => "an old grid is tried again before it is forgotten",
                Life::Deleted(_) | Life::Forgotten => {
                    "an old grid is deleted before it is forgotten"
                }
            };
            self.model.reach(what);
            self.ledgers[at].store().forget_grid(id, false).await?;
        }
        Ok(())
    }
}
