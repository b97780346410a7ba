//! What one coordinator does for all that share a database: leases that run out, galleries, what is to be forgotten, the
//! size of the fleet, and webhooks.
//!
//! Serving has no leader. A coordinator that is late to learn that it leads no more does harm to nothing: every change goes
//! through the store, which decides.

use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::bucket::Bucket;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::collector::Keeping;
use crate::health::Health;
use crate::ledger::Ledger;
use crate::publisher::Publisher;
use crate::scaler::Scaling;
use crate::store::Leadership;
use crate::webhooks::Webhook;
use crate::{collector, expiry, scaler, webhooks};

/// How often whoever leads asks whether it still does, and the others whether they may.
const INTERVAL: Duration = Duration::from_secs(2);

/// Does the duties whenever this coordinator leads, until `shutdown`.
pub async fn run(
    ledger: Arc<Ledger>,
    bucket: Bucket,
    keeping: Keeping,
    scaling: Arc<Scaling>,
    told: Arc<[Webhook]>,
    health: Arc<Health>,
    shutdown: CancellationToken,
) {
    while !shutdown.is_cancelled() {
        match ledger.store().lead().await {
            Ok(Some(leadership)) => {
                let leads = &ledger.metrics().leads;
                leads.set(1.0);
                let term = shutdown.child_token();
                let mut duties = JoinSet::new();
                duties.spawn(expiry::run(ledger.clone(), term.clone()));
                let publisher = Publisher::new(ledger.clone(), bucket.clone());
                duties.spawn(publisher.run(term.clone()));
                let collecting =
                    collector::run(ledger.clone(), bucket.clone(), keeping, term.clone());
                duties.spawn(collecting);
                duties.spawn(scaler::run(ledger.clone(), scaling.clone(), term.clone()));
                duties.spawn(webhooks::run(ledger.clone(), told.clone(), term.clone()));
                let lost = until_lost(leadership, &health, &shutdown);
                serve(duties, &term, lost).await;
                leads.set(0.0);
            }
            Ok(None) => health.leader_seen(),
            Err(error) => tracing::warn!(%error, "cannot tell who leads; trying again"),
        }
        shutdown
            .run_until_cancelled(tokio::time::sleep(INTERVAL))
            .await;
    }
}

/// Waits until leading is over, or one of the duties is: none ends before its term unless it panicked, and no cell is to wait
/// for what is not there any more. Then the others end, too, and whoever leads next begins all of them anew.
async fn serve(mut duties: JoinSet<()>, term: &CancellationToken, lost: impl Future<Output = ()>) {
    tokio::select! {
        () = lost => {}
        Some(ended) = duties.join_next() => if !term.is_cancelled() {
            tracing::error!(?ended, "a duty of who leads ended early; all begin anew");
        }
    }
    term.cancel();
    while duties.join_next().await.is_some() {}
}

async fn until_lost(mut leadership: Leadership, health: &Health, shutdown: &CancellationToken) {
    tracing::info!("leading");
    loop {
        health.leader_seen();
        let waited = shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL));
        if waited.await.is_none() {
            return;
        }
        if !leadership.is_held().await {
            tracing::warn!("leading no more: the database was out of reach");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_duty_that_panics_ends_the_term_of_all() {
        let term = CancellationToken::new();
        let mut duties = JoinSet::new();
        let other = term.clone();
        duties.spawn(async move { other.cancelled().await });
        duties.spawn(async { panic!("a duty that panics") });
        serve(duties, &term, std::future::pending()).await;
        assert!(term.is_cancelled());
    }
}
