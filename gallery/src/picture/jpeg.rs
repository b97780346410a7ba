//! JPEG files: their segments, four inks, and pictures written with a profile and their provenance.

use image::codecs::jpeg::JpegEncoder;
use image::{ImageEncoder as _, ImageFormat, ImageResult, RgbImage};
use moxcms::ColorProfile;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::error::PictureError;
use super::provenance::Provenance;
use super::{SIDE_MAX, xmp};

const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP14: u8 = 0xEE;
const END_OF_IMAGE: u8 = 0xD9;
/// What an APP1 segment with XMP begins with (XMP specification part 3, section 1.1.3).
const XMP_NAMESPACE: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// Most bytes of XMP: a segment's length, two bytes that count themselves, less the namespace.
const XMP_BYTES_MAX: usize = 65_535 - 2 - XMP_NAMESPACE.len();

/// A segment of a JPEG: its marker's second byte, and what it holds.
struct Segment<'a> {
    marker: u8,
    payload: &'a [u8],
}

/// The segments up to the end of the image, or to where the file ends (ITU-T T.81, annex B).
///
/// Searching the file for a marker's bytes would not do: cameras put a small JPEG of its own into the EXIF segment and
/// whole files behind the end.
fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut at = Some(2);
    std::iter::from_fn(move || {
        let start = at?;
        // The next marker: 0xFF and a byte that is neither a fill byte, a stuffed zero nor a restart.
        let offset = bytes
            .get(start..)?
            .windows(2)
            .position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xFF | 0xD0..=0xD7))?;
        let after = start + offset + 2;
        let marker = bytes[after - 1];
        if marker == END_OF_IMAGE {
            at = None;
            let payload = &[];
            return Some(Segment { marker, payload });
        }
        let &[high, low] = bytes.get(after..after + 2)? else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low])).max(2);
        at = Some(after + length);
        let payload = bytes.get(after + 2..after + length).unwrap_or(&[]);
        Some(Segment { marker, payload })
    })
}

/// Whether the file goes on to the end of its image.
pub(super) fn has_end(bytes: &[u8]) -> bool {
    segments(bytes).any(|segment| segment.marker == END_OF_IMAGE)
}

/// Whether the picture has four components, which are inks.
pub(super) fn has_inks(bytes: &[u8]) -> bool {
    // Frame headers but for those markers in between that say something else; their sixth byte counts components.
    let is_frame = |segment: &Segment| {
        matches!(segment.marker, 0xC0..=0xCF) && !matches!(segment.marker, 0xC4 | 0xC8 | 0xCC)
    };
    segments(bytes)
        .find(is_frame)
        .is_some_and(|frame| frame.payload.get(5) == Some(&4))
}

/// The inks of a CMYK or YCCK picture: four a pixel, 255 is full ink.
///
/// Files with Adobe's APP14 segment, which is to say nearly all, store how much light is left instead of how much ink
/// there is (ITU-T T.872); the decoder gives what is stored.
pub(super) fn inks(bytes: &[u8]) -> Result<Vec<u8>, PictureError> {
    let damaged = |error| PictureError::damaged(ImageFormat::Jpeg, error);
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(SIDE_MAX as usize)
        .set_max_height(SIDE_MAX as usize);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let stored_space = decoder.input_colorspace().unwrap_or(ColorSpace::CMYK);
    decoder.set_options(options.jpeg_set_out_colorspace(stored_space));
    let mut stored = decoder.decode().map_err(damaged)?;
    if stored_space == ColorSpace::YCCK {
        stored.as_chunks_mut::<4>().0.iter_mut().for_each(to_cmyk);
    }
    let is_inverted = segments(bytes)
        .any(|segment| segment.marker == APP14 && segment.payload.starts_with(b"Adobe"));
    if is_inverted {
        for sample in &mut stored {
            *sample = 255 - *sample;
        }
    }
    Ok(stored)
}

/// YCCK to CMYK: the complement of RGB by the matrix of JFIF, and black as it is.
fn to_cmyk(pixel: &mut [u8; 4]) {
    let [luma, blue, red, _] = pixel.map(f32::from);
    let (blue, red) = (blue - 128.0, red - 128.0);
    let light = [
        luma + 1.402 * red,
        luma - 0.344_136 * blue - 0.714_136 * red,
        luma + 1.772 * blue,
    ];
    for (sample, light) in pixel.iter_mut().zip(light) {
        *sample = 255 - light.round().clamp(0.0, 255.0) as u8;
    }
}

/// The picture as a JPEG without subsampled colour, tagged as sRGB.
pub(super) fn encode(picture: &RgbImage, quality: u8, about: &Provenance) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    if let Some(profile) = srgb_profile() {
        // An encoder that could not would say so in its documentation; the picture is sRGB without the tag, too.
        let _ = encoder.set_icc_profile(profile);
    }
    encoder.encode_image(picture)?;
    if !about.is_empty() {
        insert_xmp(&mut bytes, &xmp::write(about, XMP_BYTES_MAX));
    }
    Ok(bytes)
}

/// A small ICC profile that says sRGB; the same bytes whenever it is made.
fn srgb_profile() -> Option<Vec<u8>> {
    /// Where the header has the time of making (ICC.1:2022, table 17), and 1 January 2026 in its form.
    const MADE_AT: std::ops::Range<usize> = 24..36;
    const MADE: [u8; 12] = [0x07, 0xEA, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0];
    let mut profile = ColorProfile::new_srgb();
    // Says the same as the curves, in a tag that few programs know.
    profile.cicp = None;
    // Version 4 describes colours as adapted to its white; the white of the medium then is that one.
    profile.media_white_point = Some(profile.white_point);
    let mut bytes = profile.encode().ok()?;
    bytes.get_mut(MADE_AT)?.copy_from_slice(&MADE);
    Some(bytes)
}

/// Puts XMP behind the JFIF segment, which has to be the first.
fn insert_xmp(bytes: &mut Vec<u8>, packet: &str) {
    let at = match segments(bytes).next() {
        Some(first) if first.marker == APP0 => 2 + 4 + first.payload.len(),
        _ => 2,
    };
    let length = (2 + XMP_NAMESPACE.len() + packet.len()) as u16;
    let mut segment = vec![0xFF, APP1];
    segment.extend_from_slice(&length.to_be_bytes());
    segment.extend_from_slice(XMP_NAMESPACE);
    segment.extend_from_slice(packet.as_bytes());
    bytes.splice(at..at, segment);
}

/// What [`encode`] wrote about the picture.
pub(super) fn provenance(bytes: &[u8]) -> Vec<(String, String)> {
    segments(bytes)
        .filter(|segment| segment.marker == APP1)
        .filter_map(|segment| segment.payload.strip_prefix(XMP_NAMESPACE))
        .filter_map(|packet| std::str::from_utf8(packet).ok())
        .map(xmp::read)
        .find(|pairs| !pairs.is_empty())
        .unwrap_or_default()
}
