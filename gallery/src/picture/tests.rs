//! Pictures as people have them: turned, grey, transparent, cut short, vast.

mod colour;
mod output;
pub(crate) mod seeds;

use image::{GrayImage, ImageBuffer, Luma, LumaA, Rgb, Rgba, RgbaImage};

use super::*;

/// Red on the left, blue on the right, 32 × 16: its turns differ.
fn sample() -> RgbImage {
    RgbImage::from_fn(32, 16, |x, _| {
        if x < 16 {
            Rgb([250, 5, 5])
        } else {
            Rgb([5, 5, 250])
        }
    })
}

fn written(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture: DynamicImage = picture.into();
    picture
        .write_to(&mut Cursor::new(&mut bytes), format)
        .unwrap();
    bytes
}

/// Encoded without a story.
fn encoded(picture: impl Into<Picture>, format: PictureFormat) -> Vec<u8> {
    encode(&picture.into(), format, &Provenance::new()).unwrap()
}

fn decoded(bytes: &[u8]) -> RgbImage {
    let picture = decode(bytes).unwrap();
    assert!(matches!(picture.colours(), Colours::Eight(_)));
    assert_eq!(picture.alpha(), None);
    picture.into_rgb8()
}

fn is_near(left: Rgb<u8>, right: [u8; 3]) -> bool {
    left.0
        .iter()
        .zip(right)
        .all(|(left, right)| left.abs_diff(right) < 12)
}

/// EXIF data of one entry: orientation 6, "turn me a quarter clockwise".
const TURN_ME: &[u8] = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

/// The same JPEG with a segment behind its start.
fn with_segment(jpeg: &[u8], marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xFF, marker], &length, payload, &jpeg[2..]].concat()
}

/// The checksum of PNG chunks (<https://www.w3.org/TR/png-3/#5CRC-algorithm>).
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let sum = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 }
        })
    });
    (!sum).to_be_bytes()
}

/// The same PNG with a chunk at a place: behind the header is 33, before the end is 12 from the end.
fn with_chunk(png: &[u8], at: usize, kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    let named = [&kind, data].concat();
    [&png[..at], &length, &named, &checksum(&named), &png[at..]].concat()
}

/// `sample` turned a quarter clockwise: what was left is on top.
fn assert_turned(bytes: &[u8], what: &str) {
    assert_eq!(size(bytes).unwrap(), (16, 32), "{what}");
    let picture = decoded(bytes);
    assert_eq!(picture.dimensions(), (16, 32), "{what}");
    assert!(is_near(*picture.get_pixel(8, 2), [250, 5, 5]), "{what}");
    assert!(is_near(*picture.get_pixel(8, 29), [5, 5, 250]), "{what}");
}

#[test]
fn a_turned_photo_is_made_upright() {
    let jpeg = encoded(sample(), PictureFormat::Jpeg);
    let exif = [b"Exif\0\0", TURN_ME].concat();
    assert_turned(&with_segment(&jpeg, 0xE1, &exif), "JPEG");
    let png = written(sample(), ImageFormat::Png);
    assert_turned(&with_chunk(&png, 33, *b"eXIf", TURN_ME), "PNG");
    let behind = with_chunk(&png, png.len() - 12, *b"eXIf", TURN_ME);
    assert_turned(&behind, "PNG with EXIF data behind its pixels");
    // What cannot be read as EXIF data does not cost the picture.
    let damaged = with_chunk(&png, 33, *b"eXIf", &TURN_ME[..11]);
    assert_eq!(decoded(&damaged), sample());
}

#[test]
fn a_turned_picture_takes_its_transparency_along() {
    let mut picture = RgbaImage::from_pixel(3, 2, Rgba([9, 8, 7, 255]));
    picture.put_pixel(0, 0, Rgba([1, 2, 3, 40]));
    let png = written(picture, ImageFormat::Png);
    let turned = decode(&with_chunk(&png, 33, *b"eXIf", TURN_ME)).unwrap();
    // The upper left corner goes to the upper right.
    assert_eq!(turned.dimensions(), (2, 3));
    let alpha = turned.alpha().unwrap();
    assert_eq!(alpha.as_raw(), &[255, 40, 255, 255, 255, 255]);
    assert_eq!(turned.colours().to_rgb8().get_pixel(1, 0), &Rgb([1, 2, 3]));
}

