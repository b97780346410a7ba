//! Connections: how many, how patient, and tables that are up to date.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyPool, ConnectOptions as _, Connection as _, Executor as _};
use tokio::sync::Semaphore;
use url::Url;

use super::dialect::Dialect;
use super::migrations::{POSTGRES, SQLITE};
use super::{Store, StoreError};

/// Connections to an `SQLite` file that read at once.
const SQLITE_READERS_MAX: u32 = 4;
/// How long a call waits for a connection before it is told that the store is too busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a copy waits for whoever writes.
const COPY_PATIENCE: Duration = Duration::from_secs(30);
/// Connections to PostgreSQL that listen and lead, beside those for calls.
const POSTGRES_BESIDE_MAX: u32 = 3;

/// What each connection to an `SQLite` file is told. A writer waits for another process, such as a backup, to let go of
/// the file; what was reported done must still be so after a power cut.
const SQLITE_WRITER: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY; \
    PRAGMA wal_autocheckpoint = 8192;";
const SQLITE_READER: &str =
    "PRAGMA busy_timeout = 10000; PRAGMA query_only = ON; PRAGMA cache_size = -65536;";
/// What each connection to PostgreSQL is told. It keeps plans for as long as a connection lives, also those that it made when
/// a table was so short that to read all of it was best; every statement that is made often has an index.
const POSTGRES_CONNECTION: &str = "SET enable_seqscan = off";

impl Store {
    /// Opens an `SQLite` file, made if it is not there, and brings its tables up to date.
    ///
    /// The caller sees to it that no other process has it open for writing.
    ///
    /// # Errors
    /// When the file cannot be opened or is of a newer version.
    pub async fn sqlite(path: &Path) -> Result<Self, StoreError> {
        let database = path.display().to_string();
        let failed = |source| StoreError::Open {
            database: database.clone(),
            source,
            hint: "is the disk full, or the folder not writable?",
        };
        let mut url = Url::from_str("sqlite:///").map_err(|_| StoreError::BadUrl {
            url: database.clone(),
        })?;
        let absolute = std::path::absolute(path).map_err(|error| failed(error.into()))?;
        url.set_path(&absolute.to_string_lossy());
        url.set_query(Some("mode=rwc"));
        let writer = pool(&url, 1, SQLITE_WRITER).await.map_err(failed)?;
        SQLITE
            .run(&writer)
            .await
            .map_err(|source| StoreError::Migrate {
                database: database.clone(),
                source,
            })?;
        let readers = pool(&url, SQLITE_READERS_MAX, SQLITE_READER).await;
        Ok(Self {
            dialect: Dialect::Sqlite,
            writer,
            readers: readers.map_err(failed)?,
            whole_grids: Semaphore::new(share_of(SQLITE_READERS_MAX)),
            postgres: None,
        })
    }

    /// Copies an `SQLite` file, as it is at one moment, to one that is not there yet. Whoever has it open goes on.
    ///
    /// # Errors
    /// When it cannot be read, or the copy cannot be written.
    pub async fn copy_sqlite(path: &Path, to: &Path) -> Result<(), StoreError> {
        let failed = |source| StoreError::Copy {
            database: path.display().to_string(),
            source,
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(COPY_PATIENCE);
        let mut connection = options.connect().await.map_err(failed)?;
        sqlx::query("VACUUM INTO ?")
            .bind(to.to_string_lossy().into_owned())
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        connection.close().await.map_err(failed)
    }

    /// Connects to PostgreSQL and brings its tables up to date, under a lock of the database, so that coordinators may
    /// start together.
    ///
    /// # Errors
    /// When the database cannot be reached or is of a newer version.
    pub async fn postgres(text: &str, connections_max: u32) -> Result<Self, StoreError> {
        let bad_url = || StoreError::BadUrl {
            url: without_password(text),
        };
        let url = Url::parse(text).map_err(|_| bad_url())?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(bad_url());
        }
        let options = PgConnectOptions::from_url(&url).map_err(|_| bad_url())?;
        let database = without_password(text);
        let failed = |source| StoreError::Open {
            database: database.clone(),
            source,
            hint: "is PostgreSQL running there, and do user, password, sslmode and sslrootcert fit?",
        };
        // A pool tries until its time is over, and then only says so; this says what is wrong, at once.
        let first = options.connect().await.map_err(failed)?;
        first.close().await.map_err(failed)?;
        let pool = pool(&url, connections_max, POSTGRES_CONNECTION).await;
        let pool = pool.map_err(failed)?;
        // The migrator takes a lock of the database, so that coordinators may start together.
        POSTGRES
            .run(&pool)
            .await
            .map_err(|source| StoreError::Migrate {
                database: database.clone(),
                source,
            })?;
        let beside = PgPoolOptions::new()
            .max_connections(POSTGRES_BESIDE_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(failed)?;
        Ok(Self {
            dialect: Dialect::Postgres,
            writer: pool.clone(),
            readers: pool,
            whole_grids: Semaphore::new(share_of(connections_max)),
            postgres: Some(beside),
        })
    }

    /// Lets go of every connection; what was written stays.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        if let Some(pool) = &self.postgres {
            pool.close().await;
        }
    }
}

/// How many of so many connections may read large grids as a whole at once: what they bring is read on processors of the
/// coordinator's own, of which there may be two.
fn share_of(connections: u32) -> usize {
    (connections as usize / 4).max(1)
}

async fn pool(
    url: &Url,
    connections_max: u32,
    greeting: &'static str,
) -> Result<AnyPool, sqlx::Error> {
    sqlx::any::install_default_drivers();
    AnyPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection to a file does not break off.
        .test_before_acquire(url.scheme() != "sqlite")
        // A full disk makes SQLite end a transaction by itself, after which sqlx would begin no other one there.
        .after_release(|connection, _| {
            Box::pin(async move {
                if connection.is_in_transaction() {
                    // A rollback may still be on its way.
                    connection.ping().await?;
                }
                Ok(!connection.is_in_transaction())
            })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(greeting).await?;
                Ok(())
            })
        })
        .connect_with(AnyConnectOptions::from_url(url)?)
        .await
}

/// A URL as it may be shown.
fn without_password(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) => {
            if url.password().is_some() {
                // Only URLs without a host refuse, and those have no password.
                let _ = url.set_password(Some("***"));
            }
            url.to_string()
        }
        Err(_) => "what was given".to_owned(),
    }
}
