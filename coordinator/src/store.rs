//! Where the truth is kept: in SQL, `SQLite` in the data folder or PostgreSQL for several coordinators.
//!
//! A store decides nothing. What becomes of a cell is the verdict of [`Cell::apply`](crate::domain::cell::Cell::apply); the
//! store reads the cell, asks, and persists the verdict if the cell is still as it was read. It knows neither gRPC nor the
//! bucket.
//!
//! - [`open`]: the connections and, by [`migrations`], the tables; [`dialect`]: in what the two databases differ, which take the
//!   same statements otherwise, written once over sqlx's `Any`; [`fetch`]: many rows at once; [`rows`]: rows as the domain's types
//! - [`grids`]: what is submitted, how it is steered and what is left of it afterwards; [`mod@summary`]: one of them in short;
//!   [`mod@line`]: who waits to be served
//! - [`cells`]: how they stand; [`apply`]: what becomes of them; [`verdict`]: how that is told
//! - [`nodes`], [`speeds`], [`fleet`]; [`tokens`], [`sessions`]; [`outbox`]: what webhooks are to be told
//! - [`leadership`]: what coordinators of one PostgreSQL do for each other
//!
//! Every write is a transaction that is durable when it returns. `SQLite` has one writer; in PostgreSQL a row of `grids`
//! is the lock of its cells.

mod apply;
mod cells;
mod dialect;
mod error;
mod fetch;
mod fleet;
mod grids;
mod leadership;
mod line;
mod migrations;
mod nodes;
mod open;
pub mod outbox;
mod rows;
mod sessions;
mod speeds;
mod summary;
mod tokens;
mod verdict;

#[cfg(test)]
mod conformance;

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, PgPool, Transaction};
use tokio::sync::Semaphore;

pub use self::cells::{DeviceAndPrice, HeldCells};
use self::dialect::Dialect;
pub use self::error::StoreError;
pub use self::grids::{Filter, NewGrid, Steering, Submitted, Unpublished};
pub use self::leadership::Leadership;
pub use self::speeds::Measurement;
pub use self::verdict::{Applied, Rejection, Verdict};

/// The truth about grids, cells and nodes.
#[derive(Debug)]
pub struct Store {
    dialect: Dialect,
    writer: AnyPool,
    readers: AnyPool,
    /// Turns at reading large grids as a whole: this takes long, and connections and processors are left for what is short.
    whole_grids: Semaphore,
    /// Of PostgreSQL alone: for what `Any` does not have.
    postgres: Option<PgPool>,
}

/// A connection and how to speak to it.
struct Tables<'a> {
    dialect: Dialect,
    connection: &'a mut AnyConnection,
}

impl Store {
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
