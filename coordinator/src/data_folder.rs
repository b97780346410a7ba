//! The folder that holds all that a coordinator keeps: made if it is not there, and used by one process at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// A data folder that this process alone uses.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Unlocked by the system when the process ends, however it ends.
    _lock: File,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// It cannot be made or written.
    #[error(
        "cannot use the data folder {path}: {source}\nhint: give a folder that can be written with --data"
    )]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another coordinator works on it.
    #[error(
        "the data folder {path} is in use by another coordinator\n\
         hint: stop that one, or give another folder with --data"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

impl DataFolder {
    /// Makes the folder if it is not there, readable by this user alone, and locks it.
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        let not_writable = |source| DataFolderError::NotWritable {
            path: path.to_owned(),
            source,
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(not_writable)?;
        let lock = File::create(path.join("atelier.lock")).map_err(not_writable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(DataFolderError::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(not_writable(source)),
        }
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        Self::database_in(&self.path)
    }

    /// The database of a folder that somebody else may be using.
    pub fn database_in(folder: &Path) -> PathBuf {
        folder.join("atelier.db")
    }

    /// The objects of the embedded S3 endpoint.
    pub fn objects(&self) -> PathBuf {
        Self::objects_in(&self.path)
    }

    /// The objects of a folder that somebody else may be using.
    pub fn objects_in(folder: &Path) -> PathBuf {
        folder.join("objects")
    }

    /// The keys of the embedded S3 endpoint.
    pub fn credentials(&self) -> PathBuf {
        self.path.join("s3-credentials.toml")
    }

    /// The token of the first operator.
    pub fn operator_token(&self) -> PathBuf {
        self.path.join("operator-token")
    }

    /// The key of the board.
    pub fn board_key(&self) -> PathBuf {
        self.path.join("board-key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_used_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/data");
        let first = DataFolder::open(&path).unwrap();
        let second = DataFolder::open(&path);
        assert!(matches!(second, Err(DataFolderError::InUse { .. })));
        drop(first);
        assert!(DataFolder::open(&path).is_ok());
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = DataFolder::open(&file);
        assert!(matches!(refused, Err(DataFolderError::NotWritable { .. })));
    }
}
