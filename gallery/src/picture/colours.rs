//! A decoded picture: its colours, and its transparency apart from them.

use std::borrow::Cow;

use image::{GrayImage, ImageBuffer, Rgb, RgbImage};

use super::sample::Sample as _;

/// Sixteen bits a channel, sRGB.
pub type Rgb16Image = ImageBuffer<Rgb<u16>, Vec<u16>>;

/// The colours of a picture, sRGB with its transfer curve, in the depth that its source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Colours {
    /// 0..=255 a channel.
    Eight(RgbImage),
    /// 0..=65,535 a channel, for sources of more than 8 bits.
    Sixteen(Rgb16Image),
}

impl Colours {
    /// Width and height, pixels.
    pub fn dimensions(&self) -> (u32, u32) {
        match self {
            Self::Eight(colours) => colours.dimensions(),
            Self::Sixteen(colours) => colours.dimensions(),
        }
    }

    /// Rounded to eight bits a channel.
    pub fn to_rgb8(&self) -> Cow<'_, RgbImage> {
        match self {
            Self::Eight(colours) => Cow::Borrowed(colours),
            Self::Sixteen(colours) => {
                let mut eight = RgbImage::new(colours.width(), colours.height());
                for (eight, sixteen) in eight.iter_mut().zip(colours.iter()) {
                    *eight = sixteen.to_eight();
                }
                Cow::Owned(eight)
            }
        }
    }

    /// Sixteen bits a channel; eight are spread over the whole range.
    pub fn to_rgb16(&self) -> Cow<'_, Rgb16Image> {
        match self {
            Self::Eight(colours) => {
                let mut sixteen = Rgb16Image::new(colours.width(), colours.height());
                for (sixteen, eight) in sixteen.iter_mut().zip(colours.iter()) {
                    *sixteen = eight.to_sixteen();
                }
                Cow::Owned(sixteen)
            }
            Self::Sixteen(colours) => Cow::Borrowed(colours),
        }
    }
}

/// A picture as people see it: upright, sRGB, with its transparency apart.
///
/// Colours are straight, not multiplied by alpha. Where a picture is wholly transparent its colours are white,
/// whatever a file stores there: editors leave black, or what was erased, and neither must be painted. A picture that is
/// opaque everywhere has no alpha.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    colours: Colours,
    alpha: Option<GrayImage>,
}

impl Picture {
    /// A picture of these colours, as opaque as `alpha` says: 0 is transparent, 255 opaque.
    ///
    /// # Panics
    /// If the two are of different sizes, which is a mistake of the program and not of a file.
    pub fn new(mut colours: Colours, alpha: Option<GrayImage>) -> Self {
        if let Some(alpha) = &alpha {
            assert_eq!(alpha.dimensions(), colours.dimensions());
        }
        let alpha = alpha.filter(|alpha| alpha.iter().any(|alpha| *alpha < u8::MAX));
        if let Some(alpha) = &alpha {
            match &mut colours {
                Colours::Eight(colours) => hide(colours, alpha),
                Colours::Sixteen(colours) => hide(colours, alpha),
            }
        }
        Self { colours, alpha }
    }

    /// Pixels.
    pub fn width(&self) -> u32 {
        self.dimensions().0
    }

    /// Pixels.
    pub fn height(&self) -> u32 {
        self.dimensions().1
    }

    /// Width and height, pixels.
    pub fn dimensions(&self) -> (u32, u32) {
        self.colours.dimensions()
    }

    /// Its straight colours.
    pub fn colours(&self) -> &Colours {
        &self.colours
    }

    /// 0 is transparent, 255 opaque; none if the picture is opaque everywhere.
    pub fn alpha(&self) -> Option<&GrayImage> {
        self.alpha.as_ref()
    }

    /// Eight bits a channel, blended over white where transparent, as a page shows it.
    pub fn to_rgb8(&self) -> Cow<'_, RgbImage> {
        let colours = self.colours.to_rgb8();
        let Some(alpha) = &self.alpha else {
            return colours;
        };
        let mut colours = colours.into_owned();
        for (pixel, alpha) in colours.pixels_mut().zip(alpha.iter()) {
            let alpha = u32::from(*alpha);
            for channel in &mut pixel.0 {
                let sum = u32::from(*channel) * alpha + 255 * (255 - alpha);
                *channel = ((sum + 127) / 255) as u8;
            }
        }
        Cow::Owned(colours)
    }

    /// The same as [`Picture::to_rgb8`], without a copy of an opaque picture of eight bits.
    pub fn into_rgb8(self) -> RgbImage {
        match self {
            Self {
                colours: Colours::Eight(colours),
                alpha: None,
            } => colours,
            other => other.to_rgb8().into_owned(),
        }
    }
}

impl From<RgbImage> for Picture {
    fn from(colours: RgbImage) -> Self {
        Self {
            colours: Colours::Eight(colours),
            alpha: None,
        }
    }
}

impl From<Rgb16Image> for Picture {
    fn from(colours: Rgb16Image) -> Self {
        Self {
            colours: Colours::Sixteen(colours),
            alpha: None,
        }
    }
}

/// Makes wholly transparent pixels white.
fn hide<S: image::Primitive>(colours: &mut ImageBuffer<Rgb<S>, Vec<S>>, alpha: &GrayImage)
where
    Rgb<S>: image::Pixel<Subpixel = S>,
{
    for (pixel, alpha) in colours.pixels_mut().zip(alpha.iter()) {
        if *alpha == 0 {
            *pixel = Rgb([S::DEFAULT_MAX_VALUE; 3]);
        }
    }
}
