//! Colours as their profile means them, and inks.
//!
//! Expected numbers are computed from the definitions: primaries and curve of sRGB (IEC 61966-2-1) and Display P3, L* of
//! CIE 15. Tolerances: one step of 8 bits for tables and fixed point of the colour management; JPEG adds its own.

use ::tiff::encoder::{TiffEncoder, colortype};
use ::tiff::tags::Tag;
use image::{ImageBuffer, ImageEncoder as _};
use jpeg_encoder::ColorType;
use moxcms::{DataColorSpace, LutDataType, LutStore, LutType, LutWarehouse, ProfileClass};

use super::*;

const P3_COLOUR: [u8; 3] = [180, 100, 60];
const P3_COLOUR_IN_SRGB: [u8; 3] = [193, 95, 49];
/// Half the light, in numbers proportional to light and in sRGB.
const HALF: u8 = 128;
const HALF_IN_SRGB: u8 = 188;

fn one_colour(colour: [u8; 3]) -> RgbImage {
    RgbImage::from_pixel(16, 16, Rgb(colour))
}

fn assert_within(picture: &RgbImage, colour: [u8; 3], steps: u8, what: &str) {
    let found = picture.get_pixel(picture.width() / 2, picture.height() / 2);
    let is_within = found
        .0
        .iter()
        .zip(colour)
        .all(|(found, wanted)| found.abs_diff(wanted) <= steps);
    assert!(is_within, "{what}: {found:?} instead of {colour:?}");
}

/// The picture with a profile in its metadata.
pub(super) fn tagged(
    picture: impl Into<DynamicImage>,
    format: ImageFormat,
    profile: &[u8],
) -> Vec<u8> {
    let picture: DynamicImage = picture.into();
    let mut bytes = Vec::new();
    let profile = profile.to_vec();
    match format {
        ImageFormat::Jpeg => {
            let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 100);
            encoder.set_icc_profile(profile).unwrap();
            picture.write_with_encoder(encoder).unwrap();
        }
        ImageFormat::Png => {
            let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
            encoder.set_icc_profile(profile).unwrap();
            picture.write_with_encoder(encoder).unwrap();
        }
        ImageFormat::WebP => {
            let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut bytes);
            encoder.set_icc_profile(profile).unwrap();
            picture.write_with_encoder(encoder).unwrap();
        }
        _ => {
            let mut file = Cursor::new(&mut bytes);
            let mut encoder = TiffEncoder::new(&mut file).unwrap();
            let mut image = encoder
                .new_image::<colortype::RGB8>(picture.width(), picture.height())
                .unwrap();
            let tags = image.encoder();
            tags.write_tag(Tag::IccProfile, &profile[..]).unwrap();
            image.write_data(picture.as_bytes()).unwrap();
        }
    }
    bytes
}

/// A profile whose numbers are proportional to light.
pub(super) fn linear() -> ColorProfile {
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    let curve = moxcms::ToneReprCurve::Lut(Vec::new());
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
    profile
}

#[test]
fn a_profile_is_applied_in_every_format() {
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Tiff,
    ] {
        let bytes = tagged(one_colour(P3_COLOUR), format, &profile);
        let steps = if format == ImageFormat::Jpeg { 3 } else { 1 };
        let picture = decoded(&bytes);
        assert_within(&picture, P3_COLOUR_IN_SRGB, steps, &format!("{format:?}"));
    }
}

#[test]
fn a_profile_with_red_and_green_exchanged_exchanges_them() {
    let mut profile = ColorProfile::new_srgb();
    std::mem::swap(&mut profile.red_colorant, &mut profile.green_colorant);
    // More pixels than are converted at a time, and a different colour in the last of them.
    let mut picture = RgbImage::from_pixel(9_001, 1, Rgb([200, 100, 50]));
    picture.put_pixel(9_000, 0, Rgb([10, 250, 90]));
    let bytes = tagged(picture, ImageFormat::Png, &profile.encode().unwrap());
    let picture = decoded(&bytes);
    assert_within(&picture, [100, 200, 50], 1, "the middle");
    let last = picture.get_pixel(9_000, 0);
    assert!(
        last.0
            .iter()
            .zip([250, 10, 90])
            .all(|(a, b)| a.abs_diff(b) <= 1),
        "{last:?}"
    );
}

