//! Events of cells: read in one go, judged one after the other, written in one go.
//!
//! A row of `grids` is the lock of its cells: whoever changes one has it first. So the verdicts of one transaction are
//! passed on what no other can change, and a grid's sequence numbers become visible in their order.

use std::collections::{BTreeMap, BTreeSet};

use atelier_proto::ids::{CellId, GridId, NodeId};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, FromRow};

use super::super::{Applied, Rejection, StoreError, Verdict};
use super::dialect::{Column, Dialect};
use super::rows::{CellRow, StateColumns, damaged, milliseconds};
use super::{Tables, nodes};
use crate::domain::attempt::AttemptEnd;
use crate::domain::cell::{Cell, Event};
use crate::domain::lease::LeaseRules;
use crate::domain::share::{Shares, grid_weight};
use crate::domain::summary::{Counts, GridState};

/// A cell as it was read, and as it is after the events so far.
struct Judged {
    work: f64,
    before: Cell,
    after: Cell,
    changed_sequence: i64,
}

/// A grid of the events, with what becomes of it.
struct Grid {
    submitter: String,
    priority: i32,
    state: GridState,
    finished_at_ms: Option<i64>,
    sequence: i64,
    counts: Counts,
    work_open: f64,
    /// Work that was handed out.
    handed_out: f64,
    seconds_spent: f64,
    dollars_spent: f64,
    is_touched: bool,
}

/// What becomes of a node.
#[derive(Default)]
struct AtNode {
    done: i64,
    /// Its failures in their order, with `None` for each cell that it completed between them.
    ends: Vec<Option<(GridId, String)>>,
}

#[derive(FromRow)]
struct GridRow {
    grid_id: String,
    submitter: String,
    priority: i64,
    state: String,
    finished_at_ms: Option<i64>,
    sequence: i64,
    queued: i64,
    leased: i64,
    rendering: i64,
    done: i64,
    failed: i64,
    cancelled: i64,
    work_open: f64,
    seconds_spent: f64,
    dollars_spent: f64,
}

/// Applies events in their order and keeps what they make of cells, grids, submitters and nodes.
pub(super) async fn apply(
    tables: &mut Tables<'_>,
    events: Vec<(CellId, Event)>,
    now: Timestamp,
    rules: &LeaseRules,
    shares: &Shares,
) -> Result<Vec<Verdict>, StoreError> {
    let mut batch = Batch::read(tables, &events, now, rules).await?;
    let mut verdicts = Vec::with_capacity(events.len());
    for (id, event) in events {
        verdicts.push(batch.judge(id, &event));
    }
    batch.write(tables, shares).await?;
    Ok(verdicts)
}

/// What one transaction changes.
struct Batch<'a> {
    now: Timestamp,
    rules: &'a LeaseRules,
    grids: BTreeMap<GridId, Grid>,
    cells: BTreeMap<CellId, Judged>,
    attempts: Vec<(CellId, AttemptEnd)>,
    nodes: BTreeMap<NodeId, AtNode>,
    prices: BTreeMap<NodeId, f64>,
}

