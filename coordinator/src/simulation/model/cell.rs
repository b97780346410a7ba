//! What must become of a cell, told by the log of its leases: what counts, what is fenced out and how it ends is read off
//! that log, and not kept beside it.

use atelier_proto::ids::{Digest, NodeId};
use jiff::Timestamp;
use proptest::test_runner::TestCaseResult;
use proptest::{prop_assert, prop_assert_eq};

use crate::domain::attempt::Outcome;
use crate::domain::cell;
use crate::domain::lease::{Holder, LeaseRules};

/// Waits after failures, seconds.
const WAITS: [i64; 4] = [1, 4, 16, 60];

/// A cell.
#[derive(Debug, Clone)]
pub(in super::super) struct Cell {
    /// Every lease of it that was given; attempts are counted from 1.
    pub(in super::super) leases: Vec<Lease>,
    /// Leases before somebody last had it tried again.
    forgiven: usize,
    pub(in super::super) state: State,
}

/// A node's turn.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Lease {
    pub(in super::super) node: NodeId,
    /// How it ended, if it has.
    pub(in super::super) end: Option<End>,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum End {
    Done,
    Cancelled,
    Without(Outcome),
}

/// Where a cell stands; times are milliseconds.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum State {
    Queued {
        from: i64,
    },
    /// The lease ends between these times; when exactly is told by what is kept.
    Held {
        until: (i64, i64),
        work: Option<Work>,
    },
    Done {
        picture: Digest,
    },
    Failed,
    Cancelled,
}

/// What its holder has done.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Work {
    begun_at: i64,
    evaluations_begun: u32,
    evaluations: u32,
    /// When the next evaluation is due, if one is.
    due: Option<i64>,
}

/// What a node says.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Said {
    /// It lives; evaluations that it has made, if its device works on the cell.
    Alive(Option<u32>),
    Done(Digest),
    Failed {
        refused: bool,
    },
    Released,
}

/// What must be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Heard {
    /// It is so now, and people see it.
    Changed,
    /// It is so, and nobody sees a difference.
    Same,
    /// The lease is over.
    Fenced,
    /// The cell has ended.
    Ended,
    /// There is no such cell.
    Unknown,
}

impl Cell {
    pub(super) fn new(now: i64) -> Self {
        Self {
            leases: Vec::new(),
            forgiven: 0,
            state: State::Queued { from: now },
        }
    }

    pub(in super::super) fn has_ended(&self) -> bool {
        matches!(
            self.state,
            State::Done { .. } | State::Failed | State::Cancelled
        )
    }

    pub(in super::super) fn is_held(&self) -> bool {
        matches!(self.state, State::Held { .. })
    }

    pub(super) fn is_over(&self, now: i64) -> bool {
        matches!(self.state, State::Held { until: (_, end), .. } if end <= now)
    }

    pub(super) fn waits_at(&self, now: i64) -> bool {
        matches!(self.state, State::Queued { from } if from <= now)
    }

    /// Attempts that cost one.
    fn charged(&self) -> usize {
        let released = Some(End::Without(Outcome::Released));
        let counted = self.leases[self.forgiven..].iter();
        counted.filter(|lease| lease.end != released).count()
    }

    /// Nodes at which it went wrong, in their order.
    fn failed_on(&self) -> Vec<NodeId> {
        let mut nodes = Vec::new();
        for lease in &self.leases[self.forgiven..] {
            let failed = match lease.end {
                Some(End::Without(outcome)) => outcome != Outcome::Released,
                Some(End::Done | End::Cancelled) | None => false,
            };
            if failed && !nodes.contains(&lease.node) {
                nodes.push(lease.node);
            }
        }
        nodes
    }

    fn end(&mut self, end: End) {
        if let Some(last) = self.leases.last_mut() {
            last.end = Some(end);
        }
    }

    pub(super) fn lease(&mut self, node: NodeId, now: i64, rules: &LeaseRules) {
        self.leases.push(Lease { node, end: None });
        let end = now + rules.lease_duration.as_millis() as i64;
        self.state = State::Held {
            until: (end, end),
            work: None,
        };
    }

    pub(super) fn hear(
        &mut self,
        holder: Holder,
        said: Said,
        now: i64,
        rules: &LeaseRules,
    ) -> Heard {
        let is_last = self.leases.len() == holder.attempt as usize
            && self.leases.last().map(|lease| lease.node) == Some(holder.node);
        match (self.state, said) {
            (State::Held { work, .. }, Said::Alive(evaluations)) if is_last => {
                self.renew(work, evaluations, now, rules)
            }
            (State::Held { .. }, Said::Done(picture)) if is_last => {
                self.end(End::Done);
                self.state = State::Done { picture };
                Heard::Changed
            }
            (State::Held { .. }, Said::Failed { refused }) if is_last => {
                let outcome = if refused {
                    Outcome::Refused
                } else {
                    Outcome::Failed
                };
                let wait = WAITS[(self.charged() - 1).min(WAITS.len() - 1)];
                self.went_wrong(outcome, now + wait * 1000, rules);
                Heard::Changed
            }
            (State::Held { .. }, Said::Released) if is_last => {
                self.end(End::Without(Outcome::Released));
                self.state = State::Queued { from: now };
                Heard::Changed
            }
            // Repetitions.
            (State::Done { .. }, Said::Done(_))
            | (State::Failed, Said::Failed { .. })
            | (State::Queued { .. }, Said::Failed { .. } | Said::Released)
                if is_last =>
            {
                Heard::Same
            }
            (State::Held { .. } | State::Queued { .. }, _) => Heard::Fenced,
            (State::Done { .. } | State::Failed | State::Cancelled, _) => Heard::Ended,
        }
    }

