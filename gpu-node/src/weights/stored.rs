//! Weights that lie in the bucket by their digest, where all nodes of a fleet find the same.

use std::path::{Path, PathBuf};

use atelier_gallery::bucket::BucketError;
use atelier_gallery::keys::weights_key;
use atelier_gallery::signed::SignedBucket;
use atelier_proto::ids::Digest;
use backon::{ExponentialBuilder, Retryable as _};

use super::{CacheError, FILE_BYTES_MAX, Problem, VggWeights, WeightsError, cache, read};

/// How often a download that breaks off is tried anew.
const RETRIES_MAX: usize = 5;

/// Why weights of the bucket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoredWeightsError {
    /// There are none of this digest.
    #[error(
        "there are no weights with this digest in the bucket\n\
         hint: put the file there as {key}; `atelier-node weights check FILE` tells its digest"
    )]
    Missing {
        /// Where they should be.
        key: String,
    },
    /// What lies there is something else.
    #[error(
        "{key} in the bucket is another file: its SHA-256 is {found}\n\
         hint: put the right one in its place, or name that digest with --weights"
    )]
    OtherFile {
        /// Where it lies.
        key: String,
        /// SHA-256, hex.
        found: String,
    },
    /// The bucket does not give them.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Nowhere to keep them.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// They are no VGG.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Where the weights with this digest are kept on this machine: beside fetched ones.
pub fn stored_path(digest: &Digest) -> Result<PathBuf, CacheError> {
    Ok(cache::folder()?.join(digest.to_string()))
}

/// The weights with this digest that are kept at `path`, if they are whole.
pub async fn kept(digest: Digest, path: &Path) -> Option<VggWeights> {
    if !tokio::fs::try_exists(path).await.unwrap_or(false) {
        return None;
    }
    match read_beside(path).await {
        Ok(weights) if weights.digest == digest => Some(weights),
        Ok(weights) => {
            let found = weights.digest;
            tracing::warn!(path = %path.display(), %found, "kept weights were changed: fetching them again");
            None
        }
        Err(error) => {
            let error = error.to_string();
            tracing::warn!(error, "kept weights are of no use: fetching them again");
            None
        }
    }
}

/// Brings the weights with this digest from the bucket to `path`, where they appear whole or not at all, and reads them.
pub async fn fetch_stored(
    bucket: &SignedBucket,
    digest: Digest,
    path: &Path,
) -> Result<VggWeights, StoredWeightsError> {
    let key = weights_key(&digest);
    let missing = || StoredWeightsError::Missing { key: key.clone() };
    let backoff = ExponentialBuilder::default()
        .with_jitter()
        .with_max_times(RETRIES_MAX);
    let downloading = || async {
        let object = Box::pin(bucket.head(&key)).await?;
        let object = object.ok_or_else(missing)?;
        if object.bytes > FILE_BYTES_MAX {
            let bytes = object.bytes;
            let problem = Problem::TooLarge { bytes };
            let path = PathBuf::from(&key);
            return Err(WeightsError::Unusable { path, problem }.into());
        }
        tracing::info!(
            key,
            bytes = object.bytes,
            "fetching weights from the bucket"
        );
        match Box::pin(bucket.download(&key, path, Some(digest))).await {
            Ok(()) => Ok(()),
            Err(BucketError::DigestMismatch { found, .. }) => Err(StoredWeightsError::OtherFile {
                key: key.clone(),
                found,
            }),
            Err(error) => Err(StoredWeightsError::Bucket(error)),
        }
    };
    downloading
        .retry(backoff)
        .when(|error| matches!(error, StoredWeightsError::Bucket(error) if error.is_passing()))
        .notify(|error, after| {
            let error = error.to_string();
            let error = error.lines().next();
            tracing::info!(error, ?after, "no weights from the bucket yet");
        })
        .await?;
    Ok(read_beside(path).await?)
}

/// Reads a file on a thread of its own: that takes long enough for others to have something to do meanwhile.
pub(super) async fn read_beside(path: &Path) -> Result<VggWeights, WeightsError> {
    let path = path.to_owned();
    let reading = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || read(&path))
    };
    reading.await.unwrap_or_else(|error| {
        let source = std::io::Error::other(error);
        Err(WeightsError::Unreadable { path, source })
    })
}
