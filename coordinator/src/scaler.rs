//! The fleet follows the backlog: looks at both every few seconds, decides, and has done what was decided.
//!
//! One coordinator does it for all ([`crate::lead`]). What is decided is [`crate::domain::fleet`]'s; [`mod@observe`] gathers what
//! that looks at, [`asg`] asks the cloud; [`mod@overview`] reads how the fleet stands. Without a driver nothing is done, and what
//! would be wanted is told all the same: to people, and to whatever else scales by it.
//!
//! A look that fails, at the cloud or at the store, changes nothing: the next one sees what has become of it.

pub mod asg;
mod observe;
mod overview;

use std::sync::Arc;
use std::time::Duration;

use atelier_proto::ids::NodeId;
use atelier_proto::prices::Prices;
use futures::StreamExt as _;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use self::asg::{Asg, CloudError, Told};
use self::observe::observe;
pub use self::overview::overview;
use crate::domain::fleet::{Bounds, Decision, Memory, Mode, Policy, Standing, decide};
use crate::domain::node::NodeState;
use crate::ledger::Ledger;
use crate::store::StoreError;

/// How often the fleet is looked at; where steps may come more often, as often as these.
const INTERVAL: Duration = Duration::from_secs(5);
/// Least time between two looks, when a bell tells that there is work and no node.
const INTERVAL_MIN: Duration = Duration::from_millis(500);
/// Longest wait after looks that failed; it doubles with each.
const INTERVAL_MAX: Duration = Duration::from_mins(1);

/// Machines that are terminated at the same time.
const CALLS_MAX: usize = 8;
/// How the fleet stands is kept so often although nothing has changed.
const KEPT_FOR: SignedDuration = SignedDuration::from_secs(30);

/// What starts and ends machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// Nobody but people, or what scales by what is told.
    None,
    /// The Auto Scaling group of this name.
    Asg(String),
}

impl Driver {
    /// In a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Asg(_) => "asg",
        }
    }
}

/// How the fleet follows the backlog.
#[derive(Debug, Clone)]
pub struct Scaling {
    /// What starts and ends machines.
    pub driver: Driver,
    /// The bounds, until an operator sets others.
    pub bounds: Bounds,
    /// The rules.
    pub policy: Policy,
    /// What machines cost.
    pub prices: Prices,
}

impl Default for Scaling {
    fn default() -> Self {
        Self {
            driver: Driver::None,
            bounds: Bounds {
                mode: Mode::Automatic,
                nodes_min: 0,
                nodes_max: 10,
            },
            policy: Policy::default(),
            prices: Prices::shipped(),
        }
    }
}

impl Scaling {
    /// The bounds that hold now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn bounds_now(&self, ledger: &Ledger) -> Result<Bounds, StoreError> {
        let set = ledger.store().fleet_bounds().await?;
        Ok(set.unwrap_or(self.bounds))
    }
}

/// Has the fleet follow the backlog until `shutdown`.
pub async fn run(ledger: Arc<Ledger>, scaling: Arc<Scaling>, shutdown: CancellationToken) {
    let group = match &scaling.driver {
        Driver::None => None,
        Driver::Asg(group) => Some(Asg::connect(group.clone()).await),
    };
    let mut scaler = Scaler {
        ledger,
        scaling,
        group,
        trouble: None,
        kept: None,
    };
    let mut bell = scaler.ledger.queued_bell();
    let interval = INTERVAL.min(scaler.scaling.policy.step_interval);
    let mut failed = 0_u32;
    loop {
        bell.mark_unchanged();
        let Some(looked) = shutdown.run_until_cancelled(Box::pin(scaler.look())).await else {
            return;
        };
        let is_empty = match looked {
            Ok(standing) => {
                failed = u32::from(standing.trouble.is_some()) * (failed + 1);
                standing
                    .machines
                    .is_some_and(|machines| machines.desired == 0)
            }
            Err(error) => {
                failed += 1;
                tracing::warn!(%error, "the fleet cannot be looked at; trying again");
                false
            }
        };
        let wait = (interval * 2_u32.saturating_pow(failed.min(8))).min(INTERVAL_MAX);
        let waited = async {
            if is_empty {
                tokio::time::sleep(INTERVAL_MIN).await;
                // The first cell is not kept waiting for the rest of the interval.
                let _ = tokio::time::timeout(wait, bell.changed()).await;
            } else {
                tokio::time::sleep(wait).await;
            }
        };
        if shutdown.run_until_cancelled(waited).await.is_none() {
            return;
        }
    }
}

struct Scaler {
    ledger: Arc<Ledger>,
    scaling: Arc<Scaling>,
    group: Option<Asg>,
    /// What was last said to be the trouble, so that it is logged once.
    trouble: Option<String>,
    /// How the fleet stood when that was last kept.
    kept: Option<Standing>,
}

