//! Who may act at the board: whoever has its key. Looking is free.
//!
//! The key comes in a header that only the board's own page sets, so no page from elsewhere can act for somebody who has the
//! board open: a browser sends no such header across sites without asking, and is never told yes. Browsers also say from
//! where they act; whatever is not from here is refused before the key is looked at.

use std::io;
use std::path::{Path, PathBuf};

use atelier_proto::ids::Digest;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};

use super::Board;
use crate::credentials::write_private;

/// Fewest characters of a key: nobody guesses that many.
const KEY_CHARS_MIN: usize = 16;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
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
    /// The system gives no randomness.
    #[error("no random numbers for a key: {0}")]
    Random(getrandom::Error),
}

/// The key of a board.
#[derive(Debug, Clone)]
pub struct Key(SecretString);

impl Key {
    /// What a file holds, without the space around it; one that is not there is made.
    ///
    /// # Errors
    /// When it cannot be read or written, or is short.
    pub fn load_or_make(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File {
            path: path.to_owned(),
            source,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
                let text = hex::encode(bytes);
                write_private(path, &text).map_err(failed)?;
                text
            }
            Err(error) => return Err(failed(error)),
        };
        let key = text.trim();
        let chars = key.chars().count();
        if chars < KEY_CHARS_MIN {
            return Err(KeyError::Short {
                path: path.to_owned(),
                chars,
            });
        }
        Ok(Self(key.to_owned().into()))
    }

    /// Whether somebody has it. How long the answer takes tells nothing of how much is right.
    fn is(&self, given: &str) -> bool {
        Digest::of(given.as_bytes()) == Digest::of(self.0.expose_secret().as_bytes())
    }
}

/// Lets whoever has the key act.
pub(super) async fn with_key(State(board): State<Board>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !is_from_here(headers) {
        let text = "this was asked by a page from elsewhere";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if given.is_some_and(|given| board.key.is(given)) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, "this is not the board's key").into_response()
}

/// Whether a browser, which says so, acts for a page of this board. Other programs do not say.
fn is_from_here(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let origin = origin
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Uri>().ok());
    let authority = origin.as_ref().and_then(Uri::authority);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match (authority, host) {
        (Some(authority), Some(host)) => authority.as_str().eq_ignore_ascii_case(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_page_from_here_acts() {
        let from = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("localhost:7880"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            is_from_here(&headers)
        };
        assert!(from(None));
        assert!(from(Some("http://localhost:7880")));
        for origin in [
            "http://localhost:7881",
            "http://evil.example",
            "null",
            "http://localhost:7880.evil.example",
        ] {
            assert!(!from(Some(origin)), "{origin}");
        }
    }

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
        let nowhere = folder.path().join("nowhere/board-key");
        assert!(matches!(
            Key::load_or_make(&nowhere),
            Err(KeyError::File { .. })
        ));
    }
}