#[test]
fn a_profile_of_srgb_changes_no_bit() {
    let every = RgbImage::from_fn(64, 64, |x, y| {
        Rgb([(x * 4) as u8, (y * 4) as u8, (x * y) as u8])
    });
    let profile = ColorProfile::new_srgb().encode().unwrap();
    let bytes = tagged(every.clone(), ImageFormat::Png, &profile);
    assert_eq!(decoded(&bytes), every);
}

#[test]
fn sixteen_bits_keep_their_precision_through_a_profile() {
    let deep: ImageBuffer<Rgb<u16>, Vec<u16>> =
        ImageBuffer::from_pixel(4, 4, Rgb(P3_COLOUR.map(|channel| u16::from(channel) * 257)));
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let picture = decode(&tagged(deep, ImageFormat::Png, &profile)).unwrap();
    let Colours::Sixteen(colours) = picture.colours() else {
        panic!("lost its depth");
    };
    // A quarter of a step of 8 bits: the tables of the colour management have 16 bits.
    let found = colours.get_pixel(3, 3).0;
    let wanted = [49_482, 24_330, 12_577];
    assert!(
        found
            .iter()
            .zip(wanted)
            .all(|(found, wanted)| found.abs_diff(wanted) < 64),
        "{found:?} instead of {wanted:?}"
    );
}

#[test]
fn grey_is_converted_by_profiles_of_grey_and_of_rgb() {
    let grey = GrayImage::from_pixel(16, 16, Luma([HALF]));
    let of_grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let of_rgb = linear().encode().unwrap();
    for (profile, what) in [(of_grey, "profile of grey"), (of_rgb, "profile of RGB")] {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let bytes = tagged(grey.clone(), format, &profile);
            assert_within(&decoded(&bytes), [HALF_IN_SRGB; 3], 1, what);
        }
    }
    // With alpha, which no profile touches.
    let clear: ImageBuffer<LumaA<u8>, Vec<u8>> = ImageBuffer::from_pixel(4, 4, LumaA([HALF, HALF]));
    let profile = linear().encode().unwrap();
    let picture = decode(&tagged(clear, ImageFormat::Png, &profile)).unwrap();
    assert_within(&picture.colours().to_rgb8(), [HALF_IN_SRGB; 3], 1, "alpha");
    assert_eq!(picture.alpha().unwrap().get_pixel(2, 2), &Luma([HALF]));
}

#[test]
fn chunks_of_png_count_by_their_rank() {
    let png = |colour| written(one_colour(colour), ImageFormat::Png);
    let gamma = |png: &[u8], gamma: u32| with_chunk(png, 33, *b"gAMA", &gamma.to_be_bytes());
    let grey = [HALF; 3];
    let linear = gamma(&png(grey), 100_000);
    assert_within(&decoded(&linear), [HALF_IN_SRGB; 3], 1, "gAMA");
    assert!(decoded(&gamma(&png(grey), 45_455)) == one_colour(grey));
    let srgb = with_chunk(&linear, 33, *b"sRGB", &[0]);
    assert!(decoded(&srgb) == one_colour(grey));

    let p3 = with_chunk(&png(P3_COLOUR), 33, *b"cICP", &[12, 13, 0, 1]);
    assert_within(&decoded(&p3), P3_COLOUR_IN_SRGB, 1, "cICP");
    assert_within(
        &decoded(&with_chunk(&p3, 33, *b"sRGB", &[0])),
        P3_COLOUR_IN_SRGB,
        1,
        "cICP before sRGB",
    );
    let bright = with_chunk(&png(P3_COLOUR), 33, *b"cICP", &[9, 18, 0, 1]);
    assert!(decoded(&bright) == one_colour(P3_COLOUR));

    let points = |points: [u32; 8]| points.map(u32::to_be_bytes).concat();
    let p3 = points([
        31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000,
    ]);
    let p3 = with_chunk(&png(P3_COLOUR), 33, *b"cHRM", &p3);
    assert_within(&decoded(&p3), P3_COLOUR_IN_SRGB, 1, "cHRM");
    for nowhere in [points([0; 8]), points([31_270; 8])] {
        let nowhere = with_chunk(&png(P3_COLOUR), 33, *b"cHRM", &nowhere);
        assert!(decoded(&nowhere) == one_colour(P3_COLOUR));
    }
}

