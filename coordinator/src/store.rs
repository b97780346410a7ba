//! Where the truth is kept: one trait, and the database behind it.
//!
//! A store decides nothing. What becomes of a cell is the verdict of [`Cell::apply`]; the store reads the cell, asks,
//! and persists the verdict if the cell is still as it was read. It knows neither gRPC nor the bucket.

pub mod outbox;
pub mod sql;

#[cfg(test)]
mod conformance;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use atelier_proto::ids::{CellId, GridId, NodeId, RequestId, TokenId};
use jiff::Timestamp;

use self::outbox::Outbox;
use crate::domain::attempt::{AttemptRecord, Outcome};
use crate::domain::block::QueuedCell;
use crate::domain::cell::{Cell, Event, Refusal};
use crate::domain::effort::Speeds;
use crate::domain::fleet::{Bounds, Standing};
use crate::domain::grid::GridSpec;
use crate::domain::lease::LeaseRules;
use crate::domain::node::{Health, Node, NodeRecord};
use crate::domain::share::{Line, Shares};
use crate::domain::summary::{CellRecord, Changes, GridState, GridSummary};
use crate::domain::token::{SecretHash, SessionRecord, TokenRecord};

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

/// How many cells of which grids a node holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldCells(pub BTreeMap<GridId, u32>);

impl HeldCells {
    /// Of all grids.
    pub fn total(&self) -> u32 {
        self.0.values().sum()
    }
}

/// A grid that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// Its id.
    pub grid: GridId,
    /// How many cells it has.
    pub cells: u32,
}

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

/// What is done with a grid that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steering {
    /// No more of its cells are handed out.
    Pause,
    /// They are again.
    Resume,
    /// It gets another share.
    Priority(i32),
}

/// One cell that was done, for what is known of how long cells take.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// What it ran on.
    pub device: String,
    /// See [`crate::domain::effort::Effort::kind`].
    pub kind: String,
    /// Seconds of optimisation.
    pub seconds: f64,
    /// See [`crate::domain::effort::Effort::work`].
    pub work: f64,
}

/// A node's device and what an hour of it costs, US dollars.
pub type DeviceAndPrice = (String, Option<f64>);

