//! What one coordinator does for all that share a database: leases that run out, galleries, what is to be forgotten, the
//! size of the fleet, and webhooks.
//!
//! Serving has no leader. A coordinator that is late to learn that it leads no more does harm to nothing: every change goes
//! through the store, which decides.

use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::bucket::Bucket;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
                let duties = TaskTracker::new();
                duties.spawn(lasting("expiry", term.clone(), {
                    let ledger = ledger.clone();
                    move |term| expiry::run(ledger.clone(), term)
                }));
                duties.spawn(lasting("publisher", term.clone(), {
                    let (ledger, bucket) = (ledger.clone(), bucket.clone());
                    move |term| Publisher::new(ledger.clone(), bucket.clone()).run(term)
                }));
                duties.spawn(lasting("collector", term.clone(), {
                    let (ledger, bucket) = (ledger.clone(), bucket.clone());
                    move |term| collector::run(ledger.clone(), bucket.clone(), keeping, term)
                }));
                duties.spawn(lasting("scaler", term.clone(), {
                    let (ledger, scaling) = (ledger.clone(), scaling.clone());
                    move |term| scaler::run(ledger.clone(), scaling.clone(), term)
                }));
                duties.spawn(lasting("webhooks", term.clone(), {
                    let (ledger, told) = (ledger.clone(), told.clone());
                    move |term| webhooks::run(ledger.clone(), told.clone(), term)
                }));
                duties.close();
                until_lost(leadership, &health, &shutdown).await;
                term.cancel();
                duties.wait().await;
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

/// Does a duty until the term is over. One that ends before has panicked, and begins anew: no cell is to wait for what is not
/// there any more, and no other duty for this one.
async fn lasting<F>(
    duty: &'static str,
    term: CancellationToken,
    begin: impl Fn(CancellationToken) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let ended = tokio::spawn(begin(term.clone())).await;
        if term.is_cancelled() {
            return;
        }
        tracing::error!(
            duty,
            ?ended,
            "what whoever leads does has ended early; it begins anew"
        );
        let waited = term.run_until_cancelled(tokio::time::sleep(INTERVAL));
        if waited.await.is_none() {
            return;
        }
    }
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
    async fn a_duty_that_panics_begins_anew_until_the_term_is_over() {
        let term = CancellationToken::new();
        let (begun, mut times) = tokio::sync::watch::channel(0);
        let duty = tokio::spawn(lasting(
            "one that panics at first",
            term.clone(),
            move |term| {
                begun.send_modify(|times| *times += 1);
                let times = *begun.borrow();
                async move {
                    assert!(times > 1, "a duty that panics");
                    term.cancelled().await;
                }
            },
        ));
        times.wait_for(|times| *times == 2).await.unwrap();
        assert!(!duty.is_finished());
        term.cancel();
        duty.await.unwrap();
    }
}
