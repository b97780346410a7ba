//! What is kept of callers: how much each uses, for no more of them than there are places.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use super::key::{Key, Kind};
use super::{
    CALLER_SUBMISSIONS_MAX, CALLERS_MAX, CATCHING_UP_MAX, CLIENT_CALLS_RUNNING_MAX,
    PROMPT_REFUSALS_MAX,
};
use crate::domain::allowance::{Allowance, Left};

/// Least time between two looks for callers that need not be remembered.
const SWEEP_INTERVAL: SignedDuration = SignedDuration::from_secs(1);

#[derive(Debug)]
pub(super) struct Usage {
    pub(super) left: Left,
    pub(super) in_hand: u32,
    pub(super) watching: u32,
    pub(super) refusals: Refusals,
    pub(super) running: Arc<Semaphore>,
    pub(super) submitting: Arc<Semaphore>,
    pub(super) catching_up: Arc<Semaphore>,
}

/// How often a caller was refused of late.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The second that they are counted in.
    since: Option<Timestamp>,
    count: u32,
}

impl Refusals {
    /// Counts one, and says whether there are many.
    pub(super) fn are_many(&mut self, now: Timestamp) -> bool {
        let second = SignedDuration::from_secs(1);
        if self
            .since
            .is_none_or(|since| now.duration_since(since).abs() >= second)
        {
            *self = Self {
                since: Some(now),
                count: 0,
            };
        }
        self.count = self.count.saturating_add(1);
        self.count > PROMPT_REFUSALS_MAX
    }
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) by_key: HashMap<Key, Usage>,
    pub(super) watching: u32,
    swept: Option<Timestamp>,
}

impl Seen {
    /// What a caller uses, or what it shares with all others if there is no place for it.
    pub(super) fn usage(
        &mut self,
        key: Key,
        allowance: Allowance,
        now: Timestamp,
        allowances: impl Fn(Kind) -> Allowance,
    ) -> (Key, &mut Usage) {
        let is_full = self.by_key.len() >= CALLERS_MAX && !self.by_key.contains_key(&key);
        if is_full
            && self
                .swept
                .is_none_or(|at| now.duration_since(at) >= SWEEP_INTERVAL)
        {
            self.swept = Some(now);
            self.by_key.retain(|key, usage| {
                usage.in_hand > 0
                    || usage.watching > 0
                    || !usage.left.is_whole(allowances(key.kind()), now)
            });
        }
        let has_place = self.by_key.len() < CALLERS_MAX || self.by_key.contains_key(&key);
        let key = if has_place {
            key
        } else {
            Key::Others(key.kind())
        };
        let usage = self.by_key.entry(key.clone()).or_insert_with(|| Usage {
            left: allowance.whole(now),
            in_hand: 0,
            watching: 0,
            refusals: Refusals::default(),
            running: Arc::new(Semaphore::new(CLIENT_CALLS_RUNNING_MAX)),
            submitting: Arc::new(Semaphore::new(CALLER_SUBMISSIONS_MAX)),
            catching_up: Arc::new(Semaphore::new(CATCHING_UP_MAX)),
        });
        (key, usage)
    }
}
