//! The renderer on networks small enough for a test, and, where they are given, on real weights.

mod engine;
mod reference;

use atelier_proto::ids::Digest;
use atelier_proto::settings::{Layer, RenderSettings, SettingsPatch};
use image::{Rgb, RgbImage};

use super::pixels::gaussian;
use crate::weights::{Architecture, Convolution, VggWeights};

/// The first three layers of a VGG with few channels and random filters.
fn narrow_weights() -> VggWeights {
    let places = [(1, 1, 3, 6), (1, 2, 6, 6), (2, 1, 6, 8)];
    let convolutions = places.map(|(block, index, input_channels, output_channels)| {
        let seed = u64::from(block * 10 + index);
        let deviation = (2.0 / (9.0 * input_channels as f32)).sqrt();
        Convolution {
            layer: Layer::new(block, index).unwrap(),
            input_channels,
            output_channels,
            kernel: gaussian(seed, input_channels * output_channels * 9, 0.0, deviation),
            bias: gaussian(seed + 1, output_channels, 0.0, 0.1),
        }
    });
    VggWeights {
        architecture: Architecture::Vgg16,
        convolutions: convolutions.into(),
        mean: [0.5; 3],
        deviation: [0.25; 3],
        digest: Digest::of(b"narrow"),
    }
}

fn settings(assignments: &[&str]) -> RenderSettings {
    let mut patch = SettingsPatch::default();
    for assignment in assignments {
        patch.set(assignment).unwrap();
    }
    patch.resolve()
}

/// Stripes of two colours under a gradient; every `number` has its own.
fn picture(width: u32, height: u32, number: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let stripe = (x * (1 + number % 3) + y * (1 + number / 3)) / 5 % 2;
        let level = (x * 255 / width) as u8;
        if stripe == 0 {
            Rgb([level, 200 - (number * 40) as u8, 60])
        } else {
            Rgb([40, level / 2, 220])
        }
    })
}