#[test]
fn a_profile_that_is_damaged_or_of_another_kind_is_passed_over() {
    let whole = ColorProfile::new_display_p3().encode().unwrap();
    for kept in [0, 1, 100, 131, 200, whole.len() - 40] {
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let bytes = tagged(one_colour(P3_COLOUR), format, &whole[..kept]);
            assert!(decoded(&bytes) == one_colour(P3_COLOUR), "{kept} bytes");
        }
    }
    for profile in [
        of_inks(LutType::Lut16),
        ColorProfile::new_gray_with_gamma(1.0).encode().unwrap(),
    ] {
        let bytes = tagged(one_colour(P3_COLOUR), ImageFormat::Png, &profile);
        assert!(decoded(&bytes) == one_colour(P3_COLOUR));
    }
}

/// Pixels of one ink each, and their colours as viewers show them.
const INKS: [([u8; 4], [u8; 3]); 6] = [
    ([0, 0, 0, 0], [255, 255, 255]),
    ([255, 0, 0, 0], [0, 255, 255]),
    ([0, 255, 0, 0], [255, 0, 255]),
    ([0, 0, 255, 0], [255, 255, 0]),
    ([0, 0, 0, 255], [0, 0, 0]),
    // 255 · (1 - 51/255) · (1 - 128/255)
    ([51, 0, 0, 128], [102, 127, 127]),
];

/// A profile of inks that no printer has: cyan is L* 50, magenta L* 20, both grey; more ink is black, and the others too.
pub(super) fn of_inks(lut_type: LutType) -> Vec<u8> {
    // L* 100 and a* = b* = 0 in tables of 16 and of 8 bits (ICC.1:2022, sections 10.10 and 10.11).
    let (white, neutral, steps) = match lut_type {
        LutType::Lut16 => (0xFF00, 0x8000, 2),
        _ => (0xFF, 0x80, 256),
    };
    let store = |values: Vec<u32>| match lut_type {
        LutType::Lut16 => LutStore::Store16(values.into_iter().map(|it| it as u16).collect()),
        _ => LutStore::Store8(values.into_iter().map(|it| it as u8).collect()),
    };
    let straight = |channels| {
        let max = if steps == 2 { 0xFFFF } else { 0xFF };
        let curve: Vec<u32> = (0..steps).map(|step| step * max / (steps - 1)).collect();
        store(curve.repeat(channels))
    };
    // Cyan varies slowest.
    let lightness = |corner| match corner {
        0b0000 => white,
        0b1000 => white / 2,
        0b0100 => white / 5,
        _ => 0,
    };
    let clut = (0..16).flat_map(|corner| [lightness(corner), neutral, neutral]);
    let table = LutDataType {
        num_input_channels: 4,
        num_output_channels: 3,
        num_clut_grid_points: 2,
        matrix: moxcms::Matrix3d::IDENTITY,
        num_input_table_entries: steps as u16,
        num_output_table_entries: steps as u16,
        input_table: straight(4),
        clut_table: store(clut.collect()),
        output_table: straight(3),
        lut_type,
    };
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    profile.red_trc = None;
    profile.green_trc = None;
    profile.blue_trc = None;
    profile.red_colorant = moxcms::Xyzd::default();
    profile.green_colorant = moxcms::Xyzd::default();
    profile.blue_colorant = moxcms::Xyzd::default();
    profile.description = None;
    profile.copyright = None;
    profile.profile_class = ProfileClass::OutputDevice;
    profile.color_space = DataColorSpace::Cmyk;
    profile.pcs = DataColorSpace::Lab;
    profile.lut_a_to_b_perceptual = Some(LutWarehouse::Lut(table));
    let mut bytes = profile.encode().unwrap();
    if let Some(table) = bytes.windows(4).position(|kind| kind == b"mft1") {
        // This writer gives tables of 8 bits the counts of entries that only those of 16 have. Nothing stands behind.
        bytes.drain(table + 48..table + 52);
        bytes.extend([0; 4]);
    }
    bytes
}

