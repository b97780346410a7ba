//! The data folder: files under random names, made durable before anybody may name them.
//!
//! Owns places and durability of files. Knows no keys; whether a file is an object is the index's to say.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::fault::Fault;
use super::file_name::FileName;

/// What stays free on the disk for the index.
const RESERVE_BYTES: u64 = 32 << 20;
/// What is copied at once.
const APPEND_BYTES: usize = 1 << 20;

/// The folder that holds the bytes of all objects and parts.
#[derive(Debug)]
pub(super) struct Files {
    data: PathBuf,
}

/// What became of files that were to be taken along.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// How many were not here before.
    pub(super) new: usize,
    /// Those that were not there any more.
    pub(super) gone: Vec<FileName>,
}

/// A file that is removed again unless it is kept.
#[derive(Debug)]
pub(super) struct NewFile {
    files: Arc<Files>,
    name: FileName,
    kept: bool,
}

impl Files {
    /// Opens the folder and makes its 256 subfolders, so that a file never has to.
    pub(super) fn open(data: &Path) -> io::Result<Self> {
        for first in 0..=u8::MAX {
            std::fs::create_dir_all(data.join(format!("{first:02x}")))?;
        }
        sync_folder(data)?;
        if let Some(parent) = data.parent() {
            sync_folder(parent)?;
        }
        Ok(Self {
            data: data.to_owned(),
        })
    }

    fn folder(&self, name: &FileName) -> PathBuf {
        self.data.join(&name.as_str()[..2])
    }

    fn path(&self, name: &FileName) -> PathBuf {
        self.folder(name).join(name.as_str())
    }

    /// A new, empty file for that many bytes.
    ///
    /// # Errors
    /// Also when the disk would be left with less than the index may need: without room for it, nothing could be
    /// deleted any more.
    pub(super) async fn create(self: &Arc<Self>, bytes: u64) -> Result<(NewFile, File), Fault> {
        let new = NewFile {
            files: Arc::clone(self),
            name: FileName::random(),
            kept: false,
        };
        let path = self.path(&new.name);
        let file = on_disk("create", path, move |path| {
            let disk = rustix::fs::statvfs(path.parent().unwrap_or(path))?;
            if disk.f_bavail.saturating_mul(disk.f_frsize) < bytes.saturating_add(RESERVE_BYTES) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            File::options().write(true).create_new(true).open(path)
        });
        Ok((new, file.await?))
    }

    /// A second name for a file's bytes; `None` when the file is gone.
    pub(super) async fn duplicate(
        self: &Arc<Self>,
        name: &FileName,
    ) -> Result<Option<NewFile>, Fault> {
        let new = NewFile {
            files: Arc::clone(self),
            name: FileName::random(),
            kept: false,
        };
        let (from, to, folder) = (
            self.path(name),
            self.path(&new.name),
            self.folder(&new.name),
        );
        let copied = on_disk("copy", from, move |from| match link_or_copy(from, &to) {
            Ok(()) => sync_folder(&folder).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        });
        Ok(copied.await?.then_some(new))
    }