impl Scaler {
    /// Looks once, and has done what is decided.
    async fn look(&mut self) -> Result<Standing, StoreError> {
        let memory = self.remembered().await?;
        let bounds = self.scaling.bounds_now(&self.ledger).await?;
        let (told, trouble) = match self.told().await {
            Ok(told) => (told, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let seen = observe(&self.ledger, told, &self.scaling, &memory.devices).await?;
        let policy = &self.scaling.policy;
        let before = memory.clone();
        let (mut decision, memory) = decide(memory, policy, &bounds, &seen);
        let (memory, trouble) = if trouble.is_some() {
            // What was not seen is not forgotten, and no reason for anything.
            decision.reasons.clear();
            (before, trouble)
        } else {
            if decision.acts() {
                // Before it is done: what is done twice because nobody knows of it costs money.
                let standing = Standing::of(&decision, &seen, memory.clone(), None);
                self.keep(&standing).await?;
            }
            match self.carry_out(&decision, &bounds).await? {
                None => (memory, None),
                Some(error) => (memory.undone(&before, &decision), Some(error.to_string())),
            }
        };
        self.log(trouble.as_deref());
        let standing = Standing::of(&decision, &seen, memory, trouble);
        self.keep(&standing).await?;
        Ok(standing)
    }

    async fn remembered(&self) -> Result<Memory, StoreError> {
        match self.ledger.store().fleet_standing().await {
            Ok(standing) => Ok(standing.map(|standing| standing.memory).unwrap_or_default()),
            Err(error @ StoreError::Damaged { .. }) => {
                // As another version wrote it. What is remembered is only since when.
                tracing::warn!(%error, "how the fleet stood is forgotten");
                Ok(Memory::default())
            }
            Err(error) => Err(error),
        }
    }

    async fn told(&self) -> Result<Option<(Told, Option<String>)>, CloudError> {
        let Some(group) = &self.group else {
            return Ok(None);
        };
        let told = group.read().await?;
        let is_short = (told.machines.len() as u32) < told.desired;
        let refusal = if is_short {
            group.refusal().await?
        } else {
            None
        };
        Ok(Some((told, refusal)))
    }

    /// Keeps how the fleet stands, if that is another than was kept last, or long ago.
    async fn keep(&mut self, standing: &Standing) -> Result<(), StoreError> {
        let is_kept = self.kept.as_ref().is_some_and(|kept| {
            let age = standing.at.duration_since(kept.at);
            let at = kept.at;
            age < KEPT_FOR
                && Standing {
                    at,
                    ..standing.clone()
                } == *kept
        });
        if !is_kept {
            self.ledger.store().set_fleet_standing(standing).await?;
            self.kept = Some(standing.clone());
        }
        Ok(())
    }

    /// Does what was decided; of the cloud's errors the first, after which the rest is tried all the same.
    async fn carry_out(
        &self,
        decision: &Decision,
        bounds: &Bounds,
    ) -> Result<Option<CloudError>, StoreError> {
        let Some(group) = self
            .group
            .as_ref()
            .filter(|_| bounds.mode == Mode::Automatic)
        else {
            return Ok(None);
        };
        for node in &decision.drain {
            self.drain(*node).await?;
        }
        let mut errors = Vec::new();
        let machines = decision.terminate.iter().cloned();
        let terminating = machines.map(|machine| {
            let group = group.clone();
            async move {
                tracing::info!(machine, "terminating");
                group.terminate(&machine).await.err()
            }
        });
        let mut terminating = futures::stream::iter(terminating).buffer_unordered(CALLS_MAX);
        while let Some(error) = terminating.next().await {
            errors.extend(error);
        }
        if let Some(desired) = decision.desired {
            tracing::info!(desired, wanted = decision.wanted, "asking for machines");
            errors.extend(group.set_desired(desired).await.err());
        }
        errors.extend(group.protect(&decision.protect, true).await.err());
        errors.extend(group.protect(&decision.unprotect, false).await.err());
        let mut errors = errors.into_iter();
        Ok(errors.next())
    }

    async fn drain(&self, node: NodeId) -> Result<(), StoreError> {
        let reason = "the fleet becomes smaller: there was nothing to do".to_owned();
        tracing::info!(%node, "draining, because there was nothing to do");
        self.ledger
            .order(node, NodeState::Draining { reason })
            .await
    }

    fn log(&mut self, trouble: Option<&str>) {
        if self.trouble.as_deref() == trouble {
            return;
        }
        if let Some(trouble) = trouble {
            tracing::warn!(trouble, "the fleet cannot follow the backlog");
        } else {
            tracing::info!("the fleet follows the backlog again");
        }
        self.trouble = trouble.map(str::to_owned);
    }
}
