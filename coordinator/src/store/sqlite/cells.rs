//! Statements about cells.

use atelier_proto::ids::{CellId, GridId};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::super::{Applied, Rejection, StoreError, Verdict};
use super::grids;
use super::rows::{CellRow, StateColumns, damaged, milliseconds, position, stored_sequence};
use crate::domain::block::QueuedCell;
use crate::domain::cell::{Cell, Event};
use crate::domain::grid::Position;
use crate::domain::lease::LeaseRules;
use crate::domain::summary::CellRecord;

/// Reads a cell, asks the state machine, and keeps its verdict if the cell is still as it was read.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    cell: CellId,
    event: Event,
    now: Timestamp,
    rules: &LeaseRules,
) -> Result<Verdict, StoreError> {
    let row: Option<CellRow> = sqlx::query_as(
        "SELECT cells.*, nodes.name AS node_name FROM cells LEFT JOIN nodes USING (node_id) WHERE cell_id = ?",
    )
    .bind(cell.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else {
        return Ok(Err(Rejection::UnknownCell(cell)));
    };
    let grid_id = row.grid_id.clone();
    let grid = grid_id
        .parse()
        .map_err(|error| damaged("cell", cell, &error))?;
    let before = row.record()?;
    let after = match before.cell.clone().apply(event, now, rules) {
        Ok(after) => after,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let changed = !after.looks_like(&before.cell);
    if after != before.cell {
        let sequence = if changed {
            grids::next_sequence(connection, &grid_id).await?
        } else {
            stored_sequence(before.changed_sequence)
        };
        update(connection, &before, &after, sequence).await?;
        if after.has_ended() {
            grids::finish_if_ended(connection, &grid_id, now).await?;
        }
    }
    Ok(Ok(Applied {
        grid,
        cell: after,
        changed,
    }))
}

/// Keeps a verdict, fenced by the attempt and the state that it was passed on.
async fn update(
    connection: &mut SqliteConnection,
    before: &CellRecord,
    after: &Cell,
    changed_sequence: i64,
) -> Result<(), StoreError> {
    let columns = StateColumns::of(after).map_err(|error| damaged("cell", before.id, &error))?;
    let history = after.history();
    let updated = sqlx::query(
        "UPDATE cells SET state = ?, attempt = ?, released = ?, node_id = ?, failure = ?,
                not_before_ms = ?, lease_expires_at_ms = ?,
                evaluations = ?, evaluations_planned = ?, loss = ?, result = ?, changed_sequence = ?
         WHERE cell_id = ? AND attempt = ? AND state = ?",
    )
    .bind(after.state())
    .bind(history.started)
    .bind(history.released)
    .bind(history.node.map(|node| node.to_string()))
    .bind(&history.failure)
    .bind(columns.not_before_ms)
    .bind(columns.lease_expires_at_ms)
    .bind(columns.evaluations)
    .bind(columns.evaluations_planned)
    .bind(columns.loss)
    .bind(columns.result)
    .bind(changed_sequence)
    .bind(before.id.to_string())
    .bind(before.cell.history().started)
    .bind(before.cell.state())
    .execute(connection)
    .await?;
    if updated.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Conflict(before.id))
    }
}

/// Cells of a grid that changed after a sequence number, the longest unchanged first.
pub(super) async fn changed(
    connection: &mut SqliteConnection,
    grid: GridId,
    after_sequence: u64,
) -> Result<Vec<CellRecord>, StoreError> {
    let rows: Vec<CellRow> = sqlx::query_as(
        "SELECT cells.*, nodes.name AS node_name FROM cells LEFT JOIN nodes USING (node_id)
         WHERE grid_id = ? AND changed_sequence > ? ORDER BY changed_sequence, place",
    )
    .bind(grid.to_string())
    .bind(stored_sequence(after_sequence))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(CellRow::record).collect()
}

/// Cells of a grid that may still change.
pub(super) async fn open(
    connection: &mut SqliteConnection,
    grid: GridId,
) -> Result<Vec<CellId>, StoreError> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT cell_id FROM cells
         WHERE grid_id = ? AND state IN ('queued', 'leased', 'rendering') ORDER BY place",
    )
    .bind(grid.to_string())
    .fetch_all(connection)
    .await?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// Cells of a grid that may be leased now, in the order of service.
pub(super) async fn queued(
    connection: &mut SqliteConnection,
    grid: GridId,
    now: Timestamp,
    cells_max: u32,
) -> Result<Vec<QueuedCell>, StoreError> {
    let rows: Vec<(String, Option<u32>, Option<u32>, u32)> = sqlx::query_as(
        "SELECT cell_id, photo, artist, variant FROM cells
         WHERE grid_id = ? AND state = 'queued' AND not_before_ms <= ? ORDER BY place LIMIT ?",
    )
    .bind(grid.to_string())
    .bind(milliseconds(now))
    .bind(cells_max)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(id, photo, artist, variant)| {
            Ok(QueuedCell {
                id: parsed(&id)?,
                position: position(&id, (photo, artist, variant))?,
            })
        })
        .collect()
}

/// Where a cell belongs.
pub(super) async fn locate(
    connection: &mut SqliteConnection,
    cell: CellId,
) -> Result<(GridId, Position), StoreError> {
    let row: Option<(String, Option<u32>, Option<u32>, u32)> =
        sqlx::query_as("SELECT grid_id, photo, artist, variant FROM cells WHERE cell_id = ?")
            .bind(cell.to_string())
            .fetch_optional(connection)
            .await?;
    let (grid, photo, artist, variant) = row.ok_or(StoreError::UnknownCell(cell))?;
    let grid = grid
        .parse()
        .map_err(|error| damaged("cell", cell, &error))?;
    let position = position(&cell.to_string(), (photo, artist, variant))?;
    Ok((grid, position))
}

/// Cells whose lease is over, the longest first.
pub(super) async fn expired(
    connection: &mut SqliteConnection,
    now: Timestamp,
    cells_max: u32,
) -> Result<Vec<CellId>, StoreError> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT cell_id FROM cells
         WHERE lease_expires_at_ms IS NOT NULL AND lease_expires_at_ms <= ?
         ORDER BY lease_expires_at_ms LIMIT ?",
    )
    .bind(milliseconds(now))
    .bind(cells_max)
    .fetch_all(connection)
    .await?;
    ids.iter().map(|id| parsed(id)).collect()
}

fn parsed(id: &str) -> Result<CellId, StoreError> {
    id.parse().map_err(|error| damaged("cell", id, &error))
}
