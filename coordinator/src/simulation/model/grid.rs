//! What must become of a grid: where it stands follows from its cells.

use std::collections::BTreeSet;

use atelier_proto::ids::GridId;
use jiff::Timestamp;

use super::cell::Cell;
use super::node::Node;
use crate::domain::summary::GridState;

/// A grid.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that people see"
)]
pub(in super::super) struct Grid {
    pub(in super::super) id: GridId,
    pub(in super::super) request: usize,
    pub(in super::super) content: usize,
    pub(in super::super) submitter: usize,
    /// Whether only nodes of one zone get its cells.
    pub(in super::super) is_zoned: bool,
    pub(in super::super) priority: i32,
    pub(in super::super) cells: Vec<Cell>,
    pub(in super::super) life: Life,
    pub(in super::super) finished_at: Option<i64>,
    pub(super) is_paused: bool,
    pub(super) is_cancelled: bool,
    pub(in super::super) gallery_complete: bool,
    pub(super) is_swept: bool,
    /// Places that people saw change since somebody last compared.
    pub(in super::super) changed: BTreeSet<usize>,
    /// Whether they saw the grid itself change.
    pub(in super::super) is_changed: bool,
    /// Whether anything of it changed.
    pub(in super::super) is_touched: bool,
}

/// Whether a grid is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Life {
    Known,
    /// At this time; something of it is still to be removed.
    Deleted(i64),
    Forgotten,
}

impl Grid {
    pub(in super::super) fn new(
        id: GridId,
        [request, content, submitter]: [usize; 3],
        cells: usize,
        is_zoned: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            request,
            content,
            submitter,
            is_zoned,
            priority: 0,
            cells: vec![Cell::new(now.as_millisecond()); cells],
            life: Life::Known,
            finished_at: None,
            is_paused: false,
            is_cancelled: false,
            gallery_complete: false,
            is_swept: false,
            changed: (0..cells).collect(),
            is_changed: true,
            is_touched: true,
        }
    }

    pub(in super::super) fn is_known(&self) -> bool {
        self.life == Life::Known
    }

    pub(in super::super) fn open(&self) -> usize {
        self.cells.iter().filter(|cell| !cell.has_ended()).count()
    }

    pub(in super::super) fn state(&self) -> GridState {
        match (self.open() > 0, self.is_paused, self.is_cancelled) {
            (true, false, _) => GridState::Active,
            (true, true, _) => GridState::Paused,
            (false, _, false) => GridState::Finished,
            (false, _, true) => GridState::Cancelled,
        }
    }

    /// People see a cell change.
    pub(super) fn saw(&mut self, place: usize, now: i64) {
        self.changed.insert(place);
        self.gallery_complete = false;
        self.settle(now);
    }

    /// Whether it has ended follows from its cells.
    fn settle(&mut self, now: i64) {
        self.is_touched = true;
        if self.open() == 0 {
            self.finished_at.get_or_insert(now);
            self.is_paused = false;
        } else if self.finished_at.take().is_some() {
            self.is_cancelled = false;
            self.is_swept = false;
        }
    }

    /// Whether a node that asks at a time gets something of it, for all that the grid has to say.
    pub(super) fn is_served(&self, node: &Node, now: i64) -> bool {
        self.is_known()
            && self.state() == GridState::Active
            && (node.is_of_zone || !self.is_zoned)
            && self.cells.iter().any(|cell| cell.waits_at(now))
    }

    /// People see the grid itself change.
    pub(super) fn sequence_moves(&mut self) {
        self.is_changed = true;
        self.is_touched = true;
    }
}
