//! The key pair of the embedded S3 endpoint: made at the first start, and kept in a file.

use std::path::{Path, PathBuf};

use atelier_proto::storage::S3Credentials;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::secret_file::{self, SecretFileError, random_secret};

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
    /// The file.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The file is damaged. What is wrong is not quoted, because it may be the secret.
    #[error(
        "{path} does not hold access_key_id and secret_access_key\n\
         hint: restore it, or delete it to have a new pair made; nobody but operators needs to learn it"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the key pair, or makes one if there is none.
pub fn load_or_make(path: &Path) -> Result<S3Credentials, CredentialsError> {
    let text = secret_file::read_or_make(path, make)?;
    parsed(text.expose_secret()).ok_or_else(|| CredentialsError::Malformed {
        path: path.to_owned(),
    })
}

fn parsed(text: &str) -> Option<S3Credentials> {
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

fn make() -> Result<SecretString, getrandom::Error> {
    let mut id = [0; 8];
    getrandom::fill(&mut id)?;
    let text = format!(
        "# The key pair of the embedded S3 endpoint. The coordinator signs with it, and tells it to operators alone.\n\
         access_key_id = \"ATELIER{}\"\nsecret_access_key = \"{}\"\n",
        hex::encode_upper(id),
        random_secret()?
    );
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_made_once_and_a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s3-credentials.toml");
        let first = load_or_make(&path).unwrap();
        let again = load_or_make(&path).unwrap();
        assert_eq!(first.access_key_id, again.access_key_id);
        let secret = first.secret_access_key.expose_secret();
        assert_eq!(secret, again.secret_access_key.expose_secret());
        assert_eq!(secret.len(), 64);

        std::fs::write(&path, "access_key_id = 'x'").unwrap();
        let error = load_or_make(&path).unwrap_err();
        assert!(error.to_string().contains("s3-credentials.toml"));
        assert!(matches!(error, CredentialsError::Malformed { .. }));
    }
}
