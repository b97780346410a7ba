//! What each event makes of a cell in each state: one function for a state, one arm for an event, none left out.

use std::time::Duration;

use atelier_proto::ids::NodeId;
use jiff::Timestamp;

use super::{Cell, CellResult, Event, History, Progress, Refusal, Rendering};
use crate::domain::lease::{Holder, LeaseRules};

const LOST: &str = "the node that held it was not heard of again";
const STUCK: &str = "the node that held it made no evaluation for too long";

/// A cell that waits for a node.
pub(super) fn queued(
    history: History,
    not_before: Timestamp,
    event: &Event,
    now: Timestamp,
    rules: &LeaseRules,
) -> Result<Cell, Refusal> {
    match event {
        Event::Lease { node } => {
            if now < not_before {
                return Err(Refusal::NotYet);
            }
            Ok(Cell::Leased {
                history: History {
                    started: history.started.saturating_add(1),
                    node: Some(*node),
                    ..history
                },
                expires_at: rules.expires_at(now),
            })
        }
        Event::Renew { holder, .. } | Event::Complete { holder, .. } => {
            Err(stale(&history, *holder))
        }
        // A repetition, or the lease ran out just before: either way it is queued, as it should be.
        Event::Fail { holder, .. } | Event::Release { holder, .. } => {
            let history = held_by(history, *holder)?;
            Ok(Cell::Queued {
                history,
                not_before,
            })
        }
        Event::Expire => Err(Refusal::NotHeld),
        Event::Cancel => Ok(Cell::Cancelled { history }),
        Event::Retry => Err(Refusal::NotEnded),
    }
}

/// A cell that a node holds, and, once the node works on it, what it has done.
pub(super) fn held(
    history: History,
    expires_at: Timestamp,
    rendering: Option<Rendering>,
    event: Event,
    now: Timestamp,
    rules: &LeaseRules,
) -> Result<Cell, Refusal> {
    match event {
        Event::Lease { .. } => Err(Refusal::Held),
        Event::Renew { holder, progress } => {
            let history = held_by(history, holder)?;
            let progressed = progressed(rendering, progress, now, rules);
            let mut renewed = rules.expires_at(now);
            // What was renewed just now and got no further is left as it is: most renewals of most cells.
            if progressed == rendering && rules.is_fresh(expires_at, renewed) {
                renewed = expires_at;
            }
            if let Some(end) = progressed.and_then(|rendering| rendering.stalls_at) {
                renewed = renewed.min(end);
            }
            Ok(match progressed {
                None => Cell::Leased {
                    history,
                    expires_at: renewed,
                },
                Some(rendering) => Cell::Rendering {
                    history,
                    expires_at: renewed,
                    rendering,
                },
            })
        }
        Event::Complete { holder, result, .. } => Ok(Cell::Done {
            history: held_by(history, holder)?,
            result,
        }),
        Event::Fail {
            holder,
            refused,
            reason,
            ..
        } => {
            let history = with_failure(held_by(history, holder)?, holder.node, reason);
            let not_before = rules.retry_at(history.charged(), now);
            Ok(if refused {
                Cell::Failed { history }
            } else {
                again_or_failed(history, not_before, rules)
            })
        }
        Event::Release { holder, .. } => {
            let history = held_by(history, holder)?;
            Ok(Cell::Queued {
                history: History {
                    released: history.released.saturating_add(1),
                    ..history
                },
                not_before: now,
            })
        }
        Event::Expire => {
            if now < expires_at {
                return Err(Refusal::NotExpired);
            }
            let reason = if is_stuck(rendering, now) {
                STUCK
            } else {
                LOST
            };
            let history = match history.node {
                Some(node) => with_failure(history, node, reason.to_owned()),
                // No lease is without its node.
                None => history,
            };
            // It has waited long enough, and the node that lost it is not there to lose it again.
            Ok(again_or_failed(history, now, rules))
        }
        Event::Cancel => Ok(Cell::Cancelled { history }),
        Event::Retry => Err(Refusal::NotEnded),
    }
}

/// A cell with a picture.
pub(super) fn done(history: History, result: CellResult, event: &Event) -> Result<Cell, Refusal> {
    match event {
        // The answer to the first report was lost.
        Event::Complete { holder, .. } if history.is_last_of(*holder) => {
            Ok(Cell::Done { history, result })
        }
        Event::Lease { .. }
        | Event::Renew { .. }
        | Event::Complete { .. }
        | Event::Fail { .. }
        | Event::Release { .. }
        | Event::Expire
        | Event::Cancel
        | Event::Retry => Err(Refusal::Ended { state: "done" }),
    }
}

