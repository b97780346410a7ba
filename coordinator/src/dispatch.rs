//! Gives cells to nodes: whose they are is decided by [`crate::domain::share`], which ones by [`crate::domain::block`],
//! whether by [`crate::domain::cell::Cell::apply`].
//!
//! [`round`] serves some nodes at once, so that however many ask, the line is read once and what they get is committed
//! together. [`Dispatcher`] gathers those who ask, and keeps those for whom there is nothing until there is.

mod dispatcher;
mod round;

use atelier_proto::ids::{CellId, NodeId};
use jiff::Timestamp;

pub use self::dispatcher::{Dispatcher, NotGiven};
pub use self::round::{give, take_back};
use crate::domain::block::Wanted;
use crate::domain::grid::Work;
use crate::domain::keys::CellKeys;

/// A node that asks for work.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The node.
    pub node: NodeId,
    /// What it asks for.
    pub wanted: Wanted,
}

/// A cell that a node has been given, with all that it takes to render it.
#[derive(Debug)]
pub struct Given {
    /// The cell.
    pub cell: CellId,
    /// The attempt that fences out those before.
    pub attempt: u32,
    /// What is to be rendered.
    pub work: Work,
    /// Where its pictures go.
    pub keys: CellKeys,
    /// End of the lease, if it is not renewed.
    pub expires_at: Timestamp,
    /// The trace that it belongs to, as W3C has it; empty: to none.
    pub trace_parent: String,
}

/// What a node that asks for work is told.
#[derive(Debug)]
pub enum Answer {
    /// These are its cells.
    Cells(Vec<Given>),
    /// There is nothing for it now.
    Nothing,
    /// Others were faster than what was looked at, or had all that was looked at: it is to be looked again.
    Again,
    /// It is to finish what it holds and to leave.
    Drain,
    /// It has not registered.
    Unknown,
}
