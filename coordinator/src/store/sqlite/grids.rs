//! Statements about grids.

use std::sync::Arc;

use atelier_proto::ids::{CellId, Digest, GridId, RequestId};
use jiff::Timestamp;
use sqlx::{QueryBuilder, SqliteConnection};

use super::super::{NewGrid, StoreError, Submitted, Unpublished};
use super::rows::{GridRow, damaged, milliseconds, stored_sequence};
use crate::domain::grid::GridSpec;
use crate::domain::summary::{GridState, GridSummary};

/// Rows of one INSERT: `SQLite` takes 32,766 bound values, and a cell has eight.
const CELLS_PER_INSERT_MAX: usize = 2_000;

/// Keeps a grid with its cells; how many they are.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    new: &NewGrid,
    spec: &str,
    sha256: Digest,
    now: Timestamp,
) -> Result<u32, StoreError> {
    sqlx::query(
        "INSERT INTO grids (grid_id, request_id, request_sha256, name, spec, state, submitted_at_ms, sequence)
         VALUES (?, ?, ?, ?, ?, 'active', ?, 1)",
    )
    .bind(new.grid.to_string())
    .bind(new.request.to_string())
    .bind(sha256.to_string())
    .bind(new.spec.name())
    .bind(spec)
    .bind(milliseconds(now))
    .execute(&mut *connection)
    .await?;
    let positions: Vec<_> = new.spec.positions().enumerate().collect();
    for some in positions.chunks(CELLS_PER_INSERT_MAX) {
        let mut statement = QueryBuilder::new(
            "INSERT INTO cells (cell_id, grid_id, place, photo, artist, variant, not_before_ms,
                                state, attempt, released, changed_sequence) ",
        );
        statement.push_values(some, |mut row, (place, position)| {
            row.push_bind(CellId::generate().to_string())
                .push_bind(new.grid.to_string())
                .push_bind(*place as i64)
                .push_bind(position.subject.photo().map(|photo| photo as i64))
                .push_bind(position.subject.artist().map(|artist| artist as i64))
                .push_bind(position.variant as i64)
                .push_bind(milliseconds(now))
                .push("'queued', 0, 0, 1");
        });
        statement.build().execute(&mut *connection).await?;
    }
    Ok(positions.len() as u32)
}

/// The grid that a submission made, and the digest of what was submitted.
pub(super) async fn submitted(
    connection: &mut SqliteConnection,
    request: RequestId,
) -> Result<Option<(Submitted, Digest)>, StoreError> {
    let row: Option<(String, String, u32)> = sqlx::query_as(
        "SELECT grid_id, request_sha256,
                (SELECT COUNT(*) FROM cells WHERE cells.grid_id = grids.grid_id)
         FROM grids WHERE request_id = ?",
    )
    .bind(request.to_string())
    .fetch_optional(connection)
    .await?;
    let Some((grid, sha256, cells)) = row else {
        return Ok(None);
    };
    let sha256 = sha256
        .parse()
        .map_err(|error| damaged("grid", &grid, &error))?;
    let grid = parsed(&grid)?;
    Ok(Some((Submitted { grid, cells }, sha256)))
}

/// What was submitted as a grid.
pub(super) async fn spec(
    connection: &mut SqliteConnection,
    grid: GridId,
) -> Result<Arc<GridSpec>, StoreError> {
    let spec: Option<String> = sqlx::query_scalar("SELECT spec FROM grids WHERE grid_id = ?")
        .bind(grid.to_string())
        .fetch_optional(connection)
        .await?;
    read_spec(grid, &spec.ok_or(StoreError::UnknownGrid(grid))?)
}

fn read_spec(grid: GridId, json: &str) -> Result<Arc<GridSpec>, StoreError> {
    let spec = serde_json::from_str(json).map_err(|error| damaged("grid", grid, &error))?;
    Ok(Arc::new(spec))
}

fn parsed(grid: &str) -> Result<GridId, StoreError> {
    grid.parse().map_err(|error| damaged("grid", grid, &error))
}

/// One grid in short.
pub(super) async fn summary(
    connection: &mut SqliteConnection,
    grid: GridId,
) -> Result<GridSummary, StoreError> {
    let mut statement = summaries();
    statement
        .push(" WHERE grid_id = ")
        .push_bind(grid.to_string());
    let row: Option<GridRow> = statement
        .build_query_as()
        .fetch_optional(connection)
        .await?;
    row.ok_or(StoreError::UnknownGrid(grid))?.summary()
}

/// Grids in short, newest first.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    before: Option<GridId>,
    grids_max: u32,
) -> Result<Vec<GridSummary>, StoreError> {
    let mut statement = summaries();
    if let Some(before) = before {
        statement
            .push(" WHERE grid_id < ")
            .push_bind(before.to_string());
    }
    // Ids sort by the time at which they were made.
    statement
        .push(" ORDER BY grid_id DESC LIMIT ")
        .push_bind(grids_max);
    let rows: Vec<GridRow> = statement.build_query_as().fetch_all(connection).await?;
    rows.into_iter().map(GridRow::summary).collect()
}

