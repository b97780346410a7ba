//! What each caller may have of a coordinator: calls a second, calls in hand, streams that last.
//!
//! Callers are told apart by who they are, and where nobody is asked, or nobody said, by where they call from. Nodes have
//! an allowance of their own, far above that of people, because what they do not get to say costs work. Whoever is above
//! an allowance is refused at once with when to come again, which costs next to nothing; so one who floods a coordinator
//! takes from nobody else.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_proto::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{CallerLimits, Exceeded, Limit};
use crate::domain::access::{Admitted, Caller, Role};
use crate::domain::allowance::{Allowance, Left};
use crate::identity::network;

/// Callers that are told apart; all further ones share what one has.
pub const CALLERS_MAX: usize = 20_000;
/// How long a client may use its allowance in advance of it.
pub const CLIENT_BURST: Duration = Duration::from_secs(10);
/// The same of nodes.
pub const NODE_BURST: Duration = Duration::from_secs(2);
/// Calls of a client that are worked on at once, until their answers are taken; further ones wait for these.
pub const CLIENT_CALLS_RUNNING_MAX: usize = 4;
/// Calls of a client in hand, waiting or not.
pub const CLIENT_CALLS_MAX: u32 = 256;
/// The same of what calls itself a node, or of all who come by one token for nodes: each waits with a call for cells.
pub const NODE_CALLS_MAX: u32 = 20_000;
/// What those may use of whom nobody knows who they are, where that is asked: enough for probes.
pub const STRANGERS: Allowance = Allowance {
    burst: 300.0,
    per_second: 20.0,
};
/// Submissions that are taken in at once: each may be long, and is in memory as a whole.
pub const SUBMISSIONS_MAX: usize = 6;
/// The same of one caller.
pub const CALLER_SUBMISSIONS_MAX: usize = 3;
/// How long a submission waits for that.
pub const SUBMISSION_WAIT_MAX: Duration = Duration::from_secs(15);
/// Streams of one caller that are told at once what they have missed, which is in memory as a whole.
pub const CATCHING_UP_MAX: usize = 8;
/// When somebody is to come again who has too much in hand, which ends nobody knows when.
const IN_HAND_WAIT: Duration = Duration::from_secs(1);
/// The same for streams, which last.
const WATCH_WAIT: Duration = Duration::from_secs(5);
/// Refusals of a caller in a second that are told at once; who goes on regardless is told later.
pub const PROMPT_REFUSALS_MAX: u32 = 100;
/// How long those refusals are held back, so that whoever waits for answers cannot ask faster.
pub const REFUSAL_HELD: Duration = Duration::from_secs(1);
/// Refusals that are held back at once, of all callers; further ones are told at once.
pub const REFUSALS_HELD_MAX: usize = 4_096;
/// Least time between two looks for callers that need not be remembered.
const SWEEP_INTERVAL: SignedDuration = SignedDuration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Client,
    Node,
    /// It is not known who it is, and that was asked.
    Stranger,
}

/// Who shares an allowance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Identity(Kind, String),
    Address(Kind, IpAddr),
    /// Those for whom there is no place left.
    Others(Kind),
}

impl Key {
    fn kind(&self) -> Kind {
        match self {
            Self::Identity(kind, _) | Self::Address(kind, _) | Self::Others(kind) => *kind,
        }
    }

    /// As a exceeded names it.
    fn words(&self) -> String {
        match self {
            Self::Identity(_, name) => format!("{name:?}"),
            Self::Address(_, address) => format!("{address}"),
            Self::Others(_) => "this address, with many others,".to_owned(),
        }
    }
}

#[derive(Debug)]
struct Usage {
    left: Left,
    in_hand: u32,
    watching: u32,
    refusals: Refusals,
    running: Arc<Semaphore>,
    submitting: Arc<Semaphore>,
    catching_up: Arc<Semaphore>,
}

/// How often a caller was refused of late.
#[derive(Debug, Default)]
struct Refusals {
    /// The second that they are counted in.
    since: Option<Timestamp>,
    count: u32,
}

