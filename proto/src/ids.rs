//! Ids as types: a grid's id cannot be passed where a cell's is wanted, and a malformed one is an error,
//! never a nil id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A text that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}")]
pub struct MalformedId {
    what: &'static str,
    text: String,
}

impl MalformedId {
    fn new(what: &'static str, text: &str) -> Self {
        // An id from the wire may be of any length; an error message may not.
        let text = text.chars().take(80).collect();
        Self { what, text }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id; ids made later sort after earlier ones (UUID version 7, RFC 9562).
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as a UUID.
            pub fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                match Uuid::try_parse(text) {
                    Ok(uuid) if !uuid.is_nil() => Ok(Self(uuid)),
                    Ok(_) | Err(_) => Err(MalformedId::new($what, text)),
                }
            }
        }
    };
}

uuid_id!(
    /// Names one submitted grid.
    GridId,
    "grid id"
);
uuid_id!(
    /// Names one run of a node program.
    NodeId,
    "node id"
);
uuid_id!(
    /// Names one submission, so that sending it twice makes one grid.
    RequestId,
    "request id"
);
uuid_id!(
    /// Names one token; it is no secret.
    TokenId,
    "token id"
);

uuid_id!(
    /// Names one end of a grid. One that is tried again and ends again has another one.
    EndingId,
    "ending id"
);

/// Names one cell of one grid: the grid, and the cell's place in it.
///
/// A place, from 0, is an index into the grid's cells in the order of service, and follows from what was submitted: so an
/// id needs no table that says what it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellId {
    /// The grid.
    pub grid: GridId,
    /// Its place there.
    pub place: u32,
}

/// Between a grid's id and a place.
const PLACE_SEPARATOR: char = '/';

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{PLACE_SEPARATOR}{}", self.grid, self.place)
    }
}

impl FromStr for CellId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = || MalformedId::new("cell id (a grid id, a slash and a number)", text);
        let (grid, place) = text.split_once(PLACE_SEPARATOR).ok_or_else(malformed)?;
        let id = Self {
            grid: grid.parse().map_err(|_| malformed())?,
            place: place.parse().map_err(|_| malformed())?,
        };
        // One id has one spelling: `+7` and `007` are numbers, too.
        if place.len() == id.place.to_string().len() {
            Ok(id)
        } else {
            Err(malformed())
        }
    }
}

impl Serialize for CellId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CellId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// SHA-256 of some bytes; displayed as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Digest of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Digest from its 32 raw bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = || MalformedId::new("SHA-256 digest (64 lower-case hex digits)", text);
        // Keys are compared as text, so one digest must have one spelling.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(malformed());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| malformed())?;
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_id_is_an_error_and_never_nil() {
        assert!("".parse::<GridId>().is_err());
        assert!("../../etc".parse::<CellId>().is_err());
        assert!(Uuid::nil().to_string().parse::<NodeId>().is_err());
        let id = GridId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn a_cell_is_named_by_its_grid_and_its_place() {
        let grid = GridId::generate();
        let cell = CellId { grid, place: 42 };
        assert_eq!(cell.to_string(), format!("{grid}/42"));
        assert_eq!(cell.to_string().parse(), Ok(cell));
        for place in ["", "-1", "+7", "007", "4294967296", "4/2"] {
            let text = format!("{grid}/{place}");
            assert!(text.parse::<CellId>().is_err(), "{text}");
        }
        assert!(grid.to_string().parse::<CellId>().is_err());
    }

    #[test]
    fn a_digest_has_one_spelling() {
        let digest = Digest::of(b"abc");
        let text = digest.to_string();
        assert_eq!(
            text,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(text.parse(), Ok(digest));
        assert!(text.to_uppercase().parse::<Digest>().is_err());
        assert!(text[1..].parse::<Digest>().is_err());
    }
}
