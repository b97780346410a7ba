//! Rows as the domain's types. What a row says that it cannot say is an error with its key, never a default.

use atelier_proto::ids::{CellId, GridId, NodeId};
use jiff::Timestamp;
use sqlx::FromRow;

use super::super::StoreError;
use crate::domain::cell::{Cell, History, Progress};
use crate::domain::grid::{Position, Subject};
use crate::domain::summary::{CellRecord, Counts, GridState, GridSummary};

/// A row that contradicts itself.
pub(super) fn damaged(
    table: &'static str,
    id: impl std::fmt::Display + Copy,
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

/// `grids`, with a count of its cells in each state.
#[derive(Debug, FromRow)]
pub(super) struct GridRow {
    pub(super) grid_id: String,
    name: String,
    state: String,
    priority: i32,
    submitted_at_ms: i64,
    finished_at_ms: Option<i64>,
    sequence: i64,
    gallery_complete: bool,
    queued: u32,
    leased: u32,
    rendering: u32,
    done: u32,
    failed: u32,
    cancelled: u32,
}

impl GridRow {
    pub(super) fn summary(self) -> Result<GridSummary, StoreError> {
        let wrong =
            |problem: &dyn std::fmt::Display| damaged("grid", &self.grid_id, &problem.to_string());
        let time = |time: i64| Timestamp::from_millisecond(time).map_err(|error| wrong(&error));
        Ok(GridSummary {
            grid: self
                .grid_id
                .parse::<GridId>()
                .map_err(|error| wrong(&error))?,
            state: GridState::ALL
                .into_iter()
                .find(|state| state.word() == self.state)
                .ok_or_else(|| wrong(&format_args!("its state is {:?}", self.state)))?,
            counts: Counts {
                queued: self.queued,
                leased: self.leased,
                rendering: self.rendering,
                done: self.done,
                failed: self.failed,
                cancelled: self.cancelled,
            },
            submitted_at: time(self.submitted_at_ms)?,
            finished_at: self.finished_at_ms.map(time).transpose()?,
            sequence: self.sequence.unsigned_abs(),
            gallery_complete: self.gallery_complete,
            priority: self.priority,
            name: self.name,
        })
    }
}

/// A cell's `photo`, `artist` and `variant`.
pub(super) type PositionColumns = (Option<u32>, Option<u32>, u32);

/// Where a cell stands in its grid.
pub(super) fn position(
    cell: &str,
    (photo, artist, variant): PositionColumns,
) -> Result<Position, StoreError> {
    let index = |index: u32| index as usize;
    let subject = Subject::of(photo.map(index), artist.map(index));
    Ok(Position {
        subject: subject
            .ok_or_else(|| damaged("cell", cell, &"it has neither photo nor artist"))?,
        variant: index(variant),
    })
}

/// `cells`, with the name of its node.
#[derive(Debug, FromRow)]
pub(super) struct CellRow {
    cell_id: String,
    pub(super) grid_id: String,
    photo: Option<u32>,
    artist: Option<u32>,
    variant: u32,
    state: String,
    attempt: u32,
    released: u32,
    node_id: Option<String>,
    node_name: Option<String>,
    failure: Option<String>,
    not_before_ms: Option<i64>,
    lease_expires_at_ms: Option<i64>,
    evaluations: u32,
    evaluations_planned: u32,
    loss: Option<f64>,
    result: Option<String>,
    changed_sequence: i64,
}

impl CellRow {
    pub(super) fn record(self) -> Result<CellRecord, StoreError> {
        let cell = self.cell()?;
        Ok(CellRecord {
            id: self.parsed::<CellId>(&self.cell_id)?,
            position: position(&self.cell_id, (self.photo, self.artist, self.variant))?,
            cell,
            changed_sequence: self.changed_sequence.unsigned_abs(),
            node_name: self.node_name,
        })
    }

    fn wrong(&self, problem: &impl ToString) -> StoreError {
        damaged("cell", &self.cell_id, problem)
    }

    fn parsed<T>(&self, text: &str) -> Result<T, StoreError>
    where
        T: std::str::FromStr<Err: ToString>,
    {
        text.parse().map_err(|error| self.wrong(&error))
    }

    fn time(&self, time: Option<i64>) -> Result<Timestamp, StoreError> {
        let time = time.ok_or_else(|| self.wrong(&"it lacks a time"))?;
        Timestamp::from_millisecond(time).map_err(|error| self.wrong(&error))
    }

    fn cell(&self) -> Result<Cell, StoreError> {
        let node = self.node_id.as_deref();
        let history = History {
            started: self.attempt,
            released: self.released,
            node: node.map(|node| self.parsed::<NodeId>(node)).transpose()?,
            failure: self.failure.clone(),
        };
        Ok(match self.state.as_str() {
            "queued" => Cell::Queued {
                history,
                not_before: self.time(self.not_before_ms)?,
            },
            "leased" => Cell::Leased {
                history,
                expires_at: self.time(self.lease_expires_at_ms)?,
            },
            "rendering" => Cell::Rendering {
                history,
                expires_at: self.time(self.lease_expires_at_ms)?,
                progress: Progress {
                    evaluations: self.evaluations,
                    planned: self.evaluations_planned,
                    loss: self.loss.unwrap_or(f64::NAN),
                },
            },
            "done" => {
                let result = self.result.as_deref().unwrap_or_default();
                Cell::Done {
                    history,
                    result: serde_json::from_str(result).map_err(|error| self.wrong(&error))?,
                }
            }
            "failed" => Cell::Failed { history },
            "cancelled" => Cell::Cancelled { history },
            other => return Err(self.wrong(&format!("its state is {other:?}"))),
        })
    }
}

/// The columns that follow from a cell's state.
#[derive(Debug, Default)]
pub(super) struct StateColumns {
    pub(super) not_before_ms: Option<i64>,
    pub(super) lease_expires_at_ms: Option<i64>,
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
            Cell::Rendering { progress, .. } => Self {
                evaluations: progress.evaluations,
                evaluations_planned: progress.planned,
                loss: Some(progress.loss).filter(|loss| !loss.is_nan()),
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
