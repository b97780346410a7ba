//! The state machine of a cell: the only place that decides what may become of one.
//!
//! It knows neither the store that persists its verdicts nor the calls that bring its events.

mod transitions;

use atelier_proto::ids::{Digest, NodeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lease::{Holder, LeaseRules};

/// What has been tried so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Attempts started: one for each lease. The number of the last one fences out those before; it never falls.
    pub started: u32,
    /// How many of them cost none of the attempts that a cell has: they were given back, or somebody had the cell tried
    /// again after them.
    pub released: u32,
    /// Node of the last attempt.
    pub node: Option<NodeId>,
    /// Why the last failed attempt failed.
    pub failure: Option<String>,
    /// Nodes on which it failed or was lost, each once.
    pub failed_on: Vec<NodeId>,
}

impl History {
    /// Attempts that count against the limit.
    pub fn charged(&self) -> u32 {
        self.started.saturating_sub(self.released)
    }

    fn is_last_of(&self, holder: Holder) -> bool {
        self.node == Some(holder.node) && self.started == holder.attempt
    }
}

/// How far a node is with a cell.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Evaluations made, with those of an earlier attempt that this one went on from.
    pub evaluations: u32,
    /// Evaluations planned for the picture.
    pub planned: u32,
    /// Last loss; not a number before the first evaluation.
    pub loss: f64,
}

impl PartialEq for Progress {
    /// All losses that are no finite number are equal, as they are once they were stored.
    fn eq(&self, other: &Self) -> bool {
        (self.evaluations, self.planned) == (other.evaluations, other.planned)
            && (self.loss == other.loss || !(self.loss.is_finite() || other.loss.is_finite()))
    }
}

/// What a node has done of a cell that it works on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rendering {
    /// How far it is.
    pub progress: Progress,
    /// When it was first heard to work on it.
    pub begun_at: Timestamp,
    /// Evaluations that it had then.
    pub evaluations_begun: u32,
    /// When it is taken to be stuck, if it makes no evaluation until then; `None` while no evaluation is due, because the
    /// device has done its part and the picture is on its way.
    pub stalls_at: Option<Timestamp>,
}

/// What a node delivered for a cell. The picture's keys follow from the grid and are not kept twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// SHA-256 of the picture's file.
    pub sha256: Digest,
    /// Its length.
    pub bytes: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Seconds of optimisation.
    pub seconds: f64,
    /// Evaluations made.
    pub evaluations: u32,
    /// Loss of the last one.
    pub loss: f64,
    /// The network that painted it.
    pub network: String,
    /// What it ran on.
    pub device: String,
    /// Whether there is a larger thumbnail.
    #[serde(default)]
    pub has_large_thumbnail: bool,
    /// Evaluations made and the loss after them, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<(u32, f64)>,
}

/// One photo, one artist, one variant, and how far it is.
///
/// ```text
///            Lease             Renew (rendering)          Complete
///  queued ──────────▶ leased ───────────────────▶ rendering ──────────▶ done
///    ▲                  │  └───────────────────────────┬──── Complete ───▶
///    │                  │                              │
///    │ Release; Fail or │                              │ Fail (refused), or
///    └ Expire with ─────┴──────────────────────────────┤ Fail or Expire with
///      attempts left                                   │ none left
///                                                      ├──────────────▶ failed
///    Cancel, from queued, leased and rendering ────────┴──────────────▶ cancelled
///
///    Retry, from failed and cancelled ────────────────────────────────▶ queued
/// ```
///
/// A lease whose time is over still counts until [`Event::Expire`] ends it, so the work of a node that was cut off
/// for a moment, or whose coordinator was restarted, is not lost for the form's sake. A lease is never renewed beyond
/// the time at which its node is taken to be stuck.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Waits for a node.
    Queued {
        /// What has been tried.
        history: History,
        /// No node gets it earlier.
        not_before: Timestamp,
    },
    /// A node holds it and does not yet work on it.
    Leased {
        /// What has been tried, this attempt included.
        history: History,
        /// End of the lease, if it is not renewed.
        expires_at: Timestamp,
    },
    /// A node works on it.
    Rendering {
        /// What has been tried, this attempt included.
        history: History,
        /// End of the lease, if it is not renewed.
        expires_at: Timestamp,
        /// What the node has done.
        rendering: Rendering,
    },
    /// Its picture is in the bucket.
    Done {
        /// What has been tried; the last attempt brought the picture.
        history: History,
        /// What the node delivered.
        result: CellResult,
    },
    /// It will have no picture, for the reason in its history.
    Failed {
        /// What has been tried.
        history: History,
    },
    /// Nobody wants it any more.
    Cancelled {
        /// What has been tried.
        history: History,
    },
}

