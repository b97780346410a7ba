//! A call in hand, and what lasts beside it: for as long as these are kept, they count.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::key::Key;
use super::{
    CALLER_SUBMISSIONS_MAX, Callers, Exceeded, IN_HAND_WAIT, Limit, SUBMISSION_WAIT_MAX,
    SUBMISSIONS_MAX, WATCH_WAIT,
};

/// A call in hand, until this and its clones are dropped.
#[derive(Debug, Clone)]
pub struct Turn(pub(super) Arc<InHand>);

#[derive(Debug)]
pub(super) struct InHand {
    pub(super) callers: Callers,
    pub(super) key: Key,
    /// `None`: it is worked on at once.
    pub(super) running: Option<Arc<Semaphore>>,
    pub(super) submitting: Arc<Semaphore>,
    pub(super) catching_up: Arc<Semaphore>,
}

impl Turn {
    /// Waits until the call may be worked on, which it is until what is given is dropped.
    pub async fn run(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes it.
        self.0.running.clone()?.acquire_owned().await.ok()
    }

    /// Waits until a submission may be taken in, which it is until what is given is dropped. Those of one caller do not stand in
    /// the way of others.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn take_in(&self) -> Result<TakenIn, Exceeded> {
        let both = async {
            let own = self.0.submitting.clone().acquire_owned().await;
            let of_all = self.0.callers.0.submitting.clone().acquire_owned().await;
            TakenIn {
                _permits: (own.ok(), of_all.ok()),
            }
        };
        tokio::time::timeout(SUBMISSION_WAIT_MAX, both).await.map_err(|_| Exceeded {
            limit: Limit::Submissions,
            message: format!(
                "{CALLER_SUBMISSIONS_MAX} grids of one caller and {SUBMISSIONS_MAX} of all are taken in at once, and this one has \
                 waited {SUBMISSION_WAIT_MAX:?} for its turn\nhint: submit fewer at once"
            ),
            after: IN_HAND_WAIT,
            is_flood: false,
        })
    }

    /// Who of one caller's streams is told what it has missed has one of these.
    pub fn catching_up(&self) -> Arc<Semaphore> {
        self.0.catching_up.clone()
    }

    /// Uses more of the caller's allowance, which is not refused and waited for the next time.
    pub fn charge(&self, cost: f64) {
        let callers = &self.0.callers;
        let (allowance, now) = (callers.allowance(self.0.key.kind()), callers.0.clock.now());
        if let Some(usage) = callers.seen().by_key.get_mut(&self.0.key) {
            usage.left.charge(cost, allowance, now);
        }
    }

    /// Takes in a stream that lasts until what is given is dropped.
    ///
    /// # Errors
    /// When the caller, or all together, follow too much.
    pub fn watch(&self) -> Result<Watching, Exceeded> {
        let callers = &self.0.callers;
        let limits = &callers.0.limits;
        let mut seen = callers.seen();
        let refused = |who: &str, most: u32, setting: &str| Exceeded {
            limit: Limit::Watchers,
            message: format!(
                "{who} {most} streams that follow something, and may have no more\n\
                 hint: end some of them, or have an operator raise {setting}"
            ),
            after: WATCH_WAIT,
            is_flood: false,
        };
        if seen.watching >= limits.watchers_max {
            let who = "this coordinator has";
            return Err(refused(who, limits.watchers_max, "--watchers-max"));
        }
        let Some(usage) = seen.by_key.get_mut(&self.0.key) else {
            return Ok(Watching(None));
        };
        if usage.watching >= limits.caller_watchers_max {
            let who = format!("{} has", self.0.key.words());
            return Err(refused(
                &who,
                limits.caller_watchers_max,
                "--caller-watchers-max",
            ));
        }
        usage.watching += 1;
        seen.watching += 1;
        Ok(Watching(Some((callers.clone(), self.0.key.clone()))))
    }
}

/// A submission that is taken in.
#[derive(Debug)]
pub struct TakenIn {
    _permits: (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>),
}

impl Drop for InHand {
    fn drop(&mut self) {
        if let Some(usage) = self.callers.seen().by_key.get_mut(&self.key) {
            usage.in_hand = usage.in_hand.saturating_sub(1);
        }
    }
}

/// A stream that lasts, until this is dropped.
#[derive(Debug)]
pub struct Watching(Option<(Callers, Key)>);

impl Drop for Watching {
    fn drop(&mut self) {
        let Some((callers, key)) = &self.0 else {
            return;
        };
        let mut seen = callers.seen();
        seen.watching = seen.watching.saturating_sub(1);
        if let Some(usage) = seen.by_key.get_mut(key) {
            usage.watching = usage.watching.saturating_sub(1);
        }
    }
}
