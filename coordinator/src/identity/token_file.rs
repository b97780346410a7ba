//! Tokens that the coordinator has in files: the first operator's, made when it first asks who calls and read by its owner alone,
//! and one for nodes that whoever starts machines hands to them and to the coordinator.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::mark;
use crate::domain::access::{Admitted, Caller, Identity, Proof, Role};
use crate::domain::token::SecretHash;
use crate::secret_file::{self, SecretFileError, random_secret};

/// Fewest characters of the token: nobody guesses that many.
const TOKEN_CHARS_MIN: usize = 32;

/// Why there is no such token.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The file.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// What the file holds can be guessed, or cannot be sent.
    #[error(
        "the token in {path} must have {TOKEN_CHARS_MIN} characters at least, none of them a space\n\
         hint: delete an operator's file to have another one made; for nodes, `openssl rand -hex 32` makes one"
    )]
    Unfit {
        /// The file.
        path: PathBuf,
    },
}

/// A token that never expires: whoever changes its file and starts the coordinator anew ends it.
#[derive(Debug, Clone)]
pub struct FileToken(SecretHash);

impl FileToken {
    /// What a file holds, without the space around it; one that is not there is made.
    ///
    /// # Errors
    /// When it cannot be read or written, or can be guessed.
    pub fn load_or_make(path: &Path) -> Result<Self, TokenFileError> {
        let make = || Ok(format!("atelier_operator_{}\n", random_secret()?).into());
        Self::of(&secret_file::read_or_make(path, make)?, path)
    }

    /// What a file holds, without the space around it.
    ///
    /// # Errors
    /// When it cannot be read, or can be guessed.
    pub fn load(path: &Path) -> Result<Self, TokenFileError> {
        Self::of(&secret_file::read(path)?, path)
    }

    fn of(text: &SecretString, path: &Path) -> Result<Self, TokenFileError> {
        let token = text.expose_secret().trim();
        let is_visible = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.len() < TOKEN_CHARS_MIN || !is_visible {
            let path = path.to_owned();
            return Err(TokenFileError::Unfit { path });
        }
        Ok(Self(SecretHash::of(token)))
    }

    /// Whether somebody has it.
    pub(super) fn is(&self, given: &str) -> bool {
        self.0.is_of(given)
    }

    /// Who has the operator's, or the nodes': everybody of a role is one identity then, named as the role is.
    pub(super) fn admitted(role: Role, proof: Proof) -> Admitted {
        let name = role.as_str().to_owned();
        Admitted {
            caller: Caller::Known(Identity { name, role }),
            proof,
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
    use super::*;

    #[test]
    fn the_token_is_made_once_and_made_anew_when_its_file_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator-token");
        let first = FileToken::load_or_make(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let token = text.trim();
        assert_eq!(token.len(), "atelier_operator_".len() + 64);
        assert!(first.is(token) && !first.is(&token[1..]));
        assert!(FileToken::load_or_make(&path).unwrap().is(token));
        assert!(!format!("{first:?}").contains(&token[20..]));
        std::fs::remove_file(&path).unwrap();
        let other = FileToken::load_or_make(&path).unwrap();
        assert!(!other.is(token));
        assert_ne!(first.mark(), other.mark());
        let missing = FileToken::load(&folder.path().join("node-token"));
        assert!(missing.unwrap_err().to_string().contains("node-token"));
        for unfit in ["short", &"a b".repeat(20)] {
            std::fs::write(&path, unfit).unwrap();
            let error = FileToken::load_or_make(&path).unwrap_err().to_string();
            assert!(
                error.contains("operator-token") && !error.contains(unfit),
                "{error}"
            );
        }
    }
}
