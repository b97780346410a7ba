//! Pictures as people have them: turned, grey, transparent, cut short, vast.

use image::{GrayImage, ImageBuffer, Luma, Rgb, Rgba, RgbaImage};

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

fn is_near(left: Rgb<u8>, right: [u8; 3]) -> bool {
    left.0
        .iter()
        .zip(right)
        .all(|(left, right)| left.abs_diff(right) < 12)
}

/// The same JPEG with an EXIF segment of one entry: orientation 6, "turn me a quarter clockwise".
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let exif: &[u8] = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, exif, &jpeg[2..]].concat()
}

#[test]
fn a_turned_photo_is_made_upright() {
    let jpeg = turned(&encode(&sample(), PictureFormat::Jpeg).unwrap());
    assert_eq!(size(&jpeg).unwrap(), (16, 32));
    let picture = decode(&jpeg).unwrap();
    assert_eq!(picture.dimensions(), (16, 32));
    assert!(
        is_near(*picture.get_pixel(8, 2), [250, 5, 5]),
        "left became top"
    );
    assert!(is_near(*picture.get_pixel(8, 29), [5, 5, 250]));
}

#[test]
fn what_is_encoded_comes_back() {
    let picture = sample();
    let png = encode(&picture, PictureFormat::Png).unwrap();
    assert_eq!(decode(&png).unwrap(), picture);
    let jpeg = encode(&picture, PictureFormat::Jpeg).unwrap();
    let decoded = decode(&jpeg).unwrap();
    // Subsampled colour would bleed over the edge between red and blue.
    assert!(is_near(*decoded.get_pixel(15, 8), [250, 5, 5]));
    assert!(is_near(*decoded.get_pixel(16, 8), [5, 5, 250]));
    for format in [ImageFormat::WebP, ImageFormat::Tiff] {
        assert_eq!(decode(&written(picture.clone(), format)).unwrap(), picture);
    }
}

#[test]
fn grey_deep_and_transparent_pictures_become_plain_ones() {
    let grey = written(GrayImage::from_pixel(3, 2, Luma([77])), ImageFormat::Png);
    assert_eq!(decode(&grey).unwrap().get_pixel(2, 1), &Rgb([77; 3]));
    let deep: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_pixel(3, 2, Luma([40_000]));
    let deep = written(deep, ImageFormat::Png);
    assert_eq!(decode(&deep).unwrap().get_pixel(2, 1), &Rgb([156; 3]));
    let mut clear = RgbaImage::from_pixel(2, 1, Rgba([200, 0, 0, 0]));
    clear.put_pixel(1, 0, Rgba([200, 0, 100, 128]));
    let clear = decode(&written(clear, ImageFormat::Png)).unwrap();
    assert_eq!(clear.get_pixel(0, 0), &Rgb([255; 3]));
    assert_eq!(clear.get_pixel(1, 0), &Rgb([227, 127, 177]));
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
    let segment = [0xFF, 0xEB, 0x00, 0x06, 0xFF, 0xD9, 0xFF, 0xD9];
    let with_preview = [&whole[..2], &segment, &whole[2..]].concat();
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
    let mut bytes = encode(&RgbImage::new(1, 1), PictureFormat::Png).unwrap();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    // The checksum of PNG chunks (<https://www.w3.org/TR/png-3/#5CRC-algorithm>).
    let checksum = !bytes[12..29].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 }
        })
    });
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

#[test]
fn a_vast_picture_is_refused_by_its_header() {
    // Each side is within bounds, all pixels together are not.
    let error = decode(&declares(20_000, 20_000)).unwrap_err();
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
    // A JPEG header declares at most 65535 on a side.
    let mut jpeg = encode(&sample(), PictureFormat::Jpeg).unwrap();
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

#[test]
fn a_thumbnail_is_smaller_and_never_larger() {
    let wide = RgbImage::from_pixel(900, 450, Rgb([90, 120, 30]));
    let small = decode(&thumbnail(&wide, 64).unwrap()).unwrap();
    assert_eq!(small.dimensions(), (64, 32));
    assert!(is_near(*small.get_pixel(40, 20), [90, 120, 30]));
    let thin = RgbImage::from_pixel(2, 3000, Rgb([90, 120, 30]));
    assert_eq!(size(&thumbnail(&thin, 300).unwrap()).unwrap(), (1, 300));
    assert_eq!(size(&thumbnail(&sample(), 300).unwrap()).unwrap(), (32, 16));
}
