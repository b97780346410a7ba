//! PNG files: what they say of their colours, and pictures written with their provenance.

use std::io::Cursor;

use image::{ImageError, ImageResult};
use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile,
    MatrixCoefficients, ToneReprCurve, TransferCharacteristics,
};
use png::{BitDepth, ColorType, Compression, Filter, Info, SrgbRenderingIntent};

use super::colours::Picture;
use super::provenance::Provenance;
use super::sample::Sample as _;
use super::{DECODER_BYTES_MAX, profile};

/// Gamma that stands for sRGB, whose curve it comes near (PNG third edition, section 11.3.2.5), in 100,000ths.
const SRGB_GAMMA: u32 = 45_455;

/// What the file says before its pixels begin; none if it is damaged.
fn info(bytes: &[u8]) -> Option<Info<'static>> {
    let limits = png::Limits {
        bytes: DECODER_BYTES_MAX as usize,
    };
    let decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    Some(decoder.read_info().ok()?.info().clone())
}

/// The profile of its colours by the chunk that counts: cICP, iCCP, sRGB, then gAMA and cHRM (PNG third edition, section 4.3).
///
/// None means sRGB. Curves for bright screens (PQ and HLG) are passed over: a rendering has no use for light beyond white.
pub(super) fn colour_profile(bytes: &[u8]) -> Option<ColorProfile> {
    let info = info(bytes)?;
    if let Some(profile) = code_points(&info) {
        return Some(profile);
    }
    if let Some(profile) = &info.icc_profile {
        return profile::parse(profile);
    }
    if info.srgb.is_some() {
        return None;
    }
    measured(&info)
}

/// The profile of a cICP chunk.
fn code_points(info: &Info) -> Option<ColorProfile> {
    let points = info.coding_independent_code_points?;
    let color_primaries = CicpColorPrimaries::try_from(points.color_primaries).ok()?;
    let transfer_characteristics =
        TransferCharacteristics::try_from(points.transfer_function).ok()?;
    if matches!(
        transfer_characteristics,
        TransferCharacteristics::Smpte2084 | TransferCharacteristics::Hlg
    ) || !points.is_video_full_range_image
    {
        return None;
    }
    let profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries,
        transfer_characteristics,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    profile.is_matrix_shaper().then_some(profile)
}

/// The profile of a gAMA and a cHRM chunk; either may be missing.
fn measured(info: &Info) -> Option<ColorProfile> {
    let gamma = info.gama_chunk.map(png::ScaledFloat::into_scaled);
    let gamma = gamma.filter(|gamma| !(SRGB_GAMMA - 500..=SRGB_GAMMA + 500).contains(gamma));
    if gamma.is_none() && info.chrm_chunk.is_none() {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    // Its code points would count for more than the curves.
    profile.cicp = None;
    if let Some(gamma) = gamma {
        let curve = ToneReprCurve::Parametric(vec![1e5 / gamma.max(1) as f32]);
        profile.red_trc = Some(curve.clone());
        profile.green_trc = Some(curve.clone());
        profile.blue_trc = Some(curve);
    }
    if let Some(chromaticities) = info.chrm_chunk {
        let point = |(x, y): (png::ScaledFloat, png::ScaledFloat)| {
            let (x, y) = (x.into_value(), y.into_value());
            // A point that is none would not describe any colour.
            (y > 0.0 && x + y <= 1.0).then_some(Chromaticity::new(x, y))
        };
        let white = point(chromaticities.white)?;
        let primaries = ColorPrimaries {
            red: point(chromaticities.red)?,
            green: point(chromaticities.green)?,
            blue: point(chromaticities.blue)?,
        };
        // Neither would three points on one line, which span no colours: twice the area of their triangle.
        let (red, green, blue) = (primaries.red, primaries.green, primaries.blue);
        let area = (green.x - red.x) * (blue.y - red.y) - (blue.x - red.x) * (green.y - red.y);
        if area.abs() < 1e-3 {
            return None;
        }
        profile.update_rgb_colorimetry(white.to_xyyb(), primaries);
    }
    Some(profile)
}

/// The EXIF data, which some programs put behind the pixels, where decoders do not look for it.
pub(super) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 8;
    loop {
        let (length, rest) = bytes.get(at..)?.split_first_chunk()?;
        let length = u32::from_be_bytes(*length) as usize;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        if kind == b"eXIf" {
            return rest.get(..length);
        }
        // Length, kind and checksum.
        at = at.checked_add(length)?.checked_add(12)?;
    }
}

/// The picture as a PNG of eight or sixteen bits a channel, with its alpha, tagged as sRGB.
pub(super) fn encode(
    picture: &Picture,
    depth: BitDepth,
    about: &Provenance,
) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut info = Info::with_size(picture.width(), picture.height());
    info.bit_depth = depth;
    info.color_type = match picture.alpha() {
        Some(_) => ColorType::Rgba,
        None => ColorType::Rgb,
    };
    info.srgb = Some(SrgbRenderingIntent::Perceptual);
    // For programs that know these and not the other, as the standard recommends.
    info.source_gamma = Some(png::ScaledFloat::from_scaled(SRGB_GAMMA));
    info.source_chromaticities = Some(png::SourceChromaticities::new(
        (0.3127, 0.3290),
        (0.64, 0.33),
        (0.30, 0.60),
        (0.15, 0.06),
    ));
    let mut encoder = png::Encoder::with_info(&mut bytes, info).map_err(failed)?;
    encoder.set_compression(Compression::Fast);
    encoder.set_filter(Filter::Adaptive);
    for (keyword, text) in about.pairs() {
        encoder
            .add_itxt_chunk(keyword.clone(), text.clone())
            .map_err(failed)?;
    }
    let mut writer = encoder.write_header().map_err(failed)?;
    writer
        .write_image_data(&pixels(picture, depth))
        .map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// The bytes of the pixels as PNG orders them: alpha behind the colours, the high byte of sixteen bits first.
fn pixels(picture: &Picture, depth: BitDepth) -> Vec<u8> {
    if depth == BitDepth::Sixteen {
        let colours = picture.colours().to_rgb16();
        let samples = with_alpha(&colours, picture, u8::to_sixteen);
        return samples.into_iter().flat_map(u16::to_be_bytes).collect();
    }
    let colours = picture.colours().to_rgb8();
    with_alpha(&colours, picture, u8::to_eight)
}

fn with_alpha<S: Copy>(colours: &[S], picture: &Picture, widen: fn(u8) -> S) -> Vec<S> {
    let Some(alpha) = picture.alpha() else {
        return colours.to_vec();
    };
    let pixels = colours.as_chunks::<3>().0.iter().zip(alpha.iter());
    pixels
        .flat_map(|(&[red, green, blue], alpha)| [red, green, blue, widen(*alpha)])
        .collect()
}

fn failed(error: png::EncodingError) -> ImageError {
    ImageError::IoError(error.into())
}

/// The texts that stand before the pixels, uncompressed as [`encode`] writes them.
pub(super) fn provenance(bytes: &[u8]) -> Vec<(String, String)> {
    let Some(info) = info(bytes) else {
        return Vec::new();
    };
    info.utf8_text
        .iter()
        .filter(|chunk| !chunk.compressed)
        .filter_map(|chunk| Some((chunk.keyword.clone(), chunk.get_text().ok()?)))
        .collect()
}
