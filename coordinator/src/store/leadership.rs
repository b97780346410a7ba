//! What coordinators of one PostgreSQL do for each other: they tell of queued cells, and one of them leads. Where there is one
//! process alone, nobody else queues cells, and it always leads.

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgListener;
use sqlx::{Connection as _, Postgres};

use super::{Store, StoreError};

/// The channel on which coordinators tell each other that cells were queued.
const CHANNEL: &str = "atelier_queued";
/// The advisory lock of whoever leads: "atelier" in ASCII.
const LOCK: i64 = 0x0061_7465_6c69_6572;

/// The right to do what one process does for all, for as long as it is held.
#[derive(Debug)]
pub struct Leadership(Option<PoolConnection<Postgres>>);

impl Leadership {
    /// Whether it is still held: the lock is, as long as its connection lives.
    pub async fn is_held(&mut self) -> bool {
        match &mut self.0 {
            Some(connection) => connection.ping().await.is_ok(),
            None => true,
        }
    }
}

impl Store {
    /// Calls `rung` whenever cells may have been queued through another process; returns when that can no longer be heard:
    /// with the error of a connection that is lost and cannot be had again.
    pub async fn listen(&self, rung: &(dyn Fn() + Send + Sync)) -> Result<(), StoreError> {
        let Some(pool) = &self.postgres else {
            // Nobody else writes the file.
            return std::future::pending().await;
        };
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        loop {
            // Nothing was heard while there was no connection, so a new one is a reason to look, too.
            rung();
            listener.try_recv().await?;
        }
    }

    /// Tells other processes that cells were queued.
    pub async fn ring(&self) -> Result<(), StoreError> {
        if let Some(pool) = &self.postgres {
            sqlx::query("SELECT pg_notify($1, '')")
                .bind(CHANNEL)
                .execute(pool)
                .await?;
        }
        Ok(())
    }

    /// Becomes the one process that does what one does for all, if no other one is; `None` if another one is.
    pub async fn lead(&self) -> Result<Option<Leadership>, StoreError> {
        let Some(pool) = &self.postgres else {
            return Ok(Some(Leadership(None)));
        };
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
        Ok(Some(Leadership(Some(connection))))
    }
}
