//! What must come of each operation.
//!
//! It shares no rule with the coordinator: that a grid has ended follows from its cells, what a cell may become from the
//! log of its leases ([`cell`]). Which of the cells that a node may get it does get is left to the coordinator.

pub(super) mod cell;
mod grid;
mod node;

use std::collections::{BTreeMap, BTreeSet};

use atelier_proto::ids::{CellId, GridId, NodeId};
use jiff::Timestamp;
use proptest::prop_assert;
use proptest::test_runner::TestCaseResult;

use self::cell::{Cell, End, Heard, Said};
pub(super) use self::grid::{Grid, Life};
pub(super) use self::node::Node;
use super::operation::How;
use super::{FORGET_AFTER, GRACE_PERIOD, LEASES, SUBMITTER_OPEN_MAX, SUBMITTER_RUNNING_MAX};
use crate::domain::attempt::Outcome;
use crate::domain::lease::Holder;

/// All that was ever submitted and registered.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// In the order of their ids.
    pub(super) grids: Vec<Grid>,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) reached: Reached,
}

/// How often something happened for the sake of which there are schedules.
pub(super) type Reached = BTreeMap<&'static str, u64>;

/// What must be reached at least once, or nothing is shown by it all.
pub(super) const TO_BE_REACHED: [&str; 28] = [
    "a submission is repeated",
    "a request id is used for something else",
    "a submitter has too many cells",
    "an ended grid is tried again",
    "a lease is renewed",
    "a cell is given back",
    "a cell is given back twice",
    "an attempt fails",
    "a failure is told twice",
    "a picture is delivered",
    "a picture is delivered twice",
    "the picture of another one is adopted",
    "a zombie renews",
    "a zombie gives back",
    "a zombie fails",
    "a zombie delivers",
    "something is said of an ended cell",
    "something is said of a cell that is gone",
    "a silent node loses its cell",
    "a stuck node loses its cell",
    "a cell fails because it fails everywhere",
    "a cell fails because it has no attempts left",
    "a cell fails because it is refused",
    "a node that fails grid after grid is put into quarantine",
    "two get cells at the same time",
    "a deleted grid is forgotten",
    "an old grid is forgotten",
    "a grid is swept of a picture",
];

/// What must become of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Submission {
    New,
    Known(GridId),
    OtherContent(GridId),
    TooMany,
}

/// What must become of what a client wants of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// It is done; for how many cells, or 1 for a change of the grid.
    To(u32),
    Unknown,
    WrongState,
    NoRetry,
}

