//! Goal: the formulas of the presets give what is computed by hand.
//!
//! The network has one layer with two channels that pass on red and green, so features are colours. Photo, painting and
//! picture are flat, so every mean is a colour and every Gram matrix a product of two.

use atelier_proto::ids::Digest;
use atelier_proto::settings::{Layer, Preset, RenderSettings, SettingsPatch};
use image::{Rgb, RgbImage};
use tch::{Device, Kind};

use super::{input, painting, prepared};
use crate::render::RenderJob;
use crate::render::vgg::{Numbers, Vgg};
use crate::weights::{Architecture, Convolution, VggWeights};

/// Passes on red and green at the middle of its kernel.
fn two_colours() -> Vgg {
    let mut kernel = vec![0.0; 2 * 3 * 9];
    kernel[4] = 1.0;
    kernel[27 + 9 + 4] = 1.0;
    let weights = VggWeights {
        architecture: Architecture::Vgg16,
        convolutions: vec![Convolution {
            layer: Layer::new(1, 1).unwrap(),
            input_channels: 3,
            output_channels: 2,
            kernel,
            bias: vec![0.0; 2],
        }],
        mean: [0.0; 3],
        deviation: [1.0; 3],
        digest: Digest::of(b"two colours"),
    };
    let numbers = Numbers {
        convolutions: Kind::Double,
        channels_last: false,
    };
    Vgg::load(&weights, Device::Cpu, numbers).unwrap()
}

/// Losses of content and style of a start on a photo of (0.2, 0.6) and a painting of (0.8, 0.4).
fn losses(preset: Preset, of_start: (u8, u8)) -> (f64, f64) {
    let flat = |red, green| RgbImage::from_pixel(16, 16, Rgb([red, green, 0])).into();
    let mut patch = SettingsPatch::default();
    for assignment in [
        "size=16",
        "start=file",
        "features=raw",
        "content_layers=conv1_1",
        "style_layers=conv1_1",
        "scales=1",
    ] {
        patch.set(assignment).unwrap();
    }
    let settings: RenderSettings = patch.over(preset.patch()).resolve();
    let job = RenderJob {
        photo: Some(input(flat(51, 153))),
        paintings: vec![painting(flat(204, 102))],
        start: Some(input(flat(of_start.0, of_start.1))),
        settings,
        checkpoint: None,
    };
    let vgg = two_colours();
    let (objective, start) = prepared(&vgg, &[job], Vec::new());
    let (losses, _) = objective.evaluate(&vgg, &start).unwrap();
    (
        losses.content.double_value(&[0]),
        losses.style.double_value(&[0]),
    )
}

fn near(what: &str, ours: f64, by_hand: f64) {
    // Colours are float32 before they are features.
    assert!(
        (ours - by_hand).abs() <= 1e-6 * by_hand.abs().max(1e-6),
        "{what}: {ours}, but {by_hand} by hand"
    );
}

/// Mean squared difference of the two channels of the photo and the start (0.4, 0.8).
const CONTENT: f64 = 0.2 * 0.2;

/// Mean squared difference of the Gram matrices of the painting (0.8, 0.4) and the start (0.4, 0.8):
/// [.64 .32; .32 .16] and [.16 .32; .32 .64].
const STYLE: f64 = (0.48 * 0.48 + 0.48 * 0.48) / 4.0;

#[test]
fn gatys_takes_mean_squares_and_a_thousand_over_channels_squared() {
    let (content, style) = losses(Preset::Gatys, (102, 204));
    near("content", content, CONTENT);
    near("style", style, 1000.0 / 4.0 * STYLE);
}

#[test]
fn neural_style_divides_gram_matrices_by_channels_too() {
    let (content, style) = losses(Preset::NeuralStyle, (102, 204));
    near("content", content, 5.0 * CONTENT);
    near("style", style, 100.0 * STYLE / 4.0);
}

#[test]
fn classic_is_that_formula_with_a_tenth_of_the_content() {
    let (content, style) = losses(Preset::Classic, (102, 204));
    near("content", content, 0.1 * CONTENT);
    near("style", style, STYLE / 4.0);
}

#[test]
fn fine_compares_with_what_the_painting_has() {
    let (content, style) = losses(Preset::Fine, (102, 204));
    // Flat pictures have no structure, and no covariance beside their means.
    near("content", content, 0.0);
    // Means: ((.8 - .4)² + (.4 - .8)²) / 2 over (.64 + .16) / 2, the style's weight being 3.
    near("style", style, 3.0 * 0.16 / 0.4);
}

#[test]
fn presets_are_what_their_sources_say() {
    let classic = Preset::Classic.patch().resolve();
    assert_eq!((classic.iterations, classic.round), (200, 20));
    assert_eq!(
        classic.style_layers.to_string(),
        "conv1_2:0.05,conv2_2:0.2,conv3_2:0.2,conv4_2:0.25,conv5_2:0.3"
    );
    assert_eq!(classic.content_layers.to_string(), "conv4_2");
    let gatys = Preset::Gatys.patch().resolve();
    assert_eq!(gatys.iterations, 500);
    assert_eq!(
        gatys.style_layers.to_string(),
        "conv1_1,conv2_1,conv3_1,conv4_1,conv5_1"
    );
    assert_eq!(Preset::NeuralStyle.patch().resolve().iterations, 1000);
}
