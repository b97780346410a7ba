//! What an authority has issued, and what of that it has revoked.

use std::fmt;
use std::path::Path;

use atelier_proto::holder::Role;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::CertsError;
use super::files::{self, Readers};

/// For whom a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A coordinator, which is called by its names.
    Server,
    /// A node.
    Node,
    /// Somebody who submits grids.
    Client,
    /// Somebody who may do everything.
    Operator,
    /// Somebody who looks.
    ReadOnly,
}

impl From<Role> for Kind {
    fn from(role: Role) -> Self {
        match role {
            Role::Client => Self::Client,
            Role::Node => Self::Node,
            Role::Operator => Self::Operator,
            Role::ReadOnly => Self::ReadOnly,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Node => "node",
            Self::Client => "client",
            Self::Operator => "operator",
            Self::ReadOnly => "read-only",
        })
    }
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its serial number, lowercase hexadecimal.
    pub serial: String,
    /// For whom it is.
    pub kind: Kind,
    /// Whom it names; of a server the first of its names.
    pub name: String,
    /// All names of a server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_names: Vec<String>,
    /// When it was made.
    pub issued_at: Timestamp,
    /// After when it is not valid.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// Whether a certificate may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It may.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        })
    }
}

impl Entry {
    /// Whether it may be used at a time.
    pub fn standing(&self, now: Timestamp) -> Standing {
        if self.revoked_at.is_some() {
            Standing::Revoked
        } else if self.expires_at < now {
            Standing::Expired
        } else {
            Standing::Valid
        }
    }
}

/// Everything that was issued, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    pub(super) issued: Vec<Entry>,
}

impl Index {
    pub(super) fn read(path: &Path) -> Result<Self, CertsError> {
        serde_json::from_str(&files::read(path)?).map_err(|error| CertsError::Damaged {
            path: path.to_owned(),
            problem: error.to_string(),
        })
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), CertsError> {
        let text = serde_json::to_string_pretty(self);
        let text = text.map_err(|error| CertsError::Write {
            path: path.to_owned(),
            source: error.into(),
        })?;
        files::write(path, &(text + "\n"), Readers::All, true)
    }

    /// Revokes what has this serial number, or what may still be used of this name; what that was.
    pub(super) fn revoke(&mut self, name: &str, now: Timestamp) -> Result<Vec<Entry>, CertsError> {
        let serial = name.to_ascii_lowercase().replace(':', "");
        let is_valid = |entry: &Entry| entry.standing(now) == Standing::Valid;
        let by_serial = |entry: &Entry| entry.serial == serial;
        let by_name = |entry: &Entry| entry.name == name;
        let has_serial = self.issued.iter().any(by_serial);
        let meant = |entry: &Entry| {
            is_valid(entry)
                && if has_serial {
                    by_serial(entry)
                } else {
                    by_name(entry)
                }
        };
        let mut kinds: Vec<Kind> = Vec::new();
        for entry in self.issued.iter().filter(|entry| meant(entry)) {
            if !kinds.contains(&entry.kind) {
                kinds.push(entry.kind);
            }
        }
        match kinds.as_slice() {
            [] => Err(CertsError::Unknown {
                name: name.to_owned(),
            }),
            [_] => {
                let meant = self.issued.iter_mut().filter(|entry| meant(entry));
                let revoked = meant.map(|entry| {
                    entry.revoked_at = Some(now);
                    entry.clone()
                });
                Ok(revoked.collect())
            }
            several => {
                let kinds: Vec<String> = several.iter().map(Kind::to_string).collect();
                Err(CertsError::Several {
                    name: name.to_owned(),
                    kinds: kinds.join(", "),
                })
            }
        }
    }
}
