//! The pictures of one batch on their way through the scales: one forward and backward pass for all, and for each its
//! own losses, history, end and reason.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use atelier_proto::clock::Stopwatch;
use atelier_proto::settings::{Colour, Layer};
use tch::Tensor;

use super::checkpoint::Checkpoint;
use super::descent::{Best, Descent, RowLosses, row_indices};
use super::job::{Evaluation, Rendered, Watch};
use super::loss::Objective;
use super::prepare::{Preparer, names};
use super::rows::Row;
use super::vgg::Vgg;
use super::{RenderError, colour, pixels};

/// Share of the evaluations at the full scale that are float32 in any case, at the end: what bfloat16 left undecided is
/// settled there. A picture that a plateau ends before is looked at in float32 once, so the loss that is told is exact.
const EXACT_SHARE: f64 = 0.05;
/// More of them settle nothing more, and each costs as much as several others.
const EXACT_MAX: u32 = 10;

/// What became of one row.
#[derive(Debug)]
pub(super) enum Outcome {
    Rendered(Box<Rendered>),
    /// Whoever watched ended it.
    Cancelled,
    /// No loss of it was a finite number.
    NotFinite,
    /// The same, in numbers that are not exact: worth another try in float32.
    NotFiniteYet,
}

/// A batch being painted.
pub(super) struct Batch<'a, 'p> {
    pub(super) rows: &'a [&'a Row<'a>],
    pub(super) preparer: Preparer<'p>,
    /// The network that looks at pictures until the last evaluations; the exact one, where no other is faster.
    pub(super) fast: &'p Vgg,
    /// Names what a checkpoint belongs to.
    pub(super) network: &'p str,
    progress: Vec<Progress>,
    /// Seconds and evaluations of the whole batch at the full scale, for the choice of batch sizes.
    full_scale: (f64, u32),
}

/// How far a row is.
#[derive(Debug, Default)]
struct Progress {
    /// As the last scale left it, `[1, 3, height, width]`.
    image: Option<Tensor>,
    loss: f64,
    evaluations: u32,
    seconds: f64,
    ended: Option<Ended>,
}

#[derive(Debug, Clone, Copy)]
enum Ended {
    Cancelled,
    NotFinite,
}

/// One scale of a batch.
#[derive(Debug, Clone, Copy)]
struct Scale {
    index: usize,
    side: u32,
    evaluations: u32,
    is_last: bool,
}

impl<'a, 'p> Batch<'a, 'p> {
    /// `rows` share a batch (see [`Row::shared`]) and are at least one.
    pub(super) fn new(
        rows: &'a [&'a Row<'a>],
        preparer: Preparer<'p>,
        fast: &'p Vgg,
        network: &'p str,
    ) -> Self {
        Self {
            rows,
            preparer,
            fast,
            network,
            progress: rows.iter().map(|_| Progress::default()).collect(),
            full_scale: (0.0, 0),
        }
    }

    /// Whether all evaluations are float32.
    fn is_exact(&self) -> bool {
        std::ptr::eq(self.fast, self.preparer.vgg)
    }

    /// Seconds of one evaluation of one row at the full scale; none where none was made.
    pub(super) fn seconds_per_row_evaluation(&self) -> Option<f64> {
        let (seconds, row_evaluations) = self.full_scale;
        (row_evaluations > 0).then(|| seconds / f64::from(row_evaluations))
    }

    /// Paints all rows; outcomes come in their order.
    ///
    /// # Errors
    /// What concerns the batch as a whole: libtorch's refusals, lack of memory among them.
    pub(super) fn paint(&mut self, watch: &mut dyn Watch) -> Result<Vec<Outcome>, RenderError> {
        let Some(first) = self.rows.first() else {
            return Ok(Vec::new());
        };
        let sides = first.settings.scale_sides();
        let budgets = first.settings.evaluations_per_scale();
        let from = first.job.checkpoint.as_ref();
        if let Some(checkpoint) = from
            && checkpoint.job != first.identity(self.network)
        {
            return Err(RenderError::CheckpointOfAnother);
        }
        let skipped = from.map_or(0, |checkpoint| checkpoint.scale);
        let last = sides.len().saturating_sub(1);
        for (index, (side, evaluations)) in sides.into_iter().zip(budgets).enumerate().skip(skipped)
        {
            self.paint_scale(
                Scale {
                    index,
                    side,
                    evaluations,
                    is_last: index == last,
                },
                watch,
            )?;
        }
        (0..self.rows.len()).map(|row| self.outcome(row)).collect()
    }

    fn paint_scale(&mut self, scale: Scale, watch: &mut dyn Watch) -> Result<(), RenderError> {
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

    fn outcome(&self, index: usize) -> Result<Outcome, RenderError> {
        let (row, progress) = (self.rows[index], &self.progress[index]);
        Ok(match (progress.ended, &progress.image) {
            (Some(Ended::Cancelled), _) => Outcome::Cancelled,
            (Some(Ended::NotFinite), _) if !self.is_exact() => Outcome::NotFiniteYet,
            (Some(Ended::NotFinite), _) | (None, None) => Outcome::NotFinite,
            (None, Some(image)) => {
                let image = self.coloured(row, image)?;
                let transparency = row.photo().and_then(|photo| photo.picture.alpha());
                Outcome::Rendered(Box::new(Rendered {
                    picture: pixels::to_picture(&image, row.settings.format, transparency)?,
                    seconds: progress.seconds,
                    evaluations: progress.evaluations,
                    loss: progress.loss,
                }))
            }
        })
    }

    /// The image with the colours that it is to have.
    fn coloured(&self, row: &Row<'_>, image: &Tensor) -> Result<Tensor, RenderError> {
        let Some(photo) = row.photo() else {
            return Ok(image.shallow_clone());
        };
        let (width, height) = row.size;
        let photo = || pixels::to_tensor(&photo.picture, width, height, self.preparer.device);
        Ok(match row.settings.colour {
            Colour::Painting | Colour::Matched => image.shallow_clone(),
            Colour::Photo => colour::photo_colours(image, &photo()?)?,
            Colour::MatchedAfter => colour::matched(image, &photo()?)?,
        })
    }
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

/// Every layer whose features the rows' targets have.
fn held(rows: &[&Row<'_>]) -> Vec<Layer> {
    let with_content = rows.iter().filter(|row| row.content_weight() > 0.0);
    let layers: BTreeSet<Layer> = with_content
        .flat_map(|row| names(&row.settings.content_layers))
        .collect();
    layers.into_iter().collect()
}

/// Every layer that some row looks at.
pub(super) fn looked_at(rows: &[&Row<'_>]) -> Vec<Layer> {
    let mut layers = BTreeSet::new();
    for row in rows {
        if row.content_weight() > 0.0 {
            layers.extend(names(&row.settings.content_layers));
        }
        if row.style_weight() > 0.0 {
            layers.extend(names(&row.settings.style_layers));
        }
    }
    layers.into_iter().collect()
}