#[test]
fn grey_and_deep_pictures_become_rgb_of_their_depth() {
    let grey = written(GrayImage::from_pixel(3, 2, Luma([77])), ImageFormat::Png);
    assert_eq!(decoded(&grey).get_pixel(2, 1), &Rgb([77; 3]));
    let grey = written(GrayImage::from_pixel(16, 8, Luma([77])), ImageFormat::Jpeg);
    assert_eq!(decoded(&grey).get_pixel(2, 1), &Rgb([77; 3]));
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let deep: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_pixel(3, 2, Luma([40_001]));
        let deep = decode(&written(deep, format)).unwrap();
        let Colours::Sixteen(colours) = deep.colours() else {
            panic!("{format:?} lost its depth");
        };
        assert_eq!(colours.get_pixel(2, 1), &Rgb([40_001; 3]));
        assert_eq!(deep.to_rgb8().get_pixel(2, 1), &Rgb([156; 3]));
    }
}

#[test]
fn transparency_stands_apart_and_hidden_colours_are_white() {
    let mut picture = RgbaImage::from_pixel(2, 1, Rgba([200, 0, 0, 0]));
    picture.put_pixel(1, 0, Rgba([200, 0, 100, 128]));
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        let picture = decode(&written(picture.clone(), format)).unwrap();
        let colours = picture.colours().to_rgb8();
        assert_eq!(colours.get_pixel(0, 0), &Rgb([255; 3]), "{format:?}");
        assert_eq!(colours.get_pixel(1, 0), &Rgb([200, 0, 100]), "{format:?}");
        assert_eq!(picture.alpha().unwrap().as_raw(), &[0, 128]);
        // Over white: 200 · 128/255 + 127 and so on.
        assert_eq!(picture.to_rgb8().get_pixel(1, 0), &Rgb([227, 127, 177]));
    }
    let grey: ImageBuffer<LumaA<u8>, Vec<u8>> = ImageBuffer::from_pixel(2, 1, LumaA([80, 51]));
    let grey = decode(&written(grey, ImageFormat::Png)).unwrap();
    assert_eq!(grey.colours().to_rgb8().get_pixel(1, 0), &Rgb([80, 80, 80]));
    assert_eq!(grey.alpha().unwrap().as_raw(), &[51, 51]);
    let opaque = RgbaImage::from_pixel(2, 1, Rgba([200, 0, 0, 255]));
    let opaque = written(opaque, ImageFormat::Png);
    assert_eq!(decoded(&opaque).get_pixel(1, 0), &Rgb([200, 0, 0]));
}

#[test]
fn a_palette_is_looked_up_with_its_transparency() {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, 4, 1);
    encoder.set_color(::png::ColorType::Indexed);
    encoder.set_depth(::png::BitDepth::Two);
    encoder.set_palette(vec![10, 20, 30, 200, 100, 0, 7, 7, 7]);
    encoder.set_trns(vec![255, 100]);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[0b00_01_10_01]).unwrap();
    writer.finish().unwrap();
    let picture = decode(&bytes).unwrap();
    let colours = picture.colours().to_rgb8();
    assert_eq!(
        colours.as_raw(),
        &[10, 20, 30, 200, 100, 0, 7, 7, 7, 200, 100, 0]
    );
    assert_eq!(picture.alpha().unwrap().as_raw(), &[255, 100, 255, 100]);
}

#[test]
fn colours_multiplied_by_alpha_are_divided_again() {
    use ::tiff::encoder::{TiffEncoder, colortype};
    use ::tiff::tags::ExtraSamples;
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
    let mut image = encoder.new_image::<colortype::RGB8>(1, 1).unwrap();
    image
        .extra_samples(&[ExtraSamples::AssociatedAlpha])
        .unwrap();
    image.write_data(&[50, 25, 0, 51]).unwrap();
    let picture = decode(&bytes.into_inner()).unwrap();
    // 51 is a fifth of 255.
    let colours = picture.colours().to_rgb8();
    assert_eq!(colours.get_pixel(0, 0), &Rgb([250, 125, 0]));
    assert_eq!(picture.alpha().unwrap().as_raw(), &[51]);
}

