//! Tells others that a grid has ended: programs of the operator's, at URLs that only the operator names.
//!
//! What is to be told lies in the store's outbox, so that a restart, an outage of a receiver or a change of who leads lose
//! nothing. Here ends of grids are handed out to the webhooks that want them, and each webhook has a courier of its own, so that
//! a slow receiver holds up nobody else. An end is told when the gallery shows it, or some time after.
//!
//! [`mod@file`] is what operators write, [`body`] what receivers read, [`signature`] how they know from whom it is, [`sender`] the
//! only code that calls them; when something is tried again is decided in [`crate::domain::delivery`].

mod body;
mod file;
mod sender;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[cfg(any(test, fuzzing))]
pub(crate) use self::file::fuzzing;
pub use self::file::{Webhook, WebhooksError, load};
use self::sender::Sender;
use crate::domain::delivery::{Answer, next_attempt};
use crate::ledger::{Ledger, POLL_INTERVAL};
use crate::store::StoreError;
use crate::store::outbox::{Delivery, Fate};

/// How long the end of a grid waits for its gallery to be complete before it is told all the same.
const GALLERY_PATIENCE: Duration = Duration::from_mins(2);
/// Ends handed out in one round.
const ENDINGS_MAX: u32 = 100;
/// Deliveries that one webhook waits for at most; the oldest are given up for newer ones.
const PENDING_MAX: u32 = 10_000;
/// Deliveries of one webhook that are looked up at once.
const ROUND_MAX: u32 = 32;
/// Deliveries to one webhook at the same time.
const AT_ONCE_MAX: usize = 4;
/// How long a courier sleeps at most: the time of day may jump.
const SLEEP_MAX: Duration = Duration::from_mins(1);
/// Without webhooks, how often ends are forgotten that nobody wants to hear of.
const FORGET_INTERVAL: Duration = Duration::from_mins(1);

/// Tells webhooks of what is in the outbox, until `shutdown`.
pub async fn run(ledger: Arc<Ledger>, webhooks: Arc<[Webhook]>, shutdown: CancellationToken) {
    let names: Vec<&str> = webhooks.iter().map(|it| it.name.as_str()).collect();
    match ledger.store().forget_webhooks_except(&names).await {
        Ok(0) => {}
        Ok(deliveries) => {
            tracing::warn!(
                deliveries,
                "given up: their webhooks are configured no more"
            );
        }
        Err(error) => tracing::warn!(%error, "deliveries of former webhooks stay"),
    }
    if webhooks.is_empty() {
        forget(&ledger, &shutdown).await;
        return;
    }
    let sender = match Sender::new() {
        Ok(sender) => sender,
        Err(error) => {
            tracing::error!(%error, "webhooks are told nothing: there is no HTTP client");
            shutdown.cancelled().await;
            return;
        }
    };
    let handed_out = watch::Sender::new(());
    let couriers = TaskTracker::new();
    for webhook in webhooks.iter() {
        let courier = Courier {
            ledger: ledger.clone(),
            webhook: webhook.clone(),
            sender: sender.clone(),
        };
        couriers.spawn(courier.run(handed_out.subscribe(), shutdown.clone()));
    }
    couriers.close();
    hand_out_all(&ledger, &webhooks, &handed_out, &shutdown).await;
    couriers.wait().await;
}

/// Forgets what nobody wants to hear of.
async fn forget(ledger: &Ledger, shutdown: &CancellationToken) {
    loop {
        if let Err(error) = ledger.store().forget_endings().await {
            tracing::warn!(%error, "ends of grids that nobody is told of stay; trying again");
        }
        let sleeping = shutdown.run_until_cancelled(tokio::time::sleep(FORGET_INTERVAL));
        if sleeping.await.is_none() {
            return;
        }
    }
}

/// Hands out ends as they come, and tells the couriers.
async fn hand_out_all(
    ledger: &Ledger,
    webhooks: &[Webhook],
    handed_out: &watch::Sender<()>,
    shutdown: &CancellationToken,
) {
    loop {
        match shutdown
            .run_until_cancelled(hand_out(ledger, webhooks))
            .await
        {
            None => return,
            Some(Ok(0)) => {}
            Some(Ok(_)) => {
                handed_out.send_replace(());
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot tell which grids have ended; trying again");
            }
        }
        let sleeping = shutdown.run_until_cancelled(tokio::time::sleep(POLL_INTERVAL));
        if sleeping.await.is_none() {
            return;
        }
    }
}

