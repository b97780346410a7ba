//! Where no artist applies, a picture is the photo: masks leave parts out, and nothing there may move.
//!
//! The losses alone would not hold them: a content that is compared by structure allows other colours, and deep layers
//! see across the border of a mask.

use tch::{Device, Kind, TchError, Tensor};

use super::prepare::Preparer;
use super::rows::Row;
use super::{RenderError, pixels};

/// What of a mask counts as black: less than its smallest grey.
const BLACK: f64 = 0.5 / 255.0;

impl Preparer<'_> {
    /// Where images may move; none where all may everywhere.
    pub(super) fn movable(&self, rows: &[&Row<'_>], side: u32) -> Result<Option<Tensor>, TchError> {
        let unpainted = rows
            .iter()
            .map(|row| of_row(row, row.size_at(side), self.device));
        let unpainted: Vec<Tensor> = unpainted
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()?;
        // Rows that share a batch have masks for the same paintings.
        if unpainted.is_empty() {
            return Ok(None);
        }
        Ok(Some(
            Tensor::f_cat(&unpainted, 0)?.f_neg()?.f_add_scalar(1.0)?,
        ))
    }

    /// An image that a row begins with, the photo in its place where no painting applies.
    pub(super) fn with_unpainted(
        &self,
        row: &Row<'_>,
        image: Tensor,
        size: (u32, u32),
    ) -> Result<Tensor, RenderError> {
        let unpainted = of_row(row, size, self.device)?;
        let (Some(unpainted), Some(photo)) = (unpainted, row.photo()) else {
            return Ok(image);
        };
        let photo = self.photo(row, photo, size)?;
        Ok(photo.f_where_self(&unpainted.f_gt(0.5)?, &image)?)
    }
}

/// Where a row's masks leave the photo alone at a size, `[1, 1, height, width]`, 1 or 0; none where some painting applies
/// everywhere.
fn of_row(row: &Row<'_>, size: (u32, u32), device: Device) -> Result<Option<Tensor>, TchError> {
    let masks: Option<Vec<_>> = row.regions.iter().map(|region| region.mask).collect();
    let mut painted: Option<Tensor> = None;
    for mask in masks.unwrap_or_default() {
        let mask = pixels::mask_tensor(&mask.mask, size.0, size.1, device)?;
        painted = Some(match painted {
            None => mask,
            Some(painted) => painted.f_add(&mask)?,
        });
    }
    painted
        .map(|painted| painted.f_lt(BLACK)?.f_to_kind(Kind::Float))
        .transpose()
}
