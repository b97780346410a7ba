//! The truth in SQL: `SQLite` in the data folder, or PostgreSQL for several coordinators.
//!
//! Both take the same statements, written once over sqlx's `Any`; in what they differ is [`dialect`]'s. [`open`] makes the
//! connections, [`grids`], [`cells`], [`nodes`], [`fleet`], [`tokens`] and [`outbox`] hold the statements, [`apply`] those that persist verdicts, [`rows`]
//! turns rows into the domain's types, [`fetch`] gets many at once.
//!
//! Every write is a transaction that is durable when it returns. `SQLite` has one writer; in PostgreSQL a row of `grids`
//! is the lock of its cells.

mod apply;
mod cells;
mod dialect;
mod fetch;
mod fleet;
mod grids;
mod leadership;
mod nodes;
mod open;
mod outbox;
mod rows;
mod tokens;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use atelier_proto::ids::{CellId, Digest, GridId, NodeId, RequestId, TokenId};
use jiff::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, PgPool, Transaction};

use self::dialect::Dialect;
use self::fleet::Part;
use self::leadership::{AdvisoryLock, Always, listen};
use super::{
    DeviceAndPrice, Filter, HeldCells, Leadership, Measurement, NewGrid, Steering, Store,
    StoreError, Submitted, Unpublished, Verdict,
};
use crate::domain::attempt::AttemptRecord;
use crate::domain::block::QueuedCell;
use crate::domain::cell::{Cell, Event};
use crate::domain::effort::Speeds;
use crate::domain::fleet::{Bounds, Standing};
use crate::domain::grid::GridSpec;
use crate::domain::lease::LeaseRules;
use crate::domain::node::{Health, Node, NodeRecord};
use crate::domain::share::{Line, Shares};
use crate::domain::summary::{CellRecord, Changes, GridSummary};
use crate::domain::token::{SecretHash, SessionRecord, TokenRecord};

/// The channel on which coordinators of one PostgreSQL tell each other that cells were queued.
const CHANNEL: &str = "atelier_queued";

/// A database.
#[derive(Debug)]
pub struct SqlStore {
    dialect: Dialect,
    writer: AnyPool,
    readers: AnyPool,
    /// Of PostgreSQL alone: for what `Any` does not have.
    postgres: Option<PgPool>,
}

/// A connection and how to speak to it.
struct Tables<'a> {
    dialect: Dialect,
    connection: &'a mut AnyConnection,
}

impl SqlStore {
    /// Opens an `SQLite` file, made if it is not there, and brings its tables up to date.
    ///
    /// The caller sees to it that no other process has it open for writing.
    ///
    /// # Errors
    /// When the file cannot be opened or is of a newer version.
    pub async fn sqlite(path: &Path) -> Result<Self, StoreError> {
        open::sqlite(path).await
    }

    /// Copies an `SQLite` file, as it is at one moment, to one that is not there yet. Whoever has it open goes on.
    ///
    /// # Errors
    /// When it cannot be read, or the copy cannot be written.
    pub async fn copy_sqlite(path: &Path, to: &Path) -> Result<(), StoreError> {
        open::copy_sqlite(path, to).await
    }

    /// Connects to PostgreSQL and brings its tables up to date, under a lock of the database, so that coordinators may
    /// start together.
    ///
    /// # Errors
    /// When the database cannot be reached or is of a newer version.
    pub async fn postgres(url: &str, connections_max: u32) -> Result<Self, StoreError> {
        open::postgres(url, connections_max).await
    }

    /// Begins to write.
    async fn write(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(self.writer.begin_with(self.dialect.begin_writing()).await?)
    }

    /// A connection for one statement that reads.
    async fn read_once(&self) -> Result<PoolConnection<Any>, StoreError> {
        Ok(self.readers.acquire().await?)
    }

    /// Begins to read one moment of the database with several statements.
    async fn read(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(self
            .readers
            .begin_with(self.dialect.begin_reading())
            .await?)
    }

    fn tables<'a>(&self, connection: &'a mut AnyConnection) -> Tables<'a> {
        Tables {
            dialect: self.dialect,
            connection,
        }
    }
}

#[async_trait::async_trait]
impl Store for SqlStore {
    async fn create_grid(
        &self,
        grid: NewGrid,
        now: Timestamp,
        shares: &Shares,
    ) -> Result<(Submitted, bool), StoreError> {
        let spec = serde_json::to_string(&grid.spec)
            .map_err(|error| rows::damaged("grid", grid.grid, &error))?;
        let sha256 = Digest::of(spec.as_bytes());
        match self.create(&grid, &spec, sha256, now, shares).await {
            // Another coordinator took the same request between the look and the insert.
            Err(StoreError::Database(sqlx::Error::Database(error)))
                if error.is_unique_violation() =>
            {
                self.create(&grid, &spec, sha256, now, shares).await
            }
            other => other,
        }
    }

