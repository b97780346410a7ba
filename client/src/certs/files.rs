//! Writes files whole or not at all, those with secrets for nobody else to read.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::CertsError;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Its owner.
    Owner,
    /// Everybody.
    All,
}

impl Readers {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::All => 0o644,
        }
    }
}

/// Writes a file; in the place of another one only with `replace`.
pub(super) fn write(
    path: &Path,
    text: &str,
    readers: Readers,
    replace: bool,
) -> Result<(), CertsError> {
    let failed = |source| CertsError::Write {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    // It is made for its owner alone, and opened to others when it is there.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(readers.mode()))
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed)?;
    if replace {
        file.persist(path).map_err(|error| failed(error.error))?;
    } else {
        file.persist_noclobber(path).map_err(|error| {
            if error.error.kind() == io::ErrorKind::AlreadyExists {
                exists(path)
            } else {
                failed(error.error)
            }
        })?;
    }
    Ok(())
}

/// The error for a file that must not be lost.
pub(super) fn exists(path: &Path) -> CertsError {
    CertsError::Exists {
        path: path.to_owned(),
        hint: "say --force to put a new one in its place, or choose another name",
    }
}

pub(super) fn read(path: &Path) -> Result<String, CertsError> {
    fs::read_to_string(path).map_err(|source| CertsError::Read {
        path: path.to_owned(),
        source,
    })
}
