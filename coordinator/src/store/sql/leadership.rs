//! What coordinators of one PostgreSQL do for each other: they tell of queued cells, and one of them leads.

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgListener;
use sqlx::{Connection as _, PgPool, Postgres};

use super::super::{Leadership, StoreError};
use super::CHANNEL;

/// The advisory lock of whoever leads: "atelier" in ASCII.
const LOCK: i64 = 0x0061_7465_6c69_6572;

/// Calls `rung` for each notification; returns with the error of a connection that is lost and cannot be had again.
pub(super) async fn listen(
    pool: &PgPool,
    rung: &(dyn Fn() + Send + Sync),
) -> Result<(), StoreError> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // Nothing was heard while there was no connection, so a new one is a reason to look, too.
        rung();
        listener.try_recv().await?;
    }
}

/// An advisory lock, held by a connection of its own for as long as that lives.
#[derive(Debug)]
pub(super) struct AdvisoryLock {
    connection: PoolConnection<Postgres>,
}

impl AdvisoryLock {
    /// Takes the lock, if nobody has it.
    pub(super) async fn take(pool: &PgPool) -> Result<Option<Self>, StoreError> {
        let mut connection = pool.acquire().await?;
        let is_taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *connection)
            .await?;
        if !is_taken {
            return Ok(None);
        }
        // It must not go back to the pool with the lock: closed when dropped.
        connection.close_on_drop();
        Ok(Some(Self { connection }))
    }
}

#[async_trait::async_trait]
impl Leadership for AdvisoryLock {
    async fn is_held(&mut self) -> bool {
        self.connection.ping().await.is_ok()
    }
}

/// Where there is one process alone.
#[derive(Debug)]
pub(super) struct Always;

#[async_trait::async_trait]
impl Leadership for Always {
    async fn is_held(&mut self) -> bool {
        true
    }
}
