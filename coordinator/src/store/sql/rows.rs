//! Rows as the domain's types. What a row says that it cannot say is an error with its key, never a default.

use atelier_proto::ids::{CellId, GridId, NodeId};
use jiff::Timestamp;
use serde::Deserialize;
use sqlx::FromRow;

use super::super::StoreError;
use super::dialect::Column;
use super::fetch::{real, some_real};
use crate::domain::attempt::{AttemptEnd, AttemptRecord, Outcome};
use crate::domain::block::QueuedCell;
use crate::domain::cell::{Cell, History, Progress, Rendering};
use crate::domain::node::{Health, Node, NodeRecord, NodeState};
use crate::domain::share::GridInLine;
use crate::domain::summary::{CellRecord, Counts, GridState, GridSummary};

/// A row that contradicts itself.
pub(super) fn damaged(
    table: &'static str,
    id: impl std::fmt::Display,
    problem: &impl ToString,
) -> StoreError {
    StoreError::Damaged {
        table,
        id: id.to_string(),
        problem: problem.to_string(),
    }
}

/// A time as it is stored.
pub(super) fn milliseconds(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// A sequence number as it is stored; one beyond what is stored is beyond every grid's.
pub(super) fn stored_sequence(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// What is wrong with a row.
struct Row<'a> {
    table: &'static str,
    id: &'a dyn std::fmt::Display,
}

impl Row<'_> {
    fn wrong(&self, problem: &impl ToString) -> StoreError {
        damaged(self.table, self.id, problem)
    }

    fn parsed<T>(&self, text: &str) -> Result<T, StoreError>
    where
        T: std::str::FromStr<Err: ToString>,
    {
        text.parse().map_err(|error| self.wrong(&error))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| self.wrong(&error))
    }

    fn time(&self, milliseconds: i64) -> Result<Timestamp, StoreError> {
        Timestamp::from_millisecond(milliseconds).map_err(|error| self.wrong(&error))
    }

    fn some_time(&self, milliseconds: Option<i64>) -> Result<Timestamp, StoreError> {
        self.time(milliseconds.ok_or_else(|| self.wrong(&"it lacks a time"))?)
    }

    fn count(&self, count: i64) -> Result<u32, StoreError> {
        u32::try_from(count).map_err(|error| self.wrong(&error))
    }

    fn grid_state(&self, word: &str) -> Result<GridState, StoreError> {
        let known = GridState::ALL.into_iter();
        let mut known = known.filter(|state| state.word() == word);
        known
            .next()
            .ok_or_else(|| self.wrong(&format!("its state is {word:?}")))
    }
}

/// `grids`, in short.
#[derive(Debug, FromRow)]
pub(super) struct GridRow {
    pub(super) grid_id: String,
    pub(super) name: String,
    pub(super) submitter: String,
    pub(super) state: String,
    pub(super) priority: i64,
    pub(super) submitted_at_ms: i64,
    pub(super) finished_at_ms: Option<i64>,
    pub(super) sequence: i64,
    pub(super) gallery_complete: i64,
    pub(super) queued: i64,
    pub(super) leased: i64,
    pub(super) rendering: i64,
    pub(super) done: i64,
    pub(super) failed: i64,
    pub(super) cancelled: i64,
    pub(super) work_open: f64,
    pub(super) seconds_spent: f64,
    pub(super) dollars_spent: f64,
}

impl GridRow {
    /// The columns that it takes.
    pub(super) const COLUMNS: &str = "grid_id, name, submitter, state, priority, submitted_at_ms, finished_at_ms, \
        sequence, gallery_complete, queued, leased, rendering, done, failed, cancelled, work_open, seconds_spent, \
        dollars_spent";