impl<'a> Batch<'a> {
    async fn read(
        tables: &mut Tables<'_>,
        events: &[(CellId, Event)],
        now: Timestamp,
        rules: &'a LeaseRules,
    ) -> Result<Self, StoreError> {
        let ids: BTreeSet<CellId> = events.iter().map(|(id, _)| *id).collect();
        let grids: BTreeSet<GridId> = ids.iter().map(|id| id.grid).collect();
        let completing: BTreeSet<NodeId> = events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Complete { holder, .. } => Some(holder.node),
                Event::Lease { .. }
                | Event::Renew { .. }
                | Event::Fail { .. }
                | Event::Release { .. }
                | Event::Expire
                | Event::Cancel
                | Event::Retry => None,
            })
            .collect();
        Ok(Self {
            now,
            rules,
            grids: lock_grids(tables, &grids).await?,
            cells: cells(tables, &ids).await?,
            attempts: Vec::new(),
            nodes: BTreeMap::new(),
            prices: nodes::prices(tables, &completing).await?,
        })
    }

    fn judge(&mut self, id: CellId, event: &Event) -> Verdict {
        let unknown = Rejection::UnknownCell(id);
        let grid = self.grids.get_mut(&id.grid).ok_or(unknown)?;
        let judged = self.cells.get_mut(&id).ok_or(unknown)?;
        if matches!(event, Event::Lease { .. }) && grid.state != GridState::Active {
            return Err(Rejection::NotServed);
        }
        let earlier = judged.after.clone();
        let kept = Kept::of(event);
        let after = earlier.clone().apply(event.clone(), self.now, self.rules)?;
        let changed = !after.looks_like(&earlier);
        if let Some(end) = AttemptEnd::of(&earlier, event, &after, self.now) {
            if kept.is_fault {
                let at_node = self.nodes.entry(end.node).or_default();
                at_node.ends.push(Some((id.grid, end.reason.clone())));
            }
            self.attempts.push((id, end));
        }
        if after != earlier {
            grid.is_touched = true;
            grid.count(&earlier, &after, judged.work, self.now);
            match (&after, kept.node) {
                (Cell::Leased { .. }, Some(_)) if earlier.lease_expires_at().is_none() => {
                    grid.handed_out += judged.work;
                }
                (Cell::Done { result, .. }, Some(node)) => {
                    let at_node = self.nodes.entry(node).or_default();
                    at_node.done += 1;
                    at_node.ends.push(None);
                    grid.seconds_spent += result.seconds;
                    let dollars_per_hour = self.prices.get(&node).copied().unwrap_or(0.0);
                    grid.dollars_spent += result.seconds / 3600.0 * dollars_per_hour;
                }
                _ => {}
            }
            if changed {
                grid.sequence += 1;
                judged.changed_sequence = grid.sequence;
            }
            judged.after = after.clone();
        }
        Ok(Applied {
            grid: id.grid,
            cell: after,
            changed,
            work: judged.work,
        })
    }

    async fn write(self, tables: &mut Tables<'_>, shares: &Shares) -> Result<(), StoreError> {
        write_cells(tables, &self.cells).await?;
        write_attempts(tables, &self.attempts, self.now).await?;
        let mut charged: BTreeMap<&str, f64> = BTreeMap::new();
        for grid in self.grids.values().filter(|grid| grid.handed_out > 0.0) {
            *charged.entry(&grid.submitter).or_default() +=
                grid.handed_out / shares.weight(&grid.submitter);
        }
        write_grids(tables, &self.grids).await?;
        charge_submitters(tables, &charged).await?;
        write_nodes(tables, &self.nodes).await
    }
}

/// What an event says that is asked for after it was applied.
struct Kept {
    node: Option<NodeId>,
    /// If it ends the attempt, the node may be at fault.
    is_fault: bool,
}

impl Kept {
    fn of(event: &Event) -> Self {
        match event {
            Event::Lease { node } => Self {
                node: Some(*node),
                is_fault: false,
            },
            Event::Fail {
                holder, refused, ..
            } => Self {
                node: Some(holder.node),
                is_fault: !refused,
            },
            Event::Renew { holder, .. }
            | Event::Complete { holder, .. }
            | Event::Release { holder, .. } => Self {
                node: Some(holder.node),
                is_fault: false,
            },
            Event::Expire | Event::Cancel | Event::Retry => Self {
                node: None,
                is_fault: false,
            },
        }
    }
}

impl Grid {
    /// Counts a cell in its new state, and ends or revives the grid with its last or its first open cell.
    fn count(&mut self, before: &Cell, after: &Cell, work: f64, now: Timestamp) {
        *self.counts.of_mut(before) -= 1;
        *self.counts.of_mut(after) += 1;
        match (before.has_ended(), after.has_ended()) {
            (false, true) => self.work_open -= work,
            (true, false) => self.work_open += work,
            (false, false) | (true, true) => {}
        }
        let is_open = self.counts.open() > 0;
        if is_open && self.state.has_ended() {
            self.state = GridState::Active;
            self.finished_at_ms = None;
        } else if !is_open && !self.state.has_ended() {
            self.state = GridState::Finished;
            self.finished_at_ms = Some(milliseconds(now));
            // What sums of floating point left over.
            self.work_open = 0.0;
        }
    }
}

async fn lock_grids(
    tables: &mut Tables<'_>,
    grids: &BTreeSet<GridId>,
) -> Result<BTreeMap<GridId, Grid>, StoreError> {
    let dialect = tables.dialect;
    let statement = format!(
        "SELECT grid_id, submitter, priority, state, finished_at_ms, sequence, queued, leased, rendering, done, failed,
                cancelled, work_open, seconds_spent, dollars_spent
         FROM grids WHERE grid_id IN (SELECT given.grid_id FROM {given}) AND state <> 'deleted'
         ORDER BY grid_id {for_update}",
        given = dialect.given(1, &[Column::Text("grid_id")]),
        for_update = dialect.for_update(),
    );
    let ids: Vec<Value> = grids.iter().map(|grid| json!([grid])).collect();
    let rows: Vec<GridRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(Value::from(ids).to_string())
        .fetch_all(&mut *tables.connection)
        .await?;
    rows.into_iter()
        .map(|row| {
            let wrong = |problem: &dyn std::fmt::Display| {
                damaged("grid", &row.grid_id, &problem.to_string())
            };
            let count = |count: i64| u32::try_from(count).map_err(|error| wrong(&error));
            let id: GridId = row.grid_id.parse().map_err(|error| wrong(&error))?;
            let state = GridState::ALL
                .into_iter()
                .find(|state| state.word() == row.state)
                .ok_or_else(|| wrong(&format_args!("its state is {:?}", row.state)))?;
            let grid = Grid {
                priority: i32::try_from(row.priority).map_err(|error| wrong(&error))?,
                state,
                finished_at_ms: row.finished_at_ms,
                sequence: row.sequence,
                counts: Counts {
                    queued: count(row.queued)?,
                    leased: count(row.leased)?,
                    rendering: count(row.rendering)?,
                    done: count(row.done)?,
                    failed: count(row.failed)?,
                    cancelled: count(row.cancelled)?,
                },
                work_open: row.work_open,
                handed_out: 0.0,
                seconds_spent: row.seconds_spent,
                dollars_spent: row.dollars_spent,
                is_touched: false,
                submitter: row.submitter.clone(),
            };
            Ok((id, grid))
        })
        .collect()
}