impl Model {
    pub(super) fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_default() += 1;
    }

    pub(super) fn submit(&self, request: usize, content: usize, cells: usize) -> Submission {
        let mut known = self.grids.iter().filter(|grid| grid.is_known());
        if let Some(grid) = known.find(|grid| grid.request == request) {
            return if grid.content == content {
                Submission::Known(grid.id)
            } else {
                Submission::OtherContent(grid.id)
            };
        }
        let submitter = request % 2;
        let known = self.grids.iter().filter(|grid| grid.is_known());
        let own = known.filter(|grid| grid.submitter == submitter);
        let open: usize = own.map(Grid::open).sum();
        if open + cells > SUBMITTER_OPEN_MAX as usize {
            Submission::TooMany
        } else {
            Submission::New
        }
    }

    pub(super) fn steer(&mut self, index: usize, how: How) -> Done {
        let grid = &mut self.grids[index];
        if !grid.is_known() {
            return Done::Unknown;
        }
        if grid.open() == 0 {
            return Done::WrongState;
        }
        let before = (grid.is_paused, grid.priority);
        match how {
            How::Pause => grid.is_paused = true,
            How::Resume => grid.is_paused = false,
            How::Priority(priority) => grid.priority = priority,
        }
        if before == (grid.is_paused, grid.priority) {
            return Done::To(0);
        }
        grid.sequence_moves();
        Done::To(1)
    }

    pub(super) fn cancel(&mut self, index: usize, now: Timestamp) -> Done {
        let grid = &mut self.grids[index];
        if !grid.is_known() {
            return Done::Unknown;
        }
        let mut cancelled = 0;
        for place in 0..grid.cells.len() {
            if grid.cells[place].cancel() {
                grid.saw(place, now.as_millisecond());
                grid.is_cancelled = true;
                cancelled += 1;
            }
        }
        Done::To(cancelled)
    }

    /// Of these places, or of every failed one.
    pub(super) fn retry(&mut self, index: usize, places: Option<&[u32]>, now: Timestamp) -> Done {
        let grid = &mut self.grids[index];
        if !grid.is_known() {
            return Done::Unknown;
        }
        let chosen: Vec<usize> = match places {
            Some(places) => places.iter().map(|place| *place as usize).collect(),
            None => (0..grid.cells.len())
                .filter(|place| matches!(grid.cells[*place].state, cell::State::Failed))
                .collect(),
        };
        let may = |place: &usize| grid.cells.get(*place).is_some_and(Cell::may_be_tried_again);
        if !chosen.iter().all(may) {
            return Done::NoRetry;
        }
        let had_ended = grid.open() == 0;
        for place in &chosen {
            grid.cells[*place].retry(now.as_millisecond());
            grid.saw(*place, now.as_millisecond());
        }
        if had_ended && !chosen.is_empty() {
            self.reach("an ended grid is tried again");
        }
        Done::To(chosen.len() as u32)
    }

    pub(super) fn delete(&mut self, index: usize, now: Timestamp) -> Done {
        let grid = &mut self.grids[index];
        match grid.life {
            Life::Forgotten => Done::Unknown,
            Life::Deleted(_) => Done::To(0),
            Life::Known if grid.open() > 0 => Done::WrongState,
            Life::Known => {
                grid.life = Life::Deleted(now.as_millisecond());
                Done::To(0)
            }
        }
    }

    /// Whether the gallery of a grid is complete now, and was not before.
    pub(super) fn publish(&mut self, index: usize, is_old: bool) -> bool {
        let grid = &mut self.grids[index];
        let is_new = grid.is_known() && grid.open() == 0 && !grid.gallery_complete && !is_old;
        if is_new {
            grid.gallery_complete = true;
            grid.sequence_moves();
        }
        is_new
    }

    /// Grids that ended long ago, with a gallery.
    pub(super) fn old(&self, now: Timestamp) -> BTreeSet<GridId> {
        let before = now.as_millisecond() - FORGET_AFTER.as_millis() as i64;
        self.complete_before(before).map(|grid| grid.id).collect()
    }

    /// Grids in whose place in the bucket something may lie that does not belong there.
    pub(super) fn unswept(&self, now: Timestamp) -> BTreeSet<GridId> {
        let before = now.as_millisecond() - GRACE_PERIOD.as_millis() as i64;
        let complete = self.complete_before(before);
        complete
            .filter(|grid| !grid.is_swept)
            .map(|grid| grid.id)
            .collect()
    }

    fn complete_before(&self, time: i64) -> impl Iterator<Item = &Grid> {
        self.grids.iter().filter(move |grid| {
            grid.is_known() && grid.gallery_complete && grid.finished_at.is_some_and(|at| at < time)
        })
    }

    pub(super) fn swept(&mut self, id: GridId) {
        if let Some(grid) = self.grid_mut(id) {
            grid.is_swept = true;
        }
    }

    /// How the grid of an id stands, if there ever was one.
    pub(super) fn grid_mut(&mut self, id: GridId) -> Option<&mut Grid> {
        self.grids.iter_mut().find(|grid| grid.id == id)
    }

    /// What must be answered to a node.
    pub(super) fn hear(&mut self, id: CellId, holder: Holder, said: Said, now: Timestamp) -> Heard {
        let now = now.as_millisecond();
        let place = id.place as usize;
        let known = self.grids.iter_mut().filter(|grid| grid.is_known());
        let mut own = known.filter(|grid| grid.id == id.grid);
        let Some(grid) = own.next() else {
            self.reach("something is said of a cell that is gone");
            return Heard::Unknown;
        };
        let heard = grid.cells[place].hear(holder, said, now, &LEASES);
        grid.is_touched = true;
        if heard == Heard::Changed {
            let end = grid.cells[place].end_by(&LEASES);
            grid.saw(place, now);
            let node = self.nodes.entry(holder.node).or_default();
            let before = node.state();
            node.heard(id.grid, said);
            if node.state() != before {
                self.reach("a node that fails grid after grid is put into quarantine");
            }
            if let Some(end) = end {
                self.reach(end);
            }
        }
        self.reach(match (heard, said) {
            (Heard::Changed, Said::Done(_)) => "a picture is delivered",
            (Heard::Same, Said::Done(_)) => "a picture is delivered twice",
            (Heard::Fenced, Said::Done(_)) => "a zombie delivers",
            (Heard::Changed, Said::Failed { .. }) => "an attempt fails",
            (Heard::Same, Said::Failed { .. }) => "a failure is told twice",
            (Heard::Fenced, Said::Failed { .. }) => "a zombie fails",
            (Heard::Changed, Said::Released) => "a cell is given back",
            (Heard::Same, Said::Released) => "a cell is given back twice",
            (Heard::Fenced, Said::Released) => "a zombie gives back",
            (Heard::Changed | Heard::Same, Said::Alive(_)) => "a lease is renewed",
            (Heard::Fenced, Said::Alive(_)) => "a zombie renews",
            (Heard::Ended | Heard::Unknown, _) => "something is said of an ended cell",
        });
        heard
    }

    /// Ends the leases that are over.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let now = now.as_millisecond();
        for grid in self.grids.iter_mut().filter(|grid| grid.is_known()) {
            for place in 0..grid.cells.len() {
                if grid.cells[place].is_over(now) {
                    let what = grid.cells[place].expire(now, &LEASES);
                    grid.saw(place, now);
                    *self.reached.entry(what).or_default() += 1;
                }
            }
        }
    }

    /// Whether a node must get something if it asks.
    pub(super) fn is_served(&self, node: NodeId, now: Timestamp) -> bool {
        let node = &self.nodes[&node];
        let waits = |grid: &&Grid| grid.is_served(node, now.as_millisecond());
        let mut grids = self.grids.iter().filter(waits);
        node.order.is_none() && grids.any(|grid| self.running_left(grid.submitter) > 0)
    }

    /// How many more cells of a submitter nodes may hold.
    pub(super) fn running_left(&self, submitter: usize) -> usize {
        let own = self.grids.iter().filter(|grid| grid.is_known());
        let own = own.filter(|grid| grid.submitter == submitter);
        let held: usize = own
            .map(|grid| grid.cells.iter().filter(|cell| cell.is_held()).count())
            .sum();
        (SUBMITTER_RUNNING_MAX as usize).saturating_sub(held)
    }

    /// A node was given a cell: it must have been free, and the node one that may have it.
    pub(super) fn given(&mut self, id: CellId, holder: Holder, now: Timestamp) -> TestCaseResult {
        let node = &self.nodes[&holder.node];
        prop_assert!(node.order.is_none(), "{:?} got a cell", node.order);
        let place = id.place as usize;
        let mut grids = self.grids.iter_mut();
        let Some(grid) =
            grids.find(|grid| grid.id == id.grid && grid.is_served(node, now.as_millisecond()))
        else {
            prop_assert!(false, "{id} was given, and its grid is not served");
            return Ok(());
        };
        let cell = &mut grid.cells[place];
        prop_assert!(
            cell.waits_at(now.as_millisecond()),
            "{id} was given and is {:?}",
            cell.state
        );
        prop_assert!(
            holder.attempt as usize == cell.leases.len() + 1,
            "attempt {} of {id} after {:?}",
            holder.attempt,
            cell.leases
        );
        cell.lease(holder.node, now.as_millisecond(), &LEASES);
        grid.saw(place, now.as_millisecond());
        Ok(())
    }

    /// Attempts of a grid that brought no picture: place, attempt, node and how they ended.
    pub(super) fn failed_attempts(&self, index: usize) -> Vec<(u32, u32, NodeId, Outcome)> {
        let mut failed = Vec::new();
        for (place, cell) in self.grids[index].cells.iter().enumerate() {
            for (attempt, lease) in cell.leases.iter().enumerate() {
                if let Some(End::Without(outcome)) = lease.end {
                    failed.push((place as u32, attempt as u32 + 1, lease.node, outcome));
                }
            }
        }
        failed
    }
}
