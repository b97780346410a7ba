//! What is left to do with a grid that has ended: its gallery, what does not belong into its place in the bucket, and in the end
//! all of it.

use atelier_proto::ids::GridId;
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::steer::locked;
use crate::store::rows::{Row, milliseconds, stored_sequence};
use crate::store::{Store, StoreError, Tables};

/// Rows of one DELETE, so that no transaction takes long.
const ROWS_PER_DELETE_MAX: i64 = 10_000;

/// A grid whose gallery does not yet show it as it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpublished {
    /// The grid.
    pub grid: GridId,
    /// Its sequence.
    pub sequence: u64,
    /// Whether every cell has ended.
    pub has_ended: bool,
}

impl Store {
    /// Grids whose gallery is not complete, oldest first.
    pub async fn unpublished(&self) -> Result<Vec<Unpublished>, StoreError> {
        let rows: Vec<(String, i64, String)> = sqlx::query_as(
            "SELECT grid_id, sequence, state FROM grids WHERE gallery_complete = 0 ORDER BY grid_id",
        )
        .fetch_all(&mut *self.read_once().await?)
        .await?;
        let unpublished = rows.iter().map(|(grid, sequence, state)| {
            let row = row(grid);
            Ok(Unpublished {
                grid: row.parsed(grid)?,
                sequence: sequence.unsigned_abs(),
                has_ended: row.grid_state(state)?.has_ended(),
            })
        });
        unpublished.collect()
    }

    /// Keeps that the gallery shows an ended grid as it is at a sequence number; false if the grid has moved on.
    pub async fn gallery_complete(&self, grid: GridId, sequence: u64) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let marked = sqlx::query(
            "UPDATE grids SET gallery_complete = 1, sequence = sequence + 1
             WHERE grid_id = $1 AND sequence = $2 AND state IN ('finished', 'cancelled') AND gallery_complete = 0",
        )
        .bind(grid.to_string())
        .bind(stored_sequence(sequence))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(marked.rows_affected() == 1)
    }

    /// Grids that ended before a time, whose gallery is complete and in whose place in the bucket nobody has looked since
    /// for what does not belong there, the longest ago first.
    pub async fn unswept(
        &self,
        ended_before: Timestamp,
        grids_max: u32,
    ) -> Result<Vec<GridId>, StoreError> {
        // A deleted grid counts as swept.
        let which = "swept = 0";
        self.complete(which, ended_before, grids_max).await
    }

    /// Grids that ended before a time and whose gallery is complete, the longest ago first.
    pub async fn ended_before(
        &self,
        time: Timestamp,
        grids_max: u32,
    ) -> Result<Vec<GridId>, StoreError> {
        self.complete("state <> 'deleted'", time, grids_max).await
    }

    async fn complete(
        &self,
        which: &'static str,
        ended_before: Timestamp,
        grids_max: u32,
    ) -> Result<Vec<GridId>, StoreError> {
        let statement = format!(
            "SELECT grid_id FROM grids
             WHERE {which} AND finished_at_ms IS NOT NULL AND finished_at_ms < $1 AND gallery_complete = 1
             ORDER BY finished_at_ms LIMIT $2"
        );
        let ids: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(milliseconds(ended_before))
            .bind(i64::from(grids_max))
            .fetch_all(&mut *self.read_once().await?)
            .await?;
        ids.iter().map(|id| row(id).parsed(id)).collect()
    }

    /// Keeps that somebody has looked, if the grid is still at this sequence.
    pub async fn swept(&self, grid: GridId, sequence: u64) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("UPDATE grids SET swept = 1 WHERE grid_id = $1 AND sequence = $2")
            .bind(grid.to_string())
            .bind(stored_sequence(sequence))
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Marks an ended grid deleted: from then on it is found by [`Store::deleted`] alone, and its request id makes a grid
    /// anew. One that is marked already stays so.
    ///
    /// # Errors
    /// [`StoreError::WrongState`] if it has not ended.
    pub async fn delete_grid(&self, grid: GridId, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        if is_deleted(&mut transaction, grid).await? {
            return Ok(());
        }
        let summary = locked(&mut self.tables(&mut transaction), grid).await?;
        let state = summary.state;
        if !state.has_ended() {
            let hint = "\nhint: cancel it first";
            return Err(StoreError::WrongState { grid, state, hint });
        }
        sqlx::query(
            "UPDATE grids SET state = 'deleted', sequence = sequence + 1, request_id = grid_id, gallery_complete = 1,
                    swept = 1, finished_at_ms = $2
             WHERE grid_id = $1",
        )
        .bind(grid.to_string())
        .bind(milliseconds(now))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Grids that are marked deleted, and when they were, the longest ago first.
    pub async fn deleted(&self, grids_max: u32) -> Result<Vec<(GridId, Timestamp)>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT grid_id, finished_at_ms FROM grids WHERE state = 'deleted' ORDER BY finished_at_ms LIMIT $1",
        )
        .bind(i64::from(grids_max))
        .fetch_all(&mut *self.read_once().await?)
        .await?;
        let deleted = rows.iter().map(|(grid, at_ms)| {
            let row = row(grid);
            Ok((row.parsed(grid)?, row.time(*at_ms)?))
        });
        deleted.collect()
    }

    /// Removes everything about a grid that is marked deleted, or about one that has ended and is not; another one stays,
    /// because what whoever forgets it has seen of it is no more so.
    pub async fn forget_grid(&self, grid: GridId, is_deleted: bool) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        while !forget_some(&mut self.tables(&mut transaction), grid, is_deleted).await? {
            // What is deleted stays so; of another one half must not come back when a cell of it is tried again.
            if is_deleted {
                transaction.commit().await?;
                transaction = self.write().await?;
            }
        }
        Ok(transaction.commit().await?)
    }
}

