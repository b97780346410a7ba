//! The index: which file is which object, in one `SQLite` database.
//!
//! Owns all SQL of the endpoint, and the atomicity of its changes: one transaction each, one writer at a time.
//! Knows no HTTP and touches no data file; a change that frees files names them, and the caller removes them.

mod rows;
mod uploads;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, Sqlite, Transaction};

use super::checksum::Checksum;
use super::conditions::{WriteConditions, WriteRefusal};
use super::file_name::FileName;

pub(super) use self::rows::{Listed, Object, Part, Properties, Upload};
pub(super) use self::uploads::{Completion, PartOutcome};

const SCHEMA: &str = include_str!("index/schema.sql");
const SCHEMA_VERSION: i64 = 1;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
const READERS_MAX: u32 = 4;

/// Why the index did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    #[error("version {found} of the index is newer than {known}")]
    Newer { found: i64, known: i64 },
    #[error("{what} in the index cannot be read")]
    Unreadable { what: &'static str },
    #[error("{what} cannot be written as JSON")]
    Json {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

impl IndexError {
    /// Whether the disk had no room.
    pub(super) fn is_full(&self) -> bool {
        const SQLITE_FULL: i64 = 13;
        self.primary_code() == Some(SQLITE_FULL)
    }

    /// Whether too much was going on.
    pub(super) fn is_busy(&self) -> bool {
        const SQLITE_BUSY: i64 = 5;
        matches!(self, Self::Database(sqlx::Error::PoolTimedOut))
            || self.primary_code() == Some(SQLITE_BUSY)
    }

    fn primary_code(&self) -> Option<i64> {
        let Self::Database(sqlx::Error::Database(error)) = self else {
            return None;
        };
        let extended: i64 = error.code()?.parse().ok()?;
        Some(extended & 0xff)
    }
}

/// What a conditional write came to.
#[derive(Debug)]
pub(super) enum Written {
    /// It is visible; the file that it replaced belongs to nobody now.
    Done { replaced: Option<FileName> },
    /// Nothing has changed.
    Refused(WriteRefusal),
}

/// The index of one bucket.
#[derive(Debug, Clone)]
pub(super) struct Index {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Index {
    /// Opens (creates) the database file.
    pub(super) async fn open(path: &Path) -> Result<Self, IndexError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let pool = |connections_max| {
            SqlitePoolOptions::new()
                .max_connections(connections_max)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .connect_with(options.clone())
        };
        // SQLite has one writer at a time anyway; waiting in our own queue is fair and cannot time out as busy.
        let index = Self {
            writer: pool(1).await?,
            readers: pool(READERS_MAX).await?,
        };
        index.migrate().await?;
        Ok(index)
    }

    /// Copies the database file at `path`, as it is at one moment, to a file that is not there yet. Whoever has it open goes on.
    pub(super) async fn copy(path: &Path, to: &Path) -> Result<(), IndexError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY_TIMEOUT);
        let mut connection = options.connect().await?;
        sqlx::query("VACUUM INTO ?")
            .bind(to.to_string_lossy().into_owned())
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(())
    }

    /// Takes objects away whose files are gone.
    pub(super) async fn forget_files(&self, gone: &[FileName]) -> Result<(), IndexError> {
        let mut tx = self.begin().await?;
        for file in gone {
            sqlx::query("DELETE FROM objects WHERE file = ?")
                .bind(file.as_str())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn migrate(&self) -> Result<(), IndexError> {
        let mut tx = self.begin().await?;
        let found: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&mut *tx)
            .await?;
        match found {
            0 => {
                sqlx::raw_sql(SCHEMA).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(())
            }
            SCHEMA_VERSION => Ok(()),
            _ => Err(IndexError::Newer {
                found,
                known: SCHEMA_VERSION,
            }),
        }
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, IndexError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Writes back what is in the log and closes the file.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// The object under a key.
    pub(super) async fn object(&self, key: &str) -> Result<Option<Object>, IndexError> {
        let row = sqlx::query(
            "SELECT key, file, bytes, etag, modified_ms, properties, checksum FROM objects WHERE key = ?",
        )
        .bind(key.as_bytes())
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(Object::from_row).transpose()
    }

    /// Makes an object visible under its key if the conditions hold.
    pub(super) async fn put(
        &self,
        object: &Object,
        conditions: &WriteConditions,
    ) -> Result<Written, IndexError> {
        let mut tx = self.begin().await?;
        let written = put_in(&mut tx, object, conditions).await?;
        tx.commit().await?;
        Ok(written)
    }

    /// Takes objects away; keys without one are no error. Conditions hold for each of them.
    pub(super) async fn delete(
        &self,
        keys: &[String],
        conditions: &WriteConditions,
    ) -> Result<Result<Vec<FileName>, WriteRefusal>, IndexError> {
        let mut tx = self.begin().await?;
        let mut freed = Vec::new();
        for key in keys {
            let current = current(&mut tx, key).await?;
            if let Err(refusal) = conditions.check(current.as_ref().map(|(_, etag)| etag.as_str()))
            {
                return Ok(Err(refusal));
            }
            if let Some((file, _)) = current {
                sqlx::query("DELETE FROM objects WHERE key = ?")
                    .bind(key.as_bytes())
                    .execute(&mut *tx)
                    .await?;
                freed.push(file);
            }
        }
        tx.commit().await?;
        Ok(Ok(freed))
    }

    /// Objects with `from <= key < before`, ascending, at most `rows_max` of them.
    pub(super) async fn scan(
        &self,
        from: &[u8],
        before: Option<&[u8]>,
        rows_max: u32,
    ) -> Result<Vec<Listed>, IndexError> {
        const FIELDS_FROM: &str = "SELECT key, bytes, etag, modified_ms FROM objects \
             WHERE key >= ? ORDER BY key LIMIT ?";
        const FIELDS_BETWEEN: &str = "SELECT key, bytes, etag, modified_ms FROM objects \
             WHERE key >= ? AND key < ? ORDER BY key LIMIT ?";
        let query = match before {
            Some(before) => sqlx::query(FIELDS_BETWEEN).bind(from).bind(before),
            None => sqlx::query(FIELDS_FROM).bind(from),
        };
        let rows = query.bind(rows_max).fetch_all(&self.readers).await?;
        rows.iter().map(Listed::from_row).collect()
    }

    /// Whether an object or a part has this file.
    pub(super) async fn names(&self, file: &FileName) -> Result<bool, IndexError> {
        let named: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM objects WHERE file = ?1) \
                 OR EXISTS (SELECT 1 FROM parts WHERE file = ?1)",
        )
        .bind(file.as_str())
        .fetch_one(&self.readers)
        .await?;
        Ok(named)
    }

    /// Every file that an object or a part has.
    pub(super) async fn files(&self) -> Result<HashSet<FileName>, IndexError> {
        let rows = sqlx::query("SELECT file FROM objects UNION ALL SELECT file FROM parts")
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(rows::file).collect()
    }
}

