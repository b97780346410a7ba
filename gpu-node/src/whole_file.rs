//! A file that appears whole or not at all.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Why a file is not written. What stood in its place is still there.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// A file on its way.
#[derive(Debug)]
pub struct WholeFile<'a> {
    path: &'a Path,
    partial: NamedTempFile,
}

impl<'a> WholeFile<'a> {
    /// Makes sure that the file can be written, without touching one that is there.
    ///
    /// # Errors
    /// When it cannot.
    pub fn begin(path: &'a Path) -> Result<Self, WriteError> {
        Self::beside(path).map_err(|source| error(path, source))
    }

    fn beside(path: &'a Path) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        let partial = tempfile::Builder::new()
            .prefix(".atelier-")
            .permissions(PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)?;
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self { path, partial })
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// When the disk is full, say.
    pub fn finish(self, bytes: &[u8]) -> Result<(), WriteError> {
        let path = self.path;
        self.persist(bytes).map_err(|source| error(path, source))
    }

    fn persist(mut self, bytes: &[u8]) -> io::Result<()> {
        self.partial.write_all(bytes)?;
        self.partial.as_file().sync_all()?;
        self.partial.persist(self.path)?;
        Ok(())
    }
}

fn error(path: &Path, source: io::Error) -> WriteError {
    WriteError {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_until_the_whole_file_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "old").unwrap();
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        drop(WholeFile::begin(&path).unwrap());
        assert_eq!(
            (std::fs::read(&path).unwrap(), names()),
            (b"old".to_vec(), 1)
        );
        WholeFile::begin(&path).unwrap().finish(b"new").unwrap();
        assert_eq!(
            (std::fs::read(&path).unwrap(), names()),
            (b"new".to_vec(), 1)
        );
        for wrong in [folder.path(), &folder.path().join("none/file")] {
            let error = WholeFile::begin(wrong).unwrap_err();
            assert_eq!(error.path, wrong);
        }
    }
}