impl Refusals {
    /// Counts one, and says whether there are many.
    fn are_many(&mut self, now: Timestamp) -> bool {
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
struct Seen {
    by_key: HashMap<Key, Usage>,
    watching: u32,
    swept: Option<Timestamp>,
}

/// What all callers use; clones are one.
#[derive(Debug, Clone)]
pub struct Callers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: CallerLimits,
    clock: Clock,
    submitting: Arc<Semaphore>,
    held: Arc<Semaphore>,
    seen: Mutex<Seen>,
}

impl Callers {
    /// None yet.
    pub fn new(limits: CallerLimits, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            limits,
            clock,
            submitting: Arc::new(Semaphore::new(SUBMISSIONS_MAX)),
            held: Arc::new(Semaphore::new(REFUSALS_HELD_MAX)),
            seen: Mutex::default(),
        }))
    }

    /// Takes in a call, which uses `cost` of its caller's allowance; one of gRPC uses 1, and more for what it carries
    /// ([`Turn::charge`]). `who` is `None` if that is not known although it is asked.
    ///
    /// # Errors
    /// When the caller has called too often, or has too many calls in hand.
    pub fn begin(
        &self,
        who: Option<&Admitted>,
        from: IpAddr,
        call: &str,
        cost: f64,
    ) -> Result<Turn, Exceeded> {
        let key = key(who, from, call);
        let kind = key.kind();
        let (allowance, now) = (self.allowance(kind), self.0.clock.now());
        let mut seen = self.seen();
        let (key, usage) = seen.usage(key, allowance, now, |kind| self.allowance(kind));
        let in_hand_max = match kind {
            Kind::Client | Kind::Stranger => CLIENT_CALLS_MAX,
            Kind::Node => NODE_CALLS_MAX,
        };
        if usage.in_hand >= in_hand_max {
            return Err(Exceeded {
                limit: Limit::CallsInHand,
                message: format!(
                    "{} has {in_hand_max} calls in hand, and may have no more at once\nhint: wait until some of them have ended",
                    key.words()
                ),
                after: IN_HAND_WAIT,
                is_flood: usage.refusals.are_many(now),
            });
        }
        if let Err(after) = usage.left.try_use(allowance, now) {
            let hint = match kind {
                Kind::Client => {
                    "call less often, or have an operator raise --client-calls-per-second"
                }
                Kind::Node => "have an operator raise --node-calls-per-second",
                Kind::Stranger => "say who you are, or call less often",
            };
            return Err(Exceeded {
                limit: Limit::Requests,
                message: format!(
                    "{} makes more calls than the {} a second that it may\nhint: {hint}",
                    key.words(),
                    allowance.per_second
                ),
                after,
                is_flood: usage.refusals.are_many(now),
            });
        }
        // One was used.
        usage.left.charge(cost - 1.0, allowance, now);
        usage.in_hand += 1;
        let running = (kind != Kind::Node).then(|| usage.running.clone());
        let (submitting, catching_up) = (usage.submitting.clone(), usage.catching_up.clone());
        drop(seen);
        Ok(Turn(Arc::new(InHand {
            callers: self.clone(),
            key,
            running,
            submitting,
            catching_up,
        })))
    }

    /// Waits before a caller is refused who floods, if not too many wait for that.
    pub async fn hold(&self, exceeded: &Exceeded) {
        if exceeded.is_flood
            && let Ok(_place) = self.0.held.try_acquire()
        {
            tokio::time::sleep(REFUSAL_HELD).await;
        }
    }

    fn allowance(&self, kind: Kind) -> Allowance {
        let of = |per_second: u32, burst: Duration| Allowance {
            burst: f64::from(per_second) * burst.as_secs_f64(),
            per_second: f64::from(per_second),
        };
        let limits = &self.0.limits;
        match kind {
            Kind::Client => of(limits.client_calls_per_second, CLIENT_BURST),
            Kind::Node => of(limits.node_calls_per_second, NODE_BURST),
            Kind::Stranger => STRANGERS,
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Counters may be off by one after a panic elsewhere, which harms nobody.
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who shares an allowance with this caller.
fn key(who: Option<&Admitted>, from: IpAddr, call: &str) -> Key {
    let Some(who) = who else {
        return Key::Address(Kind::Stranger, network(from));
    };
    match &who.caller {
        Caller::Known(identity) => {
            let kind = match identity.role {
                Role::Node => Kind::Node,
                Role::Client | Role::Operator | Role::ReadOnly => Kind::Client,
            };
            // People have names in several roles: who has two has two allowances.
            Key::Identity(kind, format!("{} {}", identity.role, identity.name))
        }
        // Whoever may be everything is what the call is for. Clients need few signatures where nodes need many.
        Caller::Anyone => {
            let is_for_nodes = call.starts_with("Nodes.") || call.starts_with("Bucket.");
            let kind = if is_for_nodes {
                Kind::Node
            } else {
                Kind::Client
            };
            Key::Address(kind, network(from))
        }
    }
}

impl Seen {
    /// What a caller uses, or what it shares with all others if there is no place for it.
    fn usage(
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

/// A call in hand, until this and its clones are dropped.
#[derive(Debug, Clone)]
pub struct Turn(Arc<InHand>);

#[derive(Debug)]
struct InHand {
    callers: Callers,
    key: Key,
    /// `None`: it is worked on at once.
    running: Option<Arc<Semaphore>>,
    submitting: Arc<Semaphore>,
    catching_up: Arc<Semaphore>,
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

#[cfg(test)]
mod tests;
