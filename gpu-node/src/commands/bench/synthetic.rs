//! Photos and paintings made up for measuring: no two alike, and none that anybody has to bring.

use std::sync::Arc;

use atelier_gallery::picture::Picture;
use atelier_proto::ids::Digest;
use image::{Rgb, RgbImage};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::render::Input;

/// A photo: a gradient and a few discs, softly noisy.
pub(super) fn photo(number: u64, side: u32) -> Input {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let discs: [(f64, f64, f64, u8); 4] = std::array::from_fn(|_| {
        let mut share = || f64::from(random.next_u32()) / f64::from(u32::MAX);
        (
            share(),
            share(),
            0.05 + 0.2 * share(),
            (share() * 255.0) as u8,
        )
    });
    let picture = RgbImage::from_fn(side, side, |x, y| {
        let (across, down) = (
            f64::from(x) / f64::from(side),
            f64::from(y) / f64::from(side),
        );
        let grain = (random.next_u32() % 24) as u8;
        let disc = discs
            .iter()
            .find(|(at_x, at_y, radius, _)| (across - at_x).hypot(down - at_y) < *radius);
        match disc {
            Some((_, _, _, hue)) => Rgb([*hue / 2 + grain, 200 - hue / 2, 90 + grain]),
            None => Rgb([
                (across * 200.0) as u8 + grain,
                120 + grain,
                (down * 220.0) as u8 + grain,
            ]),
        }
    });
    input(picture)
}

/// A painting: wavy strokes in two colours.
pub(super) fn painting(number: u64, side: u32) -> Input {
    // Another stream than that of the photo with the same number.
    let mut random = ChaCha8Rng::seed_from_u64(number + (1 << 32));
    let mut share = || f64::from(random.next_u32()) / f64::from(u32::MAX);
    let (slope, width, wave) = (share() * 2.0, 4.0 + 10.0 * share(), 2.0 + 8.0 * share());
    let hue = (share() * 200.0) as u8;
    let picture = RgbImage::from_fn(side, side, |x, y| {
        let (x, y) = (f64::from(x), f64::from(y));
        let phase = (x * slope + y + wave * (x / 9.0).sin()) / width;
        let dark = (phase.sin() * 20.0) as i8;
        if phase.rem_euclid(2.0) < 1.0 {
            Rgb([230, hue, 40].map(|level: u8| level.saturating_add_signed(dark)))
        } else {
            Rgb([20, 220 - hue, 190].map(|level: u8| level.saturating_add_signed(dark)))
        }
    });
    input(picture)
}

fn input(picture: RgbImage) -> Input {
    let digest = Digest::of(picture.as_raw());
    Input {
        picture: Arc::new(Picture::from(picture)),
        digest,
    }
}
