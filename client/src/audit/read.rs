//! What is compared, from the coordinator and the bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atelier_gallery::bucket::{Bucket, BucketError, Object};
use atelier_gallery::keys::{GridKeys, input_key};
use atelier_gallery::manifest::Manifest;
use atelier_gallery::picture;
use atelier_proto::clock::Stopwatch;
use atelier_proto::ids::{Digest, GridId};
use backon::{ExponentialBuilder, Retryable as _};
use futures::{StreamExt as _, TryStreamExt as _};

use super::{Content, Facts, Gallery, inputs, objects};
use crate::coordinator::Coordinator;
use crate::coordinator::view::GridView;
use crate::error::Error;
use crate::fetch::TEXT_BYTES_MAX;
use crate::printer::Printer;
use crate::progress::counter;
use crate::text::first_line;

/// How long a gallery may take to be complete after the grid has ended; a coordinator whose bucket was away for a moment
/// tries again after half of that.
const GALLERY_DURATION_MAX: Duration = Duration::from_mins(1);
/// How often it is looked whether it is.
const GALLERY_INTERVAL: Duration = Duration::from_secs(2);
/// Objects asked for at once.
const LOOKUPS_MAX: usize = 16;
/// Objects read and decoded at once, each of which may take gigabytes.
const READS_MAX: usize = 4;
/// The largest object that is read, as nodes have it for pictures.
const OBJECT_BYTES_MAX: u64 = 1 << 30;
/// Further tries at what was broken off.
const RETRIES_MAX: usize = 3;

/// Everything but the bytes of pictures and inputs. Of a grid that has ended, once its gallery is complete or has had its
/// time.
pub(super) async fn facts(
    coordinator: &Coordinator,
    bucket: &Bucket,
    grid: GridId,
) -> Result<Facts, Error> {
    let before = with_its_gallery(coordinator, grid).await?;
    let keys = GridKeys::new(grid);
    // In this order: whatever the first two tell of is there when the bucket is listed.
    let gallery = gallery(bucket, &keys).await?;
    let prefix = keys.prefix();
    let mut objects = retried(|| bucket.list(&prefix)).await?;
    objects.extend(input_objects(bucket, &before).await?);
    let after = coordinator.get(grid).await?;
    let objects = objects.into_iter();
    Ok(Facts {
        before,
        after,
        gallery,
        objects: objects.map(|object| (object.key, object.bytes)).collect(),
        contents: BTreeMap::new(),
    })
}

/// The grid, once its gallery is complete, if it is to be so and has not had its time.
async fn with_its_gallery(coordinator: &Coordinator, grid: GridId) -> Result<GridView, Error> {
    let waited = Stopwatch::start();
    loop {
        let view = coordinator.get(grid).await?;
        let summary = &view.summary;
        let is_due = summary.state.has_ended() && !summary.gallery_complete;
        if !is_due || waited.elapsed() >= GALLERY_DURATION_MAX {
            return Ok(view);
        }
        tokio::time::sleep(GALLERY_INTERVAL).await;
    }
}

async fn gallery(bucket: &Bucket, keys: &GridKeys) -> Result<Gallery, BucketError> {
    let key = keys.manifest();
    let json = match retried(|| bucket.get(&key, TEXT_BYTES_MAX)).await {
        Err(BucketError::NotFound { .. }) => return Ok(Gallery::Absent),
        Err(error @ BucketError::TooLarge { .. }) => {
            return Ok(Gallery::Unreadable(error.to_string()));
        }
        answer => answer?,
    };
    Ok(match Manifest::from_json(&json) {
        Ok(manifest) => Gallery::There(Box::new(manifest)),
        Err(error) => Gallery::Unreadable(first_line(&error)),
    })
}

/// The inputs of a grid that are there.
async fn input_objects(bucket: &Bucket, grid: &GridView) -> Result<Vec<Object>, BucketError> {
    let keys: BTreeSet<String> = inputs(grid)
        .map(|(input, _)| input_key(&input.sha256))
        .collect();
    let lookups = keys
        .into_iter()
        .map(|key| async move { retried(|| bucket.head(&key)).await });
    let found: Vec<Option<Object>> = futures::stream::iter(lookups)
        .buffer_unordered(LOOKUPS_MAX)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// Reads and decodes whatever is told of and is there.
pub(super) async fn contents(
    printer: &Printer,
    bucket: &Bucket,
    facts: &mut Facts,
) -> Result<(), Error> {
    let keys = objects::to_be_read(facts);
    let bar = counter(printer, "reading objects", keys.len() as u64);
    let reads = keys.into_iter().map(|key| async {
        let content = content(bucket, &key).await?;
        Ok::<_, Error>((key, content))
    });
    let mut reads = futures::stream::iter(reads).buffer_unordered(READS_MAX);
    while let Some((key, content)) = reads.try_next().await? {
        match content {
            Some(content) => drop(facts.contents.insert(key, content)),
            // It has gone since it was listed.
            None => drop(facts.objects.remove(&key)),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// What the bytes of an object are, or why nobody gets them; `None` if there is no such object.
async fn content(bucket: &Bucket, key: &str) -> Result<Option<Result<Content, String>>, Error> {
    let bytes = match retried(|| bucket.get(key, OBJECT_BYTES_MAX)).await {
        Err(BucketError::NotFound { .. }) => return Ok(None),
        // An object that has rotted, if it is not the bucket that has gone: servers have no other word for it.
        Err(error) => {
            bucket.check().await?;
            return Ok(Some(Err(first_line(&error))));
        }
        Ok(bytes) => bytes,
    };
    let look = tokio::task::spawn_blocking(move || Content {
        sha256: Digest::of(&bytes),
        picture: match picture::decode(&bytes) {
            Ok(picture) => Ok((picture.width(), picture.height())),
            Err(error) => Err(first_line(&error)),
        },
    });
    let looked = look.await.map_err(|error| Error::System {
        what: "a thread to decode a picture",
        cause: std::io::Error::other(error),
    })?;
    Ok(Some(Ok(looked)))
}

/// The answer to a call that was not broken off, if tries help.
async fn retried<Answer, Asked>(call: impl FnMut() -> Asked) -> Result<Answer, BucketError>
where
    Asked: Future<Output = Result<Answer, BucketError>>,
{
    let backoff = ExponentialBuilder::default()
        .with_jitter()
        .with_max_times(RETRIES_MAX);
    call.retry(backoff).when(BucketError::is_passing).await
}
