//! Statements that read cells and their attempts.

use std::collections::{BTreeMap, BTreeSet};

use atelier_proto::ids::{CellId, GridId};
use jiff::Timestamp;
use serde_json::json;
use sqlx::AnyConnection;

use super::super::StoreError;
use super::Tables;
use super::dialect::{Column, Dialect};
use super::fetch::{Value, fetch};
use super::rows::{AttemptRow, CellRow, QueuedRow, damaged, milliseconds, stored_sequence};
use crate::domain::attempt::AttemptRecord;
use crate::domain::block::QueuedCell;
use crate::domain::cell::Cell;
use crate::domain::summary::CellRecord;

/// Cells of a grid that changed after a sequence number, the longest unchanged first.
pub(super) async fn changed(
    tables: &mut Tables<'_>,
    grid: GridId,
    after_sequence: u64,
) -> Result<Vec<CellRecord>, StoreError> {
    let which = "AND c.changed_sequence > $2 ORDER BY c.changed_sequence, c.place";
    records(tables, grid, which, stored_sequence(after_sequence)).await
}

/// Cells of a grid that changed last, the latest first.
pub(super) async fn latest(
    tables: &mut Tables<'_>,
    grid: GridId,
    cells_max: u32,
) -> Result<Vec<CellRecord>, StoreError> {
    let which = "ORDER BY c.changed_sequence DESC, c.place LIMIT $2";
    records(tables, grid, which, i64::from(cells_max)).await
}

/// Cells of a grid with their nodes: `which`, in terms of `$2`.
async fn records(
    tables: &mut Tables<'_>,
    grid: GridId,
    which: &'static str,
    value: i64,
) -> Result<Vec<CellRecord>, StoreError> {
    let statement = format!(
        "SELECT c.*, n.name AS node_name, n.dollars_per_hour AS node_dollars_per_hour
         FROM cells c LEFT JOIN nodes n ON n.node_id = c.node_id
         WHERE c.grid_id = $1 {which}"
    );
    let rows: Vec<CellRow> = fetch(
        tables.connection,
        tables.dialect,
        "cell",
        CellRow::COLUMNS,
        &statement,
        vec![Value::Text(grid.to_string()), Value::Integer(value)],
    )
    .await?;
    rows.into_iter().map(CellRow::record).collect()
}

/// Cells of a grid that may be leased now, in the order of service.
pub(super) async fn queued(
    tables: &mut Tables<'_>,
    grid: GridId,
    now: Timestamp,
    cells_max: u32,
) -> Result<Vec<QueuedCell>, StoreError> {
    let rows: Vec<QueuedRow> = fetch(
        tables.connection,
        tables.dialect,
        "cell",
        QueuedRow::COLUMNS,
        "SELECT place, work, failed_on FROM cells
         WHERE grid_id = $1 AND state = 'queued' AND not_before_ms <= $2 ORDER BY place LIMIT $3",
        vec![
            Value::Text(grid.to_string()),
            Value::Integer(milliseconds(now)),
            Value::Integer(i64::from(cells_max)),
        ],
    )
    .await?;
    rows.into_iter().map(|row| row.queued_cell(grid)).collect()
}

/// Cells whose lease is over, the longest first.
pub(super) async fn expired(
    connection: &mut AnyConnection,
    now: Timestamp,
    cells_max: u32,
) -> Result<Vec<CellId>, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT grid_id, place FROM cells
         WHERE lease_expires_at_ms IS NOT NULL AND lease_expires_at_ms <= $1
         ORDER BY lease_expires_at_ms LIMIT $2",
    )
    .bind(milliseconds(now))
    .bind(i64::from(cells_max))
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(grid, place)| {
            format!("{grid}/{place}")
                .parse()
                .map_err(|error| damaged("cell", format!("{grid}/{place}"), &error))
        })
        .collect()
}

/// Those of some cells that there are, as they stand.
pub(super) async fn some(
    tables: &mut Tables<'_>,
    ids: &BTreeSet<CellId>,
) -> Result<BTreeMap<CellId, Cell>, StoreError> {
    let rows = rows_of(tables, ids).await?;
    let cells = rows.into_iter().map(|row| {
        let id = row.id()?;
        Ok((id, row.cell(id)?))
    });
    cells.collect()
}

