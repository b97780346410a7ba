//! What is still to be told to webhooks.
//!
//! An end of a grid is kept in the transaction in which the grid ends. Whoever leads hands it out as deliveries, one for each
//! webhook that wants it, each of which stays until it was taken or given up. So an end that is not given up is told at least
//! once, and told by the same id however often.

use atelier_proto::ids::EndingId;
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::error::damaged;
use super::rows::{Row, milliseconds};
use super::{Store, StoreError};
use crate::domain::ending::{Ending, Untold};
use crate::domain::summary::GridSummary;

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

impl Store {
    /// Ends of grids that may be told now, the longest ago first: their gallery is complete, or will not be, since the grid
    /// was tried again or forgotten, or they ended before a time and wait no longer.
    pub async fn endings(
        &self,
        ended_before: Timestamp,
        endings_max: u32,
    ) -> Result<Vec<Untold>, StoreError> {
        // A grid that was tried again has a later end than this one, or none.
        let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
            "SELECT e.ending_id, e.ending, e.labels,
                    CASE WHEN g.finished_at_ms = e.ended_at_ms THEN g.gallery_complete ELSE CAST(0 AS BIGINT) END
             FROM endings e LEFT JOIN grids g ON g.grid_id = e.grid_id AND g.state <> 'deleted'
             WHERE e.ended_at_ms < $1 OR g.grid_id IS NULL OR g.finished_at_ms IS NULL
                OR g.finished_at_ms <> e.ended_at_ms OR g.gallery_complete = 1
             ORDER BY e.ending_id LIMIT $2",
        )
        .bind(milliseconds(ended_before))
        .bind(i64::from(endings_max))
        .fetch_all(&mut *self.read_once().await?)
        .await?;
        rows.into_iter()
            .map(|(id, ending, labels, gallery_complete)| {
                let row = Row {
                    table: "ending",
                    id: &id,
                };
                Ok(Untold {
                    id: row.parsed(&id)?,
                    ending: row.json(&ending)?,
                    labels: row.json(&labels)?,
                    gallery_complete: gallery_complete == 1,
                })
            })
            .collect()
    }

    /// Has an end be delivered to webhooks, each with what is sent, and keeps it no more itself; nothing if that was done
    /// before.
    pub async fn hand_out(
        &self,
        ending: EndingId,
        deliveries: &[(&str, String)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        // Whoever removes the row hands out, so that two who lead for a moment do not both.
        let removed = sqlx::query("DELETE FROM endings WHERE ending_id = $1")
            .bind(ending.to_string())
            .execute(&mut *transaction)
            .await?;
        if removed.rows_affected() == 0 {
            return Ok(());
        }
        for (webhook, body) in deliveries {
            sqlx::query(
                "INSERT INTO deliveries (webhook, ending_id, body, begun_at_ms, due_at_ms) VALUES ($1, $2, $3, $4, $4)",
            )
            .bind((*webhook).to_owned())
            .bind(ending.to_string())
            .bind(body.clone())
            .bind(milliseconds(now))
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Forgets every end that was not handed out; how many those were.
    pub async fn forget_endings(&self) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let removed = sqlx::query("DELETE FROM endings")
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(removed.rows_affected())
    }

    /// Deliveries to a webhook that are due, the longest first.
    pub async fn due_deliveries(
        &self,
        webhook: &str,
        now: Timestamp,
        deliveries_max: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
            "SELECT ending_id, body, begun_at_ms, attempts FROM deliveries
             WHERE webhook = $1 AND due_at_ms <= $2 ORDER BY due_at_ms, ending_id LIMIT $3",
        )
        .bind(webhook.to_owned())
        .bind(milliseconds(now))
        .bind(i64::from(deliveries_max))
        .fetch_all(&mut *self.read_once().await?)
        .await?;
        rows.into_iter()
            .map(|(ending, body, begun_at, attempts)| {
                let row = Row {
                    table: "delivery",
                    id: &ending,
                };
                Ok(Delivery {
                    ending: row.parsed(&ending)?,
                    body,
                    begun_at: row.time(begun_at)?,
                    attempts: row.count(attempts)?,
                })
            })
            .collect()
    }

    /// When the next delivery to a webhook is due.
    pub async fn next_delivery(&self, webhook: &str) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> =
            sqlx::query_scalar("SELECT min(due_at_ms) FROM deliveries WHERE webhook = $1")
                .bind(webhook.to_owned())
                .fetch_one(&mut *self.read_once().await?)
                .await?;
        let row = Row {
            table: "delivery",
            id: &webhook,
        };
        due.map(|due| row.time(due)).transpose()
    }

    /// Keeps what became of an attempt, and counts it.
    pub async fn delivery_tried(
        &self,
        webhook: &str,
        ending: EndingId,
        fate: Fate,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        let (counts, due_at) = match fate {
            Fate::Delivered => ([1, 0, 0], None),
            Fate::PutOff(due_at) => ([0, 1, 0], Some(due_at)),
            Fate::GivenUp => ([0, 1, 1], None),
        };
        let statement = match due_at {
            None => "DELETE FROM deliveries WHERE webhook = $1 AND ending_id = $2",
            Some(_) => {
                "UPDATE deliveries SET attempts = attempts + 1, due_at_ms = $3 WHERE webhook = $1 AND ending_id = $2"
            }
        };
        let mut tried = sqlx::query(statement)
            .bind(webhook.to_owned())
            .bind(ending.to_string());
        if let Some(due_at) = due_at {
            tried = tried.bind(milliseconds(due_at));
        }
        let changed = tried.execute(&mut *transaction).await?.rows_affected();
        // Another one may have seen to it, who led at the same time for a moment.
        if changed == 1 {
            count(&mut transaction, webhook, counts).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Gives up the deliveries to a webhook that have waited the longest, so that no more than so many are left; how many
    /// those were.
    pub async fn bound_deliveries(
        &self,
        webhook: &str,
        deliveries_max: u32,
    ) -> Result<u64, StoreError> {
        let pending: i64 = sqlx::query_scalar("SELECT count(*) FROM deliveries WHERE webhook = $1")
            .bind(webhook.to_owned())
            .fetch_one(&mut *self.read_once().await?)
            .await?;
        if pending <= i64::from(deliveries_max) {
            return Ok(0);
        }
        let mut transaction = self.write().await?;
        let removed = sqlx::query(
            "DELETE FROM deliveries WHERE webhook = $1 AND ending_id NOT IN (
                 SELECT ending_id FROM deliveries WHERE webhook = $1 ORDER BY ending_id DESC LIMIT $2)",
        )
        .bind(webhook.to_owned())
        .bind(i64::from(deliveries_max))
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if removed > 0 {
            let given_up = i64::try_from(removed).unwrap_or(i64::MAX);
            count(&mut transaction, webhook, [0, 0, given_up]).await?;
        }
        transaction.commit().await?;
        Ok(removed)
    }

    /// Forgets deliveries and counts of webhooks with other names than these; how many deliveries those were.
    pub async fn forget_webhooks_except(&self, webhooks: &[&str]) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let known: Vec<String> = (1..=webhooks.len()).map(|it| format!("${it}")).collect();
        let condition = if known.is_empty() {
            String::new()
        } else {
            format!(" WHERE webhook NOT IN ({})", known.join(", "))
        };
        let mut removed = 0;
        for table in ["webhooks", "deliveries"] {
            let statement = format!("DELETE FROM {table}{condition}");
            let mut query = sqlx::query(AssertSqlSafe(statement));
            for webhook in webhooks {
                query = query.bind((*webhook).to_owned());
            }
            removed = query.execute(&mut *transaction).await?.rows_affected();
        }
        transaction.commit().await?;
        Ok(removed)
    }

    /// How each webhook gets on, by name.
    pub async fn tallies(&self) -> Result<Vec<Tally>, StoreError> {
        let rows: Vec<(String, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT names.webhook, (SELECT count(*) FROM deliveries d WHERE d.webhook = names.webhook),
                    coalesce(w.delivered, 0), coalesce(w.failed, 0), coalesce(w.given_up, 0)
             FROM (SELECT webhook FROM webhooks UNION SELECT webhook FROM deliveries) AS names
             LEFT JOIN webhooks w ON w.webhook = names.webhook ORDER BY names.webhook",
        )
        .fetch_all(&mut *self.read_once().await?)
        .await?;
        let tally =
            |(webhook, pending, delivered, failed, given_up): (String, i64, i64, i64, i64)| Tally {
                webhook,
                pending: pending.unsigned_abs(),
                delivered: delivered.unsigned_abs(),
                failed: failed.unsigned_abs(),
                given_up: given_up.unsigned_abs(),
            };
        Ok(rows.into_iter().map(tally).collect())
    }
}

