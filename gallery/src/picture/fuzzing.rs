//! Pictures and profiles from anywhere.

use atelier_proto::settings::{PictureFormat, fit};

use super::sample::Space;
use super::samples::{Samples, Stored};
use super::{
    Colours, PIXELS_MAX, PictureError, Provenance, SIDE_MAX, decode, decode_mask, encode,
    provenance, size, thumbnail,
};

/// Most pixels of a picture that is decoded here: more cost time and show nothing new.
const DECODED_PIXELS_MAX: u64 = 1 << 16;
/// Long side of the thumbnail, pixels.
const THUMBNAIL_PIXELS: u32 = 24;
/// Pixels that are converted by a profile.
const PROFILED_PIXELS: usize = 16;

/// What a header tells is within the limits, and is what is decoded; a picture that is read can be written, and a PNG of it
/// is the same picture; a thumbnail has the size that was asked for.
///
/// # Panics
/// Where that is not so.
pub fn picture(bytes: &[u8]) {
    let Ok((width, height)) = size(bytes) else {
        // What has no size is no picture either.
        assert!(decode(bytes).is_err());
        return;
    };
    assert!(width <= SIDE_MAX && height <= SIDE_MAX);
    let pixels = u64::from(width) * u64::from(height);
    assert!(pixels <= PIXELS_MAX);
    let _ = provenance(bytes);
    if pixels > DECODED_PIXELS_MAX {
        return;
    }
    let mask = decode_mask(bytes);
    let picture = match decode(bytes) {
        Ok(picture) => picture,
        Err(error) => {
            let said = error.to_string();
            let is_plain = |letter: char| letter == '\n' || !letter.is_control();
            assert!(said.chars().all(is_plain), "{said:?}");
            return;
        }
    };
    assert_eq!(picture.dimensions(), (width, height));
    assert!(mask.is_ok_and(|mask| mask.dimensions() == (width, height)));

    let format = match picture.colours() {
        Colours::Eight(_) => PictureFormat::Png,
        Colours::Sixteen(_) => PictureFormat::Png16,
    };
    let again = encode(&picture, format, &Provenance::new()).and_then(|png| decode(&png));
    match again {
        Ok(again) => assert!(again == picture, "another picture after encoding"),
        Err(error) => panic!("a picture that was read cannot be written: {error}"),
    }
    let wanted = if width.max(height) <= THUMBNAIL_PIXELS {
        (width, height)
    } else {
        fit(width, height, THUMBNAIL_PIXELS)
    };
    match thumbnail(&picture.to_rgb8(), THUMBNAIL_PIXELS).and_then(|jpeg| size(&jpeg)) {
        Ok(found) => assert_eq!(found, wanted),
        Err(error) => panic!("a picture that was read has no thumbnail: {error}"),
    }
}

/// A profile, whatever it is, gives every pixel of every kind of picture a colour.
///
/// # Panics
/// Where it does not.
pub fn colour_profile(bytes: &[u8]) {
    let profile = super::profile::parse(bytes);
    for space in [Space::Grey, Space::Rgb, Space::Cmyk] {
        let count = PROFILED_PIXELS * space.channels();
        let eight = (0..count).map(|at| (at * 255 / count) as u8);
        let sixteen = (0..count).map(|at| (at * 65_535 / count) as u16);
        for samples in [
            Samples::Eight(eight.collect()),
            Samples::Sixteen(sixteen.collect()),
        ] {
            let stored = Stored {
                width: PROFILED_PIXELS as u32,
                height: 1,
                space,
                samples,
                alpha: None,
            };
            let colours = stored.into_srgb(profile.as_ref());
            let dimensions = colours.map(|(colours, _)| colours.dimensions());
            let dimensions = dimensions.map_err(|error: PictureError| error.to_string());
            assert_eq!(dimensions, Ok((PROFILED_PIXELS as u32, 1)));
        }
    }
}