/// What can happen to a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A node takes it.
    Lease {
        /// The node.
        node: NodeId,
    },
    /// Its holder lives.
    Renew {
        /// Who says so.
        holder: Holder,
        /// How far it is; `None` while the cell waits at the node.
        progress: Option<Progress>,
    },
    /// Its holder has put the picture.
    Complete {
        /// Who says so.
        holder: Holder,
        /// What it delivered.
        result: CellResult,
        /// What the node logged of it, if it sent that.
        log: String,
    },
    /// Its holder has no picture.
    Fail {
        /// Who says so.
        holder: Holder,
        /// Every attempt would end like this one.
        refused: bool,
        /// For people.
        reason: String,
        /// The end of the node's log.
        log: String,
    },
    /// Its holder gives it back unrendered.
    Release {
        /// Who says so.
        holder: Holder,
        /// For people.
        reason: String,
    },
    /// The time of its lease is over.
    Expire,
    /// Its grid is cancelled.
    Cancel,
    /// Somebody wants it tried again although it has ended without a picture.
    Retry,
}

/// Why an event changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another node holds it.
    #[error("another node holds the cell")]
    Held,
    /// It waits out the time after a failure.
    #[error("the cell waits until its next attempt may start")]
    NotYet,
    /// The lease was lost: to another attempt, or to time.
    #[error("attempt {attempt} no longer holds the cell, which is at attempt {current}")]
    Stale {
        /// Attempt of whoever asked.
        attempt: u32,
        /// Attempt that the cell is at.
        current: u32,
    },
    /// Nothing can become of it any more.
    #[error("the cell has ended: it is {state}")]
    Ended {
        /// Its state, in a word.
        state: &'static str,
    },
    /// Nobody holds it.
    #[error("nobody holds the cell")]
    NotHeld,
    /// Its lease has time left.
    #[error("the lease has time left")]
    NotExpired,
    /// It has not ended.
    #[error("the cell has not ended, so there is nothing to try again")]
    NotEnded,
}

impl Cell {
    /// A cell of a new grid.
    pub fn new(now: Timestamp) -> Self {
        Self::Queued {
            history: History::default(),
            not_before: now,
        }
    }

    /// What has been tried.
    pub fn history(&self) -> &History {
        match self {
            Self::Queued { history, .. }
            | Self::Leased { history, .. }
            | Self::Rendering { history, .. }
            | Self::Done { history, .. }
            | Self::Failed { history }
            | Self::Cancelled { history } => history,
        }
    }

    /// Its state, in a word.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Leased { .. } => "leased",
            Self::Rendering { .. } => "rendering",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Whether nothing becomes of it any more, unless somebody wants it tried again.
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Queued { .. } | Self::Leased { .. } | Self::Rendering { .. } => false,
            Self::Done { .. } | Self::Failed { .. } | Self::Cancelled { .. } => true,
        }
    }

    /// When its lease ends, if some node holds it.
    pub fn lease_expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Leased { expires_at, .. } | Self::Rendering { expires_at, .. } => {
                Some(*expires_at)
            }
            Self::Queued { .. }
            | Self::Done { .. }
            | Self::Failed { .. }
            | Self::Cancelled { .. } => None,
        }
    }

    /// Whether this is who holds it.
    ///
    /// # Errors
    /// When it is not, as events of theirs would be refused.
    pub fn check_held(&self, holder: Holder) -> Result<(), Refusal> {
        let history = self.history();
        match self {
            Self::Leased { .. } | Self::Rendering { .. } if history.is_last_of(holder) => Ok(()),
            Self::Leased { .. } | Self::Rendering { .. } => Err(Refusal::Stale {
                attempt: holder.attempt,
                current: history.started,
            }),
            Self::Queued { .. } => Err(Refusal::NotHeld),
            Self::Done { .. } | Self::Failed { .. } | Self::Cancelled { .. } => {
                let state = self.state();
                Err(Refusal::Ended { state })
            }
        }
    }

    /// Whether the node that holds it has made no evaluation for too long.
    pub fn is_stuck(&self, now: Timestamp) -> bool {
        match self {
            Self::Rendering { rendering, .. } => transitions::is_stuck(Some(*rendering), now),
            Self::Queued { .. }
            | Self::Leased { .. }
            | Self::Done { .. }
            | Self::Failed { .. }
            | Self::Cancelled { .. } => false,
        }
    }

    /// Whether people see a difference between this cell and what it was; the end of a lease is not shown.
    pub fn looks_like(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Leased { history, .. }, Self::Leased { history: other, .. }) => history == other,
            (
                Self::Rendering {
                    history, rendering, ..
                },
                Self::Rendering {
                    history: other,
                    rendering: earlier,
                    ..
                },
            ) => history == other && rendering.progress == earlier.progress,
            (after, before) => after == before,
        }
    }

    /// What the cell becomes by an event; the same cell again if it is a repetition of what has happened already.
    ///
    /// # Errors
    /// When the event may not happen to the cell as it is.
    pub fn apply(self, event: Event, now: Timestamp, rules: &LeaseRules) -> Result<Self, Refusal> {
        match self {
            Self::Queued {
                history,
                not_before,
            } => transitions::queued(history, not_before, &event, now, rules),
            Self::Leased {
                history,
                expires_at,
            } => transitions::held(history, expires_at, None, event, now, rules),
            Self::Rendering {
                history,
                expires_at,
                rendering,
            } => transitions::held(history, expires_at, Some(rendering), event, now, rules),
            Self::Done { history, result } => transitions::done(history, result, &event),
            Self::Failed { history } => transitions::failed(history, &event, now),
            Self::Cancelled { history } => transitions::cancelled(history, &event, now),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
