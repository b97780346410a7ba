//! Statements about grids.

use std::sync::Arc;

use atelier_proto::ids::{Digest, GridId, RequestId};
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::super::{Filter, NewGrid, Steering, StoreError, Submitted, Unpublished};
use super::Tables;
use super::dialect::Column;
use super::fetch::fetch;
use super::outbox;
use super::rows::{GridRow, LineRow, damaged, milliseconds, stored_sequence};
use crate::domain::effort::Effort;
use crate::domain::grid::GridSpec;
use crate::domain::share::Line;
use crate::domain::summary::{GridState, GridSummary};

/// Cells of one INSERT.
const CELLS_PER_INSERT_MAX: usize = 10_000;
/// Cells of one DELETE, so that no transaction takes long.
const CELLS_PER_DELETE_MAX: i64 = 10_000;

/// Keeps a grid with its cells; how many they are.
pub(super) async fn insert(
    tables: &mut Tables<'_>,
    new: &NewGrid,
    spec: &str,
    sha256: Digest,
    now: Timestamp,
) -> Result<u32, StoreError> {
    let efforts: Vec<f64> = new
        .spec
        .efforts()
        .map(|effort: Effort| effort.work)
        .collect();
    let labels = serde_json::to_string(new.spec.labels())
        .map_err(|error| damaged("grid", new.grid, &error))?;
    sqlx::query(
        "INSERT INTO grids (grid_id, request_id, request_sha256, name, submitter, labels, state, priority, pass,
                            submitted_at_ms, sequence, queued, work_open)
         VALUES ($1, $2, $3, $4, $5, $6, 'active', $7,
                 coalesce((SELECT min(pass) FROM grids WHERE submitter = $5 AND state = 'active' AND queued > 0), 0),
                 $8, 1, $9, $10)",
    )
    .bind(new.grid.to_string())
    .bind(new.request.to_string())
    .bind(sha256.to_string())
    .bind(new.spec.name().to_owned())
    .bind(new.submitter.clone())
    .bind(labels)
    .bind(i64::from(new.priority))
    .bind(milliseconds(now))
    .bind(efforts.len() as i64)
    .bind(efforts.iter().sum::<f64>())
    .execute(&mut *tables.connection)
    .await?;
    sqlx::query("INSERT INTO specs (grid_id, spec, trace_parent) VALUES ($1, $2, $3)")
        .bind(new.grid.to_string())
        .bind(spec.to_owned())
        .bind(new.trace_parent.clone())
        .execute(&mut *tables.connection)
        .await?;
    let given = tables
        .dialect
        .given(1, &[Column::Integer("place"), Column::Real("work")]);
    let statement = format!(
        "INSERT INTO cells (grid_id, place, work, state, not_before_ms)
         SELECT $2, place, work, 'queued', $3 FROM {given}"
    );
    let places: Vec<(usize, f64)> = efforts.into_iter().enumerate().collect();
    for some in places.chunks(CELLS_PER_INSERT_MAX) {
        let rows =
            serde_json::to_string(some).map_err(|error| damaged("grid", new.grid, &error))?;
        sqlx::query(AssertSqlSafe(statement.as_str()))
            .bind(rows)
            .bind(new.grid.to_string())
            .bind(milliseconds(now))
            .execute(&mut *tables.connection)
            .await?;
    }
    Ok(places.len() as u32)
}

/// Has a submitter's pass, which is made if it has none yet, level with the lowest of those who wait, if it has waited for
/// nothing itself: who comes anew is not served for the time before.
pub(super) async fn level_submitter(
    tables: &mut Tables<'_>,
    submitter: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO submitters (submitter, pass) VALUES ($1, 0) ON CONFLICT (submitter) DO NOTHING")
        .bind(submitter.to_owned())
        .execute(&mut *tables.connection)
        .await?;
    sqlx::query(
        "UPDATE submitters SET pass = coalesce(
             (SELECT max(level.pass) FROM (
                 SELECT submitters.pass AS pass
                 UNION ALL
                 SELECT min(others.pass) FROM submitters others WHERE others.submitter IN (
                     SELECT grids.submitter FROM grids WHERE grids.state = 'active' AND grids.queued > 0)
             ) AS level), pass)
         WHERE submitter = $1 AND NOT EXISTS (
             SELECT 1 FROM grids WHERE grids.submitter = $1 AND grids.state = 'active' AND grids.queued > 0)",
    )
    .bind(submitter.to_owned())
    .execute(&mut *tables.connection)
    .await?;
    Ok(())
}

