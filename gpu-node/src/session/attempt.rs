//! One attempt at one cell: from its inputs to its picture and the word to the coordinator.

use atelier_proto::telemetry::context;
use atelier_proto::telemetry::traces::is_tracing;
use atelier_proto::{fault, v1};
use futures::FutureExt as _;
use tokio::sync::watch;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::Session;
use super::blocks::Seat;
use super::checkpoints::CellCheckpoints;
use super::error::AttemptError;
use super::headers::Headers;
use super::held::{HeldCell, Stop};
use super::leased::{LeasedCell, LeasedPainting};
use super::losses;
use super::previews::CellPreviews;
use super::store::Making;
use super::verdicts::LOG_CHARS_MAX;
use crate::causes;
use crate::executor::{ExecutorError, OnTheWay, Painted, Progress};
use crate::metrics::Outcome;
use crate::render::{Input, MaskInput, PaintingInput, RenderError, RenderJob};

impl Session {
    /// Carries a cell from its lease to the word that ends it: done, failed, released, or nothing at all
    /// when the coordinator has taken it back.
    ///
    /// `signed` ends when the requests are signed that its block begins with.
    pub(super) async fn carry_out(
        &self,
        cell: LeasedCell,
        seat: Seat,
        signed: impl Future<Output = ()> + Send,
    ) {
        let span = tracing::info_span!(
            "attempt",
            grid = %cell.grid,
            cell = %cell.cell,
            attempt = cell.attempt,
            node = %self.node,
            outcome = Empty,
            otel.status_code = Empty,
        );
        context::set_parent(&span, &cell.trace_parent);
        let log = self.logs.cells.follow(&span);
        async {
            let (sender, receiver) = watch::channel(Progress::default());
            let held = self.held.hold(cell.cell, cell.attempt, receiver);
            let mut checkpoints = self.checkpoints(&cell, &held.stop);
            let mut previews = self.previews(&cell, &held.stop);
            let kept = (&mut checkpoints, &mut previews);
            let result = Box::pin(self.paint(&cell, &held, signed, seat, sender, kept)).await;
            let outcome = match (result, held.stop.why()) {
                // A finished picture is reported even if the stop came while it was stored.
                (Ok(result), _) => {
                    fault::STORED.pass();
                    let log = log.text(LOG_CHARS_MAX);
                    self.complete(&held, result, log).await;
                    fault::COMPLETED.pass();
                    drop(held);
                    checkpoints.remove().await;
                    previews.remove().await;
                    Outcome::Done
                }
                (Err(_), Some(Stop::Ended)) => {
                    tracing::info!("stopped: the cell has ended");
                    checkpoints.remove().await;
                    previews.remove().await;
                    Outcome::Dropped
                }
                // From here on, whoever has the cell now, or gets it, puts newer checkpoints and previews in place of these.
                (Err(_), Some(Stop::Dropped)) => {
                    tracing::info!("stopped");
                    Outcome::Dropped
                }
                (Err(_), Some(Stop::Leaving)) => {
                    // Whoever leases the cell next goes on from the last one.
                    checkpoints.settle().await;
                    self.release(&held, &self.why_leaving()).await;
                    Outcome::Released
                }
                (Err(error), None) if error.is_of_the_bucket() => {
                    checkpoints.settle().await;
                    self.release(&held, &causes::all(&error)).await;
                    Outcome::Released
                }
                (Err(error), None) => {
                    if error.is_of_the_device() {
                        self.metrics.device_failed();
                    }
                    if matches!(error, AttemptError::Executor(_)) {
                        checkpoints.remove_if_suspect().await;
                    }
                    // As long as the cell is this node's: nothing of it is signed for others.
                    previews.remove().await;
                    self.fail(&held, error.kind(), &causes::all(&error)).await;
                    Outcome::Failed
                }
            };
            self.metrics.cell_ended(outcome);
            let span = Span::current();
            span.record("outcome", outcome.label());
            if outcome == Outcome::Failed && is_tracing() {
                span.record("otel.status_code", "ERROR");
            }
        }
        .instrument(span)
        .await;
    }