/// Hands out the ends that may be told; how many deliveries they became.
async fn hand_out(ledger: &Ledger, webhooks: &[Webhook]) -> Result<usize, StoreError> {
    let store = ledger.store();
    let mut handed_out = 0;
    loop {
        let now = ledger.now();
        let ended_before = now.checked_sub(GALLERY_PATIENCE).unwrap_or(Timestamp::MIN);
        let endings = store.endings(ended_before, ENDINGS_MAX).await?;
        for untold in &endings {
            let wanted_by = webhooks.iter().filter(|it| it.wants(&untold.ending));
            let body = body::of(untold);
            let deliveries: Vec<_> = wanted_by
                .map(|webhook| (webhook.name.as_str(), body.clone()))
                .collect();
            store.hand_out(untold.id, &deliveries, now).await?;
            handed_out += deliveries.len();
        }
        if endings.len() < ENDINGS_MAX as usize {
            break;
        }
    }
    if handed_out > 0 {
        for webhook in webhooks {
            let given_up = store.bound_deliveries(&webhook.name, PENDING_MAX).await?;
            if given_up > 0 {
                tracing::warn!(
                    webhook = webhook.name,
                    given_up,
                    "too many deliveries wait: the oldest are given up"
                );
            }
        }
    }
    Ok(handed_out)
}

/// Delivers to one webhook.
struct Courier {
    ledger: Arc<Ledger>,
    webhook: Webhook,
    sender: Sender,
}

impl Courier {
    async fn run(self, mut handed_out: watch::Receiver<()>, shutdown: CancellationToken) {
        let webhook = self.webhook.name.as_str();
        loop {
            handed_out.mark_unchanged();
            // To be cut off between an answer and its note means that the same is told again, by the same id.
            let round = shutdown.run_until_cancelled(self.round()).await;
            let sleep = match round {
                None => return,
                Some(Ok(sleep)) => sleep,
                Some(Err(error)) => {
                    tracing::warn!(webhook, %error, "the outbox cannot be read or written; trying again");
                    POLL_INTERVAL
                }
            };
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                _ = handed_out.changed() => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Tries what is due; how long there is nothing more to do.
    async fn round(&self) -> Result<Duration, StoreError> {
        let store = self.ledger.store();
        let name = self.webhook.name.as_str();
        let now = self.ledger.now();
        let due = store.due_deliveries(name, now, ROUND_MAX).await?;
        let tried: Vec<Result<(), StoreError>> = futures::stream::iter(due)
            .map(|delivery| self.deliver(delivery))
            .buffer_unordered(AT_ONCE_MAX)
            .collect()
            .await;
        tried.into_iter().collect::<Result<(), StoreError>>()?;
        let Some(next) = store.next_delivery(name).await? else {
            return Ok(SLEEP_MAX);
        };
        let until = next.duration_since(self.ledger.now());
        Ok(Duration::try_from(until).unwrap_or_default().min(SLEEP_MAX))
    }

    async fn deliver(&self, delivery: Delivery) -> Result<(), StoreError> {
        let (webhook, attempts) = (self.webhook.name.as_str(), delivery.attempts + 1);
        let id = delivery.ending;
        let sent = self
            .sender
            .send(&self.webhook, id, &delivery.body, self.ledger.now())
            .await;
        let (answer, problem) = match sent {
            Ok((answer, told)) => (answer, told),
            Err(problem) => (Answer::NotNow(None), problem),
        };
        let now = self.ledger.now();
        let next = match answer {
            Answer::Taken => {
                tracing::info!(webhook, %id, attempts, "told a webhook");
                return self.keep(&delivery, Fate::Delivered).await;
            }
            Answer::Gone => None,
            Answer::NotNow(asked_for) => {
                next_attempt(delivery.begun_at, attempts, asked_for, chance(), now)
            }
        };
        if let Some(due) = next {
            tracing::warn!(webhook, %id, attempts, problem, next = %due, "a webhook was not told yet");
            self.keep(&delivery, Fate::PutOff(due)).await
        } else {
            tracing::error!(webhook, %id, attempts, problem, "a webhook is not told: given up");
            self.keep(&delivery, Fate::GivenUp).await
        }
    }

    async fn keep(&self, delivery: &Delivery, fate: Fate) -> Result<(), StoreError> {
        let store = self.ledger.store();
        store
            .delivery_tried(&self.webhook.name, delivery.ending, fate)
            .await
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    // Without chance deliveries are tried at the same time, which is no reason to try none.
    f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
