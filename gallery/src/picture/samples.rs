//! Samples as a file stores them: of some colour space and depth, with transparency apart.

use image::{DynamicImage, GrayImage, ImageBuffer, Rgb};
use moxcms::ColorProfile;

use super::colours::Colours;
use super::error::PictureError;
use super::profile;
use super::sample::{Sample, Space};

/// Samples of either depth, interleaved, rows from the top.
#[derive(Debug)]
pub(super) enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
}

/// A picture as its file stores it: not yet upright, not yet sRGB.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) space: Space,
    pub(super) samples: Samples,
    /// One a pixel; 255 is opaque.
    pub(super) alpha: Option<Vec<u8>>,
}

impl Stored {
    /// The samples of a decoded image. `premultiplied` says that its colours are multiplied by its alpha.
    ///
    /// Floating-point images become 16-bit ones; what lies outside 0..1 is clipped.
    pub(super) fn new(image: DynamicImage, premultiplied: bool) -> Self {
        let (width, height) = (image.width(), image.height());
        let space = match image.color().channel_count() {
            1 | 2 => Space::Grey,
            _ => Space::Rgb,
        };
        let has_alpha = image.color().has_alpha();
        let (samples, alpha) = match image {
            DynamicImage::ImageLuma8(image) => (Samples::Eight(image.into_raw()), None),
            DynamicImage::ImageRgb8(image) => (Samples::Eight(image.into_raw()), None),
            DynamicImage::ImageLuma16(image) => (Samples::Sixteen(image.into_raw()), None),
            DynamicImage::ImageRgb16(image) => (Samples::Sixteen(image.into_raw()), None),
            DynamicImage::ImageLumaA8(image) => eight(&image, space, premultiplied),
            DynamicImage::ImageRgba8(image) => eight(&image, space, premultiplied),
            DynamicImage::ImageLumaA16(image) => sixteen(&image, space, premultiplied),
            DynamicImage::ImageRgba16(image) => sixteen(&image, space, premultiplied),
            other if has_alpha => sixteen(&other.into_rgba16(), space, premultiplied),
            other => (Samples::Sixteen(other.into_rgb16().into_raw()), None),
        };
        Self {
            width,
            height,
            space,
            samples,
            alpha,
        }
    }

    /// Its colours in sRGB, from the colour space that `profile` describes, and its transparency.
    pub(super) fn into_srgb(
        self,
        profile: Option<&ColorProfile>,
    ) -> Result<(Colours, Option<GrayImage>), PictureError> {
        let (width, height) = (self.width, self.height);
        // A decoder that gives fewer samples than its header declared found fewer.
        let colours = match self.samples {
            Samples::Eight(samples) => {
                let samples = profile::to_srgb(samples, self.space, profile);
                ImageBuffer::<Rgb<u8>, _>::from_raw(width, height, samples).map(Colours::Eight)
            }
            Samples::Sixteen(samples) => {
                let samples = profile::to_srgb(samples, self.space, profile);
                ImageBuffer::<Rgb<u16>, _>::from_raw(width, height, samples).map(Colours::Sixteen)
            }
        };
        let alpha = match self.alpha {
            Some(alpha) => {
                let alpha = GrayImage::from_raw(width, height, alpha);
                Some(alpha.ok_or(PictureError::CutShort)?)
            }
            None => None,
        };
        Ok((colours.ok_or(PictureError::CutShort)?, alpha))
    }
}

fn eight(interleaved: &[u8], space: Space, premultiplied: bool) -> (Samples, Option<Vec<u8>>) {
    let (samples, alpha) = apart(interleaved, space, premultiplied);
    (Samples::Eight(samples), Some(alpha))
}

fn sixteen(interleaved: &[u16], space: Space, premultiplied: bool) -> (Samples, Option<Vec<u8>>) {
    let (samples, alpha) = apart(interleaved, space, premultiplied);
    (Samples::Sixteen(samples), Some(alpha))
}

/// Straight colours and, in eight bits, the alpha that follows the colours of each pixel.
fn apart<S: Sample>(interleaved: &[S], space: Space, premultiplied: bool) -> (Vec<S>, Vec<u8>) {
    let channels = space.channels();
    let pixels = interleaved.len() / (channels + 1);
    let mut colours = Vec::with_capacity(pixels * channels);
    let mut opacity = Vec::with_capacity(pixels);
    for pixel in interleaved.chunks_exact(channels + 1) {
        let (pixel, alpha) = (&pixel[..channels], pixel[channels]);
        if premultiplied && alpha.number() > 0 {
            let straight = |sample: &S| {
                let sample = u64::from(sample.number()) * u64::from(S::MAX);
                let alpha = u64::from(alpha.number());
                S::from_number(((sample + alpha / 2) / alpha).min(u64::from(S::MAX)) as u32)
            };
            colours.extend(pixel.iter().map(straight));
        } else {
            colours.extend_from_slice(pixel);
        }
        opacity.push(alpha.to_eight());
    }
    (colours, opacity)
}
