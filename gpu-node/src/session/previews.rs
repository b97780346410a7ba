//! What cells look like while they are rendered, in the bucket for whoever watches.
//!
//! A preview is for the eye alone: one that cannot be put is told in the log and forgotten. It is one object for a cell, the
//! latest in the place of the one before, and leaves with the cell's end.

use std::time::Duration;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::picture::{self, PictureError};
use atelier_gallery::signed::{Content, SignedBucket};
use bytes::Bytes;
use image::RgbImage;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::Session;
use super::held::StopSign;
use super::leased::LeasedCell;
use crate::causes;
use crate::executor::PreviewOrder;
use crate::render::PREVIEW_SIDE;

/// Why a preview could not be put.
#[derive(Debug, thiserror::Error)]
enum PreviewError {
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error("a helper task ended early")]
    Task(#[from] tokio::task::JoinError),
}

/// The previews of one attempt at a cell.
#[derive(Debug)]
pub(super) struct CellPreviews {
    bucket: SignedBucket,
    /// None: there are none.
    key: Option<String>,
    interval: Duration,
    stop: StopSign,
    putting: Option<Putting>,
}

/// The task that puts them as they come; gives how many it tried to put.
#[derive(Debug)]
struct Putting {
    task: JoinHandle<u32>,
    enough: CancellationToken,
}

impl Session {
    /// Where the previews of a cell are; none: it has none.
    pub(super) fn preview_key<'a>(&self, cell: &'a LeasedCell) -> Option<&'a String> {
        let are_wanted = self.executor.leaves().previews && !self.preview_interval.is_zero();
        cell.keys.preview.as_ref().filter(|_| are_wanted)
    }

    pub(super) fn previews(&self, cell: &LeasedCell, stop: &StopSign) -> CellPreviews {
        CellPreviews {
            bucket: self.bucket_of(cell),
            key: self.preview_key(cell).cloned(),
            interval: self.preview_interval,
            stop: stop.clone(),
            putting: None,
        }
    }
}

impl CellPreviews {
    /// Orders previews of the cell's render, and puts them as they come.
    pub(super) fn order(&mut self) -> Option<PreviewOrder> {
        let key = self.key.clone()?;
        let (order, made) = PreviewOrder::new(self.interval);
        let enough = CancellationToken::new();
        let putting = put_all(
            self.bucket.clone(),
            key,
            made,
            self.stop.clone(),
            enough.clone(),
        );
        let task = tokio::spawn(putting.in_current_span());
        self.putting = Some(Putting { task, enough });
        Some(order)
    }

    /// The picture is there: nobody looks at previews any more.
    pub(super) fn enough(&self) {
        if let Some(putting) = &self.putting {
            putting.enough.cancel();
        }
    }

    /// Removes what was put. The render must have ended.
    pub(super) async fn remove(&mut self) {
        self.enough();
        let Some(putting) = self.putting.take() else {
            return;
        };
        // A panic of that task is as good as a preview that could not be put.
        let tried = putting.task.await.unwrap_or(1);
        let Some(key) = self.key.as_deref().filter(|_| tried > 0) else {
            return;
        };
        if let Err(error) = Box::pin(self.bucket.delete(key)).await {
            tracing::debug!(key, error = causes::all(&error), "a preview stays behind");
        }
    }
}

/// Puts previews as they come, until no more can come.
async fn put_all(
    bucket: SignedBucket,
    key: String,
    mut made: mpsc::Receiver<RgbImage>,
    stop: StopSign,
    enough: CancellationToken,
) -> u32 {
    let mut tried = 0;
    while let Some(preview) = made.recv().await {
        if stop.why().is_some() || enough.is_cancelled() {
            continue;
        }
        tried += 1;
        if let Err(error) = put(&bucket, &key, preview).await {
            tracing::debug!(key, error = causes::all(&error), "no preview");
        }
    }
    tried
}

async fn put(bucket: &SignedBucket, key: &str, preview: RgbImage) -> Result<(), PreviewError> {
    let encode = move || picture::thumbnail(&preview, PREVIEW_SIDE);
    let bytes = Bytes::from(tokio::task::spawn_blocking(encode).await??);
    bucket.put(key, bytes, preview_content()).await?;
    Ok(())
}

/// What every preview is. Its length is not said, so that one signature is good for several.
pub(super) fn preview_content() -> Content {
    Content {
        cache_control: Some("no-cache".to_owned()),
        ..Content::of_type("image/jpeg")
    }
}
