//! Where galleries are read from: the bucket of a coordinator, which signs for it, or a bucket to which this machine has keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::bucket::{Bucket, BucketError};
use atelier_gallery::keys::GridKeys;
use atelier_gallery::signed::signer::Signer;
use atelier_gallery::signed::{Http, SignedBucket};
use atelier_proto::clock::Clock;
use atelier_proto::ids::GridId;
use atelier_proto::storage::Storage;

use super::FetchError;
use crate::coordinator::Coordinator;

/// How long a request holds that is sent at once.
const URL_DURATION: Duration = Duration::from_mins(5);

/// Galleries in a bucket.
#[derive(Debug, Clone)]
pub struct Galleries {
    /// What reads them.
    pub bucket: SignedBucket,
    listed_by: ListedBy,
}

/// Who knows what there is.
#[derive(Debug, Clone)]
enum ListedBy {
    Coordinator(Coordinator),
    Ourselves(Bucket),
}

impl Galleries {
    /// Those of a coordinator.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn of(coordinator: &Coordinator) -> Result<Self, BucketError> {
        Ok(Self {
            bucket: coordinator.bucket()?,
            listed_by: ListedBy::Coordinator(coordinator.clone()),
        })
    }

    /// Those in a bucket to which this machine has keys.
    ///
    /// # Errors
    /// When it has none, or no HTTP client can be made.
    pub async fn at(storage: &Storage) -> Result<Self, BucketError> {
        let bucket = Bucket::connect(storage).await?;
        let signer = Signer::new(bucket.clone(), Clock::system(), URL_DURATION)?;
        Ok(Self {
            bucket: SignedBucket::new(Http::new()?, Arc::new(signer)),
            listed_by: ListedBy::Ourselves(bucket),
        })
    }

    /// Lengths of what the bucket has of a grid, by path relative to the grid's place.
    ///
    /// # Errors
    /// When whoever knows does not say.
    pub async fn sizes(&self, grid: GridId) -> Result<HashMap<String, u64>, FetchError> {
        match &self.listed_by {
            ListedBy::Coordinator(coordinator) => Ok(coordinator.sizes(grid).await?),
            ListedBy::Ourselves(bucket) => {
                let prefix = GridKeys::new(grid).prefix();
                let listed = bucket.list(&prefix).await?.into_iter();
                let sizes = listed.filter_map(|object| {
                    let path = object.key.strip_prefix(&prefix)?;
                    Some((path.to_owned(), object.bytes))
                });
                Ok(sizes.collect())
            }
        }
    }
}