async fn cells(
    tables: &mut Tables<'_>,
    ids: &BTreeSet<CellId>,
) -> Result<BTreeMap<CellId, Judged>, StoreError> {
    let given = tables
        .dialect
        .given(1, &[Column::Text("grid_id"), Column::Integer("place")]);
    // The few that are given lead, each to one row of the many.
    let join = match tables.dialect {
        Dialect::Sqlite => "CROSS JOIN cells c ON",
        Dialect::Postgres => "JOIN cells c ON",
    };
    let statement = format!(
        "SELECT {columns}, CAST(NULL AS TEXT) AS node_name
         FROM {given} {join} c.grid_id = given.grid_id AND c.place = given.place",
        columns = CellRow::COLUMNS,
    );
    let ids: Vec<Value> = ids.iter().map(|id| json!([id.grid, id.place])).collect();
    let rows: Vec<CellRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(Value::from(ids).to_string())
        .fetch_all(&mut *tables.connection)
        .await?;
    rows.into_iter()
        .map(|row| {
            let id = row.id()?;
            let before = row.cell(id)?;
            let judged = Judged {
                work: row.work,
                after: before.clone(),
                before,
                changed_sequence: row.changed_sequence,
            };
            Ok((id, judged))
        })
        .collect()
}

/// Keeps the verdicts, fenced by the attempts and the states that they were passed on.
async fn write_cells(
    tables: &mut Tables<'_>,
    cells: &BTreeMap<CellId, Judged>,
) -> Result<(), StoreError> {
    let changed = cells
        .iter()
        .filter(|(_, judged)| judged.after != judged.before);
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
            judged.changed_sequence,
            earlier.started,
            judged.before.state(),
        ]));
    }
    let Some(first) = cells.keys().next() else {
        return Ok(());
    };
    if rows.is_empty() {
        return Ok(());
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

async fn write_attempts(
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

async fn write_grids(
    tables: &mut Tables<'_>,
    grids: &BTreeMap<GridId, Grid>,
) -> Result<(), StoreError> {
    let touched = grids.iter().filter(|(_, grid)| grid.is_touched);
    let rows: Vec<Value> = touched
        .map(|(id, grid)| {
            let counts = grid.counts;
            json!([
                id,
                grid.state.word(),
                grid.finished_at_ms,
                grid.sequence,
                counts.queued,
                counts.leased,
                counts.rendering,
                counts.done,
                counts.failed,
                counts.cancelled,
                grid.work_open,
                grid.seconds_spent,
                grid.dollars_spent,
                grid.handed_out / grid_weight(grid.priority),
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
    Ok(())
}

async fn charge_submitters(
    tables: &mut Tables<'_>,
    charged: &BTreeMap<&str, f64>,
) -> Result<(), StoreError> {
    // One by one and in their order, so that no two writers wait for each other; they are few.
    for (submitter, passed) in charged {
        sqlx::query("UPDATE submitters SET pass = pass + $1 WHERE submitter = $2")
            .bind(*passed)
            .bind((*submitter).to_owned())
            .execute(&mut *tables.connection)
            .await?;
    }
    Ok(())
}

async fn write_nodes(
    tables: &mut Tables<'_>,
    at_nodes: &BTreeMap<NodeId, AtNode>,
) -> Result<(), StoreError> {
    if at_nodes.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<NodeId> = at_nodes.keys().copied().collect();
    let health = nodes::lock(tables, &ids).await?;
    let mut rows = Vec::new();
    for (id, mut health) in health {
        let Some(at_node) = at_nodes.get(&id) else {
            continue;
        };
        for end in &at_node.ends {
            match end {
                Some((grid, reason)) => health = health.failed(*grid, reason),
                None => health.failing_grids.clear(),
            }
        }
        rows.push(json!([
            id,
            health.state.word(),
            health.state.reason(),
            json!(health.failing_grids).to_string(),
            at_node.done,
        ]));
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
