//! The store, the clock and the rules in one hand, and the bells that tell who waits that something has happened.
//!
//! Whoever changes a grid or a cell does it through here, so that nobody forgets to ring. The bells carry no state:
//! whoever misses one looks again after [`POLL_INTERVAL`], which is also how a change by another process is seen.
//!
//! What is kept here beside that only saves work, and is true or told to be old: what never changes of a grid
//! ([`facts`], [`owners`]), what was measured ([`measurements`]), which nodes were heard of ([`sightings`]); [`notes`] has the
//! last two be kept. Events of cells that come
//! at the same time are committed together ([`commits`]). It counts what becomes of cells ([`crate::metrics`]).

mod commits;
mod facts;
mod measurements;
pub mod notes;
mod owners;
mod sightings;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::Duration;

use atelier_proto::clock::Clock;
use atelier_proto::ids::{CellId, GridId, NodeId};
use jiff::Timestamp;
use tokio::sync::watch;

use self::commits::{Commits, Committer};
use self::facts::FactsCache;
use self::measurements::Measurements;
use self::owners::Owners;
use self::sightings::Sightings;
use crate::domain::access::Caller;
use crate::domain::cell::{Cell, Event};
use crate::domain::effort::Speeds;
use crate::domain::facts::GridFacts;
use crate::domain::lease::LeaseRules;
use crate::domain::node::{Health, Node, NodeState};
use crate::domain::share::Shares;
use crate::limits::Limit;
use crate::metrics::Metrics;
use crate::store::{Measurement, NewGrid, Steering, Store, StoreError, Submitted, Verdict};

/// How often whoever waits for a change looks without having heard a bell.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A node that was not heard of for so long does not count as active: several renewals are missing.
const ACTIVE_FOR: Duration = Duration::from_secs(10);

/// The rules by which a ledger is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Of leases and attempts.
    pub lease: LeaseRules,
    /// Of who is served.
    pub shares: Shares,
}

/// The store with the bells.
#[derive(Debug)]
pub struct Ledger {
    store: Arc<Store>,
    clock: Clock,
    rules: Arc<Rules>,
    metrics: Arc<Metrics>,
    commits: Commits,
    facts: FactsCache,
    submitters: Owners<GridId>,
    node_identities: Owners<NodeId>,
    measurements: Measurements,
    sightings: Sightings,
    queued: watch::Sender<()>,
    changed: watch::Sender<()>,
}

impl Ledger {
    /// A ledger over a store. What commits lives until the ledger is dropped, on the runtime that this is called on.
    pub fn new(store: Arc<Store>, clock: Clock, rules: Rules, metrics: Arc<Metrics>) -> Self {
        let rules = Arc::new(rules);
        let committer = Committer {
            store: store.clone(),
            clock: clock.clone(),
            rules: rules.clone(),
            metrics: metrics.clone(),
        };
        Self {
            commits: Commits::start(committer),
            metrics,
            store,
            clock,
            rules,
            facts: FactsCache::default(),
            submitters: Owners::default(),
            node_identities: Owners::default(),
            measurements: Measurements::default(),
            sightings: Sightings::default(),
            queued: watch::Sender::new(()),
            changed: watch::Sender::new(()),
        }
    }

    /// The store, for reading and for what rings no bell.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What is counted of this coordinator.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The rules of leases.
    pub fn rules(&self) -> &LeaseRules {
        &self.rules.lease
    }

