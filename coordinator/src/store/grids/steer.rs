//! What owners do with a grid: pause, resume and re-prioritise it, cancel it, have cells of it tried again.

use atelier_proto::ids::{CellId, GridId};
use jiff::Timestamp;
use sqlx::AnyConnection;

use crate::domain::cell::Event;
use crate::domain::lease::LeaseRules;
use crate::domain::share::Shares;
use crate::domain::summary::{GridState, GridSummary};
use crate::store::apply::apply;
use crate::store::rows::{milliseconds, stored_sequence};
use crate::store::summary::summary;
use crate::store::{Store, StoreError, Tables, line, outbox};

/// What is done with a grid that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steering {
    /// No more of its cells are handed out.
    Pause,
    /// They are again.
    Resume,
    /// It gets another share.
    Priority(i32),
}

impl Store {
    /// Pauses, resumes or re-prioritises a grid; false if it was so already.
    ///
    /// # Errors
    /// [`StoreError::WrongState`] if it has ended.
    pub async fn steer(&self, grid: GridId, steering: Steering) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let summary = locked(&mut self.tables(&mut transaction), grid).await?;
        let (state, priority) = match steering {
            Steering::Pause => (GridState::Paused, summary.priority),
            Steering::Resume => (GridState::Active, summary.priority),
            Steering::Priority(priority) => (summary.state, priority),
        };
        if summary.state.has_ended() {
            return Err(StoreError::WrongState {
                grid,
                state: summary.state,
                hint: ": it has ended",
            });
        }
        if (state, priority) == (summary.state, summary.priority) {
            return Ok(false);
        }
        if steering == Steering::Resume {
            line::level_submitter(&mut transaction, &summary.submitter).await?;
        }
        // A grid that has waited for nobody starts level with its siblings, as a new one does.
        sqlx::query(
            "UPDATE grids SET state = $2, priority = $3, sequence = sequence + 1,
                 pass = CASE WHEN state = $2 THEN pass ELSE coalesce((
                     SELECT max(level.pass) FROM (
                         SELECT grids.pass AS pass
                         UNION ALL
                         SELECT min(others.pass) FROM grids others
                         WHERE others.submitter = grids.submitter AND others.state = 'active' AND others.queued > 0
                     ) AS level), pass) END
             WHERE grid_id = $1",
        )
        .bind(grid.to_string())
        .bind(state.word().to_owned())
        .bind(i64::from(priority))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Cancels a grid and every cell of it that has not ended; how many those were. An ended grid stays as it is.
    pub async fn cancel_grid(&self, grid: GridId, now: Timestamp) -> Result<u32, StoreError> {
        let mut transaction = self.write().await?;
        let summary = locked(&mut self.tables(&mut transaction), grid).await?;
        if summary.state.has_ended() {
            return Ok(0);
        }
        let cancelled = cancel(&mut transaction, summary, now).await?;
        transaction.commit().await?;
        Ok(cancelled)
    }

    /// Queues the failed or cancelled cells at these places anew, all or none of them, or every failed one; how many.
    ///
    /// # Errors
    /// [`StoreError::NoRetry`] names the first that is not to be tried again.
    pub async fn retry(
        &self,
        grid: GridId,
        places: Option<&[u32]>,
        now: Timestamp,
        rules: &LeaseRules,
    ) -> Result<u32, StoreError> {
        let mut transaction = self.write().await?;
        let mut tables = self.tables(&mut transaction);
        let summary = locked(&mut tables, grid).await?;
        let queued = match places {
            None if summary.counts.failed == 0 => return Ok(0),
            None => {
                line::level_submitter(tables.connection, &summary.submitter).await?;
                retry_failed(tables.connection, &summary, now).await?;
                summary.counts.failed
            }
            Some(places) => {
                line::level_submitter(tables.connection, &summary.submitter).await?;
                let cells = places.iter().map(|place| CellId {
                    grid,
                    place: *place,
                });
                let events = cells.clone().map(|cell| (cell, Event::Retry)).collect();
                let even = Shares::even();
                let verdicts = apply(&mut tables, events, now, rules, &even).await?;
                for (cell, verdict) in cells.zip(&verdicts) {
                    if let Err(rejection) = verdict {
                        return Err(StoreError::NoRetry(cell, *rejection));
                    }
                }
                verdicts.len() as u32
            }
        };
        transaction.commit().await?;
        Ok(queued)
    }
}

/// One grid in short, which nobody else changes until the transaction has ended.
pub(super) async fn locked(
    tables: &mut Tables<'_>,
    grid: GridId,
) -> Result<GridSummary, StoreError> {
    summary(tables.connection, grid, tables.dialect.for_update()).await
}

/// What becomes of the cells is what [`Cell::apply`](crate::domain::cell::Cell::apply) makes of a cancel, in one statement for
/// however many they are.
async fn cancel(
    connection: &mut AnyConnection,
    mut summary: GridSummary,
    now: Timestamp,
) -> Result<u32, StoreError> {
    let cancelled = sqlx::query(
        "UPDATE cells SET state = 'cancelled', not_before_ms = NULL, lease_expires_at_ms = NULL, stalls_at_ms = NULL,
                begun_at_ms = NULL, evaluations_begun = 0, evaluations = 0, evaluations_planned = 0, loss = NULL,
                changed_sequence = $2
         WHERE grid_id = $1 AND state IN ('queued', 'leased', 'rendering')",
    )
    .bind(summary.grid.to_string())
    .bind(stored_sequence(summary.sequence + 1))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    sqlx::query(
        "UPDATE grids SET state = 'cancelled', finished_at_ms = $2, sequence = sequence + 1, queued = 0, leased = 0,
                rendering = 0, cancelled = cancelled + $3, work_open = 0
         WHERE grid_id = $1",
    )
    .bind(summary.grid.to_string())
    .bind(milliseconds(now))
    .bind(cancelled as i64)
    .execute(&mut *connection)
    .await?;
    (summary.state, summary.finished_at) = (GridState::Cancelled, Some(now));
    summary.counts.cancelled += cancelled as u32;
    outbox::keep_ending(connection, &summary).await?;
    Ok(cancelled as u32)
}

/// What becomes of the failed cells is what [`Cell::apply`](crate::domain::cell::Cell::apply) makes of a retry, in one statement
/// for however many they are.
async fn retry_failed(
    connection: &mut AnyConnection,
    summary: &GridSummary,
    now: Timestamp,
) -> Result<(), StoreError> {
    let work: f64 = sqlx::query_scalar(
        "SELECT CAST(coalesce(sum(work), 0) AS DOUBLE PRECISION) FROM cells WHERE grid_id = $1 AND state = 'failed'",
    )
    .bind(summary.grid.to_string())
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE cells SET state = 'queued', not_before_ms = $2, released = attempt, failed_on = '[]',
                changed_sequence = $3
         WHERE grid_id = $1 AND state = 'failed'",
    )
    .bind(summary.grid.to_string())
    .bind(milliseconds(now))
    .bind(stored_sequence(summary.sequence + 1))
    .execute(&mut *connection)
    .await?;
    let state = if summary.state == GridState::Paused {
        GridState::Paused
    } else {
        GridState::Active
    };
    sqlx::query(
        "UPDATE grids SET state = $2, finished_at_ms = NULL, sequence = sequence + 1, queued = queued + failed,
                failed = 0, work_open = work_open + $3, gallery_complete = 0, swept = 0
         WHERE grid_id = $1",
    )
    .bind(summary.grid.to_string())
    .bind(state.word().to_owned())
    .bind(work)
    .execute(&mut *connection)
    .await?;
    Ok(())
}
