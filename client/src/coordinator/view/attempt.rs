//! Attempts that have ended.

use std::fmt;

use atelier_proto::ids::{CellId, NodeId};
use jiff::Timestamp;
use serde::Serialize;

use super::CellView;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptOutcome {
    /// The node brought the picture.
    Done,
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
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Stuck => "stuck",
            Self::Released => "released",
        })
    }
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
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
    /// Why, for people; empty when it is done.
    pub reason: String,
    /// The end of the node's log, if it sent some.
    pub log: Option<String>,
}

/// A cell with what nodes logged of the attempts at it.
#[derive(Debug, Clone, PartialEq)]
pub struct CellLogs {
    /// As it stands.
    pub cell: CellView,
    /// What the node is called that has it or had it last.
    pub node_name: String,
    /// Since when that node renders it, if it does now.
    pub rendering_since: Option<Timestamp>,
    /// Attempts that have ended, oldest first, without one that is done and of which the node logged nothing.
    pub attempts: Vec<Attempt>,
}
