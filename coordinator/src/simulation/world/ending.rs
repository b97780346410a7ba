//! The end of a schedule: what is left is done without faults, and then nothing may be left.

use std::collections::BTreeSet;
use std::time::Duration;

use atelier_proto::ids::GridId;
use proptest::test_runner::TestCaseResult;
use proptest::{prop_assert, prop_assert_eq};

use super::super::model::Life;
use super::super::model::cell::Said;
use super::super::operation::{COORDINATORS, Fault, How, Order};
use super::super::{FORGET_AFTER, GRACE_PERIOD};
use super::{Belief, VirtualNode, World};
use crate::store::Filter;

/// Rounds in which whatever is left must end.
const ROUNDS_MAX: usize = 4;
/// How long each is: every lease and every wait is over then, also by a clock that was set back.
const ROUND: Duration = Duration::from_mins(2);

impl World {
    /// What is left is done without faults; then everything must have ended as it should.
    pub(super) async fn finish(&mut self) -> TestCaseResult {
        for grid in 0..self.model.grids.len() {
            self.steer(0, grid, How::Resume, Fault::Arrives).await?;
        }
        self.finish_cells().await?;
        self.compare(true).await?;
        for index in 0..self.model.grids.len() {
            if self.model.grids[index].is_known() {
                self.watch(index % COORDINATORS, index, Fault::Arrives)
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
            self.delete(grid % COORDINATORS, grid, Fault::Arrives)
                .await?;
        }
        self.collect(0).await?;
        self.advance(GRACE_PERIOD + FORGET_AFTER);
        self.collect(1).await?;
        for node in 0..self.nodes.len() {
            self.order(0, node, Order::Lift).await?;
            self.lease(0, node, 64, Fault::Arrives, false).await?;
            for belief in std::mem::take(&mut self.nodes[node].past) {
                let said = Said::Released;
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

    /// Every node does what it believes to have to do, and then whoever is well does the rest.
    async fn finish_cells(&mut self) -> TestCaseResult {
        for node in 0..self.nodes.len() {
            while let Some(belief) = self.nodes[node].beliefs.pop() {
                self.deliver(0, belief).await?;
            }
        }
        self.nodes.push(VirtualNode::new(true));
        let helper = self.nodes.len() - 1;
        self.register(0, helper).await?;
        for round in 0..ROUNDS_MAX {
            let at = round % COORDINATORS;
            self.advance(ROUND);
            for at in 0..COORDINATORS {
                self.expire(at).await?;
            }
            loop {
                self.lease(at, helper, 64, Fault::Arrives, false).await?;
                if self.nodes[helper].beliefs.is_empty() {
                    break;
                }
                while let Some(belief) = self.nodes[helper].beliefs.pop() {
                    self.deliver(at, belief).await?;
                }
            }
            if self.model.grids.iter().all(|grid| grid.open() == 0) {
                return Ok(());
            }
        }
        prop_assert!(false, "there are cells that never end");
        Ok(())
    }

    async fn deliver(&mut self, at: usize, belief: Belief) -> TestCaseResult {
        let picture = self.put(belief.cell, belief.holder);
        let sentence = (belief.cell, belief.holder, Said::Done(picture));
        self.say(at, vec![vec![sentence]]).await?;
        Ok(())
    }
}
