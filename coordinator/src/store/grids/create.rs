//! How a grid comes into being, once however often it is submitted.

use atelier_proto::ids::{Digest, GridId, RequestId};
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::domain::grid::GridSpec;
use crate::domain::share::Shares;
use crate::store::dialect::Column;
use crate::store::error::damaged;
use crate::store::rows::{Row, milliseconds};
use crate::store::{Store, StoreError, Tables, line};

/// Cells of one INSERT.
const CELLS_PER_INSERT_MAX: usize = 10_000;

/// A grid to be kept.
#[derive(Debug)]
pub struct NewGrid {
    /// Its id.
    pub grid: GridId,
    /// The submission that makes it.
    pub request: RequestId,
    /// Who submitted it.
    pub submitter: String,
    /// Its priority among the grids of its submitter.
    pub priority: i32,
    /// What was submitted.
    pub spec: GridSpec,
    /// The trace in which it was, as W3C has it; empty: in none.
    pub trace_parent: String,
}

/// A grid that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// Its id.
    pub grid: GridId,
    /// How many cells it has.
    pub cells: u32,
}

/// A new grid with what follows from it, made before the database is waited for.
struct Prepared {
    new: NewGrid,
    spec: String,
    sha256: Digest,
    labels: String,
    /// Of each cell, in the order of their places.
    work: Vec<f64>,
}

impl Store {
    /// Keeps a grid with all its cells queued; true if it is new.
    ///
    /// # Errors
    /// [`StoreError::RequestReused`] if the same request made a grid of other content, [`StoreError::TooManyOpen`] if its
    /// submitter may not have so many.
    pub async fn create_grid(
        &self,
        new: NewGrid,
        now: Timestamp,
        shares: &Shares,
    ) -> Result<(Submitted, bool), StoreError> {
        let broken = |error: serde_json::Error| damaged("grid", new.grid, &error);
        let spec = serde_json::to_string(&new.spec).map_err(broken)?;
        let prepared = Prepared {
            sha256: Digest::of(spec.as_bytes()),
            labels: serde_json::to_string(new.spec.labels()).map_err(broken)?,
            work: new.spec.efforts().map(|effort| effort.work).collect(),
            spec,
            new,
        };
        match self.create(&prepared, now, shares).await {
            // Another coordinator took the same request between the look and the insert.
            Err(StoreError::Database(sqlx::Error::Database(error)))
                if error.is_unique_violation() =>
            {
                self.create(&prepared, now, shares).await
            }
            other => other,
        }
    }

    /// The grid that a submission made, if it has come before.
    pub async fn submitted(&self, request: RequestId) -> Result<Option<Submitted>, StoreError> {
        let known = submitted(&mut *self.read_once().await?, request).await?;
        Ok(known.map(|(submitted, _)| submitted))
    }

    async fn create(
        &self,
        prepared: &Prepared,
        now: Timestamp,
        shares: &Shares,
    ) -> Result<(Submitted, bool), StoreError> {
        let new = &prepared.new;
        let mut transaction = self.write().await?;
        let mut tables = self.tables(&mut transaction);
        let known = submitted(tables.connection, new.request).await?;
        if let Some((submitted, sha256)) = known {
            return if sha256 == prepared.sha256 {
                Ok((submitted, false))
            } else {
                Err(StoreError::RequestReused {
                    request: new.request,
                    grid: submitted.grid,
                })
            };
        }
        // The row of the submitter, which this writes, is the lock of what is counted after it.
        line::level_submitter(tables.connection, &new.submitter).await?;
        let open = open_cells(tables.connection, &new.submitter).await?;
        let cells = prepared.work.len() as u64;
        if open + cells > u64::from(shares.submitter_open_max) {
            return Err(StoreError::TooManyOpen {
                submitter: new.submitter.clone(),
                open,
                cells,
                most: shares.submitter_open_max,
            });
        }
        insert(&mut tables, prepared, now).await?;
        transaction.commit().await?;
        let submitted = Submitted {
            grid: new.grid,
            cells: cells as u32,
        };
        Ok((submitted, true))
    }
}

async fn insert(
    tables: &mut Tables<'_>,
    prepared: &Prepared,
    now: Timestamp,
) -> Result<(), StoreError> {
    let new = &prepared.new;
    sqlx::query(
        "INSERT INTO grids (grid_id, request_id, request_sha256, name, submitter, labels, state, priority, pass,
                            submitted_at_ms, sequence, queued, work_open)
         VALUES ($1, $2, $3, $4, $5, $6, 'active', $7,
                 coalesce((SELECT min(pass) FROM grids WHERE submitter = $5 AND state = 'active' AND queued > 0), 0),
                 $8, 1, $9, $10)",
    )
    .bind(new.grid.to_string())
    .bind(new.request.to_string())
    .bind(prepared.sha256.to_string())
    .bind(new.spec.name().to_owned())
    .bind(new.submitter.clone())
    .bind(prepared.labels.clone())
    .bind(i64::from(new.priority))
    .bind(milliseconds(now))
    .bind(prepared.work.len() as i64)
    .bind(prepared.work.iter().sum::<f64>())
    .execute(&mut *tables.connection)
    .await?;
    sqlx::query("INSERT INTO specs (grid_id, spec, trace_parent) VALUES ($1, $2, $3)")
        .bind(new.grid.to_string())
        .bind(prepared.spec.clone())
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
    let places: Vec<(usize, f64)> = prepared.work.iter().copied().enumerate().collect();
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
    Ok(())
}

/// Cells of a submitter that have not ended.
async fn open_cells(connection: &mut AnyConnection, submitter: &str) -> Result<u64, StoreError> {
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
async fn submitted(
    connection: &mut AnyConnection,
    request: RequestId,
) -> Result<Option<(Submitted, Digest)>, StoreError> {
    let found: Option<(String, String, i64)> = sqlx::query_as(
        "SELECT grid_id, request_sha256, queued + leased + rendering + done + failed + cancelled
         FROM grids WHERE request_id = $1",
    )
    .bind(request.to_string())
    .fetch_optional(connection)
    .await?;
    let Some((grid, sha256, cells)) = found else {
        return Ok(None);
    };
    let row = Row {
        table: "grid",
        id: &grid,
    };
    let submitted = Submitted {
        grid: row.parsed(&grid)?,
        cells: row.count(cells)?,
    };
    Ok(Some((submitted, row.parsed(&sha256)?)))
}
