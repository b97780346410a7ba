//! Rows of `cells` and `attempts`.

use atelier_proto::ids::{CellId, GridId, NodeId};
use serde::Deserialize;

use super::{Row, milliseconds};
use crate::domain::attempt::{AttemptEnd, AttemptRecord, Outcome};
use crate::domain::block::QueuedCell;
use crate::domain::cell::{Cell, History, Progress, Rendering};
use crate::domain::summary::CellRecord;
use crate::store::StoreError;
use crate::store::dialect::Column;
use crate::store::fetch::{Fetched, real, some_real};

/// `cells`, with the name of the node where a statement asks for it; its fields are in the order of its columns.
#[derive(Debug, Deserialize)]
pub(in crate::store) struct CellRow {
    grid_id: String,
    place: i64,
    #[serde(deserialize_with = "real")]
    pub(in crate::store) work: f64,
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
    pub(in crate::store) changed_sequence: i64,
    node_name: Option<String>,
    #[serde(deserialize_with = "some_real")]
    node_dollars_per_hour: Option<f64>,
}

impl Fetched for CellRow {
    const TABLE: &str = "cell";
    const COLUMNS: &[Column] = &[
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
}

impl CellRow {
    /// Its id.
    pub(in crate::store) fn id(&self) -> Result<CellId, StoreError> {
        let row = Row {
            table: "cell",
            id: &format!("{}/{}", self.grid_id, self.place),
        };
        Ok(CellId {
            grid: row.parsed(&self.grid_id)?,
            place: row.count(self.place)?,
        })
    }

    pub(in crate::store) fn record(self) -> Result<CellRecord, StoreError> {
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
    pub(in crate::store) fn cell(&self, id: CellId) -> Result<Cell, StoreError> {
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
pub(in crate::store) struct QueuedRow {
    place: u32,
    #[serde(deserialize_with = "real")]
    work: f64,
    failed_on: String,
}

impl Fetched for QueuedRow {
    const TABLE: &str = "cell";
    const COLUMNS: &[Column] = &[
        Column::Integer("place"),
        Column::Real("work"),
        Column::Text("failed_on"),
    ];
}

impl QueuedRow {
    pub(in crate::store) fn queued_cell(self, grid: GridId) -> Result<QueuedCell, StoreError> {
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
pub(in crate::store) struct StateColumns {
    pub(in crate::store) not_before_ms: Option<i64>,
    pub(in crate::store) lease_expires_at_ms: Option<i64>,
    pub(in crate::store) stalls_at_ms: Option<i64>,
    pub(in crate::store) begun_at_ms: Option<i64>,
    pub(in crate::store) evaluations_begun: u32,
    pub(in crate::store) evaluations: u32,
    pub(in crate::store) evaluations_planned: u32,
    pub(in crate::store) loss: Option<f64>,
    pub(in crate::store) result: Option<String>,
}

impl StateColumns {
    pub(in crate::store) fn of(cell: &Cell) -> Result<Self, serde_json::Error> {
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

/// `attempts`, with the name of the node.
#[derive(Debug)]
pub(in crate::store) struct AttemptRow {
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

row_by_names!(AttemptRow {
    grid_id,
    place,
    attempt,
    node_id,
    node_name,
    ended_at_ms,
    outcome,
    reason,
    log,
});

impl AttemptRow {
    pub(in crate::store) fn record(self) -> Result<AttemptRecord, StoreError> {
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