    /// Everything between the lease and the answer; ends early when the cell is stopped. What does not wait for the device
    /// is boxed: many cells do, and each has a future of its own.
    async fn paint(
        &self,
        cell: &LeasedCell,
        held: &HeldCell,
        signed: impl Future<Output = ()> + Send,
        seat: Seat,
        progress: watch::Sender<Progress>,
        (checkpoints, previews): (&mut CellCheckpoints, &mut CellPreviews),
    ) -> Result<v1::CellResult, AttemptError> {
        let prepare = Box::pin(async {
            signed.await;
            let at_hand = self.patiently(&held.stop, || {
                async { Ok((self.prepare(cell).await?, self.stored(cell).await?)) }.boxed()
            });
            let (mut job, stored) = at_hand.await?;
            if stored.is_none() {
                job.checkpoint = checkpoints.resume().await;
            }
            Ok::<_, AttemptError>((job, stored))
        });
        let prepare = prepare.instrument(tracing::info_span!("fetch"));
        let Some(prepared) = held.stop.token.run_until_cancelled(prepare).await else {
            return Err(ExecutorError::Render(RenderError::Cancelled).into());
        };
        let (job, stored) = prepared?;
        // A simulation of thousands of nodes has nothing to tell of each cell.
        let is_told = self.executor.leaves().pictures;
        if is_told {
            let goes_on = job.checkpoint.is_some();
            let paintings = job.paintings.len();
            tracing::info!(paintings, goes_on, "inputs at hand");
        }
        fault::PREPARED.pass();
        let headers = Headers::of(&job, &cell.keys);
        let stored = if let Some(stored) = stored {
            drop(seat);
            stored
        } else {
            let about = self.executor.provenance(&job);
            let stop = held.stop.token.clone();
            let seen = progress.subscribe();
            let on_the_way = OnTheWay {
                checkpoints: checkpoints.order(),
                previews: previews.order(),
            };
            let answer = seat.take(job, cell.canvas(), stop, progress, on_the_way);
            let rendering = losses::until(answer, seen).instrument(tracing::info_span!("render"));
            let (painted, losses) = rendering.await;
            let painted = painted.unwrap_or(Err(ExecutorError::Ended))?;
            if is_told {
                let Painted {
                    seconds,
                    evaluations,
                    loss,
                    ..
                } = painted;
                let seconds = (seconds * 100.0).round() / 100.0;
                tracing::info!(seconds, evaluations, loss, "rendered");
            }
            fault::RENDERED.pass();
            checkpoints.enough();
            previews.enough();
            let making = Making { losses, about };
            let put = Box::pin(self.store(cell, &held.stop, painted, making, &headers));
            put.instrument(tracing::info_span!("put")).await?
        };
        let rest = Box::pin(self.store_companions(cell, &held.stop, &stored, &headers));
        rest.instrument(tracing::info_span!("put_thumbnails"))
            .await?;
        let result = stored.result(&cell.keys);
        if is_told {
            tracing::info!(key = result.picture_key, bytes = result.bytes, "stored");
        }
        Ok(result)
    }

    async fn prepare(&self, cell: &LeasedCell) -> Result<RenderJob, AttemptError> {
        let bucket = &self.bucket_of(cell);
        let input = async |named, what| {
            let picture = self.inputs.picture(bucket, named).await;
            picture.map_err(|error| AttemptError::input(what, error))
        };
        let optional = async |named: Option<_>, what| match named {
            Some(named) => input(named, what).await.map(Some),
            None => Ok::<Option<Input>, AttemptError>(None),
        };
        let photo = optional(cell.photo, "photo").await?;
        let start = optional(cell.start, "start").await?;
        let mut paintings = Vec::with_capacity(cell.paintings.len());
        for LeasedPainting {
            input: painting,
            weight,
            mask,
        } in &cell.paintings
        {
            let mask = match *mask {
                Some(digest) => {
                    let mask = self.inputs.mask(bucket, digest).await;
                    let mask = mask.map_err(|error| AttemptError::input("mask", error))?;
                    Some(MaskInput { mask, digest })
                }
                None => None,
            };
            paintings.push(PaintingInput {
                input: input(*painting, "painting").await?,
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
}