/// Cells of a submitter that have not ended.
pub(super) async fn open_cells(
    connection: &mut AnyConnection,
    submitter: &str,
) -> Result<u64, StoreError> {
    let open: i64 = sqlx::query_scalar(
        "SELECT CAST(coalesce(sum(queued + leased + rendering), 0) AS BIGINT) FROM grids
         WHERE submitter = $1 AND state IN ('active', 'paused')",
    )
    .bind(submitter.to_owned())
    .fetch_one(connection)
    .await?;
    Ok(open.unsigned_abs())
}

/// The grid that a submission made, and the digest of what was submitted.
pub(super) async fn submitted(
    connection: &mut AnyConnection,
    request: RequestId,
) -> Result<Option<(Submitted, Digest)>, StoreError> {
    let row: Option<(String, String, i64)> = sqlx::query_as(
        "SELECT grid_id, request_sha256, queued + leased + rendering + done + failed + cancelled
         FROM grids WHERE request_id = $1",
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
    let cells = u32::try_from(cells).map_err(|error| damaged("grid", &grid, &error))?;
    let grid = parsed(&grid)?;
    Ok(Some((Submitted { grid, cells }, sha256)))
}

/// What was submitted as a grid.
pub(super) async fn spec(
    connection: &mut AnyConnection,
    grid: GridId,
) -> Result<Arc<GridSpec>, StoreError> {
    let spec: Option<String> = sqlx::query_scalar(
        "SELECT specs.spec FROM specs JOIN grids ON grids.grid_id = specs.grid_id
         WHERE specs.grid_id = $1 AND grids.state <> 'deleted'",
    )
    .bind(grid.to_string())
    .fetch_optional(connection)
    .await?;
    let spec = spec.ok_or(StoreError::UnknownGrid(grid))?;
    let spec = serde_json::from_str(&spec).map_err(|error| damaged("grid", grid, &error))?;
    Ok(Arc::new(spec))
}

/// The trace in which it was submitted.
pub(super) async fn trace_parent(
    connection: &mut AnyConnection,
    grid: GridId,
) -> Result<String, StoreError> {
    let trace_parent: Option<String> =
        sqlx::query_scalar("SELECT trace_parent FROM specs WHERE grid_id = $1")
            .bind(grid.to_string())
            .fetch_optional(connection)
            .await?;
    trace_parent.ok_or(StoreError::UnknownGrid(grid))
}

fn parsed(grid: &str) -> Result<GridId, StoreError> {
    grid.parse().map_err(|error| damaged("grid", grid, &error))
}

/// One grid in short.
pub(super) async fn summary(
    connection: &mut AnyConnection,
    grid: GridId,
) -> Result<GridSummary, StoreError> {
    let statement = format!(
        "SELECT {} FROM grids WHERE grid_id = $1 AND state <> 'deleted'",
        GridRow::COLUMNS
    );
    let row: Option<GridRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(grid.to_string())
        .fetch_optional(connection)
        .await?;
    row.ok_or(StoreError::UnknownGrid(grid))?.summary()
}

/// Grids in short, newest first.
pub(super) async fn list(
    connection: &mut AnyConnection,
    filter: &Filter,
    before: Option<GridId>,
    grids_max: u32,
) -> Result<Vec<GridSummary>, StoreError> {
    let mut conditions = vec!["state <> 'deleted'".to_owned()];
    let mut values: Vec<String> = Vec::new();
    let mut parameter = |value: String| {
        values.push(value);
        format!("${}", values.len())
    };
    if let Some(before) = before {
        conditions.push(format!("grid_id < {}", parameter(before.to_string())));
    }
    if !filter.states.is_empty() {
        let states = filter.states.iter();
        let states: Vec<String> = states
            .map(|state| parameter(state.word().to_owned()))
            .collect();
        conditions.push(format!("state IN ({})", states.join(", ")));
    }
    if let Some(submitter) = &filter.submitter {
        conditions.push(format!("submitter = {}", parameter(submitter.clone())));
    }
    if !filter.name_contains.is_empty() {
        // As far as both databases know of upper and lower case.
        let pattern = filter.name_contains.to_ascii_lowercase();
        let pattern = pattern.replace('\\', "\\\\");
        let pattern = pattern.replace('%', "\\%").replace('_', "\\_");
        let pattern = parameter(format!("%{pattern}%"));
        conditions.push(format!("lower(name) LIKE {pattern} ESCAPE '\\'"));
    }
    // Ids sort by the time at which they were made.
    let statement = format!(
        "SELECT {} FROM grids WHERE {} ORDER BY grid_id DESC LIMIT {grids_max}",
        GridRow::COLUMNS,
        conditions.join(" AND ")
    );
    let mut query = sqlx::query_as(AssertSqlSafe(statement));
    for value in values {
        query = query.bind(value);
    }
    let rows: Vec<GridRow> = query.fetch_all(connection).await?;
    rows.into_iter().map(GridRow::summary).collect()
}

/// Every grid with cells that have not ended, oldest first, and the passes of their submitters.
pub(super) async fn line(tables: &mut Tables<'_>) -> Result<Line, StoreError> {
    let rows: Vec<LineRow> = fetch(
        tables.connection,
        tables.dialect,
        "grid",
        LineRow::COLUMNS,
        "SELECT g.grid_id, g.submitter, coalesce(s.pass, 0) AS submitter_pass, g.priority, g.labels, g.pass, g.state, g.queued,
                g.leased + g.rendering AS held
         FROM grids g LEFT JOIN submitters s ON s.submitter = g.submitter
         WHERE g.state IN ('active', 'paused') ORDER BY g.grid_id",
        Vec::new(),
    )
    .await?;
    let mut line = Line::default();
    for row in rows {
        let (submitter, pass) = (row.submitter.clone(), row.submitter_pass);
        line.submitter_passes.insert(submitter, pass);
        line.grids.push(row.grid_in_line()?);
    }
    Ok(line)
}

/// Pauses, resumes or re-prioritises a grid; false if it was so already.
pub(super) async fn steer(
    tables: &mut Tables<'_>,
    grid: GridId,
    steering: Steering,
) -> Result<bool, StoreError> {
    let summary = locked(tables, grid).await?;
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
        level_submitter(tables, &summary.submitter).await?;
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
    .execute(&mut *tables.connection)
    .await?;
    Ok(true)
}

/// One grid in short, which nobody else changes until the transaction has ended.
pub(super) async fn locked(
    tables: &mut Tables<'_>,
    grid: GridId,
) -> Result<GridSummary, StoreError> {
    let statement = format!(
        "SELECT {} FROM grids WHERE grid_id = $1 AND state <> 'deleted' {}",
        GridRow::COLUMNS,
        tables.dialect.for_update()
    );
    let row: Option<GridRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(grid.to_string())
        .fetch_optional(&mut *tables.connection)
        .await?;
    row.ok_or(StoreError::UnknownGrid(grid))?.summary()
}

/// Cancels a grid and every cell of it that has not ended; how many those were.
///
/// What becomes of the cells is what [`crate::domain::cell::Cell::apply`] makes of a cancel, in one statement for however many they are.
pub(super) async fn cancel(
    tables: &mut Tables<'_>,
    grid: GridId,
    now: Timestamp,
) -> Result<u32, StoreError> {
    let mut summary = locked(tables, grid).await?;
    if summary.state.has_ended() {
        return Ok(0);
    }
    let cancelled = sqlx::query(
        "UPDATE cells SET state = 'cancelled', not_before_ms = NULL, lease_expires_at_ms = NULL, stalls_at_ms = NULL,
                begun_at_ms = NULL, evaluations_begun = 0, evaluations = 0, evaluations_planned = 0, loss = NULL,
                changed_sequence = $2
         WHERE grid_id = $1 AND state IN ('queued', 'leased', 'rendering')",
    )
    .bind(grid.to_string())
    .bind(stored_sequence(summary.sequence + 1))
    .execute(&mut *tables.connection)
    .await?
    .rows_affected();
    sqlx::query(
        "UPDATE grids SET state = 'cancelled', finished_at_ms = $2, sequence = sequence + 1, queued = 0, leased = 0,
                rendering = 0, cancelled = cancelled + $3, work_open = 0
         WHERE grid_id = $1",
    )
    .bind(grid.to_string())
    .bind(milliseconds(now))
    .bind(cancelled as i64)
    .execute(&mut *tables.connection)
    .await?;
    (summary.state, summary.finished_at) = (GridState::Cancelled, Some(now));
    summary.counts.cancelled += cancelled as u32;
    outbox::keep_ending(&mut *tables.connection, &summary).await?;
    Ok(cancelled as u32)
}

/// Queues every failed cell of a grid anew; how many those were.
///
/// What becomes of them is what [`crate::domain::cell::Cell::apply`] makes of a retry, in one statement for however many they are.
pub(super) async fn retry_failed(
    tables: &mut Tables<'_>,
    grid: GridId,
    now: Timestamp,
) -> Result<u32, StoreError> {
    let summary = locked(tables, grid).await?;
    let failed = summary.counts.failed;
    if failed == 0 {
        return Ok(0);
    }
    level_submitter(tables, &summary.submitter).await?;
    let work: f64 = sqlx::query_scalar(
        "SELECT CAST(coalesce(sum(work), 0) AS DOUBLE PRECISION) FROM cells WHERE grid_id = $1 AND state = 'failed'",
    )
    .bind(grid.to_string())
    .fetch_one(&mut *tables.connection)
    .await?;
    sqlx::query(
        "UPDATE cells SET state = 'queued', not_before_ms = $2, released = attempt, failed_on = '[]',
                changed_sequence = $3
         WHERE grid_id = $1 AND state = 'failed'",
    )
    .bind(grid.to_string())
    .bind(milliseconds(now))
    .bind(stored_sequence(summary.sequence + 1))
    .execute(&mut *tables.connection)
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
    .bind(grid.to_string())
    .bind(state.word().to_owned())
    .bind(work)
    .execute(&mut *tables.connection)
    .await?;
    Ok(failed)
}

/// Marks an ended grid deleted: no call finds it any more, and its request id makes a grid anew.
pub(super) async fn mark_deleted(
    tables: &mut Tables<'_>,
    grid: GridId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE grids SET state = 'deleted', sequence = sequence + 1, request_id = grid_id, gallery_complete = 1,
                swept = 1, finished_at_ms = $2
         WHERE grid_id = $1",
    )
    .bind(grid.to_string())
    .bind(milliseconds(now))
    .execute(&mut *tables.connection)
    .await?;
    Ok(())
}

