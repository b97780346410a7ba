//! Requests to the bucket that one program has signed by another: what is wanted, and what may be sent then.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::ids::{CellId, Digest, GridId};
use crate::v1;

/// Requests that are signed in one call.
pub const WANTED_MAX: usize = 256;

/// What a request does with its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads it.
    Get,
    /// Asks whether it is there, and how long it is.
    Head,
    /// Puts it.
    Put,
    /// Removes it.
    Delete,
}

impl Method {
    /// As HTTP has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// By what right somebody wants to send a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// Its own: by what it is.
    Own,
    /// It holds the cell.
    Cell {
        /// The cell.
        cell: CellId,
        /// The attempt that holds it.
        attempt: u32,
    },
    /// It may see the grid.
    Grid(GridId),
}

/// What is put, as far as it is signed: nothing else can be put with the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Content {
    /// What the bucket tells those who read it.
    pub content_type: String,
    /// Only where there is no object yet.
    pub if_absent: bool,
    /// What the bytes must be.
    pub sha256: Option<Digest>,
    /// How many they must be.
    pub bytes: Option<u64>,
    /// What travels with them: visible ASCII and spaces.
    pub metadata: BTreeMap<String, String>,
    /// How long readers may keep it.
    pub cache_control: Option<String>,
}

/// A request that somebody would like to send.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// What it does.
    pub method: Method,
    /// With which object; empty: the bucket itself.
    pub key: String,
    /// By what right.
    pub right: Right,
    /// Of a PUT, and of nothing else.
    pub content: Option<Content>,
    /// How long it is to hold; `None`: as long as such requests do.
    pub valid_for: Option<Duration>,
}

impl Wanted {
    /// A request without content.
    pub fn new(method: Method, key: impl Into<String>, right: Right) -> Self {
        Self {
            method,
            key: key.into(),
            right,
            content: None,
            valid_for: None,
        }
    }
}

/// A request that may be sent, as it is, until it expires. The URL is as good as a key: it is told in no log.
#[derive(Debug, Clone)]
pub struct SignedRequest {
    /// What it does.
    pub method: Method,
    /// Where to, with the signature.
    pub url: SecretString,
    /// What is to be sent with it.
    pub headers: BTreeMap<String, String>,
    /// When the bucket begins to refuse it, by the clock of whoever signed.
    pub expires_at: Timestamp,
}

/// Requests that were signed together.
#[derive(Debug, Clone)]
pub struct Signatures {
    /// In the order in which they were wanted.
    pub requests: Vec<SignedRequest>,
    /// The time where they were signed.
    pub now: Timestamp,
    /// The bucket's name.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// They may end with the session of the keys that signed them, and nobody says when that is.
    pub may_end_earlier: bool,
}

impl Content {
    /// Content of this type, and nothing further of it.
    pub fn of_type(content_type: &str) -> Self {
        Self {
            content_type: content_type.to_owned(),
            ..Self::default()
        }
    }

    /// The same with user metadata; what is not visible ASCII in its values becomes `?`.
    #[must_use]
    pub fn with_metadata(mut self, metadata: &[(&str, String)]) -> Self {
        let entries = metadata.iter();
        let entries = entries.map(|(name, value)| ((*name).to_owned(), header_value(value)));
        self.metadata.extend(entries);
        self
    }

    /// The same of these bytes and no others.
    #[must_use]
    pub fn of_bytes(mut self, sha256: Digest, bytes: u64) -> Self {
        self.sha256 = Some(sha256);
        self.bytes = Some(bytes);
        self
    }
}

/// A text as it may stand in an HTTP header, and with it in user metadata.
pub fn header_value(text: &str) -> String {
    let visible = |character: char| character == ' ' || character.is_ascii_graphic();
    let text: String = text
        .chars()
        .map(|character| if visible(character) { character } else { '?' })
        .collect();
    // Servers fold what a signature counts.
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An answer that says of no request what may be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator signed a request without {field}")]
pub struct IncompleteSignature {
    field: &'static str,
}

impl From<Method> for v1::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::Get,
            Method::Head => Self::Head,
            Method::Put => Self::Put,
            Method::Delete => Self::Delete,
        }
    }
}