/// What a row is called that is damaged.
fn row(grid: &dyn std::fmt::Display) -> Row<'_> {
    Row {
        table: "grid",
        id: grid,
    }
}

async fn is_deleted(connection: &mut AnyConnection, grid: GridId) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT CAST(1 AS BIGINT) FROM grids WHERE grid_id = $1 AND state = 'deleted'",
    )
    .bind(grid.to_string())
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

/// Removes some rows of a grid's cells and attempts, and with the last of them the grid's; true when there is nothing more
/// to remove: it is gone, or has been tried again or deleted since whoever forgets it looked.
async fn forget_some(
    tables: &mut Tables<'_>,
    grid: GridId,
    is_deleted: bool,
) -> Result<bool, StoreError> {
    let state = format!(
        "SELECT state FROM grids WHERE grid_id = $1 {}",
        tables.dialect.for_update()
    );
    let state: Option<String> = sqlx::query_scalar(AssertSqlSafe(state))
        .bind(grid.to_string())
        .fetch_optional(&mut *tables.connection)
        .await?;
    let is_as_it_was = match state.as_deref() {
        Some("deleted") => is_deleted,
        Some("finished" | "cancelled") => !is_deleted,
        Some(_) | None => false,
    };
    if !is_as_it_was {
        return Ok(true);
    }
    for table in ["attempts", "cells"] {
        let statement = format!(
            "DELETE FROM {table} WHERE grid_id = $1 AND place IN (
                 SELECT place FROM {table} WHERE grid_id = $1 ORDER BY place LIMIT $2)"
        );
        let removed = sqlx::query(AssertSqlSafe(statement))
            .bind(grid.to_string())
            .bind(ROWS_PER_DELETE_MAX)
            .execute(&mut *tables.connection)
            .await?;
        if removed.rows_affected() >= ROWS_PER_DELETE_MAX as u64 {
            return Ok(false);
        }
    }
    for table in ["specs", "grids"] {
        let statement = format!("DELETE FROM {table} WHERE grid_id = $1");
        sqlx::query(AssertSqlSafe(statement))
            .bind(grid.to_string())
            .execute(&mut *tables.connection)
            .await?;
    }
    Ok(true)
}