/// What [`of_inks`] makes of the first three of [`INKS`].
const BY_PROFILE: [[u8; 3]; 3] = [[255; 3], [119; 3], [48; 3]];

pub(super) fn ink_jpeg(inks: [u8; 4], kind: ColorType, profile: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 100);
    if let Some(profile) = profile {
        encoder.add_icc_profile(profile).unwrap();
    }
    encoder.encode(&inks.repeat(16 * 16), 16, 16, kind).unwrap();
    bytes
}

/// The same file without Adobe's segment.
pub(super) fn without_adobe(jpeg: &[u8]) -> Vec<u8> {
    let at = jpeg
        .windows(2)
        .position(|pair| pair == [0xFF, 0xEE])
        .unwrap();
    let length = usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
    [&jpeg[..at], &jpeg[at + 2 + length..]].concat()
}

#[test]
fn inks_of_a_jpeg_are_read_inverted_or_not() {
    for (inks, colour) in INKS {
        // This encoder writes as Adobe does: light instead of ink.
        for kind in [ColorType::Cmyk, ColorType::CmykAsYcck] {
            let picture = decoded(&ink_jpeg(inks, kind, None));
            assert_within(&picture, colour, 3, &format!("{inks:?} {kind:?}"));
        }
        let light = inks.map(|ink| 255 - ink);
        let plain = without_adobe(&ink_jpeg(light, ColorType::Cmyk, None));
        assert_within(&decoded(&plain), colour, 3, &format!("{inks:?} plain"));
    }
}

#[test]
fn inks_are_converted_by_their_profile() {
    for (lut_type, version) in [
        (LutType::Lut16, 2),
        (LutType::Lut16, 4),
        (LutType::Lut8, 2),
        (LutType::Lut8, 4),
    ] {
        let mut profile = of_inks(lut_type);
        profile[8] = version;
        for ((inks, _), colour) in INKS.into_iter().zip(BY_PROFILE) {
            let what = format!("{inks:?} by {lut_type:?} of version {version}");
            for kind in [ColorType::Cmyk, ColorType::CmykAsYcck] {
                let picture = decoded(&ink_jpeg(inks, kind, Some(&profile)));
                assert_within(&picture, colour, 3, &what);
            }
            let tiff = ink_tiff(inks, Some(&profile));
            assert_within(&decoded(&tiff), colour, 1, &what);
        }
    }
}

pub(super) fn ink_tiff(inks: [u8; 4], profile: Option<&[u8]>) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let mut image = encoder.new_image::<colortype::CMYK8>(16, 16).unwrap();
    if let Some(profile) = profile {
        let tags = image.encoder();
        tags.write_tag(Tag::IccProfile, profile).unwrap();
    }
    image.write_data(&inks.repeat(16 * 16)).unwrap();
    file.into_inner()
}

#[test]
fn inks_of_a_tiff_are_read_in_either_depth() {
    for (inks, colour) in INKS {
        assert_within(&decoded(&ink_tiff(inks, None)), colour, 1, "8 bits");
        let mut file = Cursor::new(Vec::new());
        let deep = inks.map(|ink| u16::from(ink) * 257).repeat(4);
        TiffEncoder::new(&mut file)
            .unwrap()
            .write_image::<colortype::CMYK16>(2, 2, &deep)
            .unwrap();
        let picture = decode(&file.into_inner()).unwrap();
        assert!(matches!(picture.colours(), Colours::Sixteen(_)));
        assert_within(&picture.to_rgb8(), colour, 1, "16 bits");
    }
}
