//! Files of secrets, which a coordinator makes where they are not there: whole or not at all, and read by their owner alone.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file cannot be read or written.
    #[error(
        "cannot use {path}: {source}\nhint: is it there, its folder writable, and both this user's own?"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system gives no randomness.
    #[error("no random numbers for a secret: {0}")]
    Random(#[from] getrandom::Error),
}

/// 256 random bits, as 64 hex digits.
pub(crate) fn random_secret() -> Result<String, getrandom::Error> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret)?;
    Ok(hex::encode(secret))
}

/// What a file holds.
pub(crate) fn read(path: &Path) -> Result<SecretString, SecretFileError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.into()),
        Err(source) => Err(failed(path, source)),
    }
}

/// What a file holds, which is made if it is not there.
pub(crate) fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> Result<SecretString, getrandom::Error>,
) -> Result<SecretString, SecretFileError> {
    match read(path) {
        Err(SecretFileError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let text = make()?;
            write(path, text.expose_secret()).map_err(|source| failed(path, source))?;
            tracing::info!(file = %path.display(), "made a file of a secret");
            Ok(text)
        }
        read => read,
    }
}

/// Another file beside it is written and renamed, so that a crash leaves no half of a secret.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&partial, path)
}

fn failed(path: &Path, source: io::Error) -> SecretFileError {
    SecretFileError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_read_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let missing = read(&path).unwrap_err().to_string();
        assert!(missing.contains("secret") && missing.contains("hint:"));
        let make = || Ok(random_secret()?.into());
        let first = read_or_make(&path, make).unwrap();
        assert_eq!(first.expose_secret().len(), 64);
        let again = read_or_make(&path, || panic!("it is there")).unwrap();
        assert_eq!(first.expose_secret(), again.expose_secret());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let nowhere = folder.path().join("nowhere/secret");
        let refused = read_or_make(&nowhere, make);
        assert!(matches!(refused, Err(SecretFileError::File { .. })));
    }
}
