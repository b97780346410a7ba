//! Who may look and act at the board. Where nobody is asked who they are, looking is free, and whoever has the board's key acts;
//! elsewhere each does what their role lets them, by the same table as by gRPC.
//!
//! A browser shows who it is by a cookie ([`session`]) that pages from elsewhere cannot have sent along with what they ask.
//! Browsers also say from where they act; whatever is not from here is refused before the cookie is looked at. Programs show a
//! token, or the key, in a header.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};

use super::Board;
use super::session::{self, Visitor};
use crate::credentials::write_private;
use crate::domain::access::{self, Admitted, Caller, NotAllowed, Proof, Role, Who};
use crate::domain::token::SecretHash;
use crate::identity::audit::{About, Act, DONE};
use crate::identity::mark;
use crate::limits::Exceeded;

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
    pub(super) fn is(&self, given: &str) -> bool {
        self.hash().is_of(given)
    }

    /// Tells this key from another one, and lets nobody in.
    pub(super) fn mark(&self) -> String {
        mark(self.hash())
    }

    fn hash(&self) -> SecretHash {
        SecretHash::of(self.0.expose_secret())
    }
}

/// How long it takes to ask for something that is no picture.
const ANSWER_MAX: Duration = Duration::from_mins(2);

/// Who may do one kind of thing at the board: those who may make the call that does the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Door {
    /// For the audit log, and for who is refused.
    name: &'static str,
    /// `None`: see `who`.
    call: Option<&'static str>,
    who: Who,
    /// Whether something is changed: then also where nobody is asked who they are the key is wanted.
    acts: bool,
    /// What it takes of a visitor's allowance, where a call takes 1.
    cost: f64,
    /// How long a visitor may take to ask, and the board to begin with its answer.
    answer_max: Duration,
}

pub(super) const LOOKING: Door = Door {
    name: "Board.Look",
    call: Some("Grids.List"),
    who: Who::Identified,
    acts: false,
    cost: 1.0,
    answer_max: ANSWER_MAX,
};
/// Files of galleries, of which a page shows many.
pub(super) const PICTURES: Door = Door {
    cost: 0.05,
    ..LOOKING
};
pub(super) const SUBMITTING: Door = Door {
    name: "Board.Submit",
    call: Some("Grids.Submit"),
    who: Who::Identified,
    acts: true,
    cost: 1.0,
    answer_max: ANSWER_MAX,
};
/// Pictures take long to come.
pub(super) const UPLOADING: Door = Door {
    answer_max: Duration::from_mins(30),
    ..SUBMITTING
};
pub(super) const STEERING: Door = Door {
    name: "Board.Steer",
    call: Some("Fleet.Drain"),
    who: Who::Identified,
    acts: true,
    cost: 1.0,
    answer_max: ANSWER_MAX,
};
pub(super) const METRICS: Door = Door {
    name: "Board.Metrics",
    call: None,
    who: access::METRICS,
    acts: false,
    cost: 1.0,
    answer_max: ANSWER_MAX,
};

impl Door {
    /// Whether it is open to somebody.
    pub(super) fn check(self, admitted: &Admitted) -> Result<(), NotAllowed> {
        if self.acts && admitted.caller == Caller::Anyone && admitted.proof != Proof::BoardKey {
            return Err(NotAllowed {
                call: self.name.to_owned(),
                needed: "whoever has the board's key".to_owned(),
                name: String::new(),
                held: Role::ReadOnly,
            });
        }
        let who = self
            .call
            .and_then(access::rule)
            .map_or(self.who, |rule| rule.who);
        access::check_role(&admitted.caller, self.name, who)
    }
}

/// Lets those through whom a door is open to.
pub(super) async fn enter(
    State((board, door)): State<(Board, Door)>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = session::peer(request.extensions());
    let tell = |who: Option<&Admitted>, on: &str, outcome: &str| {
        board.audit.record(&Act {
            who,
            from: peer.address.ip(),
            call: door.name,
            on,
            outcome,
            reason: "",
        });
    };
    if door.acts && !is_from_here(request.headers()) {
        tell(None, "", "from elsewhere");
        return from_elsewhere();
    }
    let is_free = !board.identities.asks() && !door.acts;
    let visitor = if is_free {
        Ok(Some(Admitted::ANYONE))
    } else {
        session::visitor(&board, request.headers(), &peer).await
    };
    let known = visitor.as_ref().ok().and_then(Option::as_ref);
    let turn = board
        .callers
        .begin(known, peer.address.ip(), door.name, door.cost);
    let turn = match turn {
        Ok(turn) => turn,
        Err(exceeded) => return beyond(&board, &exceeded),
    };
    let admitted = match visitor {
        Ok(Some(admitted)) => admitted,
        Ok(None) => {
            // A page that asks before somebody has logged in is no news.
            if door.acts {
                tell(None, "", "unauthenticated");
            }
            return session::ask_to_log_in(&board, &request);
        }
        Err(refused) => {
            tell(None, "", "unauthenticated");
            return session::refuse(&board, &refused);
        }
    };
    if let Err(denied) = door.check(&admitted) {
        tell(Some(&admitted), "", "denied");
        let text = denied.to_string().replace("\nhint: ", "; ");
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let about = About::default();
    request.extensions_mut().insert(Visitor {
        admitted: admitted.clone(),
        about: about.clone(),
        turn: turn.clone(),
    });
    // What somebody sends is in memory as a whole, so it is that of some at once.
    let _running = if door.acts { turn.run().await } else { None };
    let answer = tokio::time::timeout(door.answer_max, next.run(request)).await;
    let answer = answer
        .unwrap_or_else(|_| (StatusCode::REQUEST_TIMEOUT, "that took too long").into_response());
    if door.acts {
        let status = answer.status();
        let outcome = if status.is_success() {
            DONE.to_owned()
        } else {
            status.as_u16().to_string()
        };
        tell(Some(&admitted), about.text(), &outcome);
    }
    answer
}

/// What is told to whoever is beyond a limit.
pub(super) fn beyond(board: &Board, exceeded: &Exceeded) -> Response {
    board.ledger.metrics().refused(exceeded.limit);
    let seconds = exceeded.after.as_secs() + 1;
    let text = exceeded.to_string().replace("\nhint: ", "; ");
    let after = [(RETRY_AFTER, seconds.to_string())];
    (StatusCode::TOO_MANY_REQUESTS, after, text).into_response()
}

/// What a page from elsewhere is told.
pub(super) fn from_elsewhere() -> Response {
    let text = "this was asked by a page from elsewhere";
    (StatusCode::FORBIDDEN, text).into_response()
}

/// Whether a browser, which says so, acts for a page of this board. Other programs do not say.
pub(super) fn is_from_here(headers: &HeaderMap) -> bool {
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