/// Whether a grid is marked deleted.
pub(super) async fn is_deleted(
    connection: &mut AnyConnection,
    grid: GridId,
) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT CAST(1 AS BIGINT) FROM grids WHERE grid_id = $1 AND state = 'deleted'",
    )
    .bind(grid.to_string())
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

/// Grids that are marked deleted, and when they were, the longest ago first.
pub(super) async fn deleted(
    connection: &mut AnyConnection,
    grids_max: u32,
) -> Result<Vec<(GridId, Timestamp)>, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT grid_id, finished_at_ms FROM grids WHERE state = 'deleted' ORDER BY finished_at_ms LIMIT $1",
    )
    .bind(i64::from(grids_max))
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(grid, at)| {
            let at =
                Timestamp::from_millisecond(at).map_err(|error| damaged("grid", &grid, &error))?;
            Ok((parsed(&grid)?, at))
        })
        .collect()
}

/// Grids that ended before a time and were not swept since, the longest ago first.
pub(super) async fn unswept(
    connection: &mut AnyConnection,
    ended_before: Timestamp,
    grids_max: u32,
) -> Result<Vec<GridId>, StoreError> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT grid_id FROM grids
         WHERE swept = 0 AND finished_at_ms IS NOT NULL AND finished_at_ms < $1 AND gallery_complete = 1
         ORDER BY finished_at_ms LIMIT $2",
    )
    .bind(milliseconds(ended_before))
    .bind(i64::from(grids_max))
    .fetch_all(connection)
    .await?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// Marks a grid swept if it is still at this sequence.