/// Keeps that a grid has ended, in the transaction in which it does.
pub(super) async fn keep_ending(
    connection: &mut AnyConnection,
    summary: &GridSummary,
) -> Result<(), StoreError> {
    let Some(ending) = Ending::of(summary) else {
        return Ok(());
    };
    let id = EndingId::generate();
    let text = serde_json::to_string(&ending).map_err(|error| damaged("ending", id, &error))?;
    sqlx::query(
        "INSERT INTO endings (ending_id, grid_id, ended_at_ms, ending, labels)
         SELECT $1, grid_id, $2, $3, labels FROM grids WHERE grid_id = $4",
    )
    .bind(id.to_string())
    .bind(milliseconds(ending.ended_at))
    .bind(text)
    .bind(ending.grid.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Counts what became of deliveries to a webhook: taken, failed, given up.
async fn count(
    connection: &mut AnyConnection,
    webhook: &str,
    [delivered, failed, given_up]: [i64; 3],
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO webhooks (webhook, delivered, failed, given_up) VALUES ($1, $2, $3, $4)
         ON CONFLICT (webhook) DO UPDATE SET delivered = webhooks.delivered + $2, failed = webhooks.failed + $3,
             given_up = webhooks.given_up + $4",
    )
    .bind(webhook.to_owned())
    .bind(delivered)
    .bind(failed)
    .bind(given_up)
    .execute(connection)
    .await?;
    Ok(())
}
