//! The key of a board, in a file: what lets people act where nobody is asked who they are.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;

use crate::domain::token::SecretHash;
use crate::identity::mark;
use crate::secret_file::{self, SecretFileError, random_secret};

/// Fewest characters of a key: nobody guesses that many.
const KEY_CHARS_MIN: usize = 16;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// What the file holds can be guessed.
    #[error(
        "the key in {path} has {chars} characters, but must have {KEY_CHARS_MIN} at least\n\
         hint: delete the file to have another key made"
    )]
    Short {
        /// The file.
        path: PathBuf,
        /// That the key has.
        chars: usize,
    },
}

/// The key of a board.
#[derive(Debug, Clone)]
pub struct Key(SecretHash);

impl Key {
    /// What a file holds, without the space around it; one that is not there is made.
    ///
    /// # Errors
    /// When it cannot be read or written, or is short.
    pub fn load_or_make(path: &Path) -> Result<Self, KeyError> {
        let text = secret_file::read_or_make(path, || Ok(random_secret()?.into()))?;
        let key = text.expose_secret().trim();
        let chars = key.chars().count();
        if chars < KEY_CHARS_MIN {
            return Err(KeyError::Short {
                path: path.to_owned(),
                chars,
            });
        }
        Ok(Self(SecretHash::of(key)))
    }

    /// Whether somebody has it.
    pub(super) fn is(&self, given: &str) -> bool {
        self.0.is_of(given)
    }

    /// Tells this key from another one, and lets nobody in.
    pub(super) fn mark(&self) -> String {
        mark(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_not_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("board-key");
        let made = Key::load_or_make(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), 64);
        assert!(made.is(&text));
        assert!(Key::load_or_make(&path).unwrap().is(&text));
        assert!(!made.is(&text[1..]));
        assert!(!format!("{made:?}").contains(&text));
        std::fs::write(&path, "short\n").unwrap();
        let short = Key::load_or_make(&path).unwrap_err().to_string();
        assert!(short.contains("has 5 characters"), "{short}");
    }
}