    /// The rules of who is served.
    pub fn shares(&self) -> &Shares {
        &self.rules.shares
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Rings when cells were queued. Take the bell before looking, so that none is missed between.
    pub fn queued_bell(&self) -> watch::Receiver<()> {
        self.queued.subscribe()
    }

    /// Rings when a grid or a cell changed.
    pub fn changed_bell(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// What never changes of a grid.
    ///
    /// # Errors
    /// When there is no such grid, or the store fails.
    pub async fn facts(&self, grid: GridId) -> Result<Arc<GridFacts>, StoreError> {
        let fetch = async {
            let facts = GridFacts::new(grid, self.store.spec(grid).await?);
            Ok(facts.in_trace(self.store.trace_parent(grid).await?))
        };
        self.facts.get(grid, fetch).await
    }

    /// Who submitted a grid, which never changes. That there is such a grid is only certain where something else is asked of it.
    ///
    /// # Errors
    /// When there never was such a grid, or the store fails.
    pub async fn submitter(&self, grid: GridId) -> Result<Arc<str>, StoreError> {
        if let Some(submitter) = self.submitters.get(&grid) {
            return Ok(submitter);
        }
        let submitter: Arc<str> = self.store.summary(grid).await?.submitter.into();
        self.submitters.insert(grid, submitter.clone());
        Ok(submitter)
    }

    /// What is known of how long cells take; some seconds old.
    pub fn speeds(&self) -> Arc<Speeds> {
        self.measurements.speeds()
    }

    /// Notes how long a cell took.
    pub fn measured(&self, measurement: Measurement) {
        self.measurements.note(measurement);
    }

    /// Keeps what a node says of itself, and whose it is; see [`Store::register_node`].
    pub async fn register_node(&self, node: &Node, caller: &Caller) -> Result<(), StoreError> {
        let identity = caller.name();
        self.store.register_node(node, identity, self.now()).await?;
        if let Some(identity) = identity {
            self.node_identities.insert(node.id, identity.into());
        }
        Ok(())
    }

    /// Notes that somebody called as a node.
    ///
    /// # Errors
    /// [`StoreError::UnknownNode`] if it has not registered, [`StoreError::ForeignNode`] if it belongs to another identity.
    pub async fn node_seen(&self, node: NodeId, caller: &Caller) -> Result<(), StoreError> {
        self.check_identity(node, caller).await?;
        if !self.sightings.knows(node) {
            self.store.node(node).await?;
        }
        self.sightings.note(node, self.now());
        Ok(())
    }

    async fn check_identity(&self, node: NodeId, caller: &Caller) -> Result<(), StoreError> {
        let Some(name) = caller.name() else {
            return Ok(());
        };
        let known = self.node_identities.get(&node);
        let identity = if let Some(identity) = known {
            identity
        } else {
            let identity: Arc<str> = self.store.node(node).await?.identity.into();
            if identity.is_empty() {
                // From before it was asked who calls: it registers once more, and is its identity's from then on.
                return Err(StoreError::UnknownNode(node));
            }
            self.node_identities.insert(node, identity.clone());
            identity
        };
        if *identity == *name {
            Ok(())
        } else {
            Err(StoreError::ForeignNode(node))
        }
    }

    /// Keeps how a node gets on; see [`Store::set_health`].
    pub async fn set_health(&self, node: NodeId, health: &Health) -> Result<(), StoreError> {
        self.store.set_health(node, health).await?;
        let is_draining = matches!(health.state, NodeState::Draining { .. });
        self.sightings.set_draining(node, is_draining);
        Ok(())
    }

    /// Keeps in what state somebody orders a node to be.
    pub async fn order(&self, node: NodeId, state: NodeState) -> Result<(), StoreError> {
        self.set_health(node, &Health::ordered(state)).await
    }

    /// Whether a node is to leave; what was said at another coordinator is known here some seconds later.
    pub fn is_draining(&self, node: NodeId) -> bool {
        self.sightings.is_draining(node)
    }

    /// How many nodes are heard of, here or at another coordinator of the database; who came or went there is known here some
    /// seconds later.
    pub fn nodes_active(&self) -> usize {
        self.sightings.since(self.active_since())
    }

    fn active_since(&self) -> Timestamp {
        let now = self.now();
        now.checked_sub(ACTIVE_FOR).unwrap_or(now)
    }

    /// Keeps what was noted, and learns what others noted.
    ///
    /// # Errors
    /// When the store fails; what was noted is then kept the next time.
    pub async fn keep_notes(&self) -> Result<(), StoreError> {
        self.measurements.keep(self.store()).await?;
        self.sightings.keep(self.store(), self.active_since()).await
    }

    /// Keeps a grid; see [`Store::create_grid`].
    pub async fn create_grid(&self, grid: NewGrid) -> Result<(Submitted, bool), StoreError> {
        let created = self
            .store
            .create_grid(grid, self.now(), self.shares())
            .await
            .inspect_err(|error| {
                if matches!(error, StoreError::TooManyOpen { .. }) {
                    self.metrics.refused(Limit::OpenCells);
                }
            })?;
        self.ring_queued().await;
        self.changed.send_replace(());
        Ok(created)
    }

    /// Pauses, resumes or re-prioritises a grid; see [`Store::steer`].
    pub async fn steer(&self, grid: GridId, steering: Steering) -> Result<bool, StoreError> {
        let steered = self.store.steer(grid, steering).await?;
        if steered {
            self.ring_queued().await;
            self.changed.send_replace(());
        }
        Ok(steered)
    }

    /// Cancels a grid; see [`Store::cancel_grid`].
    pub async fn cancel_grid(&self, grid: GridId) -> Result<u32, StoreError> {
        let cancelled = self.store.cancel_grid(grid, self.now()).await?;
        self.changed.send_replace(());
        Ok(cancelled)
    }

    /// Queues cells anew; see [`Store::retry`].
    pub async fn retry(&self, grid: GridId, places: Option<&[u32]>) -> Result<u32, StoreError> {
        let now = self.now();
        let queued = self.store.retry(grid, places, now, self.rules()).await?;
        if queued > 0 {
            self.ring_queued().await;
            self.changed.send_replace(());
        }
        Ok(queued)
    }

    /// Marks a grid deleted; see [`Store::delete_grid`].
    pub async fn delete_grid(&self, grid: GridId) -> Result<(), StoreError> {
        self.store.delete_grid(grid, self.now()).await?;
        self.facts.forget(grid);
        self.changed.send_replace(());
        Ok(())
    }

    /// Applies events to cells; see [`Store::apply`].
    pub async fn apply(&self, events: Vec<(CellId, Event)>) -> Result<Vec<Verdict>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let verdicts = self.commits.apply(events).await?;
        for applied in verdicts.iter().filter_map(|verdict| verdict.as_ref().ok()) {
            self.metrics.applied(applied);
        }
        let changed = || {
            let applied = verdicts.iter().filter_map(|verdict| verdict.as_ref().ok());
            applied.filter(|applied| applied.changed)
        };
        if changed().any(|applied| matches!(applied.cell, Cell::Queued { .. })) {
            self.ring_queued().await;
        }
        if changed().next().is_some() {
            self.changed.send_replace(());
        }
        Ok(verdicts)
    }

    /// Keeps that a gallery is complete; see [`Store::gallery_complete`].
    pub async fn gallery_complete(&self, grid: GridId, sequence: u64) -> Result<bool, StoreError> {
        let kept = self.store.gallery_complete(grid, sequence).await?;
        if kept {
            self.changed.send_replace(());
        }
        Ok(kept)
    }

    /// Rings here when cells were queued through another process.
    ///
    /// # Errors
    /// When that can no longer be heard.
    pub async fn hear_others(&self) -> Result<(), StoreError> {
        let rung = || {
            self.queued.send_replace(());
        };
        self.store.listen(&rung).await
    }

    async fn ring_queued(&self) {
        self.queued.send_replace(());
        // Whoever does not hear it looks after a while.
        if let Err(error) = self.store.ring().await {
            tracing::debug!(%error, "other coordinators cannot be told of queued cells");
        }
    }
}
