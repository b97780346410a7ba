//! The key pair of the embedded S3 endpoint: made at the first start, kept in a file that only its owner reads.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use atelier_proto::storage::S3Credentials;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    access_key_id: String,
    secret_access_key: SecretString,
}

/// Why there is no key pair.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read or written.
    #[error(
        "cannot use {path}: {source}\nhint: is the folder writable, and the file this user's own?"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is damaged. What is wrong is not quoted, because it may be the secret.
    #[error(
        "{path} does not hold access_key_id and secret_access_key\n\
         hint: restore it, or delete it to have a new pair made; nodes and clients learn it from the coordinator"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("no random numbers for a key pair: {0}")]
    Random(getrandom::Error),
}

/// Reads the key pair, or makes one if there is none.
pub fn load_or_make(path: &Path) -> Result<S3Credentials, CredentialsError> {
    let failed = |source| CredentialsError::File {
        path: path.to_owned(),
        source,
    };
    match std::fs::read_to_string(path) {
        Ok(text) => read(&text).ok_or_else(|| CredentialsError::Malformed {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let credentials = make().map_err(CredentialsError::Random)?;
            write_private(path, &to_text(&credentials)).map_err(failed)?;
            Ok(credentials)
        }
        Err(error) => Err(failed(error)),
    }
}

fn read(text: &str) -> Option<S3Credentials> {
    let KeyFile {
        access_key_id,
        secret_access_key,
    } = toml::from_str(text).ok()?;
    let is_whole = !access_key_id.is_empty() && !secret_access_key.expose_secret().is_empty();
    is_whole.then_some(S3Credentials {
        access_key_id,
        secret_access_key,
    })
}

fn make() -> Result<S3Credentials, getrandom::Error> {
    let (mut id, mut secret) = ([0; 8], [0; 32]);
    getrandom::fill(&mut id)?;
    getrandom::fill(&mut secret)?;
    Ok(S3Credentials {
        access_key_id: format!("ATELIER{}", hex::encode_upper(id)),
        secret_access_key: hex::encode(secret).into(),
    })
}

fn to_text(credentials: &S3Credentials) -> String {
    format!(
        "# The key pair of the embedded S3 endpoint. Nodes and clients get it from the coordinator.\n\
         access_key_id = \"{}\"\nsecret_access_key = \"{}\"\n",
        credentials.access_key_id,
        credentials.secret_access_key.expose_secret()
    )
}

/// Writes a file that its owner alone reads: another one beside it, which is renamed, so that a crash leaves no half of a key.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_pair_is_made_once_and_read_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s3-credentials.toml");
        let first = load_or_make(&path).unwrap();
        let again = load_or_make(&path).unwrap();
        assert_eq!(first.access_key_id, again.access_key_id);
        let secret = first.secret_access_key.expose_secret();
        assert_eq!(secret, again.secret_access_key.expose_secret());
        assert_eq!(secret.len(), 64);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        std::fs::write(&path, "access_key_id = 'x'").unwrap();
        let error = load_or_make(&path).unwrap_err();
        assert!(error.to_string().contains("s3-credentials.toml"));
        assert!(matches!(error, CredentialsError::Malformed { .. }));
    }
}