impl From<&Wanted> for v1::Wanted {
    fn from(wanted: &Wanted) -> Self {
        let right = match wanted.right {
            Right::Own => None,
            Right::Cell { cell, attempt } => Some(v1::wanted::Right::Cell(v1::HeldCell {
                cell_id: cell.to_string(),
                attempt,
            })),
            Right::Grid(grid) => Some(v1::wanted::Right::GridId(grid.to_string())),
        };
        Self {
            method: v1::Method::from(wanted.method).into(),
            key: wanted.key.clone(),
            right,
            content: wanted.content.as_ref().map(v1::Content::from),
            // None is longer than the wire can hold.
            valid_for: wanted.valid_for.and_then(|it| it.try_into().ok()),
        }
    }
}

impl From<&Content> for v1::Content {
    fn from(content: &Content) -> Self {
        let sha256 = content.sha256.map(|sha256| sha256.to_string());
        Self {
            content_type: content.content_type.clone(),
            if_absent: content.if_absent,
            sha256: sha256.unwrap_or_default(),
            bytes: content.bytes,
            metadata: content.metadata.clone().into_iter().collect(),
            cache_control: content.cache_control.clone().unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::SignResponse> for Signatures {
    type Error = IncompleteSignature;

    fn try_from(wire: v1::SignResponse) -> Result<Self, IncompleteSignature> {
        let requests = wire.requests.into_iter().map(SignedRequest::try_from);
        Ok(Self {
            requests: requests.collect::<Result<_, _>>()?,
            now: time(wire.now, "a time")?,
            bucket: wire.bucket,
            region: wire.region,
            may_end_earlier: wire.may_end_earlier,
        })
    }
}

impl TryFrom<v1::SignedRequest> for SignedRequest {
    type Error = IncompleteSignature;

    fn try_from(wire: v1::SignedRequest) -> Result<Self, IncompleteSignature> {
        let lacks = |field| IncompleteSignature { field };
        let method = match v1::Method::try_from(wire.method) {
            Ok(v1::Method::Get) => Method::Get,
            Ok(v1::Method::Head) => Method::Head,
            Ok(v1::Method::Put) => Method::Put,
            Ok(v1::Method::Delete) => Method::Delete,
            Ok(v1::Method::Unspecified) | Err(_) => return Err(lacks("a method")),
        };
        if wire.url.is_empty() {
            return Err(lacks("a URL"));
        }
        Ok(Self {
            method,
            url: wire.url.into(),
            headers: wire.headers.into_iter().collect(),
            expires_at: time(wire.expires_at, "an end")?,
        })
    }
}

fn time(
    wire: Option<prost_types::Timestamp>,
    field: &'static str,
) -> Result<Timestamp, IncompleteSignature> {
    let time = wire.and_then(|wire| Timestamp::new(wire.seconds, wire.nanos).ok());
    time.ok_or(IncompleteSignature { field })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn what_is_put_can_stand_in_a_header() {
        let content = Content::of_type("image/png")
            .with_metadata(&[("device", "cuda:0  NVIDIA™ H100 \n".to_owned())]);
        assert_eq!(content.metadata["device"], "cuda:0 NVIDIA? H100 ?");
    }

    #[test]
    fn a_signed_request_is_whole_and_shows_its_url_to_nobody_by_accident() {
        let time = prost_types::Timestamp {
            seconds: 1_800_000_000,
            nanos: 0,
        };
        let wire = v1::SignedRequest {
            method: v1::Method::Put.into(),
            url: "http://bucket/key?X-Amz-Signature=0123".to_owned(),
            headers: [("content-type".to_owned(), "image/png".to_owned())].into(),
            expires_at: Some(time),
        };
        let request = SignedRequest::try_from(wire.clone()).unwrap();
        assert_eq!(request.url.expose_secret(), wire.url);
        assert!(!format!("{request:?}").contains("0123"));
        for lacking in [
            v1::SignedRequest {
                method: 0,
                ..wire.clone()
            },
            v1::SignedRequest {
                url: String::new(),
                ..wire.clone()
            },
            v1::SignedRequest {
                expires_at: None,
                ..wire
            },
        ] {
            assert!(SignedRequest::try_from(lacking).is_err());
        }
    }
}
