//! How an attempt ended: kept for people, with its reason and what its node logged.

use atelier_proto::ids::{CellId, NodeId};
use jiff::Timestamp;

use super::cell::{Cell, Event};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It brought the picture.
    Done,
    /// Its node said that it failed.
    Failed,
    /// Its node said that every attempt would end like this one.
    Refused,
    /// Its node was not heard of again.
    Lost,
    /// Its node lived and made no evaluation for too long.
    Stuck,
    /// Its node gave the cell back.
    Released,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 6] = [
        Self::Done,
        Self::Failed,
        Self::Refused,
        Self::Lost,
        Self::Stuck,
        Self::Released,
    ];

    /// The outcome in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Stuck => "stuck",
            Self::Released => "released",
        }
    }
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    /// Its number.
    pub attempt: u32,
    /// Its node.
    pub node: NodeId,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, for people; empty when it is done.
    pub reason: String,
    /// What the node logged of it at last, if it sent some.
    pub log: String,
}

/// An attempt that has ended, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The cell.
    pub cell: CellId,
    /// How it ended.
    pub end: AttemptEnd,
    /// What its node is called.
    pub node_name: String,
    /// When it ended.
    pub ended_at: Timestamp,
}

impl AttemptEnd {
    /// Whether it failed for what another node may do better.
    pub fn may_be_the_nodes_fault(&self) -> bool {
        match self.outcome {
            Outcome::Failed => true,
            Outcome::Done
            | Outcome::Refused
            | Outcome::Lost
            | Outcome::Stuck
            | Outcome::Released => false,
        }
    }

    /// Whether it is kept. Of a picture without a log there is nothing to say that its cell does not.
    pub fn is_kept(&self) -> bool {
        self.outcome != Outcome::Done || !self.log.is_empty()
    }

    /// The attempt that `event` ended, if it ended one: it made `after` of `before` at a time.
    pub fn of(before: &Cell, event: &Event, after: &Cell, now: Timestamp) -> Option<Self> {
        // A repetition ends nothing, and neither does what leaves the lease with its holder.
        before.lease_expires_at()?;
        if after.lease_expires_at().is_some() {
            return None;
        }
        let history = before.history();
        let of_history = || after.history().failure.clone().unwrap_or_default();
        let (outcome, reason, log) = match event {
            Event::Fail {
                refused,
                reason,
                log,
                ..
            } => {
                let outcome = if *refused {
                    Outcome::Refused
                } else {
                    Outcome::Failed
                };
                (outcome, reason.clone(), log.clone())
            }
            Event::Complete { log, .. } => (Outcome::Done, String::new(), log.clone()),
            Event::Release { reason, .. } => (Outcome::Released, reason.clone(), String::new()),
            Event::Expire if before.is_stuck(now) => (Outcome::Stuck, of_history(), String::new()),
            Event::Expire => (Outcome::Lost, of_history(), String::new()),
            Event::Lease { .. } | Event::Renew { .. } | Event::Cancel | Event::Retry => {
                return None;
            }
        };
        Some(Self {
            attempt: history.started,
            node: history.node?,
            outcome,
            reason,
            log,
        })
    }
}