#[test]
fn a_mask_is_its_luma_where_it_is_opaque() {
    let mut mask: ImageBuffer<LumaA<u16>, Vec<u16>> =
        ImageBuffer::from_pixel(3, 1, LumaA([65_535, 65_535]));
    mask.put_pixel(1, 0, LumaA([40_000, 65_535]));
    mask.put_pixel(2, 0, LumaA([65_535, 0]));
    let mut png = written(mask, ImageFormat::Png);
    assert_eq!(decode_mask(&png).unwrap().as_raw(), &[255, 156, 0]);
    // A linear grey profile or gamma would make 156 another number.
    png = with_chunk(&png, 33, *b"gAMA", &100_000_u32.to_be_bytes());
    assert_eq!(decode_mask(&png).unwrap().as_raw(), &[255, 156, 0]);
    let turned = with_chunk(&png, 33, *b"eXIf", TURN_ME);
    assert_eq!(decode_mask(&turned).unwrap().dimensions(), (1, 3));
}

#[test]
fn a_file_cut_short_is_an_error_in_every_format_and_at_every_place() {
    let noise = RgbImage::from_fn(64, 48, |x, y| {
        Rgb([(x * y * 7) as u8, (x * x + y) as u8, (x ^ (y * 31)) as u8])
    });
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Tiff,
    ] {
        let bytes = written(noise.clone(), format);
        decode(&bytes).unwrap();
        for kept in [
            40,
            bytes.len() / 4,
            bytes.len() / 2,
            bytes.len() - 40,
            bytes.len() - 16,
        ] {
            let error = decode(&bytes[..kept]);
            assert!(
                error.is_err(),
                "{format:?} of {kept} of {} bytes",
                bytes.len()
            );
        }
    }
}

#[test]
fn neither_a_preview_within_nor_a_file_behind_stands_for_the_end() {
    let whole = written(sample(), ImageFormat::Jpeg);
    // A segment that holds an end marker, as the preview in EXIF data does.
    let with_preview = with_segment(&whole, 0xEB, &[0xFF, 0xD9, 0xFF, 0xD9]);
    decode(&with_preview).unwrap();
    let error = decode(&with_preview[..with_preview.len() - 2]).unwrap_err();
    assert!(matches!(error, PictureError::CutShort), "{error}");
    decode(&[&whole, &b"a film behind the photo"[..]].concat()).unwrap();
}

#[test]
fn what_is_no_picture_says_so() {
    assert!(matches!(decode(b""), Err(PictureError::Empty)));
    for bytes in [
        b"not a picture".as_slice(),
        b"GIF89a\x01\0\x01\0\0\0\0;",
        b"{}",
    ] {
        let error = size(bytes).unwrap_err();
        assert!(matches!(error, PictureError::NotAPicture), "{error}");
        assert!(error.to_string().contains("not a JPEG") && error.to_string().contains("hint:"));
    }
}

/// A PNG that declares many pixels and holds one.
fn declares(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = written(RgbImage::new(1, 1), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = checksum(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum);
    bytes
}

#[test]
fn a_vast_picture_is_refused_by_its_header() {
    // Each side is within bounds, all pixels together are not.
    for error in [
        decode(&declares(20_000, 20_000)).unwrap_err(),
        decode_mask(&declares(20_000, 20_000)).unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                PictureError::TooLarge {
                    width: 20_000,
                    height: 20_000
                }
            ),
            "{error}"
        );
    }
    // A JPEG header declares at most 65535 on a side.
    let mut jpeg = written(sample(), ImageFormat::Jpeg);
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
    let text = size(&jpeg).unwrap_err().to_string();
    assert!(
        text.contains("60000 × 60000") && text.contains("30000 × 30000"),
        "{text}"
    );
}
