//! What nodes and clients do with the bucket.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::ids::{CellId, Digest, GridId};
use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, LAST_MODIFIED};
use secrecy::ExposeSecret as _;

use super::courier::{Arriving, Courier, Http};
use super::{Content, Method, Right, Sign, WANTED_MAX, Wanted, checksum, download};
use crate::bucket::{BucketError, Object, PutOutcome};

/// What user metadata travels as.
const METADATA_PREFIX: &str = "x-amz-meta-";

/// A bucket to which somebody else has the keys. Cheap to clone; clones share connections and signed requests.
#[derive(Clone)]
pub struct SignedBucket {
    pub(super) courier: Arc<Courier>,
    right: Right,
}

/// Links that anybody may follow for a while.
#[derive(Debug, Clone)]
pub struct Links {
    /// In the order of the keys.
    pub urls: Vec<String>,
    /// When the first of them ends.
    pub end_at: Timestamp,
    /// They may end earlier, with the session that signed them; nobody says when.
    pub may_end_earlier: bool,
}

impl fmt::Debug for SignedBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignedBucket").field(&self.right).finish()
    }
}

impl SignedBucket {
    /// The bucket to which `sign` has the keys; what is asked of it is asked by one's own right. Nothing is called yet.
    pub fn new(http: Http, sign: Arc<dyn Sign>) -> Self {
        Self {
            courier: Arc::new(Courier::new(http, sign)),
            right: Right::Own,
        }
    }

    /// The same for whoever holds the cell.
    #[must_use]
    pub fn of_cell(&self, cell: CellId, attempt: u32) -> Self {
        self.by(Right::Cell { cell, attempt })
    }

    /// The same for whoever may see the grid.
    #[must_use]
    pub fn of_grid(&self, grid: GridId) -> Self {
        self.by(Right::Grid(grid))
    }

    fn by(&self, right: Right) -> Self {
        Self {
            courier: self.courier.clone(),
            right,
        }
    }

    /// A request as the verbs here would send it, to have it signed beforehand.
    pub fn wanted(&self, method: Method, key: impl Into<String>) -> Wanted {
        Wanted::new(method, key, self.right)
    }

    /// The request of [`Self::put`], or of [`Self::put_if_absent`] where the content says so.
    pub fn wanted_put(&self, key: impl Into<String>, content: Content) -> Wanted {
        let mut wanted = self.wanted(Method::Put, key);
        wanted.content = Some(content);
        wanted
    }

    /// Has requests signed that are about to be sent, many at once. Whoever does without waits a little longer for each.
    ///
    /// # Errors
    /// When they are not signed; then none of the last part of them is.
    pub async fn prepare(&self, wanted: &[Wanted]) -> Result<(), BucketError> {
        self.courier.prepare(wanted).await
    }

    /// Whether the endpoint can be reached, accepts what is signed and has the bucket.
    pub async fn check(&self) -> Result<(), BucketError> {
        self.send(&self.wanted(Method::Head, ""), Bytes::new())
            .await?;
        Ok(())
    }

    /// Puts an object unless one is there. Of several writers at once, exactly one creates it.
    pub async fn put_if_absent(
        &self,
        key: &str,
        bytes: Bytes,
        content: Content,
    ) -> Result<PutOutcome, BucketError> {
        let content = Content {
            if_absent: true,
            ..content
        };
        let wanted = self.wanted_put(key, content);
        let answer = self.send(&wanted, bytes).await?;
        Ok(match answer.status() {
            StatusCode::PRECONDITION_FAILED => PutOutcome::AlreadyThere,
            _ => PutOutcome::Created,
        })
    }

    /// Puts an object in the place of whatever is there.
    pub async fn put(&self, key: &str, bytes: Bytes, content: Content) -> Result<(), BucketError> {
        self.send(&self.wanted_put(key, content), bytes).await?;
        Ok(())
    }

