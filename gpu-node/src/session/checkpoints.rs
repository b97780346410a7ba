//! What is half done, kept in the bucket so that a later attempt goes on from there.
//!
//! A checkpoint saves work and never costs a picture: one that cannot be read, written or removed is told in the log and
//! forgotten. It is one object for a cell, whichever attempt wrote it last. An attempt that has lost its cell without
//! knowing may put an older one in the place of a newer; then some work is done twice, and nothing else is lost.

use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::signed::{Content, SignedBucket};
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::Session;
use super::held::{Stop, StopSign};
use super::leased::LeasedCell;
use crate::causes;
use crate::executor::CheckpointOrder;
use crate::render::{Checkpoint, RenderError};

/// Checkpoints that a node puts at once. The cells of a batch have theirs at the same time; further ones wait as they are,
/// so that their bytes are not in memory twice.
pub(super) const CHECKPOINT_PUTS_MAX: usize = 2;
/// The largest checkpoint that is read or written.
const CHECKPOINT_BYTES_MAX: u64 = 4 << 30;

/// Why a checkpoint could not be kept.
#[derive(Debug, thiserror::Error)]
enum CheckpointError {
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error("a helper task ended early")]
    Task(#[from] tokio::task::JoinError),
    #[error("it has {bytes} bytes, but at most {CHECKPOINT_BYTES_MAX} are kept")]
    TooLarge { bytes: u64 },
}

/// The checkpoints of one attempt at a cell, and the one that an earlier attempt may have left.
#[derive(Debug)]
pub(super) struct CellCheckpoints {
    place: Place,
    interval: Duration,
    /// An earlier attempt or this one may have put an object.
    may_be_there: bool,
    /// This attempt has gone on from an earlier one's.
    was_resumed: bool,
    keeping: Option<Keeping>,
}

/// Where they go, and when that has an end.
#[derive(Debug, Clone)]
struct Place {
    bucket: SignedBucket,
    /// None: there are no checkpoints.
    key: Option<String>,
    puts: Arc<Semaphore>,
    stop: StopSign,
}

/// The task that puts them as they come; gives how many it tried to put.
#[derive(Debug)]
struct Keeping {
    task: JoinHandle<u32>,
    enough: CancellationToken,
}

impl Session {
    /// Where the checkpoints of a cell are; none: it has none.
    pub(super) fn checkpoint_key<'a>(&self, cell: &'a LeasedCell) -> Option<&'a String> {
        let key = cell.keys.checkpoint.as_ref();
        key.filter(|_| self.executor.leaves().checkpoints)
    }

    pub(super) fn checkpoints(&self, cell: &LeasedCell, stop: &StopSign) -> CellCheckpoints {
        CellCheckpoints {
            place: Place {
                bucket: self.bucket_of(cell),
                key: self.checkpoint_key(cell).cloned(),
                puts: self.checkpoint_puts.clone(),
                stop: stop.clone(),
            },
            interval: self.checkpoint_interval,
            may_be_there: cell.attempt > 1,
            was_resumed: false,
            keeping: None,
        }
    }
}

impl CellCheckpoints {
    /// What an earlier attempt has left, if there is something that can be used.
    pub(super) async fn resume(&mut self) -> Option<Checkpoint> {
        let key = self.place.key.as_deref().filter(|_| self.may_be_there)?;
        match self.place.read(key).await {
            Ok(checkpoint) => {
                let evaluations = checkpoint.evaluations();
                tracing::info!(key, evaluations, "going on from a checkpoint");
                self.was_resumed = true;
                Some(checkpoint)
            }
            // The earlier attempts ended before they had one.
            Err(CheckpointError::Bucket(BucketError::NotFound { .. })) => None,
            Err(error) => {
                tracing::warn!(
                    key,
                    error = causes::all(&error),
                    "a checkpoint of no use: starting anew"
                );
                None
            }
        }
    }

