//! What is the matter with an atelier: what was seen of it, judged.
//!
//! [`mod@look`] looks and decides nothing; [`mod@judge`] decides and looks at nothing. [`certificate`] is what a coordinator
//! shows of itself, trusted or not.

mod certificate;
mod judge;
mod look;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

pub use self::judge::judge;
pub use self::look::look;
use crate::coordinator::view::{FleetView, NodeView};

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// When.
    pub now: Timestamp,
    /// Version of this program.
    pub version: String,
    /// The profile that says who is asked.
    pub profile: Option<String>,
    /// Each coordinator that was named.
    pub coordinators: Vec<CoordinatorFacts>,
    /// How the fleet stands, if a coordinator answered.
    pub fleet: Option<FleetView>,
    /// The nodes, or why they are not known; `None`: no coordinator answered.
    pub nodes: Option<Result<Vec<NodeView>, String>>,
    /// The bucket, or why it is of no use; `None`: no coordinator answered.
    pub bucket: Option<Result<BucketFacts, String>>,
    /// This machine.
    pub local: LocalFacts,
}

/// One coordinator.
#[derive(Debug, Clone, PartialEq)]
pub struct CoordinatorFacts {
    /// Where it should be.
    pub url: String,
    /// What it shows by TLS; `None`: there is no TLS.
    pub certificate: Option<Result<Certificate, String>>,
    /// What it answered, or why it did not.
    pub answer: Result<Answer, String>,
}

/// What a coordinator answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its version; empty: it is too old to say so.
    pub version: String,
    /// By how much its clock is ahead of ours, if it tells the time.
    pub ahead: Option<SignedDuration>,
    /// How long the answer took.
    pub round_trip: Duration,
    /// Whether it says that it can do its work; `None`: it does not say.
    pub is_serving: Option<bool>,
}

/// A certificate of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Names and addresses that it is for.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// Until when it is valid.
    pub expires_at: Timestamp,
}

/// A bucket that can be read and written from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketFacts {
    /// Its name.
    pub name: String,
    /// Its endpoint, if that is not AWS' own.
    pub endpoint: Option<String>,
    /// How long it took to put and to get a few bytes.
    pub round_trip: Duration,
}

/// This machine, for `atelier local`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFacts {
    /// Programs that `atelier local` starts and that are not here.
    pub missing_programs: Vec<&'static str>,
    /// Weights in the cache that nodes of this user paint with.
    pub weights: Vec<String>,
    /// The folder for data.
    pub data: Option<PathBuf>,
    /// Bytes that are free there.
    pub free_bytes: Option<u64>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Grids suffer from it.
    Broken,
}

impl Level {
    /// What stands before it.
    pub fn mark(self) -> char {
        match self {
            Self::Good => '✓',
            Self::Warning => '!',
            Self::Broken => '✗',
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at, in a word that stays the same for scripts.
    pub check: &'static str,
    /// What there is to say.
    pub text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    fn new(level: Level, check: &'static str, text: impl Into<String>) -> Self {
        Self {
            level,
            check,
            text: text.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// From the text of an error, whose hint is ours.
    fn of_error(level: Level, check: &'static str, text: &str) -> Self {
        match text.split_once("\nhint:") {
            Some((text, hint)) => Self::new(level, check, text).hint(hint.trim()),
            None => Self::new(level, check, text),
        }
    }
}