/// A cell that will have none.
pub(super) fn failed(history: History, event: &Event, now: Timestamp) -> Result<Cell, Refusal> {
    match event {
        // The answer to the first report was lost.
        Event::Fail { holder, .. } if history.is_last_of(*holder) => Ok(Cell::Failed { history }),
        Event::Retry => Ok(again(history, now)),
        Event::Lease { .. }
        | Event::Renew { .. }
        | Event::Complete { .. }
        | Event::Fail { .. }
        | Event::Release { .. }
        | Event::Expire
        | Event::Cancel => Err(Refusal::Ended { state: "failed" }),
    }
}

/// A cell that nobody wants any more.
pub(super) fn cancelled(history: History, event: &Event, now: Timestamp) -> Result<Cell, Refusal> {
    match event {
        Event::Cancel => Ok(Cell::Cancelled { history }),
        Event::Retry => Ok(again(history, now)),
        Event::Lease { .. }
        | Event::Renew { .. }
        | Event::Complete { .. }
        | Event::Fail { .. }
        | Event::Release { .. }
        | Event::Expire => Err(Refusal::Ended { state: "cancelled" }),
    }
}

/// What a node has done, after it told its progress, or that its device does not work on the cell.
fn progressed(
    rendering: Option<Rendering>,
    progress: Option<Progress>,
    now: Timestamp,
    rules: &LeaseRules,
) -> Option<Rendering> {
    let before = match (rendering, progress) {
        (None, None) => return None,
        // The device has let go of the cell: its picture is on the way.
        (Some(before), None) => {
            return Some(Rendering {
                stalls_at: None,
                ..before
            });
        }
        (None, Some(progress)) => {
            return Some(Rendering {
                progress,
                begun_at: now,
                evaluations_begun: progress.evaluations,
                stalls_at: Some(rules.stalls_at(None, now)),
            });
        }
        (Some(before), Some(_)) => before,
    };
    let progress = progress.unwrap_or(before.progress);
    // A smaller count is a start anew, which is an evaluation, too.
    let moved = progress.evaluations != before.progress.evaluations || before.stalls_at.is_none();
    let made = progress
        .evaluations
        .saturating_sub(before.evaluations_begun);
    let taken = Duration::try_from(now.duration_since(before.begun_at)).unwrap_or_default();
    let pace = taken.checked_div(made);
    Some(Rendering {
        progress,
        stalls_at: if moved {
            Some(rules.stalls_at(pace, now))
        } else {
            before.stalls_at
        },
        ..before
    })
}

/// Whether a node has made no evaluation for too long.
pub(super) fn is_stuck(rendering: Option<Rendering>, now: Timestamp) -> bool {
    rendering
        .and_then(|rendering| rendering.stalls_at)
        .is_some_and(|end| end <= now)
}

/// After a failed or lost attempt: queued again, if it has attempts and nodes left.
fn again_or_failed(history: History, not_before: Timestamp, rules: &LeaseRules) -> Cell {
    let has_failed = history.charged() >= rules.attempts_max
        || history.failed_on.len() >= rules.failed_nodes_max as usize;
    if has_failed {
        Cell::Failed { history }
    } else {
        Cell::Queued {
            history,
            not_before,
        }
    }
}

/// Queued anew, with all its attempts before it.
fn again(history: History, now: Timestamp) -> Cell {
    Cell::Queued {
        history: History {
            released: history.started,
            failed_on: Vec::new(),
            ..history
        },
        not_before: now,
    }
}

fn held_by(history: History, holder: Holder) -> Result<History, Refusal> {
    if history.is_last_of(holder) {
        Ok(history)
    } else {
        Err(stale(&history, holder))
    }
}

fn stale(history: &History, holder: Holder) -> Refusal {
    Refusal::Stale {
        attempt: holder.attempt,
        current: history.started,
    }
}

fn with_failure(mut history: History, node: NodeId, reason: String) -> History {
    history.failure = Some(reason);
    if !history.failed_on.contains(&node) {
        history.failed_on.push(node);
    }
    history
}
