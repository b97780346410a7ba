//! The header pictures of a gallery: photos beside its rows, paintings above its columns.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use atelier_gallery::picture::{self, ORIGINAL_SIDE};
use atelier_gallery::signed::SignedBucket;
use bytes::Bytes;

use super::Session;
use super::error::AttemptError;
use super::files::put_jpeg;
use super::leased::Keys;
use crate::render::{Input, RenderJob};

/// Keys that are remembered, so that a bucket is not asked for the same header again and again.
const KNOWN_KEYS_MAX: usize = 4096;

/// The inputs that a gallery shows beside the pictures, with where they go.
pub(super) struct Headers(Vec<(String, Input)>);

impl Headers {
    /// The photo, and of the artist the first painting, which is the one people listed first.
    pub(super) fn of(job: &RenderJob, keys: &Keys) -> Self {
        let photo = keys.photo_original.clone().zip(job.photo.clone());
        let first = job.paintings.first();
        let painting = first.map(|painting| painting.input.clone());
        let artist = keys.artist_original.clone().zip(painting);
        Self(photo.into_iter().chain(artist).collect())
    }

    /// Where they go.
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(key, _)| key)
    }
}

/// Keys of objects that never change and are known to be in the bucket.
#[derive(Debug, Default)]
pub(super) struct KnownKeys(Mutex<HashSet<String>>);

impl KnownKeys {
    pub(super) fn contains(&self, key: &str) -> bool {
        self.lock().contains(key)
    }

    fn insert(&self, key: &str) {
        let mut keys = self.lock();
        if keys.len() >= KNOWN_KEYS_MAX {
            keys.clear();
        }
        keys.insert(key.to_owned());
    }

    /// After the coordinator was away: it may have come back with a bucket of an earlier time, out of a backup.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves the set whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Puts those that are not there yet.
    pub(super) async fn put_headers(
        &self,
        bucket: &SignedBucket,
        headers: &Headers,
    ) -> Result<(), AttemptError> {
        for (key, input) in &headers.0 {
            // Every cell of a row has the same photo, and most come when its header is there.
            if self.headers.contains(key) {
                continue;
            }
            if bucket.head(key).await?.is_none() {
                put_jpeg(bucket, key, header(input).await?).await?;
            }
            self.headers.insert(key);
        }
        Ok(())
    }
}

/// An input as its header picture, made off the async threads.
async fn header(input: &Input) -> Result<Bytes, AttemptError> {
    let picture = input.picture.clone();
    let draw = move || picture::thumbnail(&picture.to_rgb8(), ORIGINAL_SIDE);
    let drawn = tokio::task::spawn_blocking(draw).await?;
    drawn.map(Bytes::from).map_err(AttemptError::Encode)
}