    pub(super) fn summary(self) -> Result<GridSummary, StoreError> {
        let row = Row {
            table: "grid",
            id: &self.grid_id,
        };
        Ok(GridSummary {
            grid: row.parsed::<GridId>(&self.grid_id)?,
            state: row.grid_state(&self.state)?,
            counts: Counts {
                queued: row.count(self.queued)?,
                leased: row.count(self.leased)?,
                rendering: row.count(self.rendering)?,
                done: row.count(self.done)?,
                failed: row.count(self.failed)?,
                cancelled: row.count(self.cancelled)?,
            },
            submitted_at: row.time(self.submitted_at_ms)?,
            finished_at: self.finished_at_ms.map(|time| row.time(time)).transpose()?,
            sequence: self.sequence.unsigned_abs(),
            gallery_complete: self.gallery_complete != 0,
            priority: i32::try_from(self.priority).map_err(|error| row.wrong(&error))?,
            work_open: self.work_open,
            seconds_spent: self.seconds_spent,
            dollars_spent: self.dollars_spent,
            name: self.name,
            submitter: self.submitter,
        })
    }
}

/// `grids`, as the order of service wants them; its fields are in the order of its columns.
#[derive(Debug, Deserialize)]
pub(super) struct LineRow {
    grid_id: String,
    pub(super) submitter: String,
    #[serde(deserialize_with = "real")]
    pub(super) submitter_pass: f64,
    priority: i64,
    labels: String,
    #[serde(deserialize_with = "real")]
    pass: f64,
    state: String,
    queued: i64,
    held: i64,
}

impl LineRow {
    pub(super) const COLUMNS: &[Column] = &[
        Column::Text("grid_id"),
        Column::Text("submitter"),
        Column::Real("submitter_pass"),
        Column::Integer("priority"),
        Column::Text("labels"),
        Column::Real("pass"),
        Column::Text("state"),
        Column::Integer("queued"),
        Column::Integer("held"),
    ];

    pub(super) fn grid_in_line(self) -> Result<GridInLine, StoreError> {
        let row = Row {
            table: "grid",
            id: &self.grid_id,
        };
        Ok(GridInLine {
            grid: row.parsed(&self.grid_id)?,
            priority: i32::try_from(self.priority).map_err(|error| row.wrong(&error))?,
            labels: row.json(&self.labels)?,
            pass: self.pass,
            is_active: row.grid_state(&self.state)? == GridState::Active,
            queued: row.count(self.queued)?,
            held: row.count(self.held)?,
            submitter: self.submitter,
        })
    }
}

/// `cells`, with the name of the node where a statement asks for it; its fields are in the order of its columns.
#[derive(Debug, Deserialize)]
pub(super) struct CellRow {
    pub(super) grid_id: String,
    pub(super) place: i64,
    #[serde(deserialize_with = "real")]
    pub(super) work: f64,
    state: String,
    attempt: i64,
    released: i64,
    node_id: Option<String>,
    failure: Option<String>,
    failed_on: String,
    not_before_ms: Option<i64>,
    lease_expires_at_ms: Option<i64>,
    stalls_at_ms: Option<i64>,
    begun_at_ms: Option<i64>,
    evaluations_begun: i64,
    evaluations: i64,
    evaluations_planned: i64,
    #[serde(deserialize_with = "some_real")]
    loss: Option<f64>,
    result: Option<String>,
    pub(super) changed_sequence: i64,
    node_name: Option<String>,
    #[serde(deserialize_with = "some_real")]
    node_dollars_per_hour: Option<f64>,
}

impl CellRow {
    pub(super) const COLUMNS: &[Column] = &[
        Column::Text("grid_id"),
        Column::Integer("place"),
        Column::Real("work"),
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
        Column::Text("node_name"),
        Column::Real("node_dollars_per_hour"),
    ];

    /// Its id.
    pub(super) fn id(&self) -> Result<CellId, StoreError> {
        let row = Row {
            table: "cell",
            id: &format!("{}/{}", self.grid_id, self.place),
        };
        Ok(CellId {
            grid: row.parsed(&self.grid_id)?,
            place: row.count(self.place)?,
        })
    }

    pub(super) fn record(self) -> Result<CellRecord, StoreError> {
        let id = self.id()?;
        Ok(CellRecord {
            id,
            cell: self.cell(id)?,
            changed_sequence: self.changed_sequence.unsigned_abs(),
            node_name: self.node_name,
            node_dollars_per_hour: self.node_dollars_per_hour,
        })
    }

