//! Cells as they stand, and what is kept of the attempts at them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use atelier_proto::ids::{CellId, GridId, NodeId};
use jiff::Timestamp;
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::dialect::{Column, Dialect};
use super::fetch::Value;
use super::rows::{AttemptRow, CellRow, Row, milliseconds, stored_sequence};
use super::summary::summary;
use super::{Store, StoreError, Tables};
use crate::domain::attempt::AttemptRecord;
use crate::domain::cell::Cell;
use crate::domain::summary::CellRecord;

/// Attempts of the grid `$1`, with the names of their nodes.
const ATTEMPTS: &str = "SELECT a.grid_id, a.place, a.attempt, a.node_id, n.name AS node_name, a.ended_at_ms, a.outcome, \
    a.reason, a.log FROM attempts a LEFT JOIN nodes n ON n.node_id = a.node_id WHERE a.grid_id = $1";

/// How many cells of which grids a node holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldCells(pub BTreeMap<GridId, u32>);

impl HeldCells {
    /// Of all grids.
    pub fn total(&self) -> u32 {
        self.0.values().sum()
    }
}

/// A node's device and what an hour of it costs, US dollars.
pub type DeviceAndPrice = (String, Option<f64>);

impl Store {
    /// Those of some cells that there are, as they stand.
    pub async fn cells(
        &self,
        ids: &BTreeSet<CellId>,
    ) -> Result<BTreeMap<CellId, Cell>, StoreError> {
        let mut connection = self.read_once().await?;
        let rows = rows_of(&mut self.tables(&mut connection), ids).await?;
        let cells = rows.into_iter().map(|row| {
            let id = row.id()?;
            Ok((id, row.cell(id)?))
        });
        cells.collect()
    }

    /// At most so many cells whose lease is over, the longest first.
    pub async fn expired(&self, now: Timestamp, cells_max: u32) -> Result<Vec<CellId>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT grid_id, place FROM cells
             WHERE lease_expires_at_ms IS NOT NULL AND lease_expires_at_ms <= $1
             ORDER BY lease_expires_at_ms LIMIT $2",
        )
        .bind(milliseconds(now))
        .bind(i64::from(cells_max))
        .fetch_all(&mut *self.read_once().await?)
        .await?;
        let expired = rows.iter().map(|(grid, place)| {
            let id = format!("{grid}/{place}");
            let row = Row {
                table: "cell",
                id: &id,
            };
            row.parsed(&id)
        });
        expired.collect()
    }

    /// Attempts of a grid that brought no picture, cell by cell, at most so many.
    pub async fn failed_attempts(
        &self,
        grid: GridId,
        attempts_max: u32,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        let rows: Vec<AttemptRow> = sqlx::query_as(AssertSqlSafe(format!(
            "{ATTEMPTS} AND a.outcome <> 'done' ORDER BY a.place, a.attempt LIMIT $2"
        )))
        .bind(grid.to_string())
        .bind(i64::from(attempts_max))
        .fetch_all(&mut *self.read_once().await?)
        .await?;
        rows.into_iter().map(AttemptRow::record).collect()
    }

    /// A cell with what is kept of its attempts that have ended, oldest first, at one moment; the last so many of them.
    pub async fn attempts(
        &self,
        cell: CellId,
        attempts_max: u32,
    ) -> Result<(CellRecord, Vec<AttemptRecord>), StoreError> {
        let mut transaction = self.read().await?;
        summary(&mut transaction, cell.grid, "").await?;
        let (which, place) = ("AND c.place = $2", i64::from(cell.place));
        let mut tables = self.tables(&mut transaction);
        let found = records(&mut tables, cell.grid, which, place).await?.pop();
        let record = found.ok_or(StoreError::UnknownCell(cell))?;
        let mut rows: Vec<AttemptRow> = sqlx::query_as(AssertSqlSafe(format!(
            "{ATTEMPTS} AND a.place = $2 ORDER BY a.attempt DESC LIMIT $3"
        )))
        .bind(cell.grid.to_string())
        .bind(place)
        .bind(i64::from(attempts_max))
        .fetch_all(&mut *transaction)
        .await?;
        rows.reverse();
        let attempts: Result<Vec<_>, _> = rows.into_iter().map(AttemptRow::record).collect();
        Ok((record, attempts?))
    }

    /// How many cells each node holds that holds some.
    pub async fn cells_held(&self) -> Result<HashMap<NodeId, HeldCells>, StoreError> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT node_id, grid_id, count(*) FROM cells
             WHERE lease_expires_at_ms IS NOT NULL AND node_id IS NOT NULL GROUP BY node_id, grid_id",
        )
        .fetch_all(&mut *self.read_once().await?)
        .await?;
        let mut held: HashMap<NodeId, HeldCells> = HashMap::new();
        for (node, grid, cells) in rows {
            let row = Row {
                table: "cell",
                id: &format!("of {grid} at {node}"),
            };
            let of_node = held.entry(row.parsed(&node)?).or_default();
            of_node.0.insert(row.parsed(&grid)?, row.count(cells)?);
        }
        Ok(held)
    }

    /// The nodes that hold cells of a grid now.
    pub async fn nodes_at(&self, grid: GridId) -> Result<Vec<DeviceAndPrice>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT n.device, n.dollars_per_hour FROM nodes n WHERE n.node_id IN (
                 SELECT c.node_id FROM cells c
                 WHERE c.lease_expires_at_ms IS NOT NULL AND c.grid_id = $1)",
        )
        .bind(grid.to_string())
        .fetch_all(&mut *self.read_once().await?)
        .await?;
        Ok(rows)
    }
}

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
    let select = format!(
        "SELECT c.*, n.name AS node_name, n.dollars_per_hour AS node_dollars_per_hour
         FROM cells c LEFT JOIN nodes n ON n.node_id = c.node_id
         WHERE c.grid_id = $1 {which}"
    );
    let values = [Value::Text(grid.to_string()), Value::Integer(value)];
    tables.fetch(&select, values, CellRow::record).await
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
    let ids = [Value::Text(ids.to_string())];
    tables.fetch(&select, ids, Ok).await
}
