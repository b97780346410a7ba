//! What the executor's thread does after each evaluation of a block: progress, cancels, checkpoints.

use std::ops::ControlFlow;

use tokio::sync::mpsc;
use tokio::sync::watch::Sender;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::{CheckpointOrder, Progress};
use crate::checkpoint_pace::CheckpointPace;
use crate::metrics::Metrics;
use crate::render::{Checkpoint, Evaluation, Watch};

/// Watches the cells of one block, each by itself.
pub(super) struct BlockWatch<'a> {
    metrics: &'a Metrics,
    cells: Vec<Watched>,
    evaluations: u64,
}

struct Watched {
    cancel: CancellationToken,
    progress: Sender<Progress>,
    checkpoints: Option<Checkpoints>,
    span: Span,
}

struct Checkpoints {
    pace: CheckpointPace,
    sender: mpsc::Sender<Checkpoint>,
}

impl Checkpoints {
    fn are_wanted(&self) -> bool {
        // While one waits to be taken, the other place is kept for the last one.
        let none_waits = self.sender.capacity() == self.sender.max_capacity();
        self.pace.is_due() && (none_waits || self.pace.is_last())
    }
}

impl<'a> BlockWatch<'a> {
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        Self {
            metrics,
            cells: Vec::new(),
            evaluations: 0,
        }
    }

    /// Adds the next job of the block.
    pub(super) fn add(
        &mut self,
        planned: u32,
        cancel: CancellationToken,
        progress: Sender<Progress>,
        checkpoints: Option<CheckpointOrder>,
        span: Span,
    ) {
        progress.send_modify(|progress| progress.planned = planned);
        self.cells.push(Watched {
            cancel,
            progress,
            checkpoints: checkpoints.map(|order| Checkpoints {
                pace: CheckpointPace::new(order.interval),
                sender: order.sender,
            }),
            span,
        });
    }

    /// Tells that a cell begins anew.
    pub(super) fn note_useless_checkpoint(&self, job: usize) {
        if let Some(cell) = self.cells.get(job) {
            let _entered = cell.span.enter();
            tracing::warn!("a checkpoint of other inputs, settings or network: starting anew");
        }
    }

    /// The watch of one job that is rendered by itself, as number 0.
    pub(super) fn only(&mut self, job: usize) -> OneOf<'_, 'a> {
        OneOf { block: self, job }
    }

    /// Evaluations so far, of all cells.
    pub(super) fn evaluations(&self) -> u64 {
        self.evaluations
    }
}

/// One job of a block.
pub(super) struct OneOf<'w, 'a> {
    block: &'w mut BlockWatch<'a>,
    job: usize,
}

impl Watch for OneOf<'_, '_> {
    fn evaluated(&mut self, _: usize, evaluation: &Evaluation) -> ControlFlow<()> {
        self.block.evaluated(self.job, evaluation)
    }

    fn wants_checkpoint(&mut self, _: usize) -> bool {
        self.block.wants_checkpoint(self.job)
    }

    fn checkpoint(&mut self, _: usize, checkpoint: Checkpoint) {
        self.block.checkpoint(self.job, checkpoint);
    }
}

impl Watch for BlockWatch<'_> {
    fn evaluated(&mut self, job: usize, evaluation: &Evaluation) -> ControlFlow<()> {
        self.evaluations += 1;
        self.metrics.evaluated();
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
        let cell = self.cells.get(job);
        cell.and_then(|cell| cell.checkpoints.as_ref())
            .is_some_and(Checkpoints::are_wanted)
    }

    fn checkpoint(&mut self, job: usize, checkpoint: Checkpoint) {
        let Some(cell) = self.cells.get_mut(job) else {
            return;
        };
        if let Some(checkpoints) = &mut cell.checkpoints {
            checkpoints.pace.made();
            if checkpoints.sender.try_send(checkpoint).is_err() {
                let _entered = cell.span.enter();
                tracing::debug!("nobody takes this checkpoint");
            }
        }
    }
}
