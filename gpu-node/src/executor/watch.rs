//! What the executor's thread does after each evaluation of a batch: progress, cancels, checkpoints, previews.

use std::ops::ControlFlow;
use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use image::RgbImage;
use tokio::sync::mpsc;
use tokio::sync::watch::Sender;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::{OnTheWay, Progress};
use crate::checkpoint_pace::CheckpointPace;
use crate::metrics::Metrics;
use crate::render::{Checkpoint, Evaluation, RenderError, Watch};

/// Of the previews of a batch, so many come in the interval of one cell: a large batch is not a flood of small files.
const PREVIEWS_IN_INTERVAL: u32 = 4;

/// Watches the cells of one batch, each by itself.
pub(super) struct BatchWatch<'a> {
    metrics: &'a Metrics,
    cells: Vec<Watched>,
    evaluations: u64,
    /// Of any cell.
    since_preview: Stopwatch,
}

struct Watched {
    cancel: CancellationToken,
    progress: Sender<Progress>,
    checkpoints: Option<Checkpoints>,
    previews: Option<Previews>,
    span: Span,
}

struct Previews {
    interval: Duration,
    sender: mpsc::Sender<RgbImage>,
    since_last: Stopwatch,
}

struct Checkpoints {
    pace: CheckpointPace,
    sender: mpsc::Sender<Checkpoint>,
    /// Since the renderer was told to make the next one.
    making: Option<Stopwatch>,
    /// How long the last one took to make.
    last_made_in: Duration,
}

impl Checkpoints {
    /// Whether the next one is wanted, where those of the whole batch take `making` to make.
    fn are_wanted(&self, making: Duration) -> bool {
        // While one waits to be taken, the other place is kept for the last one.
        let none_waits = self.sender.capacity() == self.sender.max_capacity();
        self.pace.is_due_among(making) && (none_waits || self.pace.is_last())
    }
}

impl<'a> BatchWatch<'a> {
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        Self {
            metrics,
            cells: Vec::new(),
            evaluations: 0,
            since_preview: Stopwatch::start(),
        }
    }

    /// Adds the next job of the batch.
    pub(super) fn add(
        &mut self,
        planned: u32,
        cancel: CancellationToken,
        progress: Sender<Progress>,
        on_the_way: OnTheWay,
        span: Span,
    ) {
        progress.send_modify(|progress| progress.planned = planned);
        self.cells.push(Watched {
            cancel,
            progress,
            checkpoints: on_the_way.checkpoints.map(|order| Checkpoints {
                pace: CheckpointPace::new(order.interval),
                sender: order.sender,
                making: None,
                last_made_in: Duration::ZERO,
            }),
            previews: on_the_way.previews.map(|order| Previews {
                interval: order.interval,
                sender: order.sender,
                since_last: Stopwatch::start(),
            }),
            span,
        });
    }

    /// Whether some evaluation of a cell was made.
    pub(super) fn has_begun(&self, job: usize) -> bool {
        let cell = self.cells.get(job);
        cell.is_some_and(|cell| cell.progress.borrow().rendering)
    }

    /// Tells that a cell begins anew.
    pub(super) fn note_useless_checkpoint(&self, job: usize, error: &RenderError) {
        if let Some(cell) = self.cells.get(job) {
            let _entered = cell.span.enter();
            tracing::warn!(%error, "a checkpoint of no use: starting anew");
        }
    }

    /// The watch of one job that is rendered by itself, as number 0.
    pub(super) fn only(&mut self, job: usize) -> OneOf<'_, 'a> {
        OneOf { batch: self, job }
    }

    /// Evaluations so far, of all cells.
    pub(super) fn evaluations(&self) -> u64 {
        self.evaluations
    }
}

/// One job of a batch.
pub(super) struct OneOf<'w, 'a> {
    batch: &'w mut BatchWatch<'a>,
    job: usize,
}

impl Watch for OneOf<'_, '_> {
    fn evaluated(&mut self, _: usize, evaluation: &Evaluation) -> ControlFlow<()> {
        self.batch.evaluated(self.job, evaluation)
    }

    fn wants_checkpoint(&mut self, _: usize) -> bool {
        self.batch.wants_checkpoint(self.job)
    }

