//! The token of the first operator, in a file of the coordinator's: made when it first asks who calls, read by its owner alone.

use std::io;
use std::path::{Path, PathBuf};

use super::tokens::random_secret;
use super::{Identities, mark};
use crate::credentials::write_private;
use crate::domain::access::{Admitted, Caller, Proof};
use crate::domain::token::SecretHash;

/// Fewest characters of the token: nobody guesses that many.
const TOKEN_CHARS_MIN: usize = 32;

/// Why there is no such token.
#[derive(Debug, thiserror::Error)]
pub enum OperatorTokenError {
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
    /// What the file holds can be guessed, or cannot be sent.
    #[error(
        "the token in {path} must have {TOKEN_CHARS_MIN} characters at least, none of them a space\n\
         hint: delete the file to have another one made"
    )]
    Unfit {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("no random numbers for a token: {0}")]
    Random(getrandom::Error),
}

/// A token that stands for the identity `operator`, and never expires: whoever deletes its file and starts the coordinator
/// anew ends it.
#[derive(Debug, Clone)]
pub struct OperatorToken(SecretHash);

impl OperatorToken {
    /// What a file holds, without the space around it; one that is not there is made.
    ///
    /// # Errors
    /// When it cannot be read or written, or can be guessed.
    pub fn load_or_make(path: &Path) -> Result<Self, OperatorTokenError> {
        let failed = |source| OperatorTokenError::File {
            path: path.to_owned(),
            source,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = random_secret().map_err(OperatorTokenError::Random)?;
                let text = format!("atelier_operator_{secret}\n");
                write_private(path, &text).map_err(failed)?;
                tracing::info!(file = %path.display(), "made a token for the first operator");
                text
            }
            Err(error) => return Err(failed(error)),
        };
        let token = text.trim();
        let is_visible = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.len() < TOKEN_CHARS_MIN || !is_visible {
            let path = path.to_owned();
            return Err(OperatorTokenError::Unfit { path });
        }
        Ok(Self(SecretHash::of(token)))
    }

    /// Whether somebody has it.
    pub(super) fn is(&self, given: &str) -> bool {
        self.0.is_of(given)
    }

    /// Who has it.
    pub(super) fn admitted() -> Admitted {
        Admitted {
            caller: Caller::Known(Identities::operator()),
            proof: Proof::OperatorToken,
            until: None,
        }
    }

    /// Tells this token from another one, and lets nobody in.
    pub(super) fn mark(&self) -> String {
        mark(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_token_is_made_once_read_by_its_owner_alone_and_made_anew_when_its_file_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator-token");
        let first = OperatorToken::load_or_make(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let token = text.trim();
        assert_eq!(token.len(), "atelier_operator_".len() + 64);
        assert!(first.is(token) && !first.is(&token[1..]));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(OperatorToken::load_or_make(&path).unwrap().is(token));
        assert!(!format!("{first:?}").contains(&token[20..]));
        std::fs::remove_file(&path).unwrap();
        let other = OperatorToken::load_or_make(&path).unwrap();
        assert!(!other.is(token));
        assert_ne!(first.mark(), other.mark());
        for unfit in ["short", &"a b".repeat(20)] {
            std::fs::write(&path, unfit).unwrap();
            let error = OperatorToken::load_or_make(&path).unwrap_err().to_string();
            assert!(
                error.contains("operator-token") && !error.contains(unfit),
                "{error}"
            );
        }
    }
}
