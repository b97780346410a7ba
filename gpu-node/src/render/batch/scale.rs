//! The pictures of a batch at one scale: evaluation after evaluation, until each has its best image there.

use std::ops::ControlFlow;

use atelier_proto::clock::Stopwatch;
use tch::Tensor;

use super::{Batch, Ended};
use crate::render::checkpoint::Checkpoint;
use crate::render::descent::{Best, Descent, RowLosses, row_indices};
use crate::render::job::{Evaluation, Watch};
use crate::render::loss::Objective;
use crate::render::rows::{Row, held, looked_at};
use crate::render::vgg::Vgg;
use crate::render::{RenderError, pixels};

/// Share of the evaluations at the full scale that are float32 in any case, at the end: what bfloat16 left undecided is
/// settled there. A picture that a plateau ends before is looked at in float32 once, so the loss that is told is exact.
const EXACT_SHARE: f64 = 0.05;
/// More of them settle nothing more, and each costs as much as several others.
const EXACT_MAX: u32 = 10;

/// One scale of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// The coarsest is 0.
    pub(super) index: usize,
    /// The long side of its pictures, pixels.
    pub(super) side: u32,
    pub(super) evaluations: u32,
    pub(super) is_last: bool,
}

/// Evaluations of a scale and their seconds.
#[derive(Debug, Default)]
struct Spent {
    fast: (u32, f64),
    exact: (u32, f64),
}

impl Spent {
    fn add(&mut self, is_exact: bool, seconds: f64) {
        let (evaluations, sum) = if is_exact {
            &mut self.exact
        } else {
            &mut self.fast
        };
        *evaluations += 1;
        *sum += seconds;
    }
}

/// What one evaluation brought.
struct Told {
    scale: Scale,
    size: (u32, u32),
    /// Evaluations at this scale, this one included.
    made: u32,
    losses: RowLosses,
}

impl Scale {
    /// The evaluation from which on all are exact.
    ///
    /// The coarsest of several scales is exact throughout: it costs next to nothing, and what it decides no finer scale
    /// takes back. The full one is exact at its end, so that the loss that is told is.
    fn exact_from(self) -> u32 {
        if !self.is_last {
            return if self.index == 0 { 0 } else { self.evaluations };
        }
        let exact = (f64::from(self.evaluations) * EXACT_SHARE).ceil() as u32;
        self.evaluations - exact.min(EXACT_MAX).min(self.evaluations)
    }
}

impl Batch<'_, '_> {
    /// Paints the rows that have not ended.
    ///
    /// # Errors
    /// As [`Batch::paint`] says.
    pub(super) fn paint_scale(
        &mut self,
        scale: Scale,
        watch: &mut dyn Watch,
    ) -> Result<(), RenderError> {
        let mut live: Vec<usize> = (0..self.rows.len())
            .filter(|row| self.progress[*row].ended.is_none())
            .collect();
        let Some(first) = live.first().map(|row| self.rows[*row]) else {
            return Ok(());
        };
        let watch_of_start = Stopwatch::start();
        let rows: Vec<&Row<'_>> = live.iter().map(|row| self.rows[*row]).collect();
        let size = first.size_at(scale.side);
        // The exact network takes the most memory, and looks at the end.
        let plan = self.preparer.memory.plan(
            self.preparer.vgg,
            &looked_at(&rows),
            &held(&rows),
            size,
            rows.len() as u32,
            first.settings.history,
        );
        let mut objective = self.preparer.objective(&rows, scale.side, plan.tiles)?;
        let resumed = first
            .job
            .checkpoint
            .as_ref()
            .filter(|checkpoint| checkpoint.scale == scale.index);
        let mut made = 0;
        let mut descent = match resumed {
            Some(checkpoint) => {
                made = checkpoint.evaluations_of_scale;
                for progress in &mut self.progress {
                    progress.evaluations = checkpoint.evaluations;
                    progress.seconds = checkpoint.seconds;
                }
                let state = checkpoint.state(self.preparer.device)?;
                Descent::resume(&state, &first.settings, plan.pairs)?
            }
            None => Descent::begin(self.images(&live, scale)?, &first.settings, plan.pairs)?,
        };
        let prepared = watch_of_start.seconds();
        self.share(&live, prepared);
        let mut spent = Spent::default();

        let exact = self.preparer.vgg;
        let exact_from = scale.exact_from();
        while made < scale.evaluations && !live.is_empty() {
            let stopwatch = Stopwatch::start();
            let is_exact = made >= exact_from;
            if made == exact_from && made > 0 && !self.is_exact() {
                descent.look_closer();
            }
            let vgg = if is_exact { exact } else { self.fast };
            let losses = descent.advance(vgg, &objective)?;
            made += 1;
            if first.settings.round < scale.evaluations
                && made % first.settings.round == 0
                && made < scale.evaluations
            {
                descent.next_round(&first.settings)?;
            }
            let seconds = stopwatch.seconds();
            self.share(&live, seconds);
            spent.add(is_exact, seconds);
            // The first one is longer: libraries choose their ways then.
            if scale.is_last && made > 1 && (!is_exact || self.is_exact()) {
                self.full_scale.0 += seconds;
                self.full_scale.1 += live.len() as u32;
            }
            let told = Told {
                scale,
                size,
                made,
                losses,
            };
            let kept = self.tell(&live, &told, &descent, vgg, &objective, watch)?;
            if kept.len() < live.len() {
                live = kept.iter().map(|at| live[*at]).collect();
                if live.is_empty() {
                    break;
                }
                objective = objective.kept(&row_indices(&kept, self.preparer.device)?)?;
                descent.keep(&kept)?;
            }
        }
        tracing::debug!(
            rows = rows.len(),
            width = size.0,
            height = size.1,
            prepared,
            fast = spent.fast.0,
            fast_seconds = spent.fast.1,
            exact = spent.exact.0,
            exact_seconds = spent.exact.1,
            "scale painted"
        );
        let ends_exact = exact_from < scale.evaluations;
        let vgg = if ends_exact { exact } else { self.fast };
        for (at, row) in live.iter().enumerate() {
            let best = descent.best(at, vgg, &objective)?;
            self.leave(*row, best);
        }
        Ok(())
    }

