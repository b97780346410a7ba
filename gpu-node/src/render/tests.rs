//! The renderer on networks small enough for a test, and, where they are given, on real weights.

mod engine;
mod formulas;
mod gradients;
mod modes;
mod optimisers;
mod reference;

use std::collections::BTreeMap;
use std::sync::Arc;

use atelier_gallery::picture::Picture;
use atelier_proto::ids::Digest;
use atelier_proto::settings::{Layer, RenderSettings, SettingsPatch};
use image::{Rgb, RgbImage};
use tch::{Device, Kind, Tensor};

use super::loss::Objective;
use super::memory::Memory;
use super::pixels::gaussian;
use super::prepare::Preparer;
use super::rows::Row;
use super::targets::TargetCache;
use super::tile_plan::Tile;
use super::vgg::{Numbers, Vgg};
use super::{
    Input, PaintingInput, Precision, RenderError, RenderJob, Rendered, Renderer, RendererOptions,
    Unwatched,
};
use crate::weights::{Architecture, Convolution, Network, VggWeights};

/// The layers of [`narrow_weights`], at a size that is done in no time.
const SHALLOW: [&str; 3] = [
    "content_layers=conv2_1",
    "style_layers=conv1_1,conv2_1",
    "size=32",
];

/// Whether a comparison in bfloat16 ends in seconds: without oneDNN it takes minutes on two cores.
fn is_bfloat16_quick() -> bool {
    let is_quick = super::precision::processors_have_avx512();
    if !is_quick {
        println!("skipped: bfloat16 is slow on these processors");
    }
    is_quick
}

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

/// [`narrow_weights`] on the processors, arranged as renders have them.
fn narrow(convolutions: Kind) -> Vgg {
    let numbers = Numbers {
        convolutions,
        channels_last: true,
    };
    Vgg::load(&narrow_weights(), Device::Cpu, numbers).unwrap()
}

/// A renderer with [`narrow_weights`] in float32.
fn narrow_renderer() -> Renderer {
    let options = RendererOptions {
        precision: Precision::Float32,
        ..RendererOptions::default()
    };
    Renderer::load(Network::Trained(narrow_weights()), &options).unwrap()
}

/// Stripes of two colours under a gradient; every `number` has its own.
fn picture(width: u32, height: u32, number: u32) -> Picture {
    let pixels = RgbImage::from_fn(width, height, |x, y| {
        let stripe = (x * (1 + number % 3) + y * (1 + number / 3)) / 5 % 2;
        let level = (x * 255 / width) as u8;
        if stripe == 0 {
            Rgb([level, 200 - (number * 40) as u8, 60])
        } else {
            Rgb([40, level / 2, 220])
        }
    });
    pixels.into()
}

fn input(picture: Picture) -> Input {
    let digest = Digest::of(picture.to_rgb8().as_raw());
    Input {
        picture: Arc::new(picture),
        digest,
    }
}

fn painting(picture: Picture) -> PaintingInput {
    PaintingInput {
        input: input(picture),
        weight: 1.0,
        mask: None,
    }
}

/// A cell of the photo `number` and the painting after it, [`SHALLOW`] but for `further`.
fn job(number: u32, further: &[&str]) -> RenderJob {
    RenderJob {
        photo: Some(input(picture(40, 30, number))),
        paintings: vec![painting(picture(36, 36, number + 1))],
        start: None,
        settings: settings(&[SHALLOW.as_slice(), further].concat()),
        checkpoint: None,
    }
}

fn render(job: &RenderJob) -> Result<Rendered, RenderError> {
    narrow_renderer().render(job, &mut Unwatched)
}

/// What jobs that share a batch are optimised for at their full scale, and where they start.
fn prepared(vgg: &Vgg, jobs: &[RenderJob], tiles: Vec<Tile>) -> (Objective, Tensor) {
    let rows = jobs.iter().enumerate();
    let rows = rows.map(|(number, job)| Row::new(number, job, job.settings.clone()).unwrap());
    let rows: Vec<Row<'_>> = rows.collect();
    let rows: Vec<&Row<'_>> = rows.iter().collect();
    let memory = Memory::new(8 << 30);
    let mut preparer = Preparer {
        vgg,
        device: Device::Cpu,
        cache: &mut TargetCache::new(0),
        feature_factors: &BTreeMap::new(),
        memory: &memory,
    };
    let side = jobs[0].settings.size;
    let objective = preparer.objective(&rows, side, tiles).unwrap();
    let starts = rows.iter().map(|row| preparer.start(row, side).unwrap());
    let start = Tensor::cat(&starts.collect::<Vec<_>>(), 0);
    (objective, start.to_kind(vgg.numbers().of_images()))
}
