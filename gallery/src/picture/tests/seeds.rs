//! What fuzzers of pictures and profiles begin with: one of each kind that is read, as small as they come.

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgba};
use jpeg_encoder::ColorType;
use moxcms::{ColorProfile, LutType};

use super::colour::{ink_jpeg, ink_tiff, linear, of_inks, tagged, without_adobe};
use super::{TURN_ME, encoded, with_chunk, with_segment, written};
use crate::picture::{PictureFormat, Provenance, encode};

const INKS: [u8; 4] = [200, 100, 50, 10];

fn named<const COUNT: usize>(seeds: [(&str, Vec<u8>); COUNT]) -> Vec<(String, Vec<u8>)> {
    let seeds = seeds.into_iter();
    seeds.map(|(name, seed)| (name.to_owned(), seed)).collect()
}

pub(crate) fn pictures() -> Vec<(String, Vec<u8>)> {
    let small = image::RgbImage::from_fn(8, 6, |x, y| image::Rgb([x as u8 * 30, y as u8 * 40, 90]));
    let alpha = image::RgbaImage::from_fn(5, 3, |x, y| Rgba([x as u8 * 50, 9, 7, y as u8 * 120]));
    let grey = image::GrayImage::from_fn(7, 5, |x, y| Luma([(x * y) as u8 * 10]));
    let deep_grey: ImageBuffer<LumaA<u16>, Vec<u16>> =
        ImageBuffer::from_fn(4, 4, |x, y| LumaA([x as u16 * 9_000, y as u16 * 21_000]));
    let deep: ImageBuffer<image::Rgb<u16>, Vec<u16>> = ImageBuffer::from_fn(4, 3, |x, y| {
        image::Rgb([x as u16 * 9_000, y as u16 * 9_000, 77])
    });
    let floats: ImageBuffer<image::Rgb<f32>, Vec<f32>> =
        ImageBuffer::from_fn(3, 2, |x, _| image::Rgb([x as f32, 0.5, -1.0]));
    let jpeg = encoded(small.clone(), PictureFormat::Jpeg);
    let png = written(small.clone(), ImageFormat::Png);
    let exif = [b"Exif\0\0", TURN_ME].concat();
    let about = Provenance::new().with("Software", "Atelier");
    let told = |format| encode(&small.clone().into(), format, &about).unwrap();
    let progressive = {
        let mut bytes = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 80);
        encoder.set_progressive(true);
        encoder
            .encode(small.as_raw(), 8, 6, ColorType::Rgb)
            .unwrap();
        bytes
    };
    let profile = linear().encode().unwrap();
    named([
        ("turned.jpg", with_segment(&jpeg, 0xE1, &exif)),
        ("progressive.jpg", progressive),
        ("told.jpg", told(PictureFormat::Jpeg)),
        ("grey.jpg", written(grey.clone(), ImageFormat::Jpeg)),
        ("inks.jpg", ink_jpeg(INKS, ColorType::CmykAsYcck, None)),
        (
            "inks-plain.jpg",
            without_adobe(&ink_jpeg(INKS, ColorType::Cmyk, None)),
        ),
        ("turned.png", with_chunk(&png, 33, *b"eXIf", TURN_ME)),
        ("told.png", told(PictureFormat::Png16)),
        ("grey.png", written(grey, ImageFormat::Png)),
        ("alpha.png", written(alpha.clone(), ImageFormat::Png)),
        ("deep-grey.png", written(deep_grey, ImageFormat::Png)),
        ("deep.png", written(deep.clone(), ImageFormat::Png)),
        (
            "profile.png",
            tagged(small.clone(), ImageFormat::Png, &profile),
        ),
        ("lossless.webp", written(alpha.clone(), ImageFormat::WebP)),
        (
            "profile.webp",
            tagged(small.clone(), ImageFormat::WebP, &profile),
        ),
        ("plain.tif", written(small.clone(), ImageFormat::Tiff)),
        ("alpha.tif", written(alpha, ImageFormat::Tiff)),
        ("deep.tif", written(deep, ImageFormat::Tiff)),
        (
            "floats.tif",
            written(DynamicImage::ImageRgb32F(floats), ImageFormat::Tiff),
        ),
        ("inks.tif", ink_tiff(INKS, None)),
    ])
}

pub(crate) fn profiles() -> Vec<(String, Vec<u8>)> {
    named([
        ("srgb.icc", ColorProfile::new_srgb().encode().unwrap()),
        ("p3.icc", ColorProfile::new_display_p3().encode().unwrap()),
        ("linear.icc", linear().encode().unwrap()),
        (
            "grey.icc",
            ColorProfile::new_gray_with_gamma(2.2).encode().unwrap(),
        ),
        ("inks-16.icc", of_inks(LutType::Lut16)),
        ("inks-8.icc", of_inks(LutType::Lut8)),
    ])
}
