//! How large a picture is at each scale, and how long it stays there.

use super::{Mode, RenderSettings};

/// A scale below this many pixels leaves nothing of a picture to optimise.
pub const SCALE_SIDE_MIN: u32 = 16;

impl RenderSettings {
    /// Of which of a cell's inputs its picture has the ratio: the photo, or the first painting where its style alone is
    /// reconstructed; the other one where there is but one.
    pub fn shape_of<T>(&self, photo: Option<T>, painting: Option<T>) -> Option<T> {
        match self.mode {
            Mode::Transfer | Mode::Content => photo.or(painting),
            Mode::Style => painting.or(photo),
        }
    }

    /// Width and height of the picture for a photo of the given size: the long side is
    /// [`RenderSettings::size`], the other keeps the aspect ratio and is at least 1.
    pub fn picture_size(&self, photo_width: u32, photo_height: u32) -> (u32, u32) {
        fit(photo_width, photo_height, self.size)
    }

    /// Long side of the picture at each scale, pixels, coarsest first; no scale but the full one is below
    /// [`SCALE_SIDE_MIN`], so a small picture has fewer than it asks for.
    pub fn scale_sides(&self) -> Vec<u32> {
        let sides = (0..self.scales).map(|coarser_by| self.size >> coarser_by);
        let mut sides: Vec<u32> = sides
            .take_while(|side| *side == self.size || *side >= SCALE_SIDE_MIN)
            .collect();
        sides.reverse();
        sides
    }

    /// Evaluations at each scale, coarsest first: [`RenderSettings::iterations`] and half of it more for each scale that is finer.
    ///
    /// ```
    /// use atelier_proto::settings::RenderSettings;
    ///
    /// let settings = RenderSettings { size: 512, scales: 3, iterations: 100, ..RenderSettings::default() };
    /// assert_eq!(settings.scale_sides(), [128, 256, 512]);
    /// assert_eq!(settings.evaluations_per_scale(), [200, 150, 100]);
    /// ```
    pub fn evaluations_per_scale(&self) -> Vec<u32> {
        (0..self.scale_sides().len() as u32)
            .rev()
            .map(|coarser_by| self.iterations + self.iterations * coarser_by / 2)
            .collect()
    }

    /// Evaluations over all scales.
    pub fn evaluations_planned(&self) -> u32 {
        self.evaluations_per_scale().iter().sum()
    }
}

/// Scales a size so that its long side is `long_side`, keeping the aspect ratio; neither side falls
/// below 1.
pub fn fit(width: u32, height: u32, long_side: u32) -> (u32, u32) {
    let longest = f64::from(width.max(height).max(1));
    let scaled = |side: u32| {
        let side = f64::from(side) * f64::from(long_side) / longest;
        (side.round() as u32).max(1)
    };
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_scales_come_first_and_get_more_evaluations() {
        let settings = RenderSettings {
            iterations: 40,
            scales: 3,
            ..RenderSettings::default()
        };
        assert_eq!(settings.evaluations_per_scale(), [80, 60, 40]);
        assert_eq!(settings.evaluations_planned(), 180);
        assert_eq!(settings.scale_sides(), [128, 256, 512]);
    }

    #[test]
    fn a_small_picture_has_no_scale_that_shows_nothing() {
        let settings = RenderSettings {
            size: 50,
            scales: 6,
            iterations: 10,
            ..RenderSettings::default()
        };
        assert_eq!(settings.scale_sides(), [25, 50]);
        assert_eq!(settings.evaluations_per_scale(), [15, 10]);
    }

    #[test]
    fn a_picture_keeps_the_aspect_ratio() {
        assert_eq!(fit(1024, 512, 256), (256, 128));
        assert_eq!(fit(3, 3000, 512), (1, 512));
        assert_eq!(fit(20, 10, 512), (512, 256));
    }
}
