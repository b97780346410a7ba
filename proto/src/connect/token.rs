//! The bearer token that tells who a program is: held, or in a file that is read again when it changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use super::AccessError;
use crate::clock::Stopwatch;
use crate::watched::Stamps;

/// Largest token, bytes: those of identity providers have some KiB.
const BYTES_MAX: u64 = 16 << 10;
/// How often a file is looked at, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A token, or none. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Token(Option<Arc<Source>>);

enum Source {
    Held(HeaderValue),
    File { path: PathBuf, last: Mutex<Last> },
}

/// What was read last.
struct Last {
    header: HeaderValue,
    stamps: Stamps,
    looked: Stopwatch,
}

/// Says where it is, and never what.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(_) => f.write_str("Held"),
            Self::File { path, .. } => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl Token {
    /// The token of a file, or else this one.
    pub(super) fn new(
        file: Option<PathBuf>,
        held: Option<SecretString>,
    ) -> Result<Self, AccessError> {
        let source = match (file, held) {
            (Some(path), _) => {
                let stamps = Stamps::of([path.as_path()]);
                let header = read(&path)?;
                let last = Mutex::new(Last {
                    header,
                    stamps,
                    looked: Stopwatch::start(),
                });
                Some(Source::File { path, last })
            }
            (None, Some(held)) => {
                let place = format!("the variable {}", super::TOKEN_VARIABLE);
                let header = header(held.expose_secret());
                Some(Source::Held(header.map_err(|problem| {
                    AccessError::Token {
                        place,
                        problem: problem.to_owned(),
                    }
                })?))
            }
            (None, None) => None,
        };
        Ok(Self(source.map(Arc::new)))
    }

    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// The header that carries it, if there is one.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        match self.0.as_deref()? {
            Source::Held(header) => Some(header.clone()),
            Source::File { path, last } => {
                // Each change is one assignment, so a panic elsewhere leaves it whole.
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.looked.elapsed() >= LOOK_INTERVAL {
                    last.look_again(path);
                }
                Some(last.header.clone())
            }
        }
    }
}

impl Last {
    /// Takes what the file holds now, if it holds another token; a broken one leaves the old one in place.
    fn look_again(&mut self, path: &Path) {
        self.looked = Stopwatch::start();
        let stamps = Stamps::of([path]);
        if stamps == self.stamps {
            return;
        }
        self.stamps = stamps;
        match read(path) {
            Ok(header) => self.header = header,
            Err(error) => {
                tracing::warn!(%error, "the token file cannot be used; going on with the token before");
            }
        }
    }
}

fn read(path: &Path) -> Result<HeaderValue, AccessError> {
    let failed = |problem: String| AccessError::Token {
        place: path.display().to_string(),
        problem,
    };
    let unread = |source| AccessError::TokenFile {
        path: path.to_owned(),
        source,
    };
    let about = std::fs::metadata(path).map_err(unread)?;
    if about.len() > BYTES_MAX {
        return Err(failed("it is larger than 16 KiB".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(unread)?;
    let text = SecretString::from(text);
    header(text.expose_secret()).map_err(|problem| failed(problem.to_owned()))
}

fn header(text: &str) -> Result<HeaderValue, &'static str> {
    let token = text.trim();
    if token.is_empty() {
        return Err("it is empty");
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it has more than one line, or characters that no token has");
    }
    let header = HeaderValue::try_from(format!("Bearer {token}"));
    let mut header = header.map_err(|_| "it has characters that no token has")?;
    // So that nothing which prints headers prints it.
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line_and_is_never_printed() {
        let token = Token::new(None, Some("secret-1\n".into())).unwrap();
        assert_eq!(token.header().unwrap(), "Bearer secret-1");
        let printed = format!("{token:?} {:?}", token.header());
        assert!(!printed.contains("secret-1"), "{printed}");
        for wrong in ["", " \n", "two\nlines", "two words", "k\u{e9}y"] {
            let error = Token::new(None, Some(wrong.into())).unwrap_err();
            assert!(error.to_string().contains("ATELIER_TOKEN"), "{error}");
        }
        assert!(Token::default().header().is_none());
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let missing = Token::new(Some(path.clone()), None).unwrap_err();
        assert!(
            missing.to_string().contains(path.to_str().unwrap()),
            "{missing}"
        );
        std::fs::write(&path, "one\n").unwrap();
        // What the file holds goes before what the environment does.
        let token = Token::new(Some(path.clone()), Some("other".into())).unwrap();
        let after_change = |text: &str| {
            std::fs::write(&path, text).unwrap();
            std::thread::sleep(LOOK_INTERVAL);
            token.header().unwrap()
        };
        assert_eq!(token.header().unwrap(), "Bearer one");
        assert_eq!(after_change("two-2"), "Bearer two-2");
        assert_eq!(after_change(""), "Bearer two-2");
        assert_eq!(after_change("three"), "Bearer three");
    }
}
