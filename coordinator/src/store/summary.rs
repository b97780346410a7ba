//! A grid in short, as whoever is about to look at its cells or to change it needs it.

use atelier_proto::ids::GridId;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::StoreError;
use super::rows::GridRow;
use crate::domain::summary::GridSummary;

/// One grid in short; `for_update` is what the statement ends with.
pub(super) async fn summary(
    connection: &mut AnyConnection,
    grid: GridId,
    for_update: &str,
) -> Result<GridSummary, StoreError> {
    let statement = format!(
        "SELECT {} FROM grids WHERE grid_id = $1 AND state <> 'deleted' {for_update}",
        GridRow::COLUMNS
    );
    let row: Option<GridRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(grid.to_string())
        .fetch_optional(connection)
        .await?;
    row.ok_or(StoreError::UnknownGrid(grid))?.summary()
}