/// Counts are taken from the cells themselves: each is a walk over a part of one index, and cannot be wrong.
fn summaries() -> QueryBuilder<sqlx::Sqlite> {
    QueryBuilder::new(
        "SELECT grid_id, name, state, priority, submitted_at_ms, finished_at_ms, sequence, gallery_complete,
            (SELECT COUNT(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state = 'queued') AS queued,
            (SELECT COUNT(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state = 'leased') AS leased,
            (SELECT COUNT(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state = 'rendering') AS rendering,
            (SELECT COUNT(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state = 'done') AS done,
            (SELECT COUNT(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state = 'failed') AS failed,
            (SELECT COUNT(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state = 'cancelled') AS cancelled
         FROM grids g",
    )
}

/// The active grid that is served first, of those with a cell that may be leased now.
pub(super) async fn first_in_line(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Option<(GridId, Arc<GridSpec>)>, StoreError> {
    let row: Option<(String, String)> = sqlx::query_as(
        "SELECT grid_id, spec FROM grids g
         WHERE state = 'active' AND EXISTS (
             SELECT 1 FROM cells c
             WHERE c.grid_id = g.grid_id AND c.state = 'queued' AND c.not_before_ms <= ?)
         ORDER BY priority DESC, submitted_at_ms, grid_id LIMIT 1",
    )
    .bind(milliseconds(now))
    .fetch_optional(connection)
    .await?;
    let Some((grid, spec)) = row else {
        return Ok(None);
    };
    let grid = parsed(&grid)?;
    Ok(Some((grid, read_spec(grid, &spec)?)))
}

/// Marks a grid cancelled; false if it has ended already.
pub(super) async fn cancel(
    connection: &mut SqliteConnection,
    grid: GridId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let cancelled = sqlx::query(
        "UPDATE grids SET state = 'cancelled', finished_at_ms = ?, sequence = sequence + 1
         WHERE grid_id = ? AND state IN ('active', 'paused')",
    )
    .bind(milliseconds(now))
    .bind(grid.to_string())
    .execute(&mut *connection)
    .await?;
    if cancelled.rows_affected() == 1 {
        return Ok(true);
    }
    // An ended grid is one thing, an unknown one another.
    summary(connection, grid).await.map(|_| false)
}

/// Counts one more change of a grid; its new sequence.
pub(super) async fn next_sequence(
    connection: &mut SqliteConnection,
    grid_id: &str,
) -> Result<i64, StoreError> {
    let sequence = sqlx::query_scalar(
        "UPDATE grids SET sequence = sequence + 1 WHERE grid_id = ? RETURNING sequence",
    )
    .bind(grid_id)
    .fetch_one(connection)
    .await?;
    Ok(sequence)
}

/// Marks a grid finished if none of its cells may change any more.
pub(super) async fn finish_if_ended(
    connection: &mut SqliteConnection,
    grid_id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE grids SET state = 'finished', finished_at_ms = ?
         WHERE grid_id = ? AND state IN ('active', 'paused') AND NOT EXISTS (
             SELECT 1 FROM cells
             WHERE cells.grid_id = grids.grid_id AND cells.state IN ('queued', 'leased', 'rendering'))",
    )
    .bind(milliseconds(now))
    .bind(grid_id)
    .execute(connection)
    .await?;
    Ok(())
}

/// Grids whose gallery is not complete.
pub(super) async fn unpublished(
    connection: &mut SqliteConnection,
) -> Result<Vec<Unpublished>, StoreError> {
    let rows: Vec<(String, i64, String)> = sqlx::query_as(
        "SELECT grid_id, sequence, state FROM grids WHERE gallery_complete = 0 ORDER BY grid_id",
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(grid, sequence, state)| {
            Ok(Unpublished {
                grid: parsed(&grid)?,
                sequence: sequence.unsigned_abs(),
                has_ended: GridState::ALL
                    .into_iter()
                    .any(|known| known.has_ended() && known.word() == state),
            })
        })
        .collect()
}

/// Marks the gallery of an ended grid complete if the grid is still at this sequence.
pub(super) async fn gallery_complete(
    connection: &mut SqliteConnection,
    grid: GridId,
    sequence: u64,
) -> Result<bool, StoreError> {
    let marked = sqlx::query(
        "UPDATE grids SET gallery_complete = 1, sequence = sequence + 1
         WHERE grid_id = ? AND sequence = ? AND state IN ('finished', 'cancelled') AND gallery_complete = 0",
    )
    .bind(grid.to_string())
    .bind(stored_sequence(sequence))
    .execute(connection)
    .await?;
    Ok(marked.rows_affected() == 1)
}