    async fn submitted(&self, request: RequestId) -> Result<Option<Submitted>, StoreError> {
        let known = grids::submitted(&mut *self.read_once().await?, request).await?;
        Ok(known.map(|(submitted, _)| submitted))
    }

    async fn spec(&self, grid: GridId) -> Result<Arc<GridSpec>, StoreError> {
        grids::spec(&mut *self.read_once().await?, grid).await
    }

    async fn trace_parent(&self, grid: GridId) -> Result<String, StoreError> {
        grids::trace_parent(&mut *self.read_once().await?, grid).await
    }

    async fn summary(&self, grid: GridId) -> Result<GridSummary, StoreError> {
        grids::summary(&mut *self.read_once().await?, grid).await
    }

    async fn changes(&self, grid: GridId, after_sequence: u64) -> Result<Changes, StoreError> {
        let mut transaction = self.read().await?;
        Ok(Changes {
            summary: grids::summary(&mut transaction, grid).await?,
            cells: cells::changed(&mut self.tables(&mut transaction), grid, after_sequence).await?,
        })
    }

    async fn latest(&self, grid: GridId, cells_max: u32) -> Result<Changes, StoreError> {
        let mut transaction = self.read().await?;
        Ok(Changes {
            summary: grids::summary(&mut transaction, grid).await?,
            cells: cells::latest(&mut self.tables(&mut transaction), grid, cells_max).await?,
        })
    }

    async fn failed_attempts(
        &self,
        grid: GridId,
        attempts_max: u32,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        cells::failed_attempts(&mut *self.read_once().await?, grid, attempts_max).await
    }

    async fn attempts(
        &self,
        cell: CellId,
        attempts_max: u32,
    ) -> Result<(CellRecord, Vec<AttemptRecord>), StoreError> {
        let mut transaction = self.read().await?;
        grids::summary(&mut transaction, cell.grid).await?;
        let record = cells::one(&mut self.tables(&mut transaction), cell).await?;
        let attempts = cells::attempts(&mut transaction, cell, attempts_max).await?;
        Ok((record, attempts))
    }

    async fn grids(
        &self,
        filter: &Filter,
        before: Option<GridId>,
        grids_max: u32,
    ) -> Result<Vec<GridSummary>, StoreError> {
        grids::list(&mut *self.read_once().await?, filter, before, grids_max).await
    }

