//! One attempt at one cell: from its inputs to its picture and the word to the coordinator.

use std::pin::pin;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::picture::PictureError;
use atelier_proto::v1;
use futures::FutureExt as _;
use futures::future::FusedFuture as _;
use tokio::sync::watch;
use tracing::Instrument as _;

use super::Session;
use super::blocks::Seat;
use super::held::{HeldCell, Stop};
use super::leased::{LeasedCell, LeasedPainting};
use super::store::Headers;
use super::verdicts::with_causes;
use crate::executor::{CheckpointOrder, ExecutorError, Progress};
use crate::inputs::InputError;
use crate::metrics::Outcome;
use crate::provenance::provenance;
use crate::render::{Input, MaskInput, PaintingInput, RenderError, RenderJob, Rendered};

/// Why an attempt brought no picture.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    Input(InputError),
    #[error("the {what} cannot be read: {source}")]
    Picture {
        what: &'static str,
        source: PictureError,
    },
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    #[error("cannot store the picture: {0}")]
    Store(#[from] BucketError),
    #[error("a helper task ended early")]
    Task(#[from] tokio::task::JoinError),
}

impl AttemptError {
    fn input(what: &'static str, error: InputError) -> Self {
        match error {
            InputError::Picture(source) => Self::Picture { what, source },
            other => Self::Input(other),
        }
    }

    fn kind(&self) -> v1::FailureKind {
        let refused = match self {
            Self::Picture { .. } => true,
            Self::Executor(ExecutorError::Render(error)) => error.is_refusal(),
            // Another node, or another minute, may have the network, the disk or the memory for it.
            Self::Executor(ExecutorError::Panicked(_) | ExecutorError::Ended)
            | Self::Input(_)
            | Self::Store(_)
            | Self::Task(_) => false,
        };
        if refused {
            v1::FailureKind::Refused
        } else {
            v1::FailureKind::Transient
        }
    }
}

impl Session {
    /// Carries a cell from its lease to the word that ends it: done, failed, released, or nothing at all
    /// when the coordinator has taken it back.
    pub(super) async fn carry_out(&self, cell: LeasedCell, seat: Seat) {
        let span = tracing::info_span!(
            "attempt",
            grid = %cell.grid,
            cell = %cell.cell,
            attempt = cell.attempt
        );
        async {
            let (sender, receiver) = watch::channel(Progress::default());
            let held = self.held.hold(cell.cell, cell.attempt, receiver);
            let result = Box::pin(self.paint(&cell, &held, seat, sender)).await;
            let outcome = match (result, held.why_stopped()) {
                // A finished picture is reported even if the stop came while it was stored.
                (Ok(result), _) => {
                    self.complete(&held, result).await;
                    Outcome::Done
                }
                (Err(_), Some(Stop::Dropped)) => {
                    tracing::info!("stopped");
                    Outcome::Dropped
                }
                (Err(_), Some(Stop::Leaving)) => {
                    self.release(&held).await;
                    Outcome::Released
                }
                (Err(error), None) => {
                    self.fail(&held, error.kind(), &with_causes(&error)).await;
                    Outcome::Failed
                }
            };
            self.metrics.cell_ended(outcome);
        }
        .instrument(span)
        .await;
    }

    /// Everything between the lease and the answer; ends early when the cell is stopped.
    async fn paint(
        &self,
        cell: &LeasedCell,
        held: &HeldCell,
        seat: Seat,
        progress: watch::Sender<Progress>,
    ) -> Result<v1::CellResult, AttemptError> {
        let prepare = Box::pin(async {
            let job = self.prepare(cell).await?;
            let stored = self.stored(cell).await?;
            Ok::<_, AttemptError>((job, stored))
        });
        let Some(prepared) = held.stop.run_until_cancelled(prepare).await else {
            return Err(ExecutorError::Render(RenderError::Cancelled).into());
        };
        let (mut job, stored) = prepared?;
        let headers = Headers::of(&job, &cell.keys);
        let stored = if let Some(stored) = stored {
            drop(seat);
            stored
        } else {
            if let Some(key) = &cell.keys.checkpoint {
                job.checkpoint = self.resume(key).await;
            }
            let about = provenance(&job, &self.executor.about().network);
            let rendered = self.render(cell, held, seat, job, progress).await?;
            self.store(cell, rendered, about).await?
        };
        self.store_companions(cell, stored, headers).await
    }

    async fn prepare(&self, cell: &LeasedCell) -> Result<RenderJob, AttemptError> {
        let input = async |digest, what| {
            let picture = self.inputs.picture(&self.bucket, digest).await;
            picture.map_err(|error| AttemptError::input(what, error))
        };
        let optional = async |digest: Option<_>, what| match digest {
            Some(digest) => input(digest, what).await.map(Some),
            None => Ok::<Option<Input>, AttemptError>(None),
        };
        let photo = optional(cell.photo, "photo").await?;
        let start = optional(cell.start, "start").await?;
        let mut paintings = Vec::with_capacity(cell.paintings.len());
        for LeasedPainting {
            digest,
            weight,
            mask,
        } in &cell.paintings
        {
            let mask = match *mask {
                Some(digest) => {
                    let mask = self.inputs.mask(&self.bucket, digest).await;
                    let mask = mask.map_err(|error| AttemptError::input("mask", error))?;
                    Some(MaskInput { mask, digest })
                }
                None => None,
            };
            paintings.push(PaintingInput {
                input: input(*digest, "painting").await?,
                weight: *weight,
                mask,
            });
        }
        Ok(RenderJob {
            photo,
            paintings,
            start,
            settings: cell.settings.clone(),
            checkpoint: None,
        })
    }

    /// Takes the cell's seat in its block and waits for the picture; checkpoints are kept meanwhile.
    async fn render(
        &self,
        cell: &LeasedCell,
        held: &HeldCell,
        seat: Seat,
        job: RenderJob,
        progress: watch::Sender<Progress>,
    ) -> Result<Rendered, AttemptError> {
        let stop = held.stop.clone();
        let Some(key) = &cell.keys.checkpoint else {
            let answer = seat.take(job, stop, progress, None).await;
            return Ok(answer.map_err(|_| ExecutorError::Ended)??);
        };
        let (order, made) = CheckpointOrder::new(self.checkpoint_interval);
        let mut answer = seat.take(job, stop, progress, Some(order));
        let mut keeping = pin!(self.keep_checkpoints(held, key, made).fuse());
        let answer = tokio::select! {
            answer = &mut answer => answer,
            () = &mut keeping => answer.await,
        };
        let rendered = answer.unwrap_or(Err(ExecutorError::Ended));
        // A finished picture needs no checkpoint; whoever goes on with this cell does.
        if rendered.is_err() && !keeping.is_terminated() {
            keeping.await;
        }
        Ok(rendered?)
    }
}

#[cfg(test)]
mod tests {
    use atelier_gallery::picture;

    use super::*;

    #[test]
    fn only_a_fault_of_the_input_or_the_settings_is_a_refusal() {
        let transient = AttemptError::from(ExecutorError::Panicked("out of memory".to_owned()));
        assert_eq!(transient.kind(), v1::FailureKind::Transient);
        let bytes = b"not a picture";
        let damaged = InputError::Picture(picture::decode(bytes).unwrap_err());
        let refused = AttemptError::input("photo", damaged);
        assert_eq!(refused.kind(), v1::FailureKind::Refused);
        assert!(
            refused.to_string().starts_with("the photo cannot be read"),
            "{refused}"
        );
    }
}
