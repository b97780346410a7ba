//! Removes what is of no more use: deleted grids with their objects, objects that nothing refers to, grids whose history
//! has run out, nodes that are gone.
//!
//! A node that was cut off may put a picture after anybody waits for it: as long as the requests hold that it had signed
//! (`--url-duration`, which no grace period is shorter than), and as one that began then takes. So a grid's place in the bucket
//! is looked through some time after it has ended ([`Keeping::grace_period`]), and that of a deleted one twice. Whatever is removed
//! was listed before it was looked for what refers to it, and nothing did.

mod inputs;
mod objects;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::bucket::{Bucket, BucketError};
use atelier_proto::ids::GridId;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::ledger::{Ledger, POLL_INTERVAL};
use crate::store::StoreError;

/// Grids of one round.
const GRIDS_MAX: u32 = 16;
/// How often all but deleted grids are looked for.
const INTERVAL: Duration = Duration::from_mins(1);
/// How often inputs are looked through.
const INPUTS_INTERVAL: Duration = Duration::from_hours(1);
/// Nodes that were not heard of for so long are forgotten.
const NODE_AGE_MAX: Duration = Duration::from_hours(24 * 7);
/// How long to wait after something could not be removed.
const RETRY_DELAY: Duration = Duration::from_secs(10);

/// How long things are kept that are of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// How long grids are known after they have ended, if not for ever; their galleries stay.
    pub history: Option<Duration>,
    /// How long inputs are kept that no grid refers to, if not for ever.
    pub unused_inputs: Option<Duration>,
    /// How long after its end a grid's objects are looked through: longer than what was signed for a node that was cut off holds.
    pub grace_period: Duration,
}

/// Why something is still there.
#[derive(Debug, thiserror::Error)]
enum CollectError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

/// Removes until `shutdown`.
pub async fn run(
    ledger: Arc<Ledger>,
    bucket: Bucket,
    keeping: Keeping,
    shutdown: CancellationToken,
) {
    let mut collector = Collector {
        ledger: &ledger,
        bucket: &bucket,
        keeping,
        removed_once: HashSet::new(),
        looked_at: None,
        inputs_looked_at: None,
    };
    let mut bell = ledger.changed_bell();
    loop {
        bell.mark_unchanged();
        let wait = match shutdown.run_until_cancelled(collector.round()).await {
            None => return,
            Some(Ok(())) => POLL_INTERVAL,
            Some(Err(error)) => {
                tracing::warn!(%error, "what is to be removed is still there; trying again");
                RETRY_DELAY
            }
        };
        let waiting = async {
            let _ = tokio::time::timeout(POLL_INTERVAL, bell.changed()).await;
            tokio::time::sleep(wait).await;
        };
        if shutdown.run_until_cancelled(waiting).await.is_none() {
            return;
        }
    }
}

struct Collector<'a> {
    ledger: &'a Ledger,
    bucket: &'a Bucket,
    keeping: Keeping,
    /// Deleted grids whose objects this process has removed a first time.
    removed_once: HashSet<GridId>,
    looked_at: Option<Timestamp>,
    inputs_looked_at: Option<Timestamp>,
}

impl Collector<'_> {
    async fn round(&mut self) -> Result<(), CollectError> {
        self.deleted_grids().await?;
        let now = self.ledger.now();
        if is_due(self.looked_at, INTERVAL.min(self.keeping.grace_period), now) {
            let were_all = self.ended_grids(now).await? & self.history(now).await?;
            // Where more wait than one round takes, the next goes on with them.
            self.looked_at = were_all.then_some(now);
        }
        if let Some(age) = self.keeping.unused_inputs
            && is_due(self.inputs_looked_at, INPUTS_INTERVAL.min(age), now)
        {
            inputs::remove_unused(self.ledger, self.bucket, before(now, age)).await?;
            self.inputs_looked_at = Some(now);
        }
        Ok(())
    }

    async fn deleted_grids(&mut self) -> Result<(), CollectError> {
        let store = self.ledger.store();
        // Those that only wait for the grace period to be over hold up no other one.
        let waiting = self.removed_once.len() as u32;
        for (grid, deleted_at) in store.deleted(waiting + GRIDS_MAX).await? {
            let is_over = deleted_at <= before(self.ledger.now(), self.keeping.grace_period);
            if !is_over && self.removed_once.contains(&grid) {
                continue;
            }
            let objects = objects::remove_all(self.bucket, grid).await?;
            tracing::info!(%grid, objects, "removed a deleted grid's objects");
            if is_over {
                // The rows last: as long as they are there, objects are looked for.
                store.forget_grid(grid, true).await?;
                self.removed_once.remove(&grid);
            } else {
                self.removed_once.insert(grid);
            }
        }
        Ok(())
    }

    /// Looks through grids that have ended; whether those were all.
    async fn ended_grids(&self, now: Timestamp) -> Result<bool, CollectError> {
        let store = self.ledger.store();
        let ended_before = before(now, self.keeping.grace_period);
        let unswept = store.unswept(ended_before, GRIDS_MAX).await?;
        let were_all = unswept.len() < GRIDS_MAX as usize;
        for grid in unswept {
            let orphans = objects::remove_orphans(self.ledger, self.bucket, grid).await?;
            if orphans > 0 {
                tracing::info!(%grid, orphans, "removed objects that nothing refers to");
            }
        }
        Ok(were_all)
    }

    /// Forgets grids and nodes of long ago; whether those were all.
    async fn history(&self, now: Timestamp) -> Result<bool, CollectError> {
        let store = self.ledger.store();
        store.forget_nodes(before(now, NODE_AGE_MAX)).await?;
        let Some(history) = self.keeping.history else {
            return Ok(true);
        };
        let ended = store.ended_before(before(now, history), GRIDS_MAX).await?;
        let were_all = ended.len() < GRIDS_MAX as usize;
        for grid in ended {
            store.forget_grid(grid, false).await?;
            tracing::info!(%grid, "its history has run out; its gallery stays");
        }
        Ok(were_all)
    }
}

fn is_due(looked_at: Option<Timestamp>, interval: Duration, now: Timestamp) -> bool {
    let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX);
    // A clock that jumped back makes it due, too.
    looked_at.is_none_or(|at| now < at || now.duration_since(at) >= interval)
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