    async fn steer(&self, grid: GridId, steering: Steering) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let steered = grids::steer(&mut self.tables(&mut transaction), grid, steering).await?;
        transaction.commit().await?;
        Ok(steered)
    }

    async fn cancel_grid(&self, grid: GridId, now: Timestamp) -> Result<u32, StoreError> {
        let mut transaction = self.write().await?;
        let cancelled = grids::cancel(&mut self.tables(&mut transaction), grid, now).await?;
        transaction.commit().await?;
        Ok(cancelled)
    }

    async fn retry(
        &self,
        grid: GridId,
        places: Option<&[u32]>,
        now: Timestamp,
        rules: &LeaseRules,
    ) -> Result<u32, StoreError> {
        let mut transaction = self.write().await?;
        let mut tables = self.tables(&mut transaction);
        let queued = match places {
            None => grids::retry_failed(&mut tables, grid, now).await?,
            Some(places) => {
                let submitter = grids::locked(&mut tables, grid).await?.submitter;
                grids::level_submitter(&mut tables, &submitter).await?;
                let cells = places.iter().map(|place| CellId {
                    grid,
                    place: *place,
                });
                let events = cells.clone().map(|cell| (cell, Event::Retry)).collect();
                let even = Shares::even();
                let verdicts = apply::apply(&mut tables, events, now, rules, &even).await?;
                for (cell, verdict) in cells.zip(&verdicts) {
                    if let Err(rejection) = verdict {
                        return Err(StoreError::NoRetry(cell, *rejection));
                    }
                }
                verdicts.len() as u32
            }
        };
        transaction.commit().await?;
        Ok(queued)
    }

    async fn delete_grid(&self, grid: GridId, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        let mut tables = self.tables(&mut transaction);
        if grids::is_deleted(tables.connection, grid).await? {
            return Ok(());
        }
        let state = grids::locked(&mut tables, grid).await?.state;
        if !state.has_ended() {
            let hint = "\nhint: cancel it first";
            return Err(StoreError::WrongState { grid, state, hint });
        }
        grids::mark_deleted(&mut tables, grid, now).await?;
        Ok(transaction.commit().await?)
    }

    async fn deleted(&self, grids_max: u32) -> Result<Vec<(GridId, Timestamp)>, StoreError> {
        grids::deleted(&mut *self.read_once().await?, grids_max).await
    }

    async fn unswept(
        &self,
        ended_before: Timestamp,
        grids_max: u32,
    ) -> Result<Vec<GridId>, StoreError> {
        grids::unswept(&mut *self.read_once().await?, ended_before, grids_max).await
    }

    async fn swept(&self, grid: GridId, sequence: u64) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        grids::swept(&mut transaction, grid, sequence).await?;
        Ok(transaction.commit().await?)
    }

    async fn ended_before(
        &self,
        time: Timestamp,
        grids_max: u32,
    ) -> Result<Vec<GridId>, StoreError> {
        grids::ended_before(&mut *self.read_once().await?, time, grids_max).await
    }

    async fn forget_grid(&self, grid: GridId, is_deleted: bool) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        while !grids::forget_some(&mut self.tables(&mut transaction), grid, is_deleted).await? {
            // What is deleted stays so; of another one half must not come back when a cell of it is tried again.
            if is_deleted {
                transaction.commit().await?;
                transaction = self.write().await?;
            }
        }
        Ok(transaction.commit().await?)
    }

    async fn register_node(
        &self,
        node: &Node,
        identity: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        nodes::register(&mut transaction, node, identity, now).await?;
        Ok(transaction.commit().await?)
    }

    async fn node(&self, node: NodeId) -> Result<NodeRecord, StoreError> {
        nodes::one(&mut *self.read_once().await?, node).await
    }

    async fn nodes_of(
        &self,
        nodes: &BTreeSet<NodeId>,
    ) -> Result<BTreeMap<NodeId, NodeRecord>, StoreError> {
        let mut connection = self.read_once().await?;
        nodes::some(&mut self.tables(&mut connection), nodes).await
    }

    async fn nodes(
        &self,
        before: Option<NodeId>,
        seen_since: Timestamp,
        nodes_max: u32,
    ) -> Result<Vec<NodeRecord>, StoreError> {
        nodes::list(&mut *self.read_once().await?, before, seen_since, nodes_max).await
    }

    async fn cells_held(&self) -> Result<HashMap<NodeId, HeldCells>, StoreError> {
        let mut held: HashMap<NodeId, HeldCells> = HashMap::new();
        for (node, grid, cells) in cells::held(&mut *self.read_once().await?).await? {
            let node = node
                .parse()
                .map_err(|error| rows::damaged("node", &node, &error))?;
            let grid = grid
                .parse()
                .map_err(|error| rows::damaged("grid", &grid, &error))?;
            let of_node = held.entry(node).or_default();
            of_node
                .0
                .insert(grid, u32::try_from(cells).unwrap_or(u32::MAX));
        }
        Ok(held)
    }

    async fn nodes_seen(&self, nodes: &[(NodeId, Timestamp)]) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        nodes::seen(&mut self.tables(&mut transaction), nodes).await?;
        Ok(transaction.commit().await?)
    }

    async fn nodes_draining(&self) -> Result<HashSet<NodeId>, StoreError> {
        nodes::draining(&mut *self.read_once().await?).await
    }

    async fn set_health(&self, node: NodeId, health: &Health) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        nodes::one(&mut transaction, node).await?;
        nodes::set_health(&mut transaction, node, health).await?;
        Ok(transaction.commit().await?)
    }

    async fn forget_nodes(&self, seen_before: Timestamp) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let removed = nodes::forget_before(&mut transaction, seen_before).await?;
        transaction.commit().await?;
        Ok(removed)
    }

    async fn line(&self) -> Result<Line, StoreError> {
        let mut connection = self.read_once().await?;
        grids::line(&mut self.tables(&mut connection)).await
    }

    async fn queued(
        &self,
        grid: GridId,
        now: Timestamp,
        cells_max: u32,
    ) -> Result<Vec<QueuedCell>, StoreError> {
        let mut connection = self.read_once().await?;
        cells::queued(&mut self.tables(&mut connection), grid, now, cells_max).await
    }

    async fn cells(&self, ids: &BTreeSet<CellId>) -> Result<BTreeMap<CellId, Cell>, StoreError> {
        let mut connection = self.read_once().await?;
        cells::some(&mut self.tables(&mut connection), ids).await
    }

    async fn apply(
        &self,
        events: Vec<(CellId, Event)>,
        now: Timestamp,
        rules: &LeaseRules,
        shares: &Shares,
    ) -> Result<Vec<Verdict>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.write().await?;
        let mut tables = self.tables(&mut transaction);
        let verdicts = apply::apply(&mut tables, events, now, rules, shares).await?;
        transaction.commit().await?;
        Ok(verdicts)
    }

    async fn expired(&self, now: Timestamp, cells_max: u32) -> Result<Vec<CellId>, StoreError> {
        cells::expired(&mut *self.read_once().await?, now, cells_max).await
    }

    async fn unpublished(&self) -> Result<Vec<Unpublished>, StoreError> {
        grids::unpublished(&mut *self.read_once().await?).await
    }

    async fn gallery_complete(&self, grid: GridId, sequence: u64) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let kept = grids::gallery_complete(&mut transaction, grid, sequence).await?;
        transaction.commit().await?;
        Ok(kept)
    }

    async fn speeds(&self) -> Result<Speeds, StoreError> {
        nodes::speeds(&mut *self.read_once().await?).await
    }

    async fn measured(&self, cells: &[Measurement]) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        nodes::measured(&mut self.tables(&mut transaction), cells).await?;
        Ok(transaction.commit().await?)
    }

    async fn fleet_bounds(&self) -> Result<Option<Bounds>, StoreError> {
        fleet::read(&mut *self.read_once().await?, Part::Bounds).await
    }

    async fn set_fleet_bounds(&self, bounds: &Bounds) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        fleet::keep(&mut transaction, Part::Bounds, bounds).await?;
        Ok(transaction.commit().await?)
    }

    async fn fleet_standing(&self) -> Result<Option<Standing>, StoreError> {
        fleet::read(&mut *self.read_once().await?, Part::Standing).await
    }

    async fn set_fleet_standing(&self, standing: &Standing) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        fleet::keep(&mut transaction, Part::Standing, standing).await?;
        Ok(transaction.commit().await?)
    }

    async fn create_token(&self, token: &TokenRecord) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        tokens::insert(&mut transaction, token).await?;
        Ok(transaction.commit().await?)
    }

    async fn token(&self, token: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        tokens::one(&mut *self.read_once().await?, token).await
    }

    async fn tokens(
        &self,
        before: Option<TokenId>,
        tokens_max: u32,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        tokens::list(&mut *self.read_once().await?, before, tokens_max).await
    }

    async fn revoke_token(&self, token: TokenId, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        tokens::revoke(&mut transaction, token, now).await?;
        Ok(transaction.commit().await?)
    }

    async fn token_used(&self, token: TokenId, at: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        tokens::used(&mut transaction, token, at).await?;
        Ok(transaction.commit().await?)
    }

    async fn begin_session(&self, session: &SessionRecord) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        tokens::begin_session(&mut transaction, session).await?;
        Ok(transaction.commit().await?)
    }

    async fn session(&self, secret: SecretHash) -> Result<Option<SessionRecord>, StoreError> {
        tokens::session(&mut *self.read_once().await?, secret).await
    }

    async fn end_session(&self, secret: SecretHash) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        tokens::end_session(&mut transaction, secret).await?;
        Ok(transaction.commit().await?)
    }

    async fn nodes_at(&self, grid: GridId) -> Result<Vec<DeviceAndPrice>, StoreError> {
        cells::nodes_at(&mut *self.read_once().await?, grid).await
    }

    async fn listen(&self, rung: &(dyn Fn() + Send + Sync)) -> Result<(), StoreError> {
        match &self.postgres {
            Some(pool) => listen(pool, rung).await,
            // Nobody else writes the file.
            None => std::future::pending().await,
        }
    }

    async fn ring(&self) -> Result<(), StoreError> {
        if let Some(pool) = &self.postgres {
            sqlx::query("SELECT pg_notify($1, '')")
                .bind(CHANNEL)
                .execute(pool)
                .await?;
        }
        Ok(())
    }

    async fn lead(&self) -> Result<Option<Box<dyn Leadership>>, StoreError> {
        match &self.postgres {
            Some(pool) => {
                let lock = AdvisoryLock::take(pool).await?;
                Ok(lock.map(|lock| Box::new(lock) as Box<dyn Leadership>))
            }
            None => Ok(Some(Box::new(Always))),
        }
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        if let Some(pool) = &self.postgres {
            pool.close().await;
        }
    }
}

impl SqlStore {
    async fn create(
        &self,
        grid: &NewGrid,
        spec: &str,
        sha256: Digest,
        now: Timestamp,
        shares: &Shares,
    ) -> Result<(Submitted, bool), StoreError> {
        let mut transaction = self.write().await?;
        let mut tables = self.tables(&mut transaction);
        let known = grids::submitted(tables.connection, grid.request).await?;
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
        // The row of the submitter, which this writes, is the lock of what is counted after it.
        grids::level_submitter(&mut tables, &grid.submitter).await?;
        let open = grids::open_cells(tables.connection, &grid.submitter).await?;
        let cells = grid.spec.positions().count() as u64;
        if open + cells > u64::from(shares.submitter_open_max) {
            return Err(StoreError::TooManyOpen {
                submitter: grid.submitter.clone(),
                open,
                cells,
                most: shares.submitter_open_max,
            });
        }
        let cells = grids::insert(&mut tables, grid, spec, sha256, now).await?;
        transaction.commit().await?;
        let grid = grid.grid;
        Ok((Submitted { grid, cells }, true))
    }
}
