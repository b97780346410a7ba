//! Pictures as files of ours: the same colours again, tagged, and with their story.

use image::ImageBuffer;

use super::*;

/// Colours and alpha, 16 bits: no two pixels alike.
fn deep(width: u32, height: u32) -> Picture {
    let colours = ImageBuffer::from_fn(width, height, |x, y| {
        Rgb([x * 257 + 1, y * 259 + 2, (x + y) * 300 + 3].map(|channel| channel as u16))
    });
    let alpha = GrayImage::from_fn(width, height, |x, y| Luma([(1 + x + 3 * y) as u8]));
    Picture::new(Colours::Sixteen(colours), Some(alpha))
}

#[test]
fn what_is_encoded_comes_back() {
    let picture = sample();
    let png = encoded(picture.clone(), PictureFormat::Png);
    assert_eq!(decoded(&png), picture);
    let jpeg = decoded(&encoded(picture.clone(), PictureFormat::Jpeg));
    // Subsampled colour would bleed over the edge between red and blue.
    assert!(is_near(*jpeg.get_pixel(15, 8), [250, 5, 5]));
    assert!(is_near(*jpeg.get_pixel(16, 8), [5, 5, 250]));
    for format in [ImageFormat::WebP, ImageFormat::Tiff] {
        assert_eq!(decoded(&written(picture.clone(), format)), picture);
    }
}

#[test]
fn png_keeps_transparency_and_as_many_bits_as_asked_for() {
    let picture = deep(20, 10);
    let png16 = encoded(picture.clone(), PictureFormat::Png16);
    assert_eq!(decode(&png16).unwrap(), picture);
    let png = decode(&encoded(picture.clone(), PictureFormat::Png)).unwrap();
    assert_eq!(png.alpha(), picture.alpha());
    let rounded = picture.colours().to_rgb8().into_owned();
    assert_eq!(png.colours(), &Colours::Eight(rounded));
    // Eight bits as sixteen and back are the same eight.
    let wide = decode(&encoded(sample(), PictureFormat::Png16)).unwrap();
    assert!(matches!(wide.colours(), Colours::Sixteen(_)));
    assert_eq!(wide.into_rgb8(), sample());
}

#[test]
fn a_jpeg_is_over_white() {
    let colours = Colours::Eight(RgbImage::from_pixel(16, 16, Rgb([200, 0, 100])));
    let picture = Picture::new(colours, Some(GrayImage::from_pixel(16, 16, Luma([128]))));
    let jpeg = decoded(&encoded(picture, PictureFormat::Jpeg));
    assert!(is_near(*jpeg.get_pixel(8, 8), [227, 127, 177]));
}

#[test]
fn the_thinnest_and_the_smallest_pictures_go_through_every_format() {
    for (width, height) in [(1, 1), (300, 1), (1, 300), (16, 16), (17, 3)] {
        let picture = RgbImage::from_pixel(width, height, Rgb([90, 120, 30]));
        for format in [
            PictureFormat::Jpeg,
            PictureFormat::Png,
            PictureFormat::Png16,
        ] {
            let bytes = encoded(picture.clone(), format);
            let again = decode(&bytes).unwrap().into_rgb8();
            assert_eq!(again.dimensions(), (width, height), "{format}");
            let last = *again.get_pixel(width - 1, height - 1);
            assert!(is_near(last, [90, 120, 30]), "{format}: {last:?}");
            assert_eq!(size(&bytes).unwrap(), (width, height));
        }
    }
    let error = encode(
        &RgbImage::new(0, 5).into(),
        PictureFormat::Jpeg,
        &Provenance::new(),
    );
    assert!(error.unwrap_err().to_string().contains("0 × 5"));
}