    /// An object of at most `bytes_max` bytes.
    pub async fn get(&self, key: &str, bytes_max: u64) -> Result<Vec<u8>, BucketError> {
        let (bytes, _) = self.get_with_metadata(key, bytes_max).await?;
        Ok(bytes)
    }

    /// An object of at most `bytes_max` bytes, and what travelled with it.
    pub async fn get_with_metadata(
        &self,
        key: &str,
        bytes_max: u64,
    ) -> Result<(Vec<u8>, BTreeMap<String, String>), BucketError> {
        let mut answer = self.start_get(key).await?;
        let too_large = || BucketError::TooLarge {
            key: key.to_owned(),
            bytes_max,
        };
        let announced = length(&answer).unwrap_or_default();
        if announced > bytes_max {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(announced as usize);
        while let Some(part) = answer.next_part().await? {
            if (bytes.len() + part.len()) as u64 > bytes_max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&part);
        }
        if checksum::is_wrong(answer.response.headers(), &bytes) {
            return Err(answer.broken_off("it was damaged on its way".to_owned()));
        }
        let metadata = answer
            .response
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                let name = name.as_str().strip_prefix(METADATA_PREFIX)?;
                Some((name.to_owned(), value.to_str().ok()?.to_owned()))
            });
        Ok((bytes, metadata.collect()))
    }

    /// What there is of an object besides its bytes, or `None` if there is no such object.
    pub async fn head(&self, key: &str) -> Result<Option<Object>, BucketError> {
        match self
            .send(&self.wanted(Method::Head, key), Bytes::new())
            .await
        {
            Ok(answer) => Ok(Some(Object {
                key: key.to_owned(),
                bytes: length(&answer).unwrap_or_default(),
                put_at: answer.header(LAST_MODIFIED).and_then(time),
            })),
            Err(BucketError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes an object; one that is not there is as good as removed.
    pub async fn delete(&self, key: &str) -> Result<(), BucketError> {
        match self
            .send(&self.wanted(Method::Delete, key), Bytes::new())
            .await
        {
            // Some servers say so instead of nothing.
            Ok(_) | Err(BucketError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Brings an object into a file. The file appears whole, with the `expected` SHA-256 if one is given, or not at
    /// all; folders on its way are made. A way that breaks off is gone on from where it broke.
    pub async fn download(
        &self,
        key: &str,
        path: &Path,
        expected: Option<Digest>,
    ) -> Result<(), BucketError> {
        download::download(self, key, path, expected).await
    }

    /// Links with which anybody may read objects until `valid_for` has passed, a week at most.
    pub async fn links(
        &self,
        keys: impl IntoIterator<Item = String>,
        valid_for: Duration,
    ) -> Result<Links, BucketError> {
        let wanted = keys.into_iter().map(|key| Wanted {
            valid_for: Some(valid_for),
            ..self.wanted(Method::Get, key)
        });
        let wanted: Vec<Wanted> = wanted.collect();
        let mut links = Links {
            urls: Vec::with_capacity(wanted.len()),
            end_at: Timestamp::MAX,
            may_end_earlier: false,
        };
        for some in wanted.chunks(WANTED_MAX) {
            let signatures = self.courier.sign(some).await?;
            links.may_end_earlier |= signatures.may_end_earlier;
            for request in signatures.requests {
                links.end_at = links.end_at.min(request.expires_at);
                links.urls.push(request.url.expose_secret().to_owned());
            }
        }
        Ok(links)
    }

    pub(super) async fn start_get(&self, key: &str) -> Result<Arriving, BucketError> {
        self.send(&self.wanted(Method::Get, key), Bytes::new())
            .await
    }

    async fn send(&self, wanted: &Wanted, body: Bytes) -> Result<Arriving, BucketError> {
        self.courier.send(wanted, body, None).await
    }
}

fn length(answer: &Arriving) -> Option<u64> {
    answer.header(CONTENT_LENGTH)?.parse().ok()
}

fn time(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}
