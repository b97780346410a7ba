//! What is half done, kept in the bucket so that a later attempt goes on from there.
//!
//! A checkpoint saves work and never costs a picture: one that cannot be read or written is told in the log and forgotten.

use atelier_gallery::bucket::BucketError;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::Session;
use super::held::{HeldCell, Stop};
use super::verdicts::with_causes;
use crate::render::{Checkpoint, RenderError};

/// The largest checkpoint that is read or written.
const CHECKPOINT_BYTES_MAX: u64 = 4 << 30;
const CONTENT_TYPE: &str = "application/octet-stream";

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

impl Session {
    /// The checkpoint under this key, if there is one that can be used.
    pub(super) async fn resume(&self, key: &str) -> Option<Checkpoint> {
        match self.read_checkpoint(key).await {
            Ok(checkpoint) => {
                tracing::info!(key, "going on from a checkpoint");
                Some(checkpoint)
            }
            // The first attempt, or one that ended before it had a checkpoint.
            Err(CheckpointError::Bucket(BucketError::NotFound { .. })) => None,
            Err(error) => {
                tracing::warn!(
                    key,
                    error = with_causes(&error),
                    "a checkpoint of no use: starting anew"
                );
                None
            }
        }
    }

    async fn read_checkpoint(&self, key: &str) -> Result<Checkpoint, CheckpointError> {
        let bytes = self.bucket.get(key, CHECKPOINT_BYTES_MAX).await?;
        let read = tokio::task::spawn_blocking(move || Checkpoint::from_bytes(&bytes));
        Ok(read.await??)
    }

    /// Puts the checkpoints of a cell as they come, each in the place of the one before, until no more can come.
    pub(super) async fn keep_checkpoints(
        &self,
        held: &HeldCell,
        key: &str,
        mut made: mpsc::Receiver<Checkpoint>,
    ) {
        while let Some(checkpoint) = made.recv().await {
            // Whoever has the cell now may have come further.
            if held.why_stopped() == Some(Stop::Dropped) {
                continue;
            }
            match self.write_checkpoint(key, checkpoint).await {
                Ok(bytes) => tracing::debug!(key, bytes, "checkpoint"),
                Err(error) => tracing::warn!(key, error = with_causes(&error), "no checkpoint"),
            }
        }
    }

    async fn write_checkpoint(
        &self,
        key: &str,
        checkpoint: Checkpoint,
    ) -> Result<u64, CheckpointError> {
        let bytes = tokio::task::spawn_blocking(move || checkpoint.to_bytes()).await??;
        let length = bytes.len() as u64;
        if length > CHECKPOINT_BYTES_MAX {
            return Err(CheckpointError::TooLarge { bytes: length });
        }
        self.bucket
            .put(key, Bytes::from(bytes), CONTENT_TYPE, None)
            .await?;
        Ok(length)
    }
}
