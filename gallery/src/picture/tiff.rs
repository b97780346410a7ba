//! TIFF files, where they hold more than `image` tells: profiles, inks, and colours multiplied by alpha.

use std::io::Cursor;

use image::ImageFormat;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{TiffError, TiffResult};

use super::DECODER_BYTES_MAX;
use super::error::PictureError;
use super::samples::Samples;

fn decoder(bytes: &[u8]) -> TiffResult<Decoder<Cursor<&[u8]>>> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = DECODER_BYTES_MAX as usize;
    limits.intermediate_buffer_size = DECODER_BYTES_MAX as usize;
    limits.ifd_value_size = DECODER_BYTES_MAX as usize;
    Ok(Decoder::new(Cursor::new(bytes))?.with_limits(limits))
}

/// The embedded profile. `image` gives none of a picture that takes less memory than its profile.
pub(super) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    decoder(bytes).ok()?.get_tag_u8_vec(Tag::IccProfile).ok()
}

/// The inks of a CMYK picture, interleaved: four a pixel, the largest number is full ink. None if each ink has a plane of
/// its own.
pub(super) fn inks(bytes: &[u8]) -> Result<Option<Samples>, PictureError> {
    let read = || -> TiffResult<Option<Samples>> {
        let mut decoder = decoder(bytes)?;
        if decoder.image_buffer_layout()?.planes > 1 {
            return Ok(None);
        }
        Ok(match decoder.read_image()? {
            DecodingResult::U8(samples) => Some(Samples::Eight(samples)),
            DecodingResult::U16(samples) => Some(Samples::Sixteen(samples)),
            _ => None,
        })
    };
    read().map_err(|error| match error {
        TiffError::IoError(_) => PictureError::CutShort,
        TiffError::LimitsExceeded => PictureError::TooMuchMemory,
        error => PictureError::damaged(ImageFormat::Tiff, error),
    })
}

/// Whether colours are stored multiplied by their alpha: the first extra sample is "associated" (TIFF 6.0, section 18).
pub(super) fn is_premultiplied(bytes: &[u8]) -> bool {
    const ASSOCIATED: u16 = 1;
    decoder(bytes)
        .and_then(|mut decoder| decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples))
        .is_ok_and(|extra| extra.is_some_and(|extra| extra.first() == Some(&ASSOCIATED)))
}
