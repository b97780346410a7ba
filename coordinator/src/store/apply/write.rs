//! What became of a batch of events: one statement for each table, for however many rows.

use std::collections::BTreeMap;

use atelier_proto::ids::{CellId, GridId, NodeId};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{AtNode, Grid, Judged};
use crate::domain::attempt::AttemptEnd;
use crate::domain::share::{Shares, grid_weight};
use crate::store::dialect::Column;
use crate::store::error::damaged;
use crate::store::rows::{StateColumns, milliseconds, stored_sequence};
use crate::store::{StoreError, Tables, outbox};

/// Keeps the verdicts, fenced by the attempts and the states that they were passed on.
pub(super) async fn cells(
    tables: &mut Tables<'_>,
    cells: &BTreeMap<CellId, Judged>,
) -> Result<(), StoreError> {
    let changed = cells
        .iter()
        .filter(|(_, judged)| judged.after != judged.before);
    let Some((first, _)) = changed.clone().next() else {
        return Ok(());
    };
    let mut rows = Vec::new();
    for (id, judged) in changed {
        let columns =
            StateColumns::of(&judged.after).map_err(|error| damaged("cell", *id, &error))?;
        let (history, earlier) = (judged.after.history(), judged.before.history());
        rows.push(json!([
            id.grid,
            id.place,
            judged.after.state(),
            history.started,
            history.released,
            history.node,
            history.failure,
            json!(history.failed_on).to_string(),
            columns.not_before_ms,
            columns.lease_expires_at_ms,
            columns.stalls_at_ms,
            columns.begun_at_ms,
            columns.evaluations_begun,
            columns.evaluations,
            columns.evaluations_planned,
            columns.loss,
            columns.result,
            stored_sequence(judged.changed_sequence),
            earlier.started,
            judged.before.state(),
        ]));
    }
    let given = tables.dialect.given(
        1,
        &[
            Column::Text("grid_id"),
            Column::Integer("place"),
            Column::Text("state"),
            Column::Integer("attempt"),
            Column::Integer("released"),
            Column::Text("node_id"),
            Column::Text("failure"),
            Column::Text("failed_on"),
            Column::Integer("not_before_ms"),
            Column::Integer("lease_expires_at_ms"),
            Column::Integer("stalls_at_ms"),
            Column::Integer("begun_at_ms"),
            Column::Integer("evaluations_begun"),
            Column::Integer("evaluations"),
            Column::Integer("evaluations_planned"),
            Column::Real("loss"),
            Column::Text("result"),
            Column::Integer("changed_sequence"),
            Column::Integer("attempt_before"),
            Column::Text("state_before"),
        ],
    );
    let statement = format!(
        "UPDATE cells SET
             state = given.state, attempt = given.attempt, released = given.released, node_id = given.node_id,
             failure = given.failure, failed_on = given.failed_on, not_before_ms = given.not_before_ms,
             lease_expires_at_ms = given.lease_expires_at_ms, stalls_at_ms = given.stalls_at_ms,
             begun_at_ms = given.begun_at_ms, evaluations_begun = given.evaluations_begun,
             evaluations = given.evaluations, evaluations_planned = given.evaluations_planned, loss = given.loss,
             result = given.result, changed_sequence = given.changed_sequence
         FROM {given}
         WHERE cells.grid_id = given.grid_id AND cells.place = given.place
           AND cells.attempt = given.attempt_before AND cells.state = given.state_before"
    );
    let expected = rows.len() as u64;
    let updated = execute(&mut *tables.connection, statement, rows).await?;
    if updated == expected {
        Ok(())
    } else {
        Err(StoreError::Conflict(*first))
    }
}

/// Keeps the attempts that ended.
pub(super) async fn attempts(
    tables: &mut Tables<'_>,
    attempts: &[(CellId, AttemptEnd)],
    now: Timestamp,
) -> Result<(), StoreError> {
    if attempts.is_empty() {
        return Ok(());
    }
    let rows = attempts.iter().map(|(id, end)| {
        json!([
            id.grid,
            id.place,
            end.attempt,
            end.node,
            milliseconds(now),
            end.outcome.word(),
            end.reason,
            end.log,
        ])
    });
    let given = tables.dialect.given(
        1,
        &[
            Column::Text("grid_id"),
            Column::Integer("place"),
            Column::Integer("attempt"),
            Column::Text("node_id"),
            Column::Integer("ended_at_ms"),
            Column::Text("outcome"),
            Column::Text("reason"),
            Column::Text("log"),
        ],
    );
    let statement = format!(
        "INSERT INTO attempts (grid_id, place, attempt, node_id, ended_at_ms, outcome, reason, log)
         SELECT grid_id, place, attempt, node_id, ended_at_ms, outcome, reason, log FROM {given}"
    );
    execute(&mut *tables.connection, statement, rows.collect()).await?;
    Ok(())
}

