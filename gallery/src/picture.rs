//! Picture files, in and out: JPEG, PNG, WebP and TIFF to upright 8-bit sRGB, and back to JPEG or PNG.
//!
//! Files come from people and from the network. Their size is checked before anything is decoded, and a file that
//! was cut short is an error even where decoders would fill in grey. This file reads bytes; it knows no paths, so whoever
//! calls it names the file.

mod whole;

use std::io::Cursor;

use atelier_proto::settings::{PictureFormat, fit};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder as _, ImageError, ImageFormat,
    ImageReader, Limits, RgbImage,
};

/// Longest side of a picture that is read, pixels.
pub const SIDE_MAX: u32 = 30_000;
/// Most pixels of a picture that is read; as 8-bit RGB they take 600 MB.
pub const PIXELS_MAX: u64 = 200_000_000;
/// Longest picture file that is read, bytes.
pub const BYTES_MAX: u64 = 512 << 20;

/// Most memory that one decoder may take, bytes.
const DECODER_BYTES_MAX: u64 = 2 << 30;
/// JPEG quality of pictures; nothing of a rendering shows at this one.
const PICTURE_QUALITY: u8 = 95;
/// JPEG quality of thumbnails.
const THUMBNAIL_QUALITY: u8 = 88;

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

/// Decodes a picture to 8-bit sRGB, upright (its EXIF orientation is applied), transparency over white.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, PictureError> {
    let (mut decoder, format) = open(bytes)?;
    if !whole::is_whole(format, bytes) {
        return Err(PictureError::CutShort);
    }
    let orientation = orientation(&mut decoder);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(from_decoder)?;
    picture.apply_orientation(orientation);
    Ok(if picture.color().has_alpha() {
        over_white(&picture)
    } else {
        picture.into_rgb8()
    })
}

/// Width and height of a picture, upright, from its header alone.
pub fn size(bytes: &[u8]) -> Result<(u32, u32), PictureError> {
    let (mut decoder, _) = open(bytes)?;
    let (width, height) = decoder.dimensions();
    Ok(match orientation(&mut decoder) {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => (width, height),
    })
}

/// A picture as the bytes of a file: JPEG of quality 95 without subsampled colour, or PNG.
pub fn encode(picture: &RgbImage, format: PictureFormat) -> Result<Vec<u8>, PictureError> {
    match format {
        PictureFormat::Jpeg => encode_jpeg(picture, PICTURE_QUALITY),
        PictureFormat::Png => {
            let mut bytes = Vec::new();
            let encoder = PngEncoder::new(&mut bytes);
            let (width, height) = picture.dimensions();
            encoder
                .write_image(picture, width, height, ExtendedColorType::Rgb8)
                .map_err(|source| cannot_encode(picture, source))?;
            Ok(bytes)
        }
    }
}

/// A JPEG of the picture, reduced so that its long side is at most `long_side` pixels; never enlarged.
pub fn thumbnail(picture: &RgbImage, long_side: u32) -> Result<Vec<u8>, PictureError> {
    let (width, height) = picture.dimensions();
    if width.max(height) <= long_side {
        return encode_jpeg(picture, THUMBNAIL_QUALITY);
    }
    let (width, height) = fit(width, height, long_side);
    // Averaging to three times the size first costs little and leaves the good filter little to do.
    let (near_width, near_height) = (width.saturating_mul(3), height.saturating_mul(3));
    let reduced = if picture.width() > near_width && picture.height() > near_height {
        let near = imageops::thumbnail(picture, near_width, near_height);
        imageops::resize(&near, width, height, FilterType::Lanczos3)
    } else {
        imageops::resize(picture, width, height, FilterType::Lanczos3)
    };
    encode_jpeg(&reduced, THUMBNAIL_QUALITY)
}

/// A decoder that has read the header, with every limit checked.
fn open(bytes: &[u8]) -> Result<(impl ImageDecoder + '_, ImageFormat), PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    if bytes.len() as u64 > BYTES_MAX {
        return Err(PictureError::TooManyBytes {
            bytes: bytes.len() as u64,
        });
    }
    let format = image::guess_format(bytes).map_err(|_| PictureError::NotAPicture)?;
    if !format.reading_enabled() {
        return Err(PictureError::NotAPicture);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // The sides are checked below, where the error can tell them.
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(from_decoder)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if width > SIDE_MAX || height > SIDE_MAX || pixels > PIXELS_MAX {
        return Err(PictureError::TooLarge { width, height });
    }
    if decoder.total_bytes() > DECODER_BYTES_MAX {
        return Err(PictureError::TooMuchMemory);
    }
    Ok((decoder, format))
}

/// How the camera was held. A picture whose EXIF data is damaged is a picture all the same.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn from_decoder(error: ImageError) -> PictureError {
    match error {
        ImageError::Limits(_) => PictureError::TooMuchMemory,
        ImageError::Unsupported(_) => PictureError::Unsupported(error),
        // The only reader is one of bytes in memory, which fails at its end and nowhere else.
        ImageError::IoError(_) => PictureError::CutShort,
        ImageError::Decoding(_) | ImageError::Encoding(_) | ImageError::Parameter(_) => {
            PictureError::Damaged(error)
        }
    }
}

/// Blends the picture over white, as a page would show it.
fn over_white(picture: &DynamicImage) -> RgbImage {
    let picture = picture.to_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
        let over = |channel: u8| {
            let sum = u32::from(channel) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
            ((sum + 127) / 255) as u8
        };
        image::Rgb([over(red), over(green), over(blue)])
    })
}

fn encode_jpeg(picture: &RgbImage, quality: u8) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(picture)
        .map_err(|source| cannot_encode(picture, source))?;
    Ok(bytes)
}

fn cannot_encode(picture: &RgbImage, source: ImageError) -> PictureError {
    let (width, height) = picture.dimensions();
    PictureError::Encode {
        width,
        height,
        source,
    }
}

#[cfg(test)]
mod tests;
