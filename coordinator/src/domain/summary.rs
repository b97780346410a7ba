//! A grid and its cells as they stand: what the store answers and the wire and the gallery show.

use atelier_proto::ids::{CellId, GridId};
use jiff::Timestamp;

use super::cell::Cell;

/// Where a grid stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GridState {
    /// Some cell may still change.
    Active,
    /// No work is handed out.
    Paused,
    /// Every cell has ended, and not by a cancel of the grid.
    Finished,
    /// Cancelled by its owner.
    Cancelled,
    /// Being forgotten.
    Deleted,
}

impl GridState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::Paused,
        Self::Finished,
        Self::Cancelled,
        Self::Deleted,
    ];

    /// The state in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Deleted => "deleted",
        }
    }

    /// Whether no cell changes any more, unless somebody wants it tried again.
    pub fn has_ended(self) -> bool {
        match self {
            Self::Active | Self::Paused => false,
            Self::Finished | Self::Cancelled | Self::Deleted => true,
        }
    }
}

/// How many cells of a grid are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting for a node.
    pub queued: u32,
    /// Held by a node that does not yet work on them.
    pub leased: u32,
    /// Being rendered.
    pub rendering: u32,
    /// With a picture.
    pub done: u32,
    /// Without one, for a reason.
    pub failed: u32,
    /// Not wanted any more.
    pub cancelled: u32,
}

impl Counts {
    /// Cells that may still change.
    pub fn open(&self) -> u32 {
        self.queued + self.leased + self.rendering
    }

    /// Cells that there are.
    pub fn total(&self) -> u32 {
        self.open() + self.done + self.failed + self.cancelled
    }

    /// The count of the cells that are in the state of this one.
    pub fn of_mut(&mut self, cell: &Cell) -> &mut u32 {
        match cell {
            Cell::Queued { .. } => &mut self.queued,
            Cell::Leased { .. } => &mut self.leased,
            Cell::Rendering { .. } => &mut self.rendering,
            Cell::Done { .. } => &mut self.done,
            Cell::Failed { .. } => &mut self.failed,
            Cell::Cancelled { .. } => &mut self.cancelled,
        }
    }
}

/// A grid in short.
#[derive(Debug, Clone, PartialEq)]
pub struct GridSummary {
    /// The grid.
    pub grid: GridId,
    /// The name that its owner gave it.
    pub name: String,
    /// Where it stands.
    pub state: GridState,
    /// Where its cells stand.
    pub counts: Counts,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// When its last cell ended.
    pub finished_at: Option<Timestamp>,
    /// Grows with every change to the grid or a cell of it.
    pub sequence: u64,
    /// The gallery in the bucket shows every cell as it ended.
    pub gallery_complete: bool,
    /// -100..=100; see [`super::share::grid_weight`].
    pub priority: i32,
    /// Who submitted it.
    pub submitter: String,
    /// Work of the cells that have not ended; see [`super::effort::Effort::work`].
    pub work_open: f64,
    /// Seconds of optimisation of the cells that are done.
    pub seconds_spent: f64,
    /// What they cost, US dollars, on nodes that say what they cost.
    pub dollars_spent: f64,
}

impl GridSummary {
    /// Counts a cell in its new state, and ends or revives the grid with its last or its first open cell.
    pub fn count(&mut self, before: &Cell, after: &Cell, work: f64, now: Timestamp) {
        *self.counts.of_mut(before) -= 1;
        *self.counts.of_mut(after) += 1;
        match (before.has_ended(), after.has_ended()) {
            (false, true) => self.work_open -= work,
            (true, false) => self.work_open += work,
            (false, false) | (true, true) => {}
        }
        let is_open = self.counts.open() > 0;
        if is_open && self.state.has_ended() {
            self.state = GridState::Active;
            self.finished_at = None;
        } else if !is_open && !self.state.has_ended() {
            self.state = GridState::Finished;
            self.finished_at = Some(now);
            // What sums of floating point left over.
            self.work_open = 0.0;
        }
    }
}

/// A cell of a grid as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct CellRecord {
    /// The cell.
    pub id: CellId,
    /// How far it is.
    pub cell: Cell,
    /// The grid's sequence when people last saw it change.
    pub changed_sequence: u64,
    /// What the node that holds or last held it is called.
    pub node_name: Option<String>,
    /// US dollars that an hour of that node costs, if somebody knows.
    pub node_dollars_per_hour: Option<f64>,
}

/// What changed of a grid since a sequence number, and how it stands as a whole, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// The grid in short.
    pub summary: GridSummary,
    /// Cells changed since, the longest unchanged first.
    pub cells: Vec<CellRecord>,
}