    /// Orders checkpoints for the cell's render, and puts them as they come.
    pub(super) fn order(&mut self) -> Option<CheckpointOrder> {
        let key = self.place.key.clone()?;
        let (order, made) = CheckpointOrder::new(self.interval);
        let enough = CancellationToken::new();
        let keeping = self.place.clone().keep(key, made, enough.clone());
        let task = tokio::spawn(keeping.in_current_span());
        self.keeping = Some(Keeping { task, enough });
        Some(order)
    }

    /// The picture is there: what is still to be put is of no use.
    pub(super) fn enough(&self) {
        if let Some(keeping) = &self.keeping {
            keeping.enough.cancel();
        }
    }

    /// Waits until the last checkpoint is in the bucket. The render must have ended.
    pub(super) async fn settle(&mut self) {
        if let Some(keeping) = self.keeping.take() {
            // A panic of that task is as good as a checkpoint that could not be put.
            let tried = keeping.task.await.unwrap_or(1);
            self.may_be_there |= tried > 0;
            // It is this attempt's own now.
            self.was_resumed &= tried == 0;
        }
    }

    /// Removes the object: the cell needs none any more.
    pub(super) async fn remove(&mut self) {
        self.enough();
        self.settle().await;
        let Some(key) = self.place.key.as_deref().filter(|_| self.may_be_there) else {
            return;
        };
        match Box::pin(self.place.bucket.delete(key)).await {
            Ok(()) => tracing::debug!(key, "checkpoint removed"),
            Err(error) => {
                tracing::warn!(
                    key,
                    error = causes::all(&error),
                    "a checkpoint stays behind"
                );
            }
        }
    }

    /// Removes the object after a failed render if the attempt went on from it and came no further: it may be at fault, and the
    /// next attempt is not to fail by it too.
    pub(super) async fn remove_if_suspect(&mut self) {
        self.settle().await;
        if self.was_resumed {
            self.remove().await;
        }
    }
}

/// What every checkpoint is. Its length is not said, so that one signature is good for several.
pub(super) fn checkpoint_content() -> Content {
    Content::of_type("application/octet-stream")
}

impl Place {
    async fn read(&self, key: &str) -> Result<Checkpoint, CheckpointError> {
        let bytes = self.bucket.get(key, CHECKPOINT_BYTES_MAX).await?;
        let read = tokio::task::spawn_blocking(move || Checkpoint::from_bytes(&bytes));
        Ok(read.await??)
    }

    /// Puts checkpoints as they come, each in the place of the one before, until no more can come.
    async fn keep(
        self,
        key: String,
        mut made: mpsc::Receiver<Checkpoint>,
        enough: CancellationToken,
    ) -> u32 {
        let mut tried = 0;
        while let Some(checkpoint) = made.recv().await {
            // Whoever has the cell now may have come further.
            let is_lost = self.stop.why() >= Some(Stop::Dropped);
            if is_lost || enough.is_cancelled() {
                continue;
            }
            tried += 1;
            let evaluations = checkpoint.evaluations();
            match self.write(&key, checkpoint).await {
                Ok(bytes) => tracing::debug!(key, bytes, evaluations, "checkpoint"),
                Err(error) => tracing::warn!(key, error = causes::all(&error), "no checkpoint"),
            }
        }
        tried
    }

    async fn write(&self, key: &str, checkpoint: Checkpoint) -> Result<u64, CheckpointError> {
        // Never closed, so there is always a turn to wait for.
        let _turn = self.puts.acquire().await;
        let bytes = tokio::task::spawn_blocking(move || checkpoint.to_bytes()).await??;
        let length = bytes.len() as u64;
        if length > CHECKPOINT_BYTES_MAX {
            return Err(CheckpointError::TooLarge { bytes: length });
        }
        self.bucket
            .put(key, Bytes::from(bytes), checkpoint_content())
            .await?;
        Ok(length)
    }
}
