//! Whose a certificate is: a role and a name, in one URI among its subject alternative names.
//!
//! `urn:atelier:node:studio-1` is the node `studio-1`. The subject itself says nothing to a coordinator: people give it all
//! kinds of forms.

use std::fmt;
use std::str::FromStr;

/// Longest name, characters.
pub const NAME_CHARS_MAX: usize = 64;
const PREFIX: &str = "urn:atelier:";

/// What the holder of a certificate may be to a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Submits grids of its own.
    Client,
    /// Renders.
    Node,
    /// Sees and touches everything.
    Operator,
    /// Sees everything and touches nothing.
    ReadOnly,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Client, Self::Node, Self::Operator, Self::ReadOnly];

    /// As it is written: `client`, `node`, `operator` or `read-only`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Node => "node",
            Self::Operator => "operator",
            Self::ReadOnly => "read-only",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role: it must be client, node, operator or read-only")]
pub struct NoRole(String);

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| NoRole(beginning(text)))
    }
}

/// As much of a text as errors tell: a certificate may have one of any length, and logs and statuses may not.
fn beginning(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Who holds a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Holder {
    role: Role,
    name: String,
}

/// Why a text names no holder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    /// It is another URI.
    #[error("{0:?} is not of the form urn:atelier:ROLE:NAME")]
    OtherForm(String),
    /// Its role is none.
    #[error(transparent)]
    Role(#[from] NoRole),
    /// Its name is none.
    #[error(
        "{0:?} is no name: it must have 1 to {NAME_CHARS_MAX} of letters, digits, `.`, `_` and `-`"
    )]
    Name(String),
}

impl Holder {
    /// Somebody in this role.
    ///
    /// # Errors
    /// When the name is none: 1 to 64 of the letters and digits of ASCII, `.`, `_` and `-`.
    pub fn new(role: Role, name: &str) -> Result<Self, HolderError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(fits) {
            let name = name.to_owned();
            Ok(Self { role, name })
        } else {
            Err(HolderError::Name(beginning(name)))
        }
    }

    /// What it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a URI claims to name a holder, well or badly.
    pub fn is_claimed_by(uri: &str) -> bool {
        uri.starts_with(PREFIX)
    }
}

/// As it stands in a certificate.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}:{}", self.role, self.name)
    }
}

impl FromStr for Holder {
    type Err = HolderError;

    fn from_str(text: &str) -> Result<Self, HolderError> {
        let rest = text.strip_prefix(PREFIX);
        let (role, name) = rest
            .and_then(|rest| rest.split_once(':'))
            .ok_or_else(|| HolderError::OtherForm(beginning(text)))?;
        Self::new(role.parse()?, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_read_as_it_was_written() {
        for role in Role::ALL {
            let holder = Holder::new(role, "Studio-1.b_c").unwrap();
            let text = holder.to_string();
            assert_eq!(text, format!("urn:atelier:{role}:Studio-1.b_c"));
            assert_eq!(text.parse(), Ok(holder));
        }
    }

    #[test]
    fn what_is_no_holder_is_refused() {
        let long = "a".repeat(65);
        for name in ["", "a b", "a:b", "é", "a/b", "a\n", &long] {
            assert!(Holder::new(Role::Node, name).is_err(), "{name:?}");
        }
        for text in [
            "urn:atelier:node",
            "urn:atelier:node:",
            "urn:atelier:Node:a",
            "urn:atelier:root:a",
            "urn:atelier:node:a:b",
            "URN:atelier:node:a",
            " urn:atelier:node:a",
            "https://atelier/node/a",
        ] {
            assert!(text.parse::<Holder>().is_err(), "{text:?}");
        }
        assert!(Holder::new(Role::Node, &long[1..]).is_ok());
    }
}
