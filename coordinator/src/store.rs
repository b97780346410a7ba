//! Where the truth is kept: one trait, and the database behind it.
//!
//! A store decides nothing. What becomes of a cell is the verdict of [`Cell::apply`]; the store reads the cell, asks,
//! and persists the verdict if the cell is still as it was read. It knows neither gRPC nor the bucket.

pub mod sqlite;

#[cfg(test)]
mod conformance;

use std::path::PathBuf;
use std::sync::Arc;

use atelier_proto::ids::{CellId, GridId, NodeId, RequestId};
use jiff::Timestamp;

use crate::domain::block::QueuedCell;
use crate::domain::cell::{Cell, Event, Refusal};
use crate::domain::grid::{GridSpec, Position};
use crate::domain::lease::LeaseRules;
use crate::domain::node::Node;
use crate::domain::summary::{Changes, GridSummary};

/// A grid to be kept.
#[derive(Debug)]
pub struct NewGrid {
    /// Its id.
    pub grid: GridId,
    /// The submission that makes it.
    pub request: RequestId,
    /// What was submitted.
    pub spec: GridSpec,
}

/// A grid that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// Its id.
    pub grid: GridId,
    /// How many cells it has.
    pub cells: u32,
}

/// The grid to be served first, with its first queued cells.
#[derive(Debug, Clone)]
pub struct Queue {
    /// The grid.
    pub grid: GridId,
    /// What was submitted.
    pub spec: Arc<GridSpec>,
    /// Queued cells in the order of service.
    pub cells: Vec<QueuedCell>,
}

/// Where a cell belongs.
#[derive(Debug, Clone)]
pub struct Located {
    /// Its grid.
    pub grid: GridId,
    /// What was submitted.
    pub spec: Arc<GridSpec>,
    /// Where the cell is in it.
    pub position: Position,
}

/// A verdict that was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The cell's grid.
    pub grid: GridId,
    /// The cell as it is now.
    pub cell: Cell,
    /// Whether people see a difference.
    pub changed: bool,
}

/// Why an event had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No cell has this id.
    #[error("no cell has the id {0}")]
    UnknownCell(CellId),
    /// The state machine says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// What became of one event.
pub type Verdict = Result<Applied, Rejection>;

/// A grid whose gallery does not yet show it as it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpublished {
    /// The grid.
    pub grid: GridId,
    /// Its sequence.
    pub sequence: u64,
    /// Whether every cell has ended.
    pub has_ended: bool,
}

/// Why the truth could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No grid has this id.
    #[error("no grid has the id {0}")]
    UnknownGrid(GridId),
    /// No cell has this id.
    #[error("no cell has the id {0}")]
    UnknownCell(CellId),
    /// No node has registered with this id.
    #[error("no node has registered as {0}")]
    UnknownNode(NodeId),
    /// A submission's id was used for other content.
    #[error("the request {request} made the grid {grid} of other content")]
    RequestReused {
        /// The id.
        request: RequestId,
        /// The grid that it made.
        grid: GridId,
    },
    /// A cell changed between reading and writing, which a single writer rules out.
    #[error("the cell {0} changed under the hand of its writer")]
    Conflict(CellId),
    /// A row says what it cannot say.
    #[error("{table} {id} is damaged: {problem}")]
    Damaged {
        /// Table of the row.
        table: &'static str,
        /// Its key.
        id: String,
        /// What is wrong.
        problem: String,
    },
    /// The database cannot be opened.
    #[error(
        "cannot open the database {path}: {source}\nhint: is the disk full, or the folder not writable?"
    )]
    Open {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The database is of another version.
    #[error(
        "cannot bring the database {path} up to date: {source}\n\
         hint: a newer atelier-coordinator may have used it; start that one, or give another folder with --data"
    )]
    Migrate {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// The database does not answer as it should.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// The truth about grids, cells and nodes.
#[async_trait::async_trait]
pub trait Store: std::fmt::Debug + Send + Sync {
    /// Keeps a grid with all its cells queued; true if it is new.
    ///
    /// # Errors
    /// [`StoreError::RequestReused`] if the same request made a grid of other content.
    async fn create_grid(
        &self,
        grid: NewGrid,
        now: Timestamp,
    ) -> Result<(Submitted, bool), StoreError>;

    /// The grid that a submission made, if it has come before.
    async fn submitted(&self, request: RequestId) -> Result<Option<Submitted>, StoreError>;

    /// What was submitted as a grid.
    async fn spec(&self, grid: GridId) -> Result<Arc<GridSpec>, StoreError>;

    /// A grid and those of its cells that changed after a sequence number, at one moment.
    async fn changes(&self, grid: GridId, after_sequence: u64) -> Result<Changes, StoreError>;

    /// Grids, newest first, older than `before`.
    async fn grids(
        &self,
        before: Option<GridId>,
        grids_max: u32,
    ) -> Result<Vec<GridSummary>, StoreError>;

    /// Cancels a grid and every cell of it that has not ended; how many those were. An ended grid stays as it is.
    async fn cancel_grid(
        &self,
        grid: GridId,
        now: Timestamp,
        rules: &LeaseRules,
    ) -> Result<u32, StoreError>;

    /// Keeps what a node says of itself, anew if it has said so before.
    async fn register_node(&self, node: &Node, now: Timestamp) -> Result<(), StoreError>;

    /// Keeps that a node was heard of.
    ///
    /// # Errors
    /// [`StoreError::UnknownNode`] if it has not registered.
    async fn node_seen(&self, node: NodeId, now: Timestamp) -> Result<(), StoreError>;

    /// The grid to be served first (by priority, then by age) and at most so many of its cells that may be leased now.
    async fn next_queue(&self, now: Timestamp, cells_max: u32)
    -> Result<Option<Queue>, StoreError>;

    /// Where a cell belongs.
    async fn locate(&self, cell: CellId) -> Result<Located, StoreError>;

    /// Applies events in their order, all or none of them kept; a verdict for each.
    async fn apply(
        &self,
        events: Vec<(CellId, Event)>,
        now: Timestamp,
        rules: &LeaseRules,
    ) -> Result<Vec<Verdict>, StoreError>;

    /// At most so many cells whose lease is over, the longest first.
    async fn expired(&self, now: Timestamp, cells_max: u32) -> Result<Vec<CellId>, StoreError>;

    /// Grids whose gallery is not complete, oldest first.
    async fn unpublished(&self) -> Result<Vec<Unpublished>, StoreError>;

    /// Keeps that the gallery shows an ended grid as it is at a sequence number; false if the grid has moved on.
    async fn gallery_complete(&self, grid: GridId, sequence: u64) -> Result<bool, StoreError>;
}
