//! The grids and the cells of a batch of events.

use std::collections::{BTreeMap, BTreeSet};

use atelier_proto::ids::{CellId, GridId};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::{Grid, Judged};
use crate::store::cells::rows_of;
use crate::store::dialect::Column;
use crate::store::rows::GridRow;
use crate::store::{StoreError, Tables};

/// Grids, which nobody else changes until the transaction has ended; those that are deleted are not there.
pub(super) async fn lock_grids(
    tables: &mut Tables<'_>,
    grids: &BTreeSet<GridId>,
) -> Result<BTreeMap<GridId, Grid>, StoreError> {
    let statement = format!(
        "SELECT {columns} FROM grids
         WHERE grid_id IN (SELECT given.grid_id FROM {given}) AND state <> 'deleted'
         ORDER BY grid_id {for_update}",
        columns = GridRow::COLUMNS,
        given = tables.dialect.given(1, &[Column::Text("grid_id")]),
        for_update = tables.dialect.for_update(),
    );
    let ids: Vec<Value> = grids.iter().map(|grid| json!([grid])).collect();
    let rows: Vec<GridRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(Value::from(ids).to_string())
        .fetch_all(&mut *tables.connection)
        .await?;
    rows.into_iter()
        .map(|row| {
            let summary = row.summary()?;
            let grid = Grid {
                had_ended: summary.state.has_ended(),
                handed_out: 0.0,
                is_touched: false,
                summary,
            };
            Ok((grid.summary.grid, grid))
        })
        .collect()
}

/// Cells, of grids that are locked.
pub(super) async fn cells(
    tables: &mut Tables<'_>,
    ids: &BTreeSet<CellId>,
) -> Result<BTreeMap<CellId, Judged>, StoreError> {
    let rows = rows_of(tables, ids).await?;
    rows.into_iter()
        .map(|row| {
            let id = row.id()?;
            let before = row.cell(id)?;
            let judged = Judged {
                work: row.work,
                after: before.clone(),
                before,
                changed_sequence: row.changed_sequence.unsigned_abs(),
            };
            Ok((id, judged))
        })
        .collect()
}
