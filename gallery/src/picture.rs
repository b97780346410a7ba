//! Picture files, in and out: JPEG, PNG, WebP and TIFF to upright sRGB, and back to JPEG or PNG.
//!
//! Files come from people and from the network. Their size is checked before anything is decoded, and a file that
//! was cut short is an error even where decoders would fill in grey. This module reads bytes; it knows no paths, so
//! whoever calls it names the file.
//!
//! - [`Picture`], colours and transparency as people see them
//! - [`decode`], [`decode_mask`], [`size`], from the bytes of a file
//! - [`encode`], [`thumbnail`], to the bytes of a file
//! - [`Provenance`], what a file tells of how its picture came about

mod colours;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod jpeg;
mod png;
mod profile;
mod provenance;
mod sample;
mod samples;
mod tiff;
mod whole;
mod xmp;

use std::io::Cursor;

use atelier_proto::settings::{PictureFormat, fit};
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits,
    RgbImage,
};
use moxcms::ColorProfile;

pub use self::colours::{Colours, Picture, Rgb16Image};
pub use self::error::PictureError;
pub use self::provenance::Provenance;
use self::sample::Space;
use self::samples::{Samples, Stored};

/// Longest side of a picture that is read, pixels.
pub const SIDE_MAX: u32 = 30_000;
/// Most pixels of a picture that is read; as 8-bit RGB they take 600 MB.
pub const PIXELS_MAX: u64 = 200_000_000;
/// Longest picture file that is read, bytes.
pub const BYTES_MAX: u64 = 512 << 20;

/// Long side of a gallery's thumbnails, pixels.
pub const THUMBNAIL_SIDE: u32 = 320;
/// Long side of the larger ones, for screens that show more pixels.
pub const LARGE_THUMBNAIL_SIDE: u32 = 640;
/// Long side of the originals that a gallery shows in its header row and column, pixels.
pub const ORIGINAL_SIDE: u32 = 640;

/// Most memory that one decoder may take, bytes.
pub const DECODER_BYTES_MAX: u64 = 2 << 30;
/// JPEG quality of pictures; nothing of a rendering shows at this one.
const PICTURE_QUALITY: u8 = 95;
/// JPEG quality of thumbnails.
const THUMBNAIL_QUALITY: u8 = 88;

/// Decodes a picture: upright (its EXIF orientation is applied), sRGB (its profile is), straight colours and alpha apart.
///
/// Pictures of more than 8 bits a channel keep 16. CMYK without a profile becomes RGB as viewers show it. Damaged EXIF
/// data and profiles are passed over: a picture that has them is a picture all the same.
pub fn decode(bytes: &[u8]) -> Result<Picture, PictureError> {
    let read = read(bytes)?;
    let (colours, alpha) = read.stored.into_srgb(read.profile.as_ref())?;
    let colours = match colours {
        Colours::Eight(colours) => {
            Colours::Eight(upright(colours.into(), read.orientation).into_rgb8())
        }
        Colours::Sixteen(colours) => {
            Colours::Sixteen(upright(colours.into(), read.orientation).into_rgb16())
        }
    };
    let alpha = alpha.map(|alpha| upright(alpha.into(), read.orientation).into_luma8());
    Ok(Picture::new(colours, alpha))
}

/// Decodes a mask: the luma of a picture, upright; 0 where it is black or transparent, 255 where it is white.
///
/// Its numbers are amounts and not colours, so profiles do not change them.
pub fn decode_mask(bytes: &[u8]) -> Result<GrayImage, PictureError> {
    let read = read(bytes)?;
    let (colours, alpha) = read.stored.into_srgb(None)?;
    let mut mask = match colours {
        Colours::Eight(colours) => DynamicImage::from(colours).into_luma8(),
        Colours::Sixteen(colours) => DynamicImage::from(colours).into_luma8(),
    };
    if let Some(alpha) = alpha {
        for (luma, alpha) in mask.iter_mut().zip(alpha.iter()) {
            *luma = ((u32::from(*luma) * u32::from(*alpha) + 127) / 255) as u8;
        }
    }
    Ok(upright(mask.into(), read.orientation).into_luma8())
}