/// The rows of some cells, without their nodes.
pub(super) async fn rows_of(
    tables: &mut Tables<'_>,
    ids: &BTreeSet<CellId>,
) -> Result<Vec<CellRow>, StoreError> {
    let given = tables
        .dialect
        .given(1, &[Column::Text("grid_id"), Column::Integer("place")]);
    // The few that are given lead, each to one row of the many.
    let join = match tables.dialect {
        Dialect::Sqlite => "CROSS JOIN cells c ON",
        Dialect::Postgres => "JOIN cells c ON",
    };
    let select = format!(
        "SELECT c.*, CAST(NULL AS TEXT) AS node_name, CAST(NULL AS DOUBLE PRECISION) AS node_dollars_per_hour
         FROM {given} {join} c.grid_id = given.grid_id AND c.place = given.place"
    );
    let ids = ids.iter().map(|id| json!([id.grid, id.place]));
    let ids: serde_json::Value = ids.collect();
    fetch(
        tables.connection,
        tables.dialect,
        "cell",
        CellRow::COLUMNS,
        &select,
        vec![Value::Text(ids.to_string())],
    )
    .await
}

/// One cell with its node.
pub(super) async fn one(tables: &mut Tables<'_>, cell: CellId) -> Result<CellRecord, StoreError> {
    let which = "AND c.place = $2";
    let records = records(tables, cell.grid, which, i64::from(cell.place)).await?;
    let record = records.into_iter().next();
    record.ok_or(StoreError::UnknownCell(cell))
}

/// What is kept of the attempts at a cell, the last so many of them, oldest first.
pub(super) async fn attempts(
    connection: &mut AnyConnection,
    cell: CellId,
    attempts_max: u32,
) -> Result<Vec<AttemptRecord>, StoreError> {
    let mut rows: Vec<AttemptRow> = sqlx::query_as(
        "SELECT a.grid_id, a.place, a.attempt, a.node_id, n.name AS node_name, a.ended_at_ms, a.outcome, a.reason,
                a.log
         FROM attempts a LEFT JOIN nodes n ON n.node_id = a.node_id
         WHERE a.grid_id = $1 AND a.place = $2 ORDER BY a.attempt DESC LIMIT $3",
    )
    .bind(cell.grid.to_string())
    .bind(i64::from(cell.place))
    .bind(i64::from(attempts_max))
    .fetch_all(connection)
    .await?;
    rows.reverse();
    rows.into_iter().map(AttemptRow::record).collect()
}

/// Attempts of a grid that brought no picture, cell by cell.
pub(super) async fn failed_attempts(
    connection: &mut AnyConnection,
    grid: GridId,
    attempts_max: u32,
) -> Result<Vec<AttemptRecord>, StoreError> {
    let rows: Vec<AttemptRow> = sqlx::query_as(
        "SELECT a.grid_id, a.place, a.attempt, a.node_id, n.name AS node_name, a.ended_at_ms, a.outcome, a.reason,
                a.log
         FROM attempts a LEFT JOIN nodes n ON n.node_id = a.node_id
         WHERE a.grid_id = $1 AND a.outcome <> 'done' ORDER BY a.place, a.attempt LIMIT $2",
    )
    .bind(grid.to_string())
    .bind(i64::from(attempts_max))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(AttemptRow::record).collect()
}

/// Nodes that hold cells now, with the grids that these are of and how many.
pub(super) async fn held(
    connection: &mut AnyConnection,
) -> Result<Vec<(String, String, i64)>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT node_id, grid_id, count(*) FROM cells
         WHERE lease_expires_at_ms IS NOT NULL AND node_id IS NOT NULL GROUP BY node_id, grid_id",
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Nodes that hold cells of a grid now.
pub(super) async fn nodes_at(
    connection: &mut AnyConnection,
    grid: GridId,
) -> Result<Vec<(String, Option<f64>)>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT n.device, n.dollars_per_hour FROM nodes n WHERE n.node_id IN (
             SELECT c.node_id FROM cells c
             WHERE c.lease_expires_at_ms IS NOT NULL AND c.grid_id = $1)",
    )
    .bind(grid.to_string())
    .fetch_all(connection)
    .await?;
    Ok(rows)
}
