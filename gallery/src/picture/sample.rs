//! One sample, and what those of a pixel mean.

use std::sync::Arc;

use moxcms::{CmsError, ColorProfile, Layout, TransformExecutor, TransformOptions};

/// One number of a pixel, 0 to its type's maximum.
pub(super) trait Sample: image::Primitive + Default + Send + Sync + 'static {
    /// The largest.
    const MAX: u32;
    /// From a number that is at most the largest.
    fn from_number(number: u32) -> Self;
    fn number(self) -> u32;
    /// Rounded to eight bits.
    fn to_eight(self) -> u8;
    /// Spread over sixteen bits.
    fn to_sixteen(self) -> u16;
    /// The colour management's conversion to RGB for samples of this depth.
    fn transform(
        from: &ColorProfile,
        layout: Layout,
        to: &ColorProfile,
        options: TransformOptions,
    ) -> Result<Arc<Transform<Self>>, CmsError>;
}

/// A conversion of samples between two colour spaces.
pub(super) type Transform<S> = dyn TransformExecutor<S> + Send + Sync;

impl Sample for u8 {
    const MAX: u32 = 255;

    fn from_number(number: u32) -> Self {
        number as Self
    }

    fn number(self) -> u32 {
        u32::from(self)
    }

    fn to_eight(self) -> u8 {
        self
    }

    fn to_sixteen(self) -> u16 {
        u16::from(self) * 257
    }

    fn transform(
        from: &ColorProfile,
        layout: Layout,
        to: &ColorProfile,
        options: TransformOptions,
    ) -> Result<Arc<Transform<Self>>, CmsError> {
        from.create_transform_8bit(layout, to, Layout::Rgb, options)
    }
}

impl Sample for u16 {
    const MAX: u32 = 65_535;

    fn from_number(number: u32) -> Self {
        number as Self
    }

    fn number(self) -> u32 {
        u32::from(self)
    }

    fn to_eight(self) -> u8 {
        ((u32::from(self) + 128) / 257) as u8
    }

    fn to_sixteen(self) -> u16 {
        self
    }

    fn transform(
        from: &ColorProfile,
        layout: Layout,
        to: &ColorProfile,
        options: TransformOptions,
    ) -> Result<Arc<Transform<Self>>, CmsError> {
        from.create_transform_16bit(layout, to, Layout::Rgb, options)
    }
}

/// What the samples of a pixel mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Grey,
    Rgb,
    /// Amounts of ink: the largest number is full ink.
    Cmyk,
}

impl Space {
    /// Samples of one pixel.
    pub(super) fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Cmyk => 4,
        }
    }
}
