//! A copy of an object store, taken while its endpoint goes on serving.
//!
//! A file never changes once the index names it, so the copy of the index says exactly which files belong to it. What is
//! there from an earlier backup is not copied again.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::file_name::FileName;
use super::files::Files;
use super::index::{Index, IndexError};
use super::{INDEX_FILE, S3Error, lock};

/// What a backup took along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Copied {
    /// Files of objects that the backup holds.
    pub files: usize,
    /// Those of them that were not there before.
    pub new: usize,
    /// Objects that were deleted while they were copied, and so are not in it.
    pub deleted_meanwhile: usize,
}

/// A backup whose bytes are all there, and that takes the place of the one before when it is [kept](Self::keep).
#[derive(Debug)]
pub struct Backup {
    folder: PathBuf,
    files: Arc<Files>,
    wanted: HashSet<FileName>,
    copied: Copied,
    /// Nobody serves the backup meanwhile.
    _lock: File,
}

/// Copies the object store in `folder` to `to`, which may hold an earlier backup of it.
///
/// Uploads that were not finished are not taken along: whoever made them makes them again.
///
/// # Errors
/// When something cannot be read or written, or when `to` is being served. An earlier backup is then as it was.
pub async fn back_up(folder: &Path, to: &Path) -> Result<Backup, S3Error> {
    let in_folder = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| S3Error::Folder {
            doing,
            path,
            source,
        }
    };
    let in_index = |path: &Path| {
        let path = path.to_owned();
        move |source: IndexError| S3Error::Index {
            path,
            source: Box::new(source),
        }
    };
    std::fs::create_dir_all(to).map_err(in_folder("create", to))?;
    let lock = lock(to)?;
    let data = to.join("data");
    let files = Arc::new(Files::open(&data).map_err(in_folder("create", &data))?);
    let from = folder.join("data");

    let (original, partial) = (folder.join(INDEX_FILE), partial(to));
    remove_if_there(&partial).map_err(in_folder("remove", &partial))?;
    Index::copy(&original, &partial)
        .await
        .map_err(in_index(&original))?;
    let index = Index::open(&partial).await.map_err(in_index(&partial))?;
    index
        .forget_uploads_before(Timestamp::MAX)
        .await
        .map_err(in_index(&partial))?;
    let mut wanted = index.files().await.map_err(in_index(&partial))?;
    let (own, asked) = (files.clone(), wanted.clone());
    let taken = tokio::task::spawn_blocking(move || own.take_from(&from, &asked));
    let taken = taken.await.map_err(io::Error::from).flatten();
    let taken = taken.map_err(in_folder("copy to", &data))?;
    index
        .forget_files(&taken.gone)
        .await
        .map_err(in_index(&partial))?;
    index.close().await;
    for gone in &taken.gone {
        wanted.remove(gone);
    }
    let copied = Copied {
        files: wanted.len(),
        new: taken.new,
        deleted_meanwhile: taken.gone.len(),
    };
    Ok(Backup {
        folder: to.to_owned(),
        files,
        wanted,
        copied,
        _lock: lock,
    })
}

impl Backup {
    /// Lets it take the place of the one before, whose files go that are not of this one.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn keep(self) -> Result<Copied, S3Error> {
        let folder = self.folder.clone();
        let copied = self.copied;
        let keep = move || {
            let index = self.folder.join(INDEX_FILE);
            // A coordinator that was run on the backup leaves none behind unless it was killed.
            for beside in ["-wal", "-shm"] {
                let mut name = index.clone().into_os_string();
                name.push(beside);
                remove_if_there(Path::new(&name))?;
            }
            let partial = partial(&self.folder);
            File::open(&partial)?.sync_all()?;
            std::fs::rename(&partial, &index)?;
            File::open(&self.folder)?.sync_all()?;
            self.files.sweep(&self.wanted, None)?;
            Ok::<_, io::Error>(())
        };
        let kept = tokio::task::spawn_blocking(keep).await;
        kept.map_err(io::Error::from)
            .flatten()
            .map_err(|source| S3Error::Folder {
                doing: "write",
                path: folder,
                source,
            })?;
        Ok(copied)
    }
}

fn partial(folder: &Path) -> PathBuf {
    folder.join("index.db.partial")
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