#[test]
fn every_file_says_that_it_is_srgb_and_the_same_picture_is_the_same_bytes() {
    let png = encoded(sample(), PictureFormat::Png16);
    let reader = ::png::Decoder::new(Cursor::new(&png)).read_info().unwrap();
    assert!(reader.info().srgb.is_some());
    assert_eq!(
        reader
            .info()
            .gama_chunk
            .map(::png::ScaledFloat::into_scaled),
        Some(45_455)
    );
    let red = reader.info().chrm_chunk.unwrap().red;
    assert_eq!((red.0.into_scaled(), red.1.into_scaled()), (64_000, 33_000));

    let jpeg = encoded(sample(), PictureFormat::Jpeg);
    let (mut decoder, _) = open(&jpeg).unwrap();
    let profile = decoder.icc_profile().unwrap().unwrap();
    assert!(profile.len() < 1000, "{} bytes", profile.len());
    let parsed = ColorProfile::new_from_slice(&profile).unwrap();
    let srgb = ColorProfile::new_srgb();
    // Numbers of a profile are in 65,536ths.
    assert!((parsed.red_colorant.x - srgb.red_colorant.x).abs() < 1e-4);
    assert!((parsed.blue_colorant.z - srgb.blue_colorant.z).abs() < 1e-4);
    // A time of making in it would be another one tomorrow.
    assert_eq!(profile[24..36], [0x07, 0xEA, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(encoded(sample(), PictureFormat::Jpeg), jpeg);
    assert_eq!(encoded(sample(), PictureFormat::Png16), png);
}

fn story() -> Provenance {
    Provenance::new()
        .with("Software", "Atelier 0.1.0")
        .with(
            "atelier:settings",
            "seed = 7\n[layers]\n\"conv1_1\" = 0.2\r\n",
        )
        .with("atelier:photo", "Café <Müller> & Söhne, 東京 &lt; ]]>")
        .with("atelier:empty", "")
}

#[test]
fn what_was_said_of_a_picture_is_read_from_its_file() {
    for format in [
        PictureFormat::Jpeg,
        PictureFormat::Png,
        PictureFormat::Png16,
    ] {
        let bytes = encode(&sample().into(), format, &story()).unwrap();
        assert_eq!(provenance(&bytes), story().pairs(), "{format}");
        let picture = decode(&bytes).unwrap().into_rgb8();
        let plain = decode(&encoded(sample(), format)).unwrap().into_rgb8();
        assert_eq!(picture, plain, "{format}");
        assert_eq!(provenance(&encoded(sample(), format)), []);
    }
    assert_eq!(provenance(b"no picture"), []);
}

#[test]
fn a_story_too_long_for_a_jpeg_is_cut_and_the_rest_is_whole() {
    let long = "é&".repeat(60_000);
    let about = story()
        .with("atelier:log", &long)
        .with("last", "still here");
    let jpeg = encode(&sample().into(), PictureFormat::Jpeg, &about).unwrap();
    let read = provenance(&jpeg);
    assert_eq!(read.len(), about.pairs().len());
    assert_eq!(read[..4], about.pairs()[..4]);
    assert_eq!(read[5].1, "still here");
    let (kept, _) = read[4].1.split_once(" … (cut").unwrap();
    assert!(long.starts_with(kept));
    decode(&jpeg).unwrap();
    // PNG has room.
    let png = encode(&sample().into(), PictureFormat::Png, &about).unwrap();
    assert_eq!(provenance(&png), about.pairs());
}

#[test]
fn a_thumbnail_is_smaller_and_never_larger() {
    let wide = RgbImage::from_pixel(900, 450, Rgb([90, 120, 30]));
    let small = decoded(&thumbnail(&wide, 64).unwrap());
    assert_eq!(small.dimensions(), (64, 32));
    assert!(is_near(*small.get_pixel(40, 20), [90, 120, 30]));
    let thin = RgbImage::from_pixel(2, 3000, Rgb([90, 120, 30]));
    assert_eq!(size(&thumbnail(&thin, 300).unwrap()).unwrap(), (1, 300));
    assert_eq!(size(&thumbnail(&sample(), 300).unwrap()).unwrap(), (32, 16));
}