    /// Opens a file for reading; `None` when it is gone.
    pub(super) async fn read(&self, name: &FileName) -> Result<Option<File>, Fault> {
        on_disk("open", self.path(name), |path| match File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Copies the bytes of a file to the end of another and shows them to `seen`. Blocks.
    pub(super) fn append(
        &self,
        name: &FileName,
        to: &mut File,
        mut seen: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let mut from = File::open(self.path(name))?;
        let mut buffer = vec![0; APPEND_BYTES];
        loop {
            let count = from.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                return Ok(());
            };
            seen(bytes);
            to.write_all(bytes)?;
        }
    }

    /// Removes files that the index no longer names. One that stays is found by the next start's sweep.
    pub(super) async fn remove(self: &Arc<Self>, names: impl IntoIterator<Item = FileName>) {
        let names: Vec<FileName> = names.into_iter().collect();
        if names.is_empty() {
            return;
        }
        let files = Arc::clone(self);
        let removal = tokio::task::spawn_blocking(move || {
            for name in &names {
                files.remove_now(name);
            }
        });
        if let Err(error) = removal.await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "files were not removed"
            );
        }
    }

    fn remove_now(&self, name: &FileName) {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a file was not removed");
            }
            _ => {}
        }
    }

    /// Takes files along from another folder of files, but for those that are here already or have gone there. Blocks.
    pub(super) fn take_from(&self, other: &Path, names: &HashSet<FileName>) -> io::Result<Taken> {
        let mut taken = Taken::default();
        let mut changed = HashSet::new();
        for name in names {
            let to = self.path(name);
            if to.try_exists()? {
                continue;
            }
            let from = other.join(&name.as_str()[..2]).join(name.as_str());
            match link_or_copy(&from, &to) {
                Ok(()) => {
                    taken.new += 1;
                    changed.insert(self.folder(name));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    taken.gone.push(name.clone());
                }
                Err(error) => return Err(error),
            }
        }
        for folder in changed {
            sync_folder(&folder)?;
        }
        Ok(taken)
    }

    /// Removes files that are not `known` and were last written before `newest`, if that is said; says how many.
    pub(super) fn sweep(
        &self,
        known: &HashSet<FileName>,
        newest: Option<SystemTime>,
    ) -> io::Result<u64> {
        let mut removed = 0;
        for first in 0..=u8::MAX {
            for entry in std::fs::read_dir(self.data.join(format!("{first:02x}")))? {
                let entry = entry?;
                // What is not one of our names was put there by somebody; it is not ours to remove.
                let Some(name) = entry.file_name().to_str().and_then(FileName::parse) else {
                    continue;
                };
                let is_old = match newest {
                    Some(newest) => entry.metadata()?.modified()? < newest,
                    None => true,
                };
                if is_old && !known.contains(&name) {
                    std::fs::remove_file(entry.path())?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

impl NewFile {
    pub(super) fn name(&self) -> &FileName {
        &self.name
    }

    /// Makes the bytes and the name durable.
    pub(super) async fn sync(&self, file: File) -> Result<(), Fault> {
        let (path, folder) = (self.files.path(&self.name), self.files.folder(&self.name));
        on_disk("sync", path, move |_| {
            file.sync_all()?;
            sync_folder(&folder)
        })
        .await
    }

    /// Names a failure to write this file.
    pub(super) fn write_fault(&self, source: io::Error) -> Fault {
        Fault::Disk {
            doing: "write",
            path: self.files.path(&self.name),
            source,
        }
    }

    /// The index names it now.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let (files, name) = (Arc::clone(&self.files), self.name.clone());
        // Removing a large file takes the disk a while, and this may run on a thread that serves connections.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || files.remove_now(&name))),
            Err(_) => files.remove_now(&name),
        }
    }
}

/// A second name for a file's bytes. Objects never change in place, so two names may share one file; not every file system
/// can, and then they are copied, so that the name is there with all of them or not at all.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to).or_else(|_| {
        let mut partial = to.as_os_str().to_owned();
        partial.push(".partial");
        std::fs::copy(from, &partial)?;
        File::open(&partial)?.sync_all()?;
        std::fs::rename(&partial, to)
    })
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

async fn on_disk<T: Send + 'static>(
    doing: &'static str,
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(move || {
        work(&path).map_err(|source| Fault::Disk {
            doing,
            path,
            source,
        })
    });
    done.await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_not_kept_is_gone_and_a_sweep_takes_only_strangers_of_age() {
        let folder = tempfile::tempdir().unwrap();
        let files = Arc::new(Files::open(&folder.path().join("data")).unwrap());
        let (dropped, _file) = files.create(0).await.unwrap();
        let dropped_name = dropped.name().clone();
        drop(dropped);
        let (kept, _file) = files.create(0).await.unwrap();
        let kept_name = kept.name().clone();
        kept.keep();
        let (orphan, _file) = files.create(0).await.unwrap();
        let orphan_name = orphan.name().clone();
        orphan.keep();
        for _ in 0..200 {
            if files.read(&dropped_name).await.unwrap().is_none() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(files.read(&dropped_name).await.unwrap().is_none());

        let known = HashSet::from([kept_name.clone()]);
        assert_eq!(
            files.sweep(&known, Some(SystemTime::UNIX_EPOCH)).unwrap(),
            0
        );
        let later = files
            .path(&kept_name)
            .metadata()
            .unwrap()
            .modified()
            .unwrap()
            + std::time::Duration::from_mins(1);
        assert_eq!(files.sweep(&known, Some(later)).unwrap(), 1);
        assert!(files.read(&orphan_name).await.unwrap().is_none());
        assert!(files.read(&kept_name).await.unwrap().is_some());
    }
}