/// Puts an object within a transaction, which the caller commits.
async fn put_in(
    tx: &mut Transaction<'static, Sqlite>,
    object: &Object,
    conditions: &WriteConditions,
) -> Result<Written, IndexError> {
    let current = current(tx, &object.key).await?;
    if let Err(refusal) = conditions.check(current.as_ref().map(|(_, etag)| etag.as_str())) {
        return Ok(Written::Refused(refusal));
    }
    sqlx::query(
        "INSERT INTO objects (key, file, bytes, etag, modified_ms, properties, checksum) \
         VALUES (?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (key) DO UPDATE SET file = excluded.file, bytes = excluded.bytes, etag = excluded.etag, \
             modified_ms = excluded.modified_ms, properties = excluded.properties, checksum = excluded.checksum",
    )
    .bind(object.key.as_bytes())
    .bind(object.file.as_str())
    .bind(object.bytes as i64)
    .bind(&object.etag)
    .bind(object.modified.as_millisecond())
    .bind(rows::to_json("the properties", &object.properties)?)
    .bind(object.checksum.as_ref().map(checksum_json).transpose()?)
    .execute(&mut **tx)
    .await?;
    Ok(Written::Done {
        replaced: current.map(|(file, _)| file),
    })
}

/// File and `ETag` of the object under a key, as the transaction sees it.
async fn current(
    tx: &mut Transaction<'static, Sqlite>,
    key: &str,
) -> Result<Option<(FileName, String)>, IndexError> {
    let row = sqlx::query("SELECT file, etag FROM objects WHERE key = ?")
        .bind(key.as_bytes())
        .fetch_optional(&mut **tx)
        .await?;
    row.map(|row| Ok((rows::file(&row)?, row.try_get("etag")?)))
        .transpose()
}

fn checksum_json(checksum: &Checksum) -> Result<String, IndexError> {
    rows::to_json("the checksum", checksum)
}

fn timestamp(milliseconds: i64) -> Result<Timestamp, IndexError> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| IndexError::Unreadable { what: "a time" })
}