    /// How far it is.
    pub(super) fn cell(&self, id: CellId) -> Result<Cell, StoreError> {
        let row = Row {
            table: "cell",
            id: &id,
        };
        let node = self.node_id.as_deref();
        let history = History {
            started: row.count(self.attempt)?,
            released: row.count(self.released)?,
            node: node.map(|node| row.parsed::<NodeId>(node)).transpose()?,
            failure: self.failure.clone(),
            failed_on: row.json(&self.failed_on)?,
        };
        Ok(match self.state.as_str() {
            "queued" => Cell::Queued {
                history,
                not_before: row.some_time(self.not_before_ms)?,
            },
            "leased" => Cell::Leased {
                history,
                expires_at: row.some_time(self.lease_expires_at_ms)?,
            },
            "rendering" => Cell::Rendering {
                history,
                expires_at: row.some_time(self.lease_expires_at_ms)?,
                rendering: Rendering {
                    progress: Progress {
                        evaluations: row.count(self.evaluations)?,
                        planned: row.count(self.evaluations_planned)?,
                        loss: self.loss.unwrap_or(f64::NAN),
                    },
                    begun_at: row.some_time(self.begun_at_ms)?,
                    evaluations_begun: row.count(self.evaluations_begun)?,
                    stalls_at: self.stalls_at_ms.map(|time| row.time(time)).transpose()?,
                },
            },
            "done" => Cell::Done {
                history,
                result: row.json(self.result.as_deref().unwrap_or_default())?,
            },
            "failed" => Cell::Failed { history },
            "cancelled" => Cell::Cancelled { history },
            other => return Err(row.wrong(&format!("its state is {other:?}"))),
        })
    }
}

/// `cells` that wait; its fields are in the order of its columns.
#[derive(Debug, Deserialize)]
pub(super) struct QueuedRow {
    place: u32,
    #[serde(deserialize_with = "real")]
    work: f64,
    failed_on: String,
}

impl QueuedRow {
    pub(super) const COLUMNS: &[Column] = &[
        Column::Integer("place"),
        Column::Real("work"),
        Column::Text("failed_on"),
    ];

    pub(super) fn queued_cell(self, grid: GridId) -> Result<QueuedCell, StoreError> {
        let place = self.place;
        let id = CellId { grid, place };
        let row = Row {
            table: "cell",
            id: &id,
        };
        Ok(QueuedCell {
            id,
            work: self.work,
            failed_on: row.json(&self.failed_on)?,
        })
    }
}

/// The columns that follow from a cell's state.
#[derive(Debug, Default)]
pub(super) struct StateColumns {
    pub(super) not_before_ms: Option<i64>,
    pub(super) lease_expires_at_ms: Option<i64>,
    pub(super) stalls_at_ms: Option<i64>,
    pub(super) begun_at_ms: Option<i64>,
    pub(super) evaluations_begun: u32,
    pub(super) evaluations: u32,
    pub(super) evaluations_planned: u32,
    pub(super) loss: Option<f64>,
    pub(super) result: Option<String>,
}

impl StateColumns {
    pub(super) fn of(cell: &Cell) -> Result<Self, serde_json::Error> {
        let columns = Self {
            lease_expires_at_ms: cell.lease_expires_at().map(milliseconds),
            ..Self::default()
        };
        Ok(match cell {
            Cell::Queued { not_before, .. } => Self {
                not_before_ms: Some(milliseconds(*not_before)),
                ..columns
            },
            Cell::Rendering { rendering, .. } => Self {
                stalls_at_ms: rendering.stalls_at.map(milliseconds),
                begun_at_ms: Some(milliseconds(rendering.begun_at)),
                evaluations_begun: rendering.evaluations_begun,
                evaluations: rendering.progress.evaluations,
                evaluations_planned: rendering.progress.planned,
                loss: Some(rendering.progress.loss).filter(|loss| loss.is_finite()),
                ..columns
            },
            Cell::Done { result, .. } => Self {
                evaluations: result.evaluations,
                evaluations_planned: result.evaluations,
                loss: Some(result.loss),
                result: Some(serde_json::to_string(result)?),
                ..columns
            },
            Cell::Leased { .. } | Cell::Failed { .. } | Cell::Cancelled { .. } => columns,
        })
    }
}

