//! Attempts that brought no picture.

use std::fmt;

use atelier_proto::ids::{CellId, NodeId};
use jiff::Timestamp;
use serde::Serialize;

/// How an attempt ended that brought no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptOutcome {
    /// The node said that it failed.
    Failed,
    /// The node said that every attempt would end like this one.
    Refused,
    /// The node was not heard of again.
    Lost,
    /// The node lived, and its evaluations stood still.
    Stuck,
    /// The node gave the cell back; costs no attempt.
    Released,
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Stuck => "stuck",
            Self::Released => "released",
        })
    }
}

/// An attempt that brought no picture.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedAttempt {
    /// The cell.
    pub cell_id: CellId,
    /// Its number, from 1.
    pub attempt: u32,
    /// The node that made it.
    pub node: NodeId,
    /// What the node is called.
    pub node_name: String,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why, for people.
    pub reason: String,
    /// The end of the node's log, if it sent some.
    pub log: Option<String>,
}
