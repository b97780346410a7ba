//! The truth in `SQLite`: one file, one writer, as many readers as like.
//!
//! Every write is a transaction on the one writing connection, durable when it returns; readers see the last one.
//! [`grids`], [`nodes`] and [`cells`] hold the statements, [`rows`] turns rows into the domain's types.

mod cells;
mod grids;
mod nodes;
mod rows;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::ids::{CellId, Digest, GridId, NodeId, RequestId};
use jiff::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use super::{Located, NewGrid, Queue, Store, StoreError, Submitted, Unpublished, Verdict};
use crate::domain::cell::Event;
use crate::domain::grid::GridSpec;
use crate::domain::lease::LeaseRules;
use crate::domain::node::Node;
use crate::domain::summary::{Changes, GridSummary};

/// Connections that read at once.
const READERS_MAX: u32 = 4;
/// How long a connection waits for another process, such as a backup, to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call waits for a connection before it is told that the store is too busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);
/// How exactly it is kept when a node was last heard of.
const SEEN_INTERVAL: Duration = Duration::from_secs(5);

/// A database file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens a database file, made if it is not there, and brings its tables up to date.
    ///
    /// The caller sees to it that no other process has it open for writing.
    ///
    /// # Errors
    /// When the file cannot be opened or is of a newer version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Open {
            path: path.to_owned(),
            source,
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A picture that was reported done must still be so after a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        sqlx::migrate!("migrations/sqlite")
            .run(&writer)
            .await
            .map_err(|source| StoreError::Migrate {
                path: path.to_owned(),
                source,
            })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(failed)?;
        Ok(Self { writer, readers })
    }

    /// Closes every connection; what was written stays.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Begins to write. The lock is taken at once, so that what is read first cannot change before it is written.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Begins to read one moment of the database.
    async fn read(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.readers.begin().await?)
    }
}

#[async_trait::async_trait]
impl Store for SqliteStore {
    async fn create_grid(
        &self,
        grid: NewGrid,
        now: Timestamp,
    ) -> Result<(Submitted, bool), StoreError> {
        let mut transaction = self.write().await?;
        let spec = serde_json::to_string(&grid.spec)
            .map_err(|error| rows::damaged("grid", grid.grid, &error))?;
        let sha256 = Digest::of(spec.as_bytes());
        let known = grids::submitted(&mut transaction, grid.request).await?;
        if let Some((submitted, known_sha256)) = known {
            return if known_sha256 == sha256 {
                Ok((submitted, false))
            } else {
                Err(StoreError::RequestReused {
                    request: grid.request,
                    grid: submitted.grid,
                })
            };
        }
        let cells = grids::insert(&mut transaction, &grid, &spec, sha256, now).await?;
        transaction.commit().await?;
        let grid = grid.grid;
        Ok((Submitted { grid, cells }, true))
    }

    async fn submitted(&self, request: RequestId) -> Result<Option<Submitted>, StoreError> {
        let known = grids::submitted(&mut *self.read().await?, request).await?;
        Ok(known.map(|(submitted, _)| submitted))
    }

    async fn spec(&self, grid: GridId) -> Result<Arc<GridSpec>, StoreError> {
        grids::spec(&mut *self.read().await?, grid).await
    }

    async fn changes(&self, grid: GridId, after_sequence: u64) -> Result<Changes, StoreError> {
        let mut transaction = self.read().await?;
        Ok(Changes {
            summary: grids::summary(&mut transaction, grid).await?,
            cells: cells::changed(&mut transaction, grid, after_sequence).await?,
        })
    }

    async fn grids(
        &self,
        before: Option<GridId>,
        grids_max: u32,
    ) -> Result<Vec<GridSummary>, StoreError> {
        grids::list(&mut *self.read().await?, before, grids_max).await
    }

    async fn cancel_grid(
        &self,
        grid: GridId,
        now: Timestamp,
        rules: &LeaseRules,
    ) -> Result<u32, StoreError> {
        let mut transaction = self.write().await?;
        if !grids::cancel(&mut transaction, grid, now).await? {
            return Ok(0);
        }
        let open = cells::open(&mut transaction, grid).await?;
        for cell in &open {
            cells::apply(&mut transaction, *cell, Event::Cancel, now, rules)
                .await?
                // Every open cell may be cancelled, so a refusal is a row that contradicts itself.
                .map_err(|rejection| rows::damaged("cell", cell, &rejection))?;
        }
        transaction.commit().await?;
        Ok(open.len() as u32)
    }

    async fn register_node(&self, node: &Node, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        nodes::register(&mut transaction, node, now).await?;
        Ok(transaction.commit().await?)
    }

    async fn node_seen(&self, node: NodeId, now: Timestamp) -> Result<(), StoreError> {
        let seen = nodes::last_seen_ms(&mut *self.read().await?, node).await?;
        // Every call of every node comes through here: most of them only read.
        if now.as_millisecond() - seen < SEEN_INTERVAL.as_millis() as i64 {
            return Ok(());
        }
        let mut transaction = self.write().await?;
        nodes::seen(&mut transaction, node, now).await?;
        Ok(transaction.commit().await?)
    }

    async fn next_queue(
        &self,
        now: Timestamp,
        cells_max: u32,
    ) -> Result<Option<Queue>, StoreError> {
        let mut transaction = self.read().await?;
        let Some((grid, spec)) = grids::first_in_line(&mut transaction, now).await? else {
            return Ok(None);
        };
        let cells = cells::queued(&mut transaction, grid, now, cells_max).await?;
        Ok(Some(Queue { grid, spec, cells }))
    }

    async fn locate(&self, cell: CellId) -> Result<Located, StoreError> {
        let mut transaction = self.read().await?;
        let (grid, position) = cells::locate(&mut transaction, cell).await?;
        let spec = grids::spec(&mut transaction, grid).await?;
        Ok(Located {
            grid,
            spec,
            position,
        })
    }

    async fn apply(
        &self,
        events: Vec<(CellId, Event)>,
        now: Timestamp,
        rules: &LeaseRules,
    ) -> Result<Vec<Verdict>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.write().await?;
        let mut verdicts = Vec::with_capacity(events.len());
        for (cell, event) in events {
            verdicts.push(cells::apply(&mut transaction, cell, event, now, rules).await?);
        }
        transaction.commit().await?;
        Ok(verdicts)
    }

    async fn expired(&self, now: Timestamp, cells_max: u32) -> Result<Vec<CellId>, StoreError> {
        cells::expired(&mut *self.read().await?, now, cells_max).await
    }

    async fn unpublished(&self) -> Result<Vec<Unpublished>, StoreError> {
        grids::unpublished(&mut *self.read().await?).await
    }

    async fn gallery_complete(&self, grid: GridId, sequence: u64) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let kept = grids::gallery_complete(&mut transaction, grid, sequence).await?;
        transaction.commit().await?;
        Ok(kept)
    }
}
