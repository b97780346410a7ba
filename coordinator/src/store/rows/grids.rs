//! Rows of `grids`.

use atelier_proto::ids::GridId;
use serde::Deserialize;

use super::Row;
use crate::domain::share::GridInLine;
use crate::domain::summary::{Counts, GridState, GridSummary};
use crate::store::StoreError;
use crate::store::dialect::Column;
use crate::store::fetch::{Fetched, real};

/// `grids`, in short.
#[derive(Debug)]
pub(in crate::store) struct GridRow {
    grid_id: String,
    name: String,
    submitter: String,
    state: String,
    priority: i64,
    submitted_at_ms: i64,
    finished_at_ms: Option<i64>,
    sequence: i64,
    gallery_complete: i64,
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

row_by_names!(GridRow {
    grid_id,
    name,
    submitter,
    state,
    priority,
    submitted_at_ms,
    finished_at_ms,
    sequence,
    gallery_complete,
    queued,
    leased,
    rendering,
    done,
    failed,
    cancelled,
    work_open,
    seconds_spent,
    dollars_spent,
});

impl GridRow {
    /// The columns that it takes.
    pub(in crate::store) const COLUMNS: &str = "grid_id, name, submitter, state, priority, submitted_at_ms, finished_at_ms, \
        sequence, gallery_complete, queued, leased, rendering, done, failed, cancelled, work_open, seconds_spent, \
        dollars_spent";

    pub(in crate::store) fn summary(self) -> Result<GridSummary, StoreError> {
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
pub(in crate::store) struct LineRow {
    grid_id: String,
    pub(in crate::store) submitter: String,
    #[serde(deserialize_with = "real")]
    pub(in crate::store) submitter_pass: f64,
    priority: i64,
    labels: String,
    #[serde(deserialize_with = "real")]
    pass: f64,
    state: String,
    queued: i64,
    held: i64,
}

impl Fetched for LineRow {
    const TABLE: &str = "grid";
    const COLUMNS: &[Column] = &[
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
}

impl LineRow {
    pub(in crate::store) fn grid_in_line(self) -> Result<GridInLine, StoreError> {
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
