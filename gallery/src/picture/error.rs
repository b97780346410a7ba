//! Why a file is no usable picture, or a picture no file.

use image::ImageError;
use image::error::{DecodingError, ImageFormatHint};

use super::{BYTES_MAX, DECODER_BYTES_MAX, PIXELS_MAX, SIDE_MAX};

/// Why a file is no usable picture. The text completes "cannot use FILE: …".
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// No bytes at all.
    #[error("the file is empty, not a picture\nhint: copy or download it again")]
    Empty,
    /// Some other file.
    #[error("it is not a JPEG, PNG, WebP or TIFF picture\nhint: convert it, or leave it out")]
    NotAPicture,
    /// A longer file than is read.
    #[error("it has {bytes} bytes, but at most {BYTES_MAX} are read\nhint: scale it down")]
    TooManyBytes {
        /// Its length.
        bytes: u64,
    },
    /// More pixels than are decoded.
    #[error(
        "it declares {width} × {height} pixels, but at most {SIDE_MAX} × {SIDE_MAX}, and {} million in all, \
         are accepted\nhint: scale it down",
        PIXELS_MAX / 1_000_000
    )]
    TooLarge {
        /// Pixels, as the header has it.
        width: u32,
        /// Pixels, as the header has it.
        height: u32,
    },
    /// Small in pixels, and yet its decoder would take too much memory.
    #[error(
        "decoding it takes more than {} GiB of memory\nhint: save it anew with 8 bits a channel",
        DECODER_BYTES_MAX >> 30
    )]
    TooMuchMemory,
    /// The file ends before the picture does.
    #[error(
        "it is cut short: the file ends before the picture does\nhint: copy or download it again"
    )]
    CutShort,
    /// What the file says cannot be.
    #[error("it is damaged: {0}\nhint: copy or download it again")]
    Damaged(#[source] ImageError),
    /// A kind of picture that the decoders do not know.
    #[error("it is of a kind that cannot be read: {0}\nhint: save it anew as a plain JPEG or PNG")]
    Unsupported(#[source] ImageError),
    /// A picture that cannot become a file.
    #[error("a picture of {width} × {height} pixels cannot be encoded: {source}")]
    Encode {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// What the encoder says.
        source: ImageError,
    },
}

impl PictureError {
    /// What a decoder of `image` says, by what a person can do about it.
    pub(super) fn from_decoder(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooMuchMemory,
            ImageError::Unsupported(_) => Self::Unsupported(error),
            // The only reader is one of bytes in memory, which fails at its end and nowhere else.
            ImageError::IoError(_) => Self::CutShort,
            ImageError::Decoding(_) | ImageError::Encoding(_) | ImageError::Parameter(_) => {
                Self::Damaged(error)
            }
        }
    }

    /// The same for a decoder that is asked without `image` between.
    pub(super) fn damaged(
        format: image::ImageFormat,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Damaged(ImageError::Decoding(DecodingError::new(
            ImageFormatHint::Exact(format),
            error,
        )))
    }
}
