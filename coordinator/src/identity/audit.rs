//! The audit log: who did what, from where, on what, and how that ended. It holds no secret.
//!
//! It goes to the log under [`TARGET`], and as JSON lines to a file if there is one, whatever the log leaves out.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use atelier_proto::clock::Clock;
use jiff::Timestamp;
use serde::Serialize;

use crate::domain::access::{Admitted, Caller, Proof};

/// The target under which the log has it.
pub const TARGET: &str = "atelier::audit";
/// The outcome of what was done.
pub(crate) const DONE: &str = "ok";

/// The file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "--audit-log: cannot write {path}: {source}\nhint: is its folder there, and may this user write it?"
)]
pub struct AuditError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Longest text of what a call is about.
const ABOUT_CHARS_MAX: usize = 200;

/// What a call is about: whoever does it says so, once, before or after it is done.
#[derive(Debug, Clone, Default)]
pub(crate) struct About(Arc<OnceLock<String>>);

impl About {
    /// Says it; the first word counts. It may be somebody else's text.
    pub(crate) fn say(&self, about: &impl ToString) {
        let short = || about.to_string().chars().take(ABOUT_CHARS_MAX).collect();
        self.0.get_or_init(short);
    }

    /// What was said.
    pub(crate) fn text(&self) -> &str {
        self.0.get().map_or("", String::as_str)
    }
}

/// One thing that somebody did, or wanted to.
#[derive(Debug)]
pub(crate) struct Act<'a> {
    /// Who; `None`: nobody who was let in.
    pub(crate) who: Option<&'a Admitted>,
    /// From where.
    pub(crate) from: IpAddr,
    /// What, as in `Grids.Cancel`.
    pub(crate) call: &'a str,
    /// On what: ids; empty: on nothing in particular.
    pub(crate) on: &'a str,
    /// How it ended: [`DONE`], or a word for why not.
    pub(crate) outcome: &'a str,
    /// What was said of why not.
    pub(crate) reason: &'a str,
}

/// A line of the file.
#[derive(Debug, Serialize)]
struct Line<'a> {
    at: Timestamp,
    name: Option<&'a str>,
    role: Option<&'a str>,
    proof: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    from: IpAddr,
    call: &'a str,
    on: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
}

/// Where it is written.
#[derive(Debug)]
pub struct Audit {
    clock: Clock,
    file: Option<(PathBuf, Mutex<File>)>,
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

impl Audit {
    /// To the log, and to a file that its owner alone reads.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(path: Option<&Path>, clock: Clock) -> Result<Self, AuditError> {
        let file = path.map(|path| match open(path) {
            Ok(file) => Ok((path.to_owned(), Mutex::new(file))),
            Err(source) => Err(AuditError {
                path: path.to_owned(),
                source,
            }),
        });
        Ok(Self {
            clock,
            file: file.transpose()?,
        })
    }

    /// Opens the file anew, as after somebody has moved it away.
    pub fn reopen(&self) {
        let Some((path, file)) = &self.file else {
            return;
        };
        match open(path) {
            Ok(anew) => *file.lock().unwrap_or_else(PoisonError::into_inner) = anew,
            Err(error) => {
                tracing::error!(%error, file = %path.display(), "the audit log cannot be opened anew; the old file is written on");
            }
        }
    }

    /// Writes down what was done.
    pub(crate) fn record(&self, act: &Act<'_>) {
        let identity = match act.who.map(|who| &who.caller) {
            Some(Caller::Known(identity)) => Some(identity),
            Some(Caller::Anyone) | None => None,
        };
        let proof = act.who.map_or(Proof::None, |who| who.proof);
        let line = Line {
            at: self.clock.now(),
            name: identity.map(|identity| identity.name.as_str()),
            role: identity.map(|identity| identity.role.as_str()),
            proof: proof.word(),
            token: match proof {
                Proof::Token(token) => Some(token.to_string()),
                _ => None,
            },
            from: act.from,
            call: act.call,
            on: act.on,
            outcome: act.outcome,
            reason: act.reason,
        };
        tracing::info!(
            target: TARGET,
            name = line.name,
            role = line.role,
            proof = line.proof,
            token = line.token,
            from = %line.from,
            call = line.call,
            on = line.on,
            outcome = line.outcome,
            reason = line.reason,
            "audit"
        );
        if let Some((path, file)) = &self.file {
            let written = serde_json::to_vec(&line).map_err(io::Error::from);
            let written = written.and_then(|mut text| {
                text.push(b'\n');
                // At once, so that no other line comes between.
                file.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .write_all(&text)
            });
            if let Err(error) = written {
                tracing::error!(%error, file = %path.display(), "the audit log cannot be written");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::{Value, json};

    use super::*;
    use crate::domain::access::{Identity, Role};

    #[test]
    fn what_was_done_is_a_line_of_the_file_and_a_file_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
        let audit = Audit::open(Some(&path), clock).unwrap();
        let token = atelier_proto::ids::TokenId::generate();
        let who = Admitted {
            caller: Caller::Known(Identity {
                name: "ann".to_owned(),
                role: Role::Operator,
            }),
            proof: Proof::Token(token),
            until: None,
        };
        let act = |who, outcome| Act {
            who,
            from: "10.0.0.7".parse().unwrap(),
            call: "Fleet.Drain",
            on: "node-7",
            outcome,
            reason: "",
        };
        audit.record(&act(Some(&who), DONE));
        let moved = folder.path().join("audit.1");
        std::fs::rename(&path, &moved).unwrap();
        audit.reopen();
        audit.record(&act(None, "unauthenticated"));
        let read = |path: &Path| -> Value {
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        let expected = json!({
            "at": "2027-01-15T08:00:00Z", "name": "ann", "role": "operator", "proof": "token", "token": token.to_string(),
            "from": "10.0.0.7", "call": "Fleet.Drain", "on": "node-7", "outcome": "ok",
        });
        assert_eq!(read(&moved), expected);
        assert_eq!(read(&path)["name"], Value::Null);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let nowhere = folder.path().join("nowhere/audit");
        assert!(Audit::open(Some(&nowhere), Clock::system()).is_err());
    }
}
