//! A copy of a data folder that can be used as one, taken while its coordinator goes on.
//!
//! The database is copied first and the objects after it, so that whatever the copy tells of is in its bucket: what came
//! later is there too, and is adopted by whoever does that work again. A second backup to the same folder copies only what
//! is new.

use std::io;
use std::path::{Path, PathBuf};

use crate::data_folder::{DataFolder, DataFolderError};
use crate::s3::S3Error;
use crate::s3::backup::Copied;
use crate::store::{Store, StoreError};

/// Why there is no backup. An earlier one in the same folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Nothing to copy.
    #[error(
        "{} is no data folder of a coordinator: it has no atelier.db\n\
         hint: name it with --data; with PostgreSQL and a bucket elsewhere, back those up", data.display()
    )]
    NoData {
        /// The folder.
        data: PathBuf,
    },
    /// The copy would contain itself.
    #[error("{} is within the data folder\nhint: name a folder elsewhere, best on another disk", to.display())]
    Within {
        /// Where it should go.
        to: PathBuf,
    },
    /// The folder of the backup.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The objects.
    #[error(transparent)]
    Objects(#[from] S3Error),
    /// Another file.
    #[error("cannot copy to {}: {source}", path.display())]
    File {
        /// The copy.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Copies the data folder to `to`, which may hold an earlier backup; what the object store's part holds.
///
/// # Errors
/// When something cannot be read or written, or when a coordinator runs on `to`.
pub async fn back_up(data: &Path, to: &Path) -> Result<Copied, BackupError> {
    let database = DataFolder::database_in(data);
    if !database.is_file() {
        let data = data.to_owned();
        return Err(BackupError::NoData { data });
    }
    if is_within(to, data).map_err(at(to))? {
        return Err(BackupError::Within { to: to.to_owned() });
    }
    let folder = DataFolder::open(to)?;
    let partial = to.join("atelier.db.partial");
    remove_if_there(&partial).map_err(at(&partial))?;
    Store::copy_sqlite(&database, &partial).await?;
    let objects = DataFolder::objects_in(data);
    let objects = crate::s3::backup::back_up(&objects, &folder.objects()).await?;
    copy_keys(data, to)?;
    let copied = objects.keep().await?;
    let place = folder.database();
    put_in_place(&partial, &place).map_err(at(&place))?;
    Ok(copied)
}

/// Whether a folder, which need not be there yet, is within another.
fn is_within(folder: &Path, other: &Path) -> io::Result<bool> {
    let absolute = std::path::absolute(folder)?;
    let there = absolute.ancestors().find_map(|it| it.canonicalize().ok());
    let other = other.canonicalize()?;
    Ok(there.is_some_and(|there| there.starts_with(other)))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}

/// Copies the files beside the database: keys and tokens, which stay readable by their owner alone.
fn copy_keys(data: &Path, to: &Path) -> Result<(), BackupError> {
    let entries = std::fs::read_dir(data).map_err(at(data))?;
    for entry in entries {
        let entry = entry.map_err(at(data))?;
        let name = entry.file_name();
        let is_copied_already = name.to_string_lossy().starts_with("atelier.");
        let path = to.join(&name);
        if is_copied_already || !entry.file_type().map_err(at(&path))?.is_file() {
            continue;
        }
        std::fs::copy(entry.path(), &path).map_err(at(&path))?;
    }
    Ok(())
}

fn put_in_place(partial: &Path, place: &Path) -> io::Result<()> {
    // A log that belongs to the backup before would be played into this one.
    for beside in ["-wal", "-shm"] {
        let mut name = place.as_os_str().to_owned();
        name.push(beside);
        remove_if_there(Path::new(&name))?;
    }
    std::fs::File::open(partial)?.sync_all()?;
    std::fs::rename(partial, place)?;
    let folder = place.parent().unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_data_folder_is_refused_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let (data, to) = (folder.path().join("data"), folder.path().join("backup"));
        let refused = back_up(&data, &to).await.unwrap_err().to_string();
        assert!(refused.contains("--data"), "{refused}");
        assert!(!to.exists());

        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("atelier.db"), "").unwrap();
        let within = data.join("backup");
        let refused = back_up(&data, &within).await.unwrap_err();
        assert!(matches!(refused, BackupError::Within { .. }), "{refused}");
        assert!(!within.exists());
    }
}