/// A verdict that was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The cell's grid.
    pub grid: GridId,
    /// The cell as it is now.
    pub cell: Cell,
    /// Whether people see a difference.
    pub changed: bool,
    /// How the attempt ended that this ended.
    pub ended: Option<Outcome>,
    /// See [`crate::domain::effort::Effort::work`].
    pub work: f64,
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
    /// Its grid is paused or has ended, so none of its cells is handed out.
    #[error("no cells of the grid are handed out")]
    NotServed,
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
    /// The node was registered by somebody else.
    #[error(
        "the node {0} belongs to another identity\nhint: start the node anew, so that it makes an id of its own"
    )]
    ForeignNode(NodeId),
    /// No token has this id.
    #[error("no token has the id {0}")]
    UnknownToken(TokenId),
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
    /// A submitter has too many cells that have not ended.
    #[error(
        "{submitter:?} has {open} cells that have not ended, and {cells} more would be above the limit of {most}"
    )]
    TooManyOpen {
        /// The submitter.
        submitter: String,
        /// Its cells that have not ended.
        open: u64,
        /// What it would add.
        cells: u64,
        /// The limit.
        most: u32,
    },
    /// What is asked of a grid is for one that has not ended, or for one that has.
    #[error("the grid {grid} is {}{hint}", state.word())]
    WrongState {
        /// The grid.
        grid: GridId,
        /// Where it stands.
        state: GridState,
        /// What to do.
        hint: &'static str,
    },
    /// No cell that was chosen has ended without a picture.
    #[error("the cell {0} cannot be tried again: {1}")]
    NoRetry(CellId, Rejection),
    /// The URL of a database is none.
    #[error(
        "{url:?} is not the URL of a database\nhint: write it as in postgres://user@host/atelier?sslmode=verify-full"
    )]
    BadUrl {
        /// What was given, without a password.
        url: String,
    },
    /// The database cannot be opened.
    #[error("cannot open the database {database}: {source}\nhint: {hint}")]
    Open {
        /// Its file, or where it is served.
        database: String,
        /// Why.
        #[source]
        source: sqlx::Error,
        /// What to look at.
        hint: &'static str,
    },
    /// The database cannot be copied.
    #[error(
        "cannot copy the database {database}: {source}\nhint: is there room where the copy goes?"
    )]
    Copy {
        /// Its file.
        database: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The database is of another version.
    #[error(
        "cannot bring the database {database} up to date: {source}\n\
         hint: a newer atelier-coordinator may have used it; start that one, or name another with --data or --database"
    )]
    Migrate {
        /// Its file, or where it is served.
        database: String,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// The coordinator is leaving.
    #[error("the coordinator is leaving")]
    Ended,
    /// What several calls had done for them at once failed.
    #[error(transparent)]
    Together(Arc<StoreError>),
    /// The database does not answer as it should.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// The truth about grids, cells and nodes.
#[async_trait::async_trait]
pub trait Store: Outbox + std::fmt::Debug + Send + Sync {
    /// Keeps a grid with all its cells queued; true if it is new.
    ///
    /// # Errors
    /// [`StoreError::RequestReused`] if the same request made a grid of other content, [`StoreError::TooManyOpen`] if its
    /// submitter may not have so many.
    async fn create_grid(
        &self,
        grid: NewGrid,
        now: Timestamp,
        shares: &Shares,
    ) -> Result<(Submitted, bool), StoreError>;

    /// The grid that a submission made, if it has come before.
    async fn submitted(&self, request: RequestId) -> Result<Option<Submitted>, StoreError>;

    /// What was submitted as a grid.
    async fn spec(&self, grid: GridId) -> Result<Arc<GridSpec>, StoreError>;

    /// The trace in which a grid was submitted, as W3C has it; empty: in none.
    async fn trace_parent(&self, grid: GridId) -> Result<String, StoreError>;

    /// A grid in short.
    async fn summary(&self, grid: GridId) -> Result<GridSummary, StoreError>;

    /// A grid and those of its cells that changed after a sequence number, at one moment.
    async fn changes(&self, grid: GridId, after_sequence: u64) -> Result<Changes, StoreError>;

    /// A grid and the cells of it that changed last, the latest first, at most so many, at one moment.
    async fn latest(&self, grid: GridId, cells_max: u32) -> Result<Changes, StoreError>;

    /// Attempts of a grid that brought no picture, cell by cell, at most so many.
    async fn failed_attempts(
        &self,
        grid: GridId,
        attempts_max: u32,
    ) -> Result<Vec<AttemptRecord>, StoreError>;

    /// A cell with what is kept of its attempts that have ended, oldest first, at one moment; the last so many of them.
    async fn attempts(
        &self,
        cell: CellId,
        attempts_max: u32,
    ) -> Result<(CellRecord, Vec<AttemptRecord>), StoreError>;

    /// Grids, newest first, older than `before`.
    async fn grids(
        &self,
        filter: &Filter,
        before: Option<GridId>,
        grids_max: u32,
    ) -> Result<Vec<GridSummary>, StoreError>;

    /// Pauses, resumes or re-prioritises a grid; false if it was so already.
    ///
    /// # Errors
    /// [`StoreError::WrongState`] if it has ended.
    async fn steer(&self, grid: GridId, steering: Steering) -> Result<bool, StoreError>;

    /// Cancels a grid and every cell of it that has not ended; how many those were. An ended grid stays as it is.
    async fn cancel_grid(&self, grid: GridId, now: Timestamp) -> Result<u32, StoreError>;

    /// Queues the failed or cancelled cells at these places anew, all or none of them, or every failed one; how many.
    ///
    /// # Errors
    /// [`StoreError::NoRetry`] names the first that is not to be tried again.
    async fn retry(
        &self,
        grid: GridId,
        places: Option<&[u32]>,
        now: Timestamp,
        rules: &LeaseRules,
    ) -> Result<u32, StoreError>;

    /// Marks an ended grid deleted: from then on it is found by [`Store::deleted`] alone. One that is marked already stays
    /// so.
    ///
    /// # Errors
    /// [`StoreError::WrongState`] if it has not ended.
    async fn delete_grid(&self, grid: GridId, now: Timestamp) -> Result<(), StoreError>;

    /// Grids that are marked deleted, and when they were, the longest ago first.
    async fn deleted(&self, grids_max: u32) -> Result<Vec<(GridId, Timestamp)>, StoreError>;

    /// Grids that ended before a time, whose gallery is complete and in whose place in the bucket nobody has looked since
    /// for what does not belong there, the longest ago first.
    async fn unswept(
        &self,
        ended_before: Timestamp,
        grids_max: u32,
    ) -> Result<Vec<GridId>, StoreError>;

    /// Keeps that somebody has looked, if the grid is still at this sequence.
    async fn swept(&self, grid: GridId, sequence: u64) -> Result<(), StoreError>;

    /// Grids that ended before a time and whose gallery is complete, the longest ago first.
    async fn ended_before(
        &self,
        time: Timestamp,
        grids_max: u32,
    ) -> Result<Vec<GridId>, StoreError>;

    /// Removes everything about a grid that is marked deleted, or about one that has ended and is not; another one stays,
    /// because what whoever forgets it has seen of it is no more so.
    async fn forget_grid(&self, grid: GridId, is_deleted: bool) -> Result<(), StoreError>;

    /// Keeps what a node says of itself, anew if it has said so before. It belongs to the identity of this name from then on;
    /// `None`: nobody was asked, and whose it is stays as it was.
    ///
    /// # Errors
    /// [`StoreError::ForeignNode`] if it belongs to another one.
    async fn register_node(
        &self,
        node: &Node,
        identity: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// A node as it stands.
    async fn node(&self, node: NodeId) -> Result<NodeRecord, StoreError>;

    /// Those of some nodes that have registered.
    async fn nodes_of(
        &self,
        nodes: &BTreeSet<NodeId>,
    ) -> Result<BTreeMap<NodeId, NodeRecord>, StoreError>;

    /// Nodes that were heard of since a time, newest first, older than `before`.
    async fn nodes(
        &self,
        before: Option<NodeId>,
        seen_since: Timestamp,
        nodes_max: u32,
    ) -> Result<Vec<NodeRecord>, StoreError>;

    /// How many cells each node holds that holds some.
    async fn cells_held(&self) -> Result<HashMap<NodeId, HeldCells>, StoreError>;

    /// Keeps when nodes were heard of.
    async fn nodes_seen(&self, nodes: &[(NodeId, Timestamp)]) -> Result<(), StoreError>;

    /// The nodes that are to leave.
    async fn nodes_draining(&self) -> Result<HashSet<NodeId>, StoreError>;

    /// Keeps how a node gets on.
    async fn set_health(&self, node: NodeId, health: &Health) -> Result<(), StoreError>;

    /// Removes nodes that were last heard of before a time and hold nothing.
    async fn forget_nodes(&self, seen_before: Timestamp) -> Result<u64, StoreError>;

    /// Who waits to be served.
    async fn line(&self) -> Result<Line, StoreError>;

    /// At most so many cells of a grid that may be leased now, in the order of service.
    async fn queued(
        &self,
        grid: GridId,
        now: Timestamp,
        cells_max: u32,
    ) -> Result<Vec<QueuedCell>, StoreError>;

    /// Those of some cells that there are, as they stand.
    async fn cells(&self, ids: &BTreeSet<CellId>) -> Result<BTreeMap<CellId, Cell>, StoreError>;

    /// Applies events in their order, all or none of them kept; a verdict for each.
    async fn apply(
        &self,
        events: Vec<(CellId, Event)>,
        now: Timestamp,
        rules: &LeaseRules,
        shares: &Shares,
    ) -> Result<Vec<Verdict>, StoreError>;

    /// At most so many cells whose lease is over, the longest first.
    async fn expired(&self, now: Timestamp, cells_max: u32) -> Result<Vec<CellId>, StoreError>;

    /// Grids whose gallery is not complete, oldest first.
    async fn unpublished(&self) -> Result<Vec<Unpublished>, StoreError>;

    /// Keeps that the gallery shows an ended grid as it is at a sequence number; false if the grid has moved on.
    async fn gallery_complete(&self, grid: GridId, sequence: u64) -> Result<bool, StoreError>;

    /// Every speed that was measured.
    async fn speeds(&self) -> Result<Speeds, StoreError>;

    /// Keeps what was measured of cells.
    async fn measured(&self, cells: &[Measurement]) -> Result<(), StoreError>;

    /// What an operator wants of the fleet, if one has said so.
    async fn fleet_bounds(&self) -> Result<Option<Bounds>, StoreError>;

    /// Keeps what an operator wants of the fleet.
    async fn set_fleet_bounds(&self, bounds: &Bounds) -> Result<(), StoreError>;

    /// How the fleet stood when a coordinator last looked at it.
    async fn fleet_standing(&self) -> Result<Option<Standing>, StoreError>;

    /// Keeps how the fleet stands.
    async fn set_fleet_standing(&self, standing: &Standing) -> Result<(), StoreError>;

    /// Keeps a token.
    async fn create_token(&self, token: &TokenRecord) -> Result<(), StoreError>;

    /// A token, if there is one of this id.
    async fn token(&self, token: TokenId) -> Result<Option<TokenRecord>, StoreError>;

    /// Tokens, newest first, older than `before`.
    async fn tokens(
        &self,
        before: Option<TokenId>,
        tokens_max: u32,
    ) -> Result<Vec<TokenRecord>, StoreError>;

    /// Ends a token; one that was ended before stays so.
    async fn revoke_token(&self, token: TokenId, now: Timestamp) -> Result<(), StoreError>;

    /// Keeps when a token was last shown.
    async fn token_used(&self, token: TokenId, at: Timestamp) -> Result<(), StoreError>;

    /// Keeps that somebody is logged in at the board.
    async fn begin_session(&self, session: &SessionRecord) -> Result<(), StoreError>;

    /// Who is logged in by this secret, if somebody is.
    async fn session(&self, secret: SecretHash) -> Result<Option<SessionRecord>, StoreError>;

    /// Ends a session.
    async fn end_session(&self, secret: SecretHash) -> Result<(), StoreError>;

    /// The nodes that hold cells of a grid now.
    async fn nodes_at(&self, grid: GridId) -> Result<Vec<DeviceAndPrice>, StoreError>;

    /// Calls `rung` whenever cells may have been queued through another process; returns when that can no longer be heard.
    async fn listen(&self, rung: &(dyn Fn() + Send + Sync)) -> Result<(), StoreError>;

    /// Tells other processes that cells were queued.
    async fn ring(&self) -> Result<(), StoreError>;

    /// Becomes the one process that does what one does for all, if no other one is; `None` if another one is.
    async fn lead(&self) -> Result<Option<Box<dyn Leadership>>, StoreError>;

    /// Lets go of every connection; what was written stays.
    async fn close(&self);
}

/// The right to do what one process does for all, for as long as it is held.
#[async_trait::async_trait]
pub trait Leadership: std::fmt::Debug + Send + Sync {
    /// Whether it is still held.
    async fn is_held(&mut self) -> bool;
}