    fn renew(
        &mut self,
        before: Option<Work>,
        evaluations: Option<u32>,
        now: i64,
        rules: &LeaseRules,
    ) -> Heard {
        let stall = rules.stall_duration.as_millis() as i64;
        let (work, heard) = match (before, evaluations) {
            (None, None) => (None, Heard::Same),
            (Some(before), None) => {
                let work = Work {
                    due: None,
                    ..before
                };
                (Some(work), Heard::Same)
            }
            (None, Some(evaluations)) => {
                let work = Work {
                    begun_at: now,
                    evaluations_begun: evaluations,
                    evaluations,
                    due: Some(now + stall),
                };
                (Some(work), Heard::Changed)
            }
            (Some(before), Some(evaluations)) => {
                let stands = evaluations == before.evaluations;
                let made = i64::from(evaluations.saturating_sub(before.evaluations_begun));
                let taken = (now - before.begun_at).max(0);
                // Fifty times as long as usual, where it is known what is usual.
                let patience = (50 * taken).checked_div(made).unwrap_or(0).max(stall);
                let due = match before.due {
                    Some(due) if stands => due,
                    Some(_) | None => now + patience,
                };
                let work = Work {
                    evaluations,
                    due: Some(due),
                    ..before
                };
                let heard = if stands { Heard::Same } else { Heard::Changed };
                (Some(work), heard)
            }
        };
        // A renewal need not be kept if there is much time left without it.
        let lease = rules.lease_duration.as_millis() as i64;
        let due = work.and_then(|work| work.due).unwrap_or(i64::MAX);
        self.state = State::Held {
            until: (due.min(now + lease / 2), due.min(now + lease)),
            work,
        };
        heard
    }

    /// Ends the lease; what that is called.
    pub(super) fn expire(&mut self, now: i64, rules: &LeaseRules) -> &'static str {
        let due = match self.state {
            State::Held { work, .. } => work.and_then(|work| work.due),
            State::Queued { .. } | State::Done { .. } | State::Failed | State::Cancelled => None,
        };
        let (outcome, what) = if due.is_some_and(|due| due <= now) {
            (Outcome::Stuck, "a stuck node loses its cell")
        } else {
            (Outcome::Lost, "a silent node loses its cell")
        };
        self.went_wrong(outcome, now, rules);
        what
    }

    /// Why it has failed, if it has.
    pub(super) fn end_by(&self, rules: &LeaseRules) -> Option<&'static str> {
        let refused = Some(End::Without(Outcome::Refused));
        matches!(self.state, State::Failed).then(|| {
            if self.leases.last().is_some_and(|lease| lease.end == refused) {
                "a cell fails because it is refused"
            } else if self.charged() >= rules.attempts_max as usize {
                "a cell fails because it has no attempts left"
            } else {
                "a cell fails because it fails everywhere"
            }
        })
    }

    fn went_wrong(&mut self, outcome: Outcome, again_from: i64, rules: &LeaseRules) {
        self.end(End::Without(outcome));
        let is_hopeless = outcome == Outcome::Refused
            || self.charged() >= rules.attempts_max as usize
            || self.failed_on().len() >= rules.failed_nodes_max as usize;
        self.state = if is_hopeless {
            State::Failed
        } else {
            State::Queued { from: again_from }
        };
    }

    /// False if it has ended before.
    pub(super) fn cancel(&mut self) -> bool {
        if self.has_ended() {
            return false;
        }
        if self.is_held() {
            self.end(End::Cancelled);
        }
        self.state = State::Cancelled;
        true
    }

    pub(in super::super) fn may_be_tried_again(&self) -> bool {
        matches!(self.state, State::Failed | State::Cancelled)
    }

    pub(super) fn retry(&mut self, now: i64) {
        self.forgiven = self.leases.len();
        self.state = State::Queued { from: now };
    }

    /// Compares it with what is kept, and learns from it when the lease ends.
    pub(in super::super) fn check(&mut self, kept: &cell::Cell) -> TestCaseResult {
        let history = kept.history();
        prop_assert_eq!(history.started as usize, self.leases.len(), "attempts");
        prop_assert_eq!(history.charged() as usize, self.charged(), "charged");
        prop_assert_eq!(history.node, self.leases.last().map(|lease| lease.node));
        prop_assert_eq!(&history.failed_on, &self.failed_on());
        let ms = Timestamp::as_millisecond;
        if let State::Held { until, .. } = &mut self.state
            && let Some(end) = kept.lease_expires_at().map(ms)
        {
            let (least, most) = *until;
            prop_assert!(
                (least..=most).contains(&end),
                "the lease ends at {end}, expected {least} to {most}"
            );
            *until = (end, end);
        }
        match (self.state, kept) {
            (State::Queued { from }, cell::Cell::Queued { not_before, .. }) => {
                prop_assert_eq!(ms(*not_before), from, "when it may be leased");
            }
            (State::Held { work: None, .. }, cell::Cell::Leased { .. })
            | (State::Failed, cell::Cell::Failed { .. })
            | (State::Cancelled, cell::Cell::Cancelled { .. }) => {}
            (
                State::Held {
                    work: Some(work), ..
                },
                cell::Cell::Rendering { rendering, .. },
            ) => {
                prop_assert_eq!(rendering.progress.evaluations, work.evaluations);
                prop_assert_eq!(rendering.stalls_at.map(ms), work.due);
            }
            (State::Done { picture }, cell::Cell::Done { result, .. }) => {
                prop_assert_eq!(result.sha256, picture, "the picture");
            }
            (expected, kept) => {
                prop_assert!(false, "it is {}, expected {expected:?}", kept.state());
            }
        }
        Ok(())
    }
}
