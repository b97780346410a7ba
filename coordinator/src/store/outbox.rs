//! What is still to be told to webhooks.
//!
//! An end of a grid is kept in the transaction in which the grid ends. Whoever leads hands it out as deliveries, one for each
//! webhook that wants it, each of which stays until it was taken or given up. So an end is told at least once, and told by
//! the same id however often.

use atelier_proto::ids::EndingId;
use jiff::Timestamp;

use super::StoreError;
use crate::domain::ending::Untold;

/// Something that a webhook is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The end that it tells of.
    pub ending: EndingId,
    /// What is sent.
    pub body: String,
    /// When it was handed out.
    pub begun_at: Timestamp,
    /// Attempts that failed.
    pub attempts: u32,
}

/// What became of an attempt to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was taken.
    Delivered,
    /// It failed, and is tried again.
    PutOff(Timestamp),
    /// It failed, and is not.
    GivenUp,
}

/// How a webhook gets on, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Name of the webhook.
    pub webhook: String,
    /// Deliveries that wait for their first or their next attempt.
    pub pending: u64,
    /// Deliveries that were taken.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Deliveries that were given up.
    pub given_up: u64,
}

/// The part of the store that keeps what is to be told.
#[async_trait::async_trait]
pub trait Outbox {
    /// Ends of grids that may be told now, the longest ago first: their gallery is complete, or will not be, since the grid
    /// was tried again or forgotten, or they ended before a time and wait no longer.
    async fn endings(
        &self,
        ended_before: Timestamp,
        endings_max: u32,
    ) -> Result<Vec<Untold>, StoreError>;

    /// Has an end be delivered to webhooks, each with what is sent, and keeps it no more itself; nothing if that was done
    /// before.
    async fn hand_out(
        &self,
        ending: EndingId,
        deliveries: &[(&str, String)],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Forgets every end that was not handed out; how many those were.
    async fn forget_endings(&self) -> Result<u64, StoreError>;

    /// Deliveries to a webhook that are due, the longest first.
    async fn due_deliveries(
        &self,
        webhook: &str,
        now: Timestamp,
        deliveries_max: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// When the next delivery to a webhook is due.
    async fn next_delivery(&self, webhook: &str) -> Result<Option<Timestamp>, StoreError>;

    /// Keeps what became of an attempt, and counts it.
    async fn delivery_tried(
        &self,
        webhook: &str,
        ending: EndingId,
        fate: Fate,
    ) -> Result<(), StoreError>;

    /// Gives up the deliveries to a webhook that have waited the longest, so that no more than so many are left; how many
    /// those were.
    async fn bound_deliveries(&self, webhook: &str, deliveries_max: u32)
    -> Result<u64, StoreError>;

    /// Forgets deliveries and counts of webhooks with other names than these; how many deliveries those were.
    async fn forget_webhooks_except(&self, webhooks: &[&str]) -> Result<u64, StoreError>;

    /// How each webhook gets on, by name.
    async fn tallies(&self) -> Result<Vec<Tally>, StoreError>;
}
