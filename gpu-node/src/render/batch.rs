//! The pictures of one batch on their way through the scales: one forward and backward pass for all, and for each its
//! own losses, history, end and reason.
//!
//! - [`scale`]: the evaluations at one of them

mod scale;

use atelier_proto::settings::Colour;
use tch::Tensor;

use self::scale::Scale;
use super::job::{Rendered, Watch};
use super::prepare::Preparer;
use super::rows::Row;
use super::vgg::Vgg;
use super::{RenderError, colour, pixels};

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
    rows: &'a [&'a Row<'a>],
    preparer: Preparer<'p>,
    /// The network that looks at pictures until the last evaluations; the exact one, where no other is faster.
    fast: &'p Vgg,
    /// Names what a checkpoint belongs to.
    network: &'p str,
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
