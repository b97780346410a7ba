//! The embedded S3 endpoint: one bucket in one folder, so that every set-up speaks S3.
//!
//! `s3s` does the protocol and the signatures; what lies behind it is ours. An object is a file under a random name,
//! made visible by one transaction of an index: no path is derived from a key, a put-if-absent is atomic, and a body
//! that does not match its digest is never visible.
//!
//! Owns the folder and the HTTP service. Knows nothing of grids, cells or gRPC.

mod backend;
pub mod backup;
mod checksum;
mod chunks;
mod completion;
mod conditions;
mod copies;
mod fault;
mod file_name;
mod files;
mod index;
mod intake;
mod listing;
mod multipart;
mod objects;
mod payload;
mod server;
#[cfg(test)]
mod tests;
mod uploads;

use std::collections::HashSet;
use std::error::Error;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use atelier_proto::clock::Clock;
use atelier_proto::storage::S3Credentials;
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use self::backend::Backend;
#[cfg(any(test, fuzzing))]
pub(crate) use self::chunks::fuzzing;
use self::file_name::FileName;
use self::files::Files;
use self::index::{Index, IndexError};
#[cfg(test)]
pub(crate) use self::intake::{BODY_IDLE_MAX, OBJECT_BYTES_MAX};
use crate::listen::Listener;

/// What the endpoint calls its region, wherever it runs.
pub const REGION: &str = "us-east-1";
/// The index in the folder.
const INDEX_FILE: &str = "index.db";
/// A multipart upload that nobody finished within this time is forgotten at the next start.
const UPLOAD_AGE_MAX: Duration = Duration::from_hours(24);
/// A file without an object younger than this is left alone: it may be of a folder that is just being restored.
const ORPHAN_AGE_MIN: Duration = Duration::from_hours(1);

/// Why the object store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// Another process holds the folder.
    #[error(
        "{} is already in use by another coordinator\nhint: stop it, or give this one a --data folder of its own",
        folder.display()
    )]
    InUse {
        /// The object store's folder.
        folder: PathBuf,
    },
    /// The folder or a file in it could not be made, read or written.
    #[error("cannot {doing} {}: {source}\nhint: is the folder this user's own, and is there room on its disk?", path.display())]
    Folder {
        /// What was tried: `create`, `lock`, `list`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The index was written by a newer version.
    #[error(
        "{} has version {found} of the index, and this program knows versions up to {known}\n\
         hint: start the newer program that wrote it, or use another --data folder",
        path.display()
    )]
    NewerIndex {
        /// The index file.
        path: PathBuf,
        /// The version it has.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The index could not be opened or read.
    #[error("cannot read the index {}: {}", path.display(), causes(source.as_ref()))]
    Index {
        /// The index file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// An error with all that caused it.
fn causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

/// An S3 endpoint with one bucket in a folder.
#[derive(Debug)]
pub struct EmbeddedS3 {
    backend: Backend,
    credentials: S3Credentials,
    /// Held for as long as the folder is ours.
    lock: File,
}

impl EmbeddedS3 {
    /// Opens (creates) the object store in `folder` with one bucket.
    ///
    /// Forgets multipart uploads that nobody finished in a day, and removes files that belong to no object.
    ///
    /// # Errors
    /// When another process has the folder open, when it cannot be read or written, or when its index is newer than
    /// this program.
    pub async fn open(
        folder: &Path,
        bucket: &str,
        credentials: S3Credentials,
        clock: Clock,
    ) -> Result<Self, S3Error> {
        std::fs::create_dir_all(folder).map_err(|source| S3Error::Folder {
            doing: "create",
            path: folder.to_owned(),
            source,
        })?;
        let lock = lock(folder)?;

        let data = folder.join("data");
        let files = Files::open(&data).map_err(|source| S3Error::Folder {
            doing: "create",
            path: data.clone(),
            source,
        })?;
        let files = Arc::new(files);

        let path = folder.join(INDEX_FILE);
        let in_index = |source: IndexError| match source {
            IndexError::Newer { found, known } => S3Error::NewerIndex {
                path: path.clone(),
                found,
                known,
            },
            other => S3Error::Index {
                path: path.clone(),
                source: Box::new(other),
            },
        };
        let index = Index::open(&path).await.map_err(in_index)?;

        let now = clock.now();
        let oldest = now.checked_sub(UPLOAD_AGE_MAX).unwrap_or(now);
        let forgotten = index
            .forget_uploads_before(oldest)
            .await
            .map_err(in_index)?;
        files.remove(forgotten).await;
        let known = index.files().await.map_err(in_index)?;
        sweep(&files, known, &clock)
            .await
            .map_err(|source| S3Error::Folder {
                doing: "list",
                path: data.clone(),
                source,
            })?;

        Ok(Self {
            backend: Backend::new(bucket, index, files, clock),
            credentials,
            lock,
        })
    }

    /// Serves at all listeners until shutdown; then answers what is under way, for a bounded time, and closes the index.
    pub async fn serve(self, listeners: Vec<Listener>, shutdown: CancellationToken) {
        let Self {
            backend,
            credentials,
            lock,
        } = self;
        let secret = credentials.secret_access_key.expose_secret().to_owned();
        let auth = s3s::auth::SimpleAuth::from_single(credentials.access_key_id, secret);
        server::serve(backend.clone(), auth, listeners, shutdown).await;
        backend.close().await;
        drop(lock);
    }
}

/// Makes the folder this process's own until the file is dropped.
fn lock(folder: &Path) -> Result<File, S3Error> {
    let path = folder.join("lock");
    let failed = |doing, source| S3Error::Folder {
        doing,
        path: path.clone(),
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| failed("create", source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(S3Error::InUse {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed("lock", source)),
    }
}

async fn sweep(files: &Arc<Files>, known: HashSet<FileName>, clock: &Clock) -> std::io::Result<()> {
    let now = clock.now();
    let newest = now.checked_sub(ORPHAN_AGE_MIN).unwrap_or(now);
    let newest = SystemTime::try_from(newest).unwrap_or(SystemTime::UNIX_EPOCH);
    let files = Arc::clone(files);
    let removed = tokio::task::spawn_blocking(move || files.sweep(&known, Some(newest))).await??;
    if removed > 0 {
        tracing::warn!(removed, "removed files that belonged to no object");
    }
    Ok(())
}
