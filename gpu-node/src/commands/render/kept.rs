//! `--checkpoint`: a render that broke off, in a file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::commands::CommandError;
use crate::render::Checkpoint;
use crate::whole_file::WholeFile;

/// Where a render is kept on its way.
#[derive(Debug, Clone)]
pub(super) struct CheckpointFile(PathBuf);

impl CheckpointFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn exists(&self) -> bool {
        self.0.exists()
    }

    /// The render that was kept, if there is one; and makes sure that further ones can be written.
    pub(super) fn open(&self) -> Result<Option<Checkpoint>, CommandError> {
        WholeFile::begin(&self.0)?;
        match std::fs::read(&self.0) {
            Ok(bytes) => Checkpoint::from_bytes(&bytes).map(Some).map_err(|source| {
                CommandError::Checkpoint {
                    path: self.0.clone(),
                    source,
                }
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CommandError::Read {
                path: self.0.clone(),
                source,
            }),
        }
    }

    /// Keeps the render as it is now, in the place of what was kept before.
    pub(super) fn write(&self, checkpoint: &Checkpoint) -> Result<(), CommandError> {
        let bytes = checkpoint.to_bytes()?;
        Ok(WholeFile::begin(&self.0)?.finish(&bytes)?)
    }

    /// The picture is there: nobody needs to go on.
    pub(super) fn remove(&self) {
        match std::fs::remove_file(&self.0) {
            Ok(()) => {}
            // A quick render ends before its first checkpoint.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(checkpoint = %self.0.display(), %error, "cannot be removed");
            }
        }
    }
}