/// Width and height of a picture, upright, from its header alone.
pub fn size(bytes: &[u8]) -> Result<(u32, u32), PictureError> {
    let (mut decoder, format) = open(bytes)?;
    let (width, height) = decoder.dimensions();
    Ok(match orientation(&mut decoder, format, bytes) {
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

/// A picture as the bytes of a file, tagged as sRGB, with `about` in its metadata.
///
/// PNG has 8 or 16 bits a channel and keeps the alpha; JPEG is of quality 95 without subsampled colour, over white where
/// the picture is transparent. The same picture and provenance give the same bytes.
pub fn encode(
    picture: &Picture,
    format: PictureFormat,
    about: &Provenance,
) -> Result<Vec<u8>, PictureError> {
    let encoded = match format {
        PictureFormat::Jpeg => jpeg::encode(&picture.to_rgb8(), PICTURE_QUALITY, about),
        PictureFormat::Png => png::encode(picture, ::png::BitDepth::Eight, about),
        PictureFormat::Png16 => png::encode(picture, ::png::BitDepth::Sixteen, about),
    };
    encoded.map_err(|source| PictureError::Encode {
        width: picture.width(),
        height: picture.height(),
        source,
    })
}

/// What [`encode`] was told about a picture, from the bytes of its file; nothing from files that others made.
pub fn provenance(bytes: &[u8]) -> Vec<(String, String)> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg::provenance(bytes),
        Ok(ImageFormat::Png) => png::provenance(bytes),
        _ => Vec::new(),
    }
}

/// A JPEG of the picture, reduced so that its long side is at most `long_side` pixels; never enlarged.
pub fn thumbnail(picture: &RgbImage, long_side: u32) -> Result<Vec<u8>, PictureError> {
    let (width, height) = picture.dimensions();
    if width.max(height) <= long_side {
        return encode_thumbnail(picture);
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
    encode_thumbnail(&reduced)
}

fn encode_thumbnail(picture: &RgbImage) -> Result<Vec<u8>, PictureError> {
    let encoded = jpeg::encode(picture, THUMBNAIL_QUALITY, &Provenance::new());
    encoded.map_err(|source| PictureError::Encode {
        width: picture.width(),
        height: picture.height(),
        source,
    })
}

/// What a file holds, decoded and not yet converted.
struct Read {
    stored: Stored,
    profile: Option<ColorProfile>,
    orientation: Orientation,
}

fn read(bytes: &[u8]) -> Result<Read, PictureError> {
    let (mut decoder, format) = open(bytes)?;
    if !whole::is_whole(format, bytes) {
        return Err(PictureError::CutShort);
    }
    let orientation = orientation(&mut decoder, format, bytes);
    let parsed = |embedded: Vec<u8>| profile::parse(&embedded);
    let profile = match format {
        ImageFormat::Png => png::colour_profile(bytes),
        ImageFormat::Tiff => tiff::profile(bytes).and_then(parsed),
        _ => decoder.icc_profile().ok().flatten().and_then(parsed),
    };
    let stored = if let Some(stored) = inks(&decoder, format, bytes)? {
        stored
    } else {
        let image = DynamicImage::from_decoder(decoder).map_err(PictureError::from_decoder)?;
        let premultiplied = format == ImageFormat::Tiff && tiff::is_premultiplied(bytes);
        Stored::new(image, premultiplied)
    };
    Ok(Read {
        stored,
        profile,
        orientation,
    })
}

/// A CMYK picture as its inks; none of any other. `image` knows RGB alone, and takes no profile for the way there.
fn inks(
    decoder: &impl ImageDecoder,
    format: ImageFormat,
    bytes: &[u8],
) -> Result<Option<Stored>, PictureError> {
    let samples = match format {
        ImageFormat::Jpeg if jpeg::has_inks(bytes) => Some(Samples::Eight(jpeg::inks(bytes)?)),
        ImageFormat::Tiff => match decoder.original_color_type() {
            ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16 => tiff::inks(bytes)?,
            _ => None,
        },
        _ => None,
    };
    let (width, height) = decoder.dimensions();
    Ok(samples.map(|samples| Stored {
        width,
        height,
        space: Space::Cmyk,
        samples,
        alpha: None,
    }))
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
    let decoder = reader.into_decoder().map_err(PictureError::from_decoder)?;
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

/// How the camera was held; upright if the file does not say, or not in a way that can be read.
fn orientation(decoder: &mut impl ImageDecoder, format: ImageFormat, bytes: &[u8]) -> Orientation {
    let mut exif = decoder.exif_metadata().ok().flatten();
    if exif.is_none() && format == ImageFormat::Png {
        exif = png::exif(bytes).map(<[u8]>::to_vec);
    }
    match exif {
        Some(exif) => {
            // WebP files have been made with the prefix that belongs to JPEG.
            let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif);
            Orientation::from_exif_chunk(exif)
        }
        None => decoder.orientation().ok(),
    }
    .unwrap_or(Orientation::NoTransforms)
}

fn upright(mut image: DynamicImage, orientation: Orientation) -> DynamicImage {
    image.apply_orientation(orientation);
    image
}

#[cfg(test)]
pub(crate) mod tests;
