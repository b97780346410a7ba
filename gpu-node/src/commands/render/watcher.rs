//! What a person sees of a render on its way, and what is kept of it.

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::kept::CheckpointFile;
use crate::checkpoint_pace::CheckpointPace;
use crate::render::{Checkpoint, Evaluation, Watch};

/// Watches the one job that is rendered.
pub(super) struct Watcher {
    shutdown: CancellationToken,
    kept: Option<(CheckpointFile, CheckpointPace)>,
    /// Whether somebody looks at standard error.
    is_watched: bool,
    evaluations: Vec<Evaluation>,
}

impl Watcher {
    pub(super) fn new(
        shutdown: CancellationToken,
        kept: Option<CheckpointFile>,
        interval: Duration,
    ) -> Self {
        Self {
            shutdown,
            kept: kept.map(|file| (file, CheckpointPace::new(interval))),
            is_watched: std::io::stderr().is_terminal(),
            evaluations: Vec::new(),
        }
    }

    /// Ends the progress line; gives every evaluation that was made.
    pub(super) fn finish(self) -> Vec<Evaluation> {
        if self.is_watched && !self.evaluations.is_empty() {
            // A progress line that cannot be written is not missed.
            let _ = writeln!(std::io::stderr());
        }
        self.evaluations
    }
}

impl Watch for Watcher {
    fn evaluated(&mut self, _: usize, evaluation: &Evaluation) -> ControlFlow<()> {
        if self.is_watched {
            // A progress line that cannot be written is not missed.
            let _ = write!(
                std::io::stderr(),
                "\r{} of {} evaluations, {} × {}, loss {:<12.6}",
                evaluation.number,
                evaluation.planned,
                evaluation.width,
                evaluation.height,
                evaluation.total
            );
        }
        self.evaluations.push(evaluation.clone());
        if !self.shutdown.is_cancelled() {
            return ControlFlow::Continue(());
        }
        match &mut self.kept {
            Some((_, pace)) => pace.stop(),
            None => ControlFlow::Break(()),
        }
    }

    fn wants_checkpoint(&mut self, _: usize) -> bool {
        self.kept.as_ref().is_some_and(|(_, pace)| pace.is_due())
    }

    fn checkpoint(&mut self, _: usize, checkpoint: Checkpoint) {
        if let Some((file, pace)) = &mut self.kept {
            // It saves work and must not cost the picture: the render goes on without.
            if let Err(error) = file.write(&checkpoint) {
                tracing::warn!(%error, "no checkpoint");
            }
            pace.made();
        }
    }
}