/// Keeps what became of the grids.
pub(super) async fn grids(
    tables: &mut Tables<'_>,
    grids: &BTreeMap<GridId, Grid>,
) -> Result<(), StoreError> {
    let touched = grids.iter().filter(|(_, grid)| grid.is_touched);
    let rows: Vec<Value> = touched
        .map(|(id, grid)| {
            let (summary, counts) = (&grid.summary, grid.summary.counts);
            json!([
                id,
                summary.state.word(),
                summary.finished_at.map(milliseconds),
                stored_sequence(summary.sequence),
                counts.queued,
                counts.leased,
                counts.rendering,
                counts.done,
                counts.failed,
                counts.cancelled,
                summary.work_open,
                summary.seconds_spent,
                summary.dollars_spent,
                grid.handed_out / grid_weight(summary.priority),
            ])
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let given = tables.dialect.given(
        1,
        &[
            Column::Text("grid_id"),
            Column::Text("state"),
            Column::Integer("finished_at_ms"),
            Column::Integer("sequence"),
            Column::Integer("queued"),
            Column::Integer("leased"),
            Column::Integer("rendering"),
            Column::Integer("done"),
            Column::Integer("failed"),
            Column::Integer("cancelled"),
            Column::Real("work_open"),
            Column::Real("seconds_spent"),
            Column::Real("dollars_spent"),
            Column::Real("passed"),
        ],
    );
    // A gallery that was complete is so no more once a cell changes.
    let statement = format!(
        "UPDATE grids SET
             state = given.state, finished_at_ms = given.finished_at_ms,
             gallery_complete = CASE WHEN grids.sequence = given.sequence THEN gallery_complete ELSE 0 END,
             swept = 0, sequence = given.sequence, queued = given.queued, leased = given.leased, rendering = given.rendering,
             done = given.done, failed = given.failed, cancelled = given.cancelled, work_open = given.work_open,
             seconds_spent = given.seconds_spent, dollars_spent = given.dollars_spent, pass = pass + given.passed
         FROM {given} WHERE grids.grid_id = given.grid_id"
    );
    execute(&mut *tables.connection, statement, rows).await?;
    for grid in grids.values().filter(|grid| !grid.had_ended) {
        // Nothing is kept of those that have not ended now either.
        outbox::keep_ending(&mut *tables.connection, &grid.summary).await?;
    }
    Ok(())
}

/// Counts what was handed out against the submitters.
pub(super) async fn submitters(
    tables: &mut Tables<'_>,
    grids: &BTreeMap<GridId, Grid>,
    shares: &Shares,
) -> Result<(), StoreError> {
    let mut charged: BTreeMap<&str, f64> = BTreeMap::new();
    for grid in grids.values().filter(|grid| grid.handed_out > 0.0) {
        let submitter = grid.summary.submitter.as_str();
        *charged.entry(submitter).or_default() += grid.handed_out / shares.weight(submitter);
    }
    // One by one and in their order, so that no two writers wait for each other; they are few.
    for (submitter, passed) in charged {
        sqlx::query("UPDATE submitters SET pass = pass + $1 WHERE submitter = $2")
            .bind(passed)
            .bind(submitter.to_owned())
            .execute(&mut *tables.connection)
            .await?;
    }
    Ok(())
}

/// Keeps how the nodes got on.
pub(super) async fn nodes(
    tables: &mut Tables<'_>,
    at_nodes: &BTreeMap<NodeId, AtNode>,
) -> Result<(), StoreError> {
    let touched = at_nodes.iter().filter(|(_, at_node)| at_node.is_touched);
    let rows: Vec<Value> = touched
        .map(|(id, at_node)| {
            let health = &at_node.health;
            json!([
                id,
                health.state.word(),
                health.state.reason(),
                json!(health.failing_grids).to_string(),
                at_node.done,
            ])
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let given = tables.dialect.given(
        1,
        &[
            Column::Text("node_id"),
            Column::Text("state"),
            Column::Text("reason"),
            Column::Text("failing_grids"),
            Column::Integer("done"),
        ],
    );
    let statement = format!(
        "UPDATE nodes SET state = given.state, reason = given.reason, failing_grids = given.failing_grids,
                cells_done = cells_done + given.done
         FROM {given} WHERE nodes.node_id = given.node_id"
    );
    execute(&mut *tables.connection, statement, rows).await?;
    Ok(())
}

/// Executes a statement with rows as its only parameter; how many rows it changed.
async fn execute(
    connection: &mut AnyConnection,
    statement: String,
    rows: Vec<Value>,
) -> Result<u64, StoreError> {
    let done = sqlx::query(AssertSqlSafe(statement))
        .bind(Value::from(rows).to_string())
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