    fn checkpoint(&mut self, _: usize, checkpoint: Checkpoint) {
        self.batch.checkpoint(self.job, checkpoint);
    }

    fn wants_preview(&mut self, _: usize) -> bool {
        self.batch.wants_preview(self.job)
    }

    fn preview(&mut self, _: usize, preview: RgbImage) {
        self.batch.preview(self.job, preview);
    }
}

impl Watch for BatchWatch<'_> {
    fn evaluated(&mut self, job: usize, evaluation: &Evaluation) -> ControlFlow<()> {
        self.evaluations += 1;
        self.metrics.evaluated(1);
        let Some(cell) = self.cells.get_mut(job) else {
            return ControlFlow::Continue(());
        };
        cell.progress.send_replace(Progress {
            rendering: true,
            evaluations: evaluation.number,
            planned: evaluation.planned,
            loss: evaluation.total,
        });
        if !cell.cancel.is_cancelled() {
            return ControlFlow::Continue(());
        }
        match &mut cell.checkpoints {
            Some(checkpoints) => checkpoints.pace.stop(),
            None => ControlFlow::Break(()),
        }
    }

    fn wants_checkpoint(&mut self, job: usize) -> bool {
        let all = self.cells.iter().filter_map(|it| it.checkpoints.as_ref());
        let making = all.map(|checkpoints| checkpoints.last_made_in).sum();
        let cell = self.cells.get_mut(job);
        let Some(checkpoints) = cell.and_then(|cell| cell.checkpoints.as_mut()) else {
            return false;
        };
        let wanted = checkpoints.are_wanted(making);
        checkpoints.making = wanted.then(Stopwatch::start);
        wanted
    }

    fn checkpoint(&mut self, job: usize, checkpoint: Checkpoint) {
        let Some(cell) = self.cells.get_mut(job) else {
            return;
        };
        if let Some(checkpoints) = &mut cell.checkpoints {
            checkpoints.pace.made();
            if let Some(making) = checkpoints.making.take() {
                checkpoints.last_made_in = making.elapsed();
            }
            if checkpoints.sender.try_send(checkpoint).is_err() {
                let _entered = cell.span.enter();
                tracing::debug!("nobody takes this checkpoint");
            }
        }
    }

    fn wants_preview(&mut self, job: usize) -> bool {
        let cell = self.cells.get(job);
        let Some(previews) = cell.and_then(|cell| cell.previews.as_ref()) else {
            return false;
        };
        previews.since_last.elapsed() >= previews.interval
            && self.since_preview.elapsed() >= previews.interval / PREVIEWS_IN_INTERVAL
            && previews.sender.capacity() > 0
    }

    fn preview(&mut self, job: usize, preview: RgbImage) {
        let cell = self.cells.get_mut(job);
        if let Some(previews) = cell.and_then(|cell| cell.previews.as_mut()) {
            previews.since_last = Stopwatch::start();
            self.since_preview = Stopwatch::start();
            // The next one is as good.
            let _ = previews.sender.try_send(preview);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::PreviewOrder;
    use super::*;

    #[test]
    fn a_preview_is_wanted_when_the_one_before_was_taken_and_in_its_time() {
        let metrics = Metrics::default();
        let mut watch = BatchWatch::new(&metrics);
        let mut add = |interval| {
            let (previews, taken) = PreviewOrder::new(interval);
            let (progress, _) = tokio::sync::watch::channel(Progress::default());
            let on_the_way = OnTheWay {
                checkpoints: None,
                previews: Some(previews),
            };
            watch.add(
                1,
                CancellationToken::new(),
                progress,
                on_the_way,
                Span::none(),
            );
            taken
        };
        let mut taken = add(Duration::ZERO);
        let _never = add(Duration::from_hours(1));
        assert!(watch.wants_preview(0));
        assert!(!watch.wants_preview(1), "its time has not come");
        watch.preview(0, RgbImage::new(2, 1));
        assert!(!watch.wants_preview(0), "nobody has taken the last one");
        assert_eq!(taken.try_recv().unwrap().dimensions(), (2, 1));
        assert!(watch.wants_preview(0));
        // Whoever waited for it has gone.
        drop(taken);
        watch.preview(0, RgbImage::new(2, 1));
        assert!(!watch.wants_preview(7), "there is no such job");
    }
}
