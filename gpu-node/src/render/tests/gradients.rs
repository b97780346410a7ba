//! Goal: the gradient is that of the loss, and a picture seen in tiles has the gradient of the picture seen whole.

use std::sync::Arc;

use atelier_proto::ids::Digest;
use image::{GrayImage, Luma};
use tch::{Kind, Tensor};

use super::{input, job, narrow, painting, picture, prepared};
use crate::render::tile_plan;
use crate::render::{MaskInput, RenderJob};

/// A job with two paintings, each where its mask is.
fn masked(further: &[&str]) -> RenderJob {
    let mut job = job(0, further);
    job.paintings.push(painting(picture(50, 20, 5)));
    for (number, painting) in job.paintings.iter_mut().enumerate() {
        let mask = GrayImage::from_fn(16, 12, |x, y| {
            let level = (x * 16 + y) as u8;
            Luma([if number == 0 { level } else { 255 - level }])
        });
        painting.mask = Some(MaskInput {
            digest: Digest::of(mask.as_raw()),
            mask: Arc::new(mask),
        });
    }
    job
}

/// Every kind of loss.
fn jobs() -> Vec<(&'static str, RenderJob)> {
    let start = "start=mix";
    let smooth = [
        "content_weight=0",
        "style_weight=1e-9",
        "tv_weight=5",
        start,
    ];
    vec![
        ("relative", job(0, &["tv_weight=0", start])),
        ("relative content", job(0, &["style_weight=0", start])),
        ("relative style", job(0, &["content_weight=0", start])),
        ("total variation and range", job(0, &smooth)),
        ("gatys", job(0, &["loss=gatys", "style_weight=0.01", start])),
        (
            "neural-style",
            job(0, &["loss=neural-style", "style_weight=9", start]),
        ),
        (
            "maximum pooling",
            job(0, &["pooling=max", "padding=zero", start]),
        ),
        ("masks", masked(&[start])),
    ]
}

#[test]
fn every_gradient_agrees_with_finite_differences() {
    let vgg = narrow(Kind::Double);
    for (name, job) in jobs() {
        let (objective, image) = prepared(&vgg, &[job], Vec::new());
        // Out of range here and there, where the range term has a gradient too.
        let image = image * 1.3 - 0.15;
        let (_, gradient) = objective.evaluate(&vgg, &image).unwrap();
        let total = |image: &Tensor| {
            let (losses, _) = objective.evaluate(&vgg, image).unwrap();
            losses.total.double_value(&[0])
        };
        // Along the gradient itself and along a direction that has nothing to do with it.
        let other = Tensor::linspace(
            -1.0,
            1.0,
            image.numel() as i64,
            (Kind::Double, tch::Device::Cpu),
        )
        .view(image.size().as_slice())
        .sin();
        for direction in [gradient.shallow_clone(), other] {
            let direction = &direction / direction.norm();
            let expected = (&gradient * &direction).sum(Kind::Double).double_value(&[]);
            let step = 1e-5;
            let ahead = total(&(&image + &direction * step));
            let behind = total(&(&image - &direction * step));
            let measured = (ahead - behind) / (2.0 * step);
            // The rectifiers have kinks, so the second order does not vanish everywhere.
            let scale = gradient.norm().double_value(&[]);
            assert!(
                (measured - expected).abs() <= 1e-5 * scale,
                "{name}: {measured} measured, {expected} computed, of a gradient of {scale}"
            );
        }
    }
}

#[test]
fn tiles_have_the_losses_and_the_gradient_of_the_whole() {
    for (kind, tolerance) in [(Kind::Float, 1e-5), (Kind::Double, 1e-10)] {
        let vgg = narrow(kind);
        for (name, mut job) in jobs() {
            // Divisible by nothing; tiles of about 64 pixels.
            job.photo = Some(input(picture(211, 157, 0)));
            job.settings.size = 211;
            let halo = tile_plan::halo([1, 1, 2]);
            let tiles = tile_plan::tiles(157, 211, 2, halo, 64 * 64);
            assert!(tiles.len() >= 6, "{} tiles", tiles.len());
            let (whole, image) = prepared(&vgg, std::slice::from_ref(&job), Vec::new());
            let (in_tiles, _) = prepared(&vgg, std::slice::from_ref(&job), tiles);
            let (losses, gradient) = whole.evaluate(&vgg, &image).unwrap();
            let (losses_in_tiles, gradient_in_tiles) = in_tiles.evaluate(&vgg, &image).unwrap();
            let distance = (&gradient_in_tiles - &gradient).norm().double_value(&[]);
            let relative = distance / gradient.norm().double_value(&[]);
            assert!(relative <= tolerance, "{name}, {kind:?}: {relative:.2e}");
            let ratio = losses_in_tiles.total / losses.total;
            let relative = ratio.double_value(&[0]) - 1.0;
            assert!(
                relative.abs() <= tolerance * 10.0,
                "{name}, {kind:?}: {relative:.2e}"
            );
        }
    }
}
