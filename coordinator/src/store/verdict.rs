//! What becomes of an event of a cell.

use atelier_proto::ids::{CellId, GridId};

use crate::domain::attempt::Outcome;
use crate::domain::cell::{Cell, Refusal};

/// A verdict that was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The cell's grid.
    pub grid: GridId,
    /// The cell as it is now.
    pub cell: Cell,
    /// Whether people see a difference.
    pub changed: bool,
    /// How the attempt ended that this ended.
    pub ended: Option<Outcome>,
    /// See [`crate::domain::effort::Effort::work`].
    pub work: f64,
}

/// Why an event had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No cell has this id.
    #[error("no cell has the id {0}")]
    UnknownCell(CellId),
    /// The state machine says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its grid is paused or has ended, so none of its cells is handed out.
    #[error("no cells of the grid are handed out")]
    NotServed,
}

/// What became of one event.
pub type Verdict = Result<Applied, Rejection>;
