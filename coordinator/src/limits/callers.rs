//! What each caller may have of a coordinator: calls a second, calls in hand, streams that last.
//!
//! Callers are told apart by who they are, and where nobody is asked, or nobody said, by where they call from. Nodes have
//! an allowance of their own, far above that of people, because what they do not get to say costs work. Whoever is above
//! an allowance is refused at once with when to come again, which costs next to nothing; so one who floods a coordinator
//! takes from nobody else.

mod key;
mod seen;
mod turn;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_proto::clock::Clock;
use tokio::sync::Semaphore;

use self::key::{Key, Kind};
use self::seen::Seen;
use self::turn::InHand;
pub use self::turn::{TakenIn, Turn, Watching};
use super::{CallerLimits, Exceeded, Limit};
use crate::domain::access::Admitted;
use crate::domain::allowance::Allowance;

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
        let key = Key::of(who, from, call);
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

#[cfg(test)]
mod tests;
