//! The store, the clock and the rules in one hand, and the bells that tell who waits that something has happened.
//!
//! Whoever changes a grid or a cell does it through here, so that nobody forgets to ring. The bells carry no state:
//! whoever misses one looks again after [`POLL_INTERVAL`], which is also how a change by another process would be seen.

use std::sync::Arc;
use std::time::Duration;

use atelier_proto::clock::Clock;
use atelier_proto::ids::{CellId, GridId};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::domain::cell::{Cell, Event};
use crate::domain::lease::LeaseRules;
use crate::store::{NewGrid, Store, StoreError, Submitted, Verdict};

/// How often whoever waits for a change looks without having heard a bell.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The store with the bells.
#[derive(Debug)]
pub struct Ledger {
    store: Arc<dyn Store>,
    clock: Clock,
    rules: LeaseRules,
    queued: watch::Sender<()>,
    changed: watch::Sender<()>,
}

impl Ledger {
    /// A ledger over a store.
    pub fn new(store: Arc<dyn Store>, clock: Clock, rules: LeaseRules) -> Self {
        Self {
            store,
            clock,
            rules,
            queued: watch::Sender::new(()),
            changed: watch::Sender::new(()),
        }
    }

    /// The store, for reading and for what rings no bell.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The rules of leases.
    pub fn rules(&self) -> &LeaseRules {
        &self.rules
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

    /// Keeps a grid; see [`Store::create_grid`].
    pub async fn create_grid(&self, grid: NewGrid) -> Result<(Submitted, bool), StoreError> {
        let created = self.store.create_grid(grid, self.now()).await?;
        self.queued.send_replace(());
        self.changed.send_replace(());
        Ok(created)
    }

    /// Cancels a grid; see [`Store::cancel_grid`].
    pub async fn cancel_grid(&self, grid: GridId) -> Result<u32, StoreError> {
        let cancelled = self
            .store
            .cancel_grid(grid, self.now(), &self.rules)
            .await?;
        self.changed.send_replace(());
        Ok(cancelled)
    }

    /// Applies events to cells; see [`Store::apply`].
    pub async fn apply(&self, events: Vec<(CellId, Event)>) -> Result<Vec<Verdict>, StoreError> {
        let verdicts = self.store.apply(events, self.now(), &self.rules).await?;
        let changed = || {
            let applied = verdicts.iter().filter_map(|verdict| verdict.as_ref().ok());
            applied.filter(|applied| applied.changed)
        };
        if changed().any(|applied| matches!(applied.cell, Cell::Queued { .. })) {
            self.queued.send_replace(());
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
}
