//! Grids as they stand. How they come is in [`create`], what their owners do with them in [`steer`], and what is left to do
//! when they have ended in [`afterwards`].

mod afterwards;
mod create;
mod steer;

use std::sync::Arc;

use atelier_proto::ids::GridId;
use sqlx::AssertSqlSafe;

pub use self::afterwards::Unpublished;
pub use self::create::{NewGrid, Submitted};
pub use self::steer::Steering;
use super::error::damaged;
use super::rows::GridRow;
use super::summary::summary;
use super::{Store, StoreError, cells};
use crate::domain::grid::GridSpec;
use crate::domain::summary::{Changes, GridState, GridSummary};

/// A grid of more cells takes long to read as a whole.
const CELLS_MANY: u32 = 1_000;

/// Which grids are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those in one of these states; none: in any.
    pub states: Vec<GridState>,
    /// Those of this submitter.
    pub submitter: Option<String>,
    /// Those whose name has this text in it, whatever its case.
    pub name_contains: String,
}

impl Store {
    /// What was submitted as a grid.
    pub async fn spec(&self, grid: GridId) -> Result<Arc<GridSpec>, StoreError> {
        let spec: Option<String> = sqlx::query_scalar(
            "SELECT specs.spec FROM specs JOIN grids ON grids.grid_id = specs.grid_id
             WHERE specs.grid_id = $1 AND grids.state <> 'deleted'",
        )
        .bind(grid.to_string())
        .fetch_optional(&mut *self.read_once().await?)
        .await?;
        let spec = spec.ok_or(StoreError::UnknownGrid(grid))?;
        let spec = serde_json::from_str(&spec).map_err(|error| damaged("grid", grid, &error))?;
        Ok(Arc::new(spec))
    }

    /// The trace in which a grid was submitted, as W3C has it; empty: in none.
    pub async fn trace_parent(&self, grid: GridId) -> Result<String, StoreError> {
        let trace_parent: Option<String> =
            sqlx::query_scalar("SELECT trace_parent FROM specs WHERE grid_id = $1")
                .bind(grid.to_string())
                .fetch_optional(&mut *self.read_once().await?)
                .await?;
        trace_parent.ok_or(StoreError::UnknownGrid(grid))
    }

    /// A grid in short.
    pub async fn summary(&self, grid: GridId) -> Result<GridSummary, StoreError> {
        summary(&mut *self.read_once().await?, grid, "").await
    }

    /// A grid and those of its cells that changed after a sequence number, at one moment; 0: all of them, for which a call waits
    /// for its turn if they are many.
    pub async fn changes(&self, grid: GridId, after_sequence: u64) -> Result<Changes, StoreError> {
        let _turn = if after_sequence == 0 && self.summary(grid).await?.counts.total() > CELLS_MANY
        {
            // Nobody closes it.
            self.whole_grids.acquire().await.ok()
        } else {
            None
        };
        let mut transaction = self.read().await?;
        Ok(Changes {
            summary: summary(&mut transaction, grid, "").await?,
            cells: cells::changed(&mut self.tables(&mut transaction), grid, after_sequence).await?,
        })
    }

    /// A grid and the cells of it that changed last, the latest first, at most so many, at one moment.
    pub async fn latest(&self, grid: GridId, cells_max: u32) -> Result<Changes, StoreError> {
        let mut transaction = self.read().await?;
        Ok(Changes {
            summary: summary(&mut transaction, grid, "").await?,
            cells: cells::latest(&mut self.tables(&mut transaction), grid, cells_max).await?,
        })
    }

    /// Grids, newest first, older than `before`.
    pub async fn grids(
        &self,
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
        let rows: Vec<GridRow> = query.fetch_all(&mut *self.read_once().await?).await?;
        rows.into_iter().map(GridRow::summary).collect()
    }
}