pub(super) async fn swept(
    connection: &mut AnyConnection,
    grid: GridId,
    sequence: u64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE grids SET swept = 1 WHERE grid_id = $1 AND sequence = $2")
        .bind(grid.to_string())
        .bind(stored_sequence(sequence))
        .execute(connection)
        .await?;
    Ok(())
}

/// Grids that ended before a time and whose gallery is complete, the longest ago first.
pub(super) async fn ended_before(
    connection: &mut AnyConnection,
    time: Timestamp,
    grids_max: u32,
) -> Result<Vec<GridId>, StoreError> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT grid_id FROM grids
         WHERE finished_at_ms < $1 AND gallery_complete = 1 AND state <> 'deleted'
         ORDER BY finished_at_ms LIMIT $2",
    )
    .bind(milliseconds(time))
    .bind(i64::from(grids_max))
    .fetch_all(connection)
    .await?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// Removes some rows of a grid's cells and attempts, and with the last of them the grid's; true when there is nothing more
/// to remove: it is gone, or has been tried again or deleted since whoever forgets it looked.
pub(super) async fn forget_some(
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
            .bind(CELLS_PER_DELETE_MAX)
            .execute(&mut *tables.connection)
            .await?;
        if removed.rows_affected() >= CELLS_PER_DELETE_MAX as u64 {
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

/// Grids whose gallery is not complete.
pub(super) async fn unpublished(
    connection: &mut AnyConnection,
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
    connection: &mut AnyConnection,
    grid: GridId,
    sequence: u64,
) -> Result<bool, StoreError> {
    let marked = sqlx::query(
        "UPDATE grids SET gallery_complete = 1, sequence = sequence + 1
         WHERE grid_id = $1 AND sequence = $2 AND state IN ('finished', 'cancelled') AND gallery_complete = 0",
    )
    .bind(grid.to_string())
    .bind(stored_sequence(sequence))
    .execute(connection)
    .await?;
    Ok(marked.rows_affected() == 1)
}