    /// Tells what an evaluation brought; returns which of the live rows go on at this scale.
    fn tell(
        &mut self,
        live: &[usize],
        told: &Told,
        descent: &Descent,
        vgg: &Vgg,
        objective: &Objective,
        watch: &mut dyn Watch,
    ) -> Result<Vec<usize>, RenderError> {
        let mut kept = Vec::with_capacity(live.len());
        for (at, index) in live.iter().enumerate() {
            let row = self.rows[*index];
            let progress = &mut self.progress[*index];
            progress.evaluations += 1;
            let part = |values: &[f64]| values.get(at).copied().unwrap_or(f64::NAN);
            let evaluation = Evaluation {
                scale: told.scale.index as u32 + 1,
                width: told.size.0,
                height: told.size.1,
                number: progress.evaluations,
                planned: row.settings.evaluations_planned(),
                total: part(&told.losses.total),
                content: part(&told.losses.content),
                style: part(&told.losses.style),
                seconds: progress.seconds,
            };
            if watch.evaluated(row.number, &evaluation) == ControlFlow::Break(()) {
                progress.ended = Some(Ended::Cancelled);
                continue;
            }
            if descent.has_ended(at, row.settings.plateau) {
                let mut best = descent.best(at, vgg, objective)?;
                if told.scale.is_last && best.loss.is_finite() {
                    let only = objective.kept(&row_indices(&[at], self.preparer.device)?)?;
                    best.loss = only.loss(self.preparer.vgg, &best.image)?;
                }
                self.leave(*index, best);
                continue;
            }
            if watch.wants_checkpoint(row.number) {
                let progress = &self.progress[*index];
                let checkpoint = Checkpoint::of(
                    row.identity(self.network),
                    told.scale.index,
                    told.made,
                    progress.evaluations,
                    progress.seconds,
                    &descent.state(at)?,
                )?;
                watch.checkpoint(row.number, checkpoint);
            }
            if watch.wants_preview(row.number) {
                match pixels::preview(&descent.best_image(at)?) {
                    Ok(preview) => watch.preview(row.number, preview),
                    // Nobody is to lose a picture for it.
                    Err(error) => tracing::debug!(%error, "no preview"),
                }
            }
            kept.push(at);
        }
        Ok(kept)
    }

    /// A row leaves a scale with its best image.
    fn leave(&mut self, row: usize, best: Best) {
        let progress = &mut self.progress[row];
        if best.loss.is_finite() {
            progress.loss = best.loss;
            progress.image = Some(best.image);
        } else {
            progress.ended = Some(Ended::NotFinite);
        }
    }

    /// Time that the live rows took together.
    fn share(&mut self, live: &[usize], seconds: f64) {
        for row in live {
            self.progress[*row].seconds += seconds / live.len() as f64;
        }
    }

    /// What the live rows begin a scale with, `[rows, 3, height, width]`.
    fn images(&self, live: &[usize], scale: Scale) -> Result<Tensor, RenderError> {
        let images = live.iter().map(|row| match &self.progress[*row].image {
            Some(coarser) => self.preparer.finer(self.rows[*row], coarser, scale.side),
            None => self.preparer.start(self.rows[*row], scale.side),
        });
        Ok(Tensor::f_cat(&images.collect::<Result<Vec<_>, _>>()?, 0)?)
    }
}
