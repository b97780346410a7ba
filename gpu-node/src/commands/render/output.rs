//! A file that appears whole or not at all.

use std::io::Write as _;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::commands::CommandError;

/// A file that appears whole or not at all.
pub(super) struct Output<'a> {
    path: &'a Path,
    temporary: NamedTempFile,
}

impl<'a> Output<'a> {
    /// Makes sure that the file can be written, without touching one that is there.
    pub(super) fn begin(path: &'a Path) -> Result<Self, CommandError> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        let temporary = tempfile::Builder::new()
            .prefix(".atelier-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)
            .map_err(|source| Self::error(path, source))?;
        if path.is_dir() {
            let source = std::io::Error::from(std::io::ErrorKind::IsADirectory);
            return Err(Self::error(path, source));
        }
        Ok(Self { path, temporary })
    }

    pub(super) fn finish(mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let written = self
            .temporary
            .write_all(bytes)
            .and_then(|()| self.temporary.as_file().sync_all());
        written.map_err(|source| Self::error(self.path, source))?;
        self.temporary
            .persist(self.path)
            .map_err(|error| Self::error(self.path, error.error))?;
        Ok(())
    }

    fn error(path: &Path, source: std::io::Error) -> CommandError {
        CommandError::Write {
            path: path.to_owned(),
            source,
        }
    }
}
