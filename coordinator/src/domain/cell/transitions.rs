//! What each event makes of a cell in each state: one function for a state, one arm for an event, none left out.

use jiff::Timestamp;

use super::{Cell, CellResult, Event, History, Progress, Refusal};
use crate::domain::lease::{Holder, LeaseRules};

const LOST: &str = "the node that held it was not heard of again";

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
                    released: history.released,
                    failure: history.failure,
                },
                expires_at: rules.expires_at(now),
            })
        }
        Event::Renew { holder, .. } | Event::Complete { holder, .. } => {
            Err(stale(&history, *holder))
        }
        // A repetition, or the lease ran out just before: either way it is queued, as it should be.
        Event::Fail { holder, .. } | Event::Release { holder } => {
            let history = held_by(history, *holder)?;
            Ok(Cell::Queued {
                history,
                not_before,
            })
        }
        Event::Expire => Err(Refusal::NotHeld),
        Event::Cancel => Ok(Cell::Cancelled { history }),
    }
}

/// A cell that a node holds; with progress once the node works on it.
pub(super) fn held(
    history: History,
    expires_at: Timestamp,
    progress: Option<Progress>,
    event: Event,
    now: Timestamp,
    rules: &LeaseRules,
) -> Result<Cell, Refusal> {
    match event {
        Event::Lease { .. } => Err(Refusal::Held),
        Event::Renew {
            holder,
            progress: reported,
        } => {
            let history = held_by(history, holder)?;
            let expires_at = rules.expires_at(now);
            // A device that has let go of a cell leaves it rendering: its picture is still on the way.
            Ok(match reported.or(progress) {
                None => Cell::Leased {
                    history,
                    expires_at,
                },
                Some(progress) => Cell::Rendering {
                    history,
                    expires_at,
                    progress,
                },
            })
        }
        Event::Complete { holder, result } => Ok(Cell::Done {
            history: held_by(history, holder)?,
            result,
        }),
        Event::Fail {
            holder,
            refused,
            reason,
        } => {
            let history = with_failure(held_by(history, holder)?, reason);
            let charged = history.charged();
            Ok(if refused || charged >= rules.attempts_max {
                Cell::Failed { history }
            } else {
                Cell::Queued {
                    history,
                    not_before: rules.retry_at(charged, now),
                }
            })
        }
        Event::Release { holder } => {
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
            let history = with_failure(history, LOST.to_owned());
            Ok(if history.charged() >= rules.attempts_max {
                Cell::Failed { history }
            } else {
                // It has waited long enough, and the node that lost it is not there to lose it again.
                Cell::Queued {
                    history,
                    not_before: now,
                }
            })
        }
        Event::Cancel => Ok(Cell::Cancelled { history }),
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
        | Event::Cancel => Err(Refusal::Ended { state: "done" }),
    }
}

/// A cell that will have none.
pub(super) fn failed(history: History, event: &Event) -> Result<Cell, Refusal> {
    match event {
        // The answer to the first report was lost.
        Event::Fail { holder, .. } if history.is_last_of(*holder) => Ok(Cell::Failed { history }),
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
pub(super) fn cancelled(history: History, event: &Event) -> Result<Cell, Refusal> {
    match event {
        Event::Cancel => Ok(Cell::Cancelled { history }),
        Event::Lease { .. }
        | Event::Renew { .. }
        | Event::Complete { .. }
        | Event::Fail { .. }
        | Event::Release { .. }
        | Event::Expire => Err(Refusal::Ended { state: "cancelled" }),
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

fn with_failure(mut history: History, reason: String) -> History {
    history.failure = Some(reason);
    history
}