/// `nodes`; its fields are in the order of its columns.
#[derive(Debug, FromRow, Deserialize)]
pub(super) struct NodeRow {
    pub(super) node_id: String,
    name: String,
    device: String,
    memory_bytes: i64,
    batch_capacity: i64,
    version: String,
    instance_id: String,
    labels: String,
    registered_at_ms: i64,
    last_seen_at_ms: i64,
    state: String,
    reason: String,
    failing_grids: String,
    cells_done: i64,
    #[serde(deserialize_with = "some_real")]
    dollars_per_hour: Option<f64>,
    identity: String,
}

impl NodeRow {
    pub(super) const COLUMNS: &[Column] = &[
        Column::Text("node_id"),
        Column::Text("name"),
        Column::Text("device"),
        Column::Integer("memory_bytes"),
        Column::Integer("batch_capacity"),
        Column::Text("version"),
        Column::Text("instance_id"),
        Column::Text("labels"),
        Column::Integer("registered_at_ms"),
        Column::Integer("last_seen_at_ms"),
        Column::Text("state"),
        Column::Text("reason"),
        Column::Text("failing_grids"),
        Column::Integer("cells_done"),
        Column::Real("dollars_per_hour"),
        Column::Text("identity"),
    ];

    pub(super) fn record(self) -> Result<NodeRecord, StoreError> {
        let row = Row {
            table: "node",
            id: &self.node_id,
        };
        let state = NodeState::of(&self.state, self.reason)
            .ok_or_else(|| row.wrong(&format!("its state is {:?}", self.state)))?;
        Ok(NodeRecord {
            node: Node {
                id: row.parsed(&self.node_id)?,
                memory_bytes: self.memory_bytes.unsigned_abs(),
                batch_capacity: row.count(self.batch_capacity)?,
                labels: row.json(&self.labels)?,
                name: self.name,
                device: self.device,
                version: self.version,
                instance_id: self.instance_id,
                dollars_per_hour: self.dollars_per_hour,
            },
            health: Health {
                state,
                failing_grids: row.json(&self.failing_grids)?,
            },
            registered_at: row.time(self.registered_at_ms)?,
            last_seen_at: row.time(self.last_seen_at_ms)?,
            cells_done: self.cells_done.unsigned_abs(),
            identity: self.identity,
        })
    }
}

/// `attempts`, with the name of the node.
#[derive(Debug, FromRow)]
pub(super) struct AttemptRow {
    grid_id: String,
    place: i64,
    attempt: i64,
    node_id: String,
    node_name: Option<String>,
    ended_at_ms: i64,
    outcome: String,
    reason: String,
    log: String,
}

impl AttemptRow {
    pub(super) fn record(self) -> Result<AttemptRecord, StoreError> {
        let row = Row {
            table: "attempt",
            id: &format!("{}/{}#{}", self.grid_id, self.place, self.attempt),
        };
        let outcome = Outcome::ALL.into_iter();
        let mut outcome = outcome.filter(|outcome| outcome.word() == self.outcome);
        Ok(AttemptRecord {
            cell: CellId {
                grid: row.parsed(&self.grid_id)?,
                place: row.count(self.place)?,
            },
            end: AttemptEnd {
                attempt: row.count(self.attempt)?,
                node: row.parsed(&self.node_id)?,
                outcome: outcome
                    .next()
                    .ok_or_else(|| row.wrong(&format!("its outcome is {:?}", self.outcome)))?,
                reason: self.reason,
                log: self.log,
            },
            node_name: self.node_name.unwrap_or_default(),
            ended_at: row.time(self.ended_at_ms)?,
        })
    }
}
