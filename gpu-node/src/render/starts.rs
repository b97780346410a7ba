//! What a picture begins a scale with.

use atelier_proto::settings::Start;
use tch::Tensor;

use super::prepare::Preparer;
use super::rows::Row;
use super::{RenderError, pixels};

impl Preparer<'_> {
    /// The image that a row begins a scale with, given the one that it left the coarser scale with.
    ///
    /// Enlarging makes no detail, and style is detail to no small part: where the render began from the photo, the
    /// photo's own is laid over, which saves the first evaluations of every scale.
    pub(super) fn finer(
        &self,
        row: &Row<'_>,
        coarser: &Tensor,
        side: u32,
    ) -> Result<Tensor, RenderError> {
        let (width, height) = row.size_at(side);
        let mut finer = pixels::enlarge(coarser, width, height)?;
        if let Some(photo) = row.photo().filter(|_| row.settings.start == Start::Photo) {
            let photo = self.photo(row, photo, (width, height))?;
            finer = finer.f_add(&pixels::detail(&photo, coarser)?)?;
        }
        self.with_unpainted(row, finer, (width, height))
    }

    /// The image of a row before its first evaluation, `[1, 3, height, width]`.
    pub(super) fn start(&self, row: &Row<'_>, side: u32) -> Result<Tensor, RenderError> {
        let shape = row.size_at(side);
        self.with_unpainted(row, self.start_everywhere(row, shape)?, shape)
    }

    fn start_everywhere(
        &self,
        row: &Row<'_>,
        (width, height): (u32, u32),
    ) -> Result<Tensor, RenderError> {
        let settings = &row.settings;
        let noise = || {
            pixels::noise(
                settings.seed,
                settings.noise_level,
                width,
                height,
                self.device,
            )
        };
        let Some(input) = row.start_input()? else {
            return Ok(noise()?);
        };
        Ok(match settings.start {
            Start::Painting | Start::File => {
                pixels::covering(&input.picture, width, height, self.device)?
            }
            Start::Noise | Start::Photo => self.photo(row, input, (width, height))?,
            Start::Mix => {
                let photo = self.photo(row, input, (width, height))?;
                let share = settings.noise_share;
                photo
                    .f_mul_scalar(1.0 - share)?
                    .f_add(&noise()?.f_mul_scalar(share)?)?
            }
        })
    }
}
