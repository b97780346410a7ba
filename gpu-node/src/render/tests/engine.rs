//! Goal: rows of a batch never touch one another, a row that goes astray recovers, every shape of picture renders.

use std::ops::ControlFlow;

use atelier_proto::settings::RenderSettings;
use tch::{Device, Kind, Tensor};

use super::{narrow_weights, picture, settings};
use crate::render::descent::Descent;
use crate::render::lbfgs::Lbfgs;
use crate::render::loss::Objective;
use crate::render::targets::{Part, Target, Targets};
use crate::render::vgg::Vgg;
use crate::render::{DeviceChoice, RenderError, RenderJob, Rendered, Renderer, pixels};
use crate::weights::Network;

const SHALLOW: [&str; 3] = [
    "content_layers=conv2_1",
    "style_layers=conv1_1,conv2_1",
    "size=32",
];

fn targets(vgg: &Vgg, settings: &RenderSettings, number: u32) -> Targets {
    let tensor = |number| pixels::to_tensor(&picture(32, 24, number), 32, 24, Device::Cpu).unwrap();
    Targets::of(vgg, settings, &tensor(number), &[(tensor(number + 1), 1.0)]).unwrap()
}

/// One batch of several cells.
fn stack(targets: &[Targets]) -> Targets {
    let stack_layer = |targets: Vec<&Target>| {
        let parts = (0..targets[0].parts.len()).map(|at| {
            let of = |get: fn(&Part) -> &Tensor| {
                Tensor::cat(
                    &targets
                        .iter()
                        .map(|target| get(&target.parts[at]))
                        .collect::<Vec<_>>(),
                    0,
                )
            };
            Part {
                value: of(|part| &part.value),
                factor: of(|part| &part.factor),
            }
        });
        Target {
            parts: parts.collect(),
        }
    };
    let content = targets[0].content.keys();
    let content = content.map(|layer| {
        (
            *layer,
            stack_layer(targets.iter().map(|it| &it.content[layer]).collect()),
        )
    });
    let style = targets[0].style.keys();
    let style = style.map(|layer| {
        (
            *layer,
            stack_layer(targets.iter().map(|it| &it.style[layer]).collect()),
        )
    });
    Targets {
        content: content.collect(),
        style: style.collect(),
    }
}

fn descend(
    vgg: &Vgg,
    settings: &RenderSettings,
    targets: Targets,
    start: &Tensor,
) -> Vec<Vec<f64>> {
    let objective = Objective::new(vgg, settings, targets);
    let mut descent = Descent::begin(start.copy(), settings.history).unwrap();
    (0..25)
        .map(|_| descent.advance(&objective).unwrap().total)
        .collect()
}

#[test]
fn a_picture_in_a_batch_goes_the_way_that_it_goes_alone() {
    let vgg = Vgg::load(&narrow_weights(), Device::Cpu).unwrap();
    let settings = settings(&SHALLOW);
    let start = pixels::noise(7, 32, 24, Device::Cpu).unwrap();
    let alone: Vec<Vec<Vec<f64>>> = (0..3)
        .map(|number| descend(&vgg, &settings, targets(&vgg, &settings, number), &start))
        .collect();
    let together: Vec<Targets> = (0..3)
        .map(|number| targets(&vgg, &settings, number))
        .collect();
    let together = stack(&together);
    let together = descend(
        &vgg,
        &settings,
        together,
        &Tensor::cat(&[&start, &start, &start], 0),
    );
    for (number, alone) in alone.iter().enumerate() {
        for (evaluation, (alone, together)) in alone.iter().zip(&together).enumerate() {
            let (alone, together) = (alone[0], together[number]);
            // Sums are taken in another order within a batch; L-BFGS amplifies that slowly.
            let tolerance = if evaluation < 5 { 1e-4 } else { 5e-3 };
            assert!(
                (alone - together).abs() <= tolerance * alone,
                "picture {number}, evaluation {evaluation}: {alone} alone, {together} in a batch"
            );
        }
        assert!(alone[24][0] < alone[0][0] / 2.0, "{alone:?}");
    }
}

#[test]
fn the_first_step_is_short_and_the_second_uses_the_curvature() {
    // f(x) = 2 x² in one row, x² / 2 in the other: gradients 4 x and x.
    let curvature = Tensor::from_slice(&[4.0_f32, 1.0]).view([2, 1]);
    let x = Tensor::from_slice(&[3.0_f32, 0.5]).view([2, 1]);
    let mut optimiser = Lbfgs::new(&x, 5).unwrap();
    let second = optimiser.step(&x, &(&curvature * &x)).unwrap();
    // min(1, 1 / |g|) times -g: one in all for the long gradient, the whole of the short one.
    let expected = Tensor::from_slice(&[2.0_f32, 0.0]).view([2, 1]);
    assert!(second.allclose(&expected, 1e-6, 1e-6, false), "{second}");
    // One pair tells all of a parabola in one dimension, so the next step ends at its foot.
    let third = optimiser.step(&second, &(&curvature * &second)).unwrap();
    assert!(third.abs().max().double_value(&[]) < 1e-5, "{third}");
}

#[test]
fn a_row_without_use_for_its_history_begins_anew_alone() {
    let gradient = Tensor::ones([2, 3], (Kind::Float, Device::Cpu)) * 2.0;
    let x = gradient.zeros_like();
    let mut optimiser = Lbfgs::new(&gradient, 5).unwrap();
    let first = optimiser.step(&x, &gradient).unwrap();
    let rows = Tensor::from_slice(&[true, false]).view([2, 1]);
    optimiser.begin_anew(&rows).unwrap();
    let second = optimiser.step(&x, &(&gradient * 0.5)).unwrap();
    // Half as long as the first, along a gradient of the same direction.
    let expected = first.get(0) * 0.5;
    assert!(
        second.get(0).allclose(&expected, 1e-5, 1e-6, false),
        "{second}"
    );
    assert!(
        !second.get(1).allclose(&expected, 1e-2, 1e-2, false),
        "{second}"
    );
}

#[test]
fn a_row_that_goes_astray_returns_to_its_best_and_its_neighbour_notices_nothing() {
    let vgg = Vgg::load(&narrow_weights(), Device::Cpu).unwrap();
    let settings = settings(&SHALLOW);
    let both = || stack(&[targets(&vgg, &settings, 0), targets(&vgg, &settings, 1)]);
    let start = pixels::noise(7, 32, 24, Device::Cpu).unwrap();
    let start = Tensor::cat(&[&start, &start], 0);
    let undisturbed = descend(&vgg, &settings, both(), &start);
    let objective = Objective::new(&vgg, &settings, both());
    let mut descent = Descent::begin(start, settings.history).unwrap();
    let mut losses = Vec::new();
    for evaluation in 0..25 {
        if evaluation == 10 {
            descent.displace(0, f64::NAN);
        }
        losses.push(descent.advance(&objective).unwrap().total);
    }
    assert!(losses[10][0].is_nan());
    assert!(losses[24][0] < losses[9][0], "{losses:?}");
    assert!((losses[24][1] - undisturbed[24][1]).abs() <= 5e-3 * undisturbed[24][1]);
    let best = descent.finish();
    let finite = losses
        .iter()
        .map(|rows| rows[0])
        .filter(|loss| loss.is_finite());
    let lowest = finite.fold(f64::INFINITY, f64::min);
    assert!((best.losses[0] - lowest).abs() < f64::EPSILON);
}

fn render(width: u32, height: u32, further: &[&str]) -> Result<Rendered, RenderError> {
    let renderer = Renderer::load(Network::Trained(narrow_weights()), DeviceChoice::Cpu)?;
    let assignments = [SHALLOW.as_slice(), &["iterations=3", "scales=2"], further].concat();
    let job = RenderJob {
        photo: picture(width, height, 0),
        paintings: vec![(picture(40, 30, 1), 2.0), (picture(7, 90, 2), 1.0)],
        settings: settings(&assignments),
    };
    renderer.render(&job, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn every_shape_renders_at_the_size_that_was_asked_for() {
    for (width, height, wanted) in [
        (300, 200, (32, 21)),
        (200, 1, (32, 1)),
        (1, 200, (1, 32)),
        (4, 4, (32, 32)),
        (1, 1, (32, 32)),
    ] {
        for further in [
            ["start=photo", "padding=zero"],
            ["start=noise", "pooling=max"],
        ] {
            let rendered = render(width, height, &further).unwrap();
            assert_eq!(rendered.picture.dimensions(), wanted);
            assert_eq!(rendered.evaluations, 4 + 3);
            assert!(rendered.loss.is_finite());
        }
    }
}

#[test]
fn a_photo_in_its_own_style_stays_put() {
    let renderer = Renderer::load(Network::Trained(narrow_weights()), DeviceChoice::Cpu).unwrap();
    let photo = picture(32, 24, 0);
    let job = RenderJob {
        photo: photo.clone(),
        paintings: vec![(photo.clone(), 1.0)],
        settings: settings(
            &[
                SHALLOW.as_slice(),
                &["scales=1", "iterations=5", "tv_weight=0"],
            ]
            .concat(),
        ),
    };
    let painted = renderer
        .render(&job, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(painted.picture, photo);
    assert!(painted.loss.abs() < f64::EPSILON);
}

#[test]
fn what_cannot_be_is_refused_and_a_stop_is_obeyed() {
    let error = render(20, 20, &["content_layers=conv4_2"]).unwrap_err();
    assert!(error.is_refusal());
    assert!(error.to_string().contains("conv4_2") && error.to_string().contains("conv2_1"));
    let error = render(20, 20, &["content_weight=0", "style_weight=0"]).unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains("style_weight"));
    let vast = ["loss=gatys", "style_layers=conv1_1:1e9", "style_weight=1e9"];
    let vast = render(20, 20, &vast);
    assert!(vast.is_ok(), "large but finite weights render: {vast:?}");

    let renderer = Renderer::load(Network::Trained(narrow_weights()), DeviceChoice::Cpu).unwrap();
    let job = RenderJob {
        photo: picture(20, 20, 0),
        paintings: vec![(picture(20, 20, 1), 1.0)],
        settings: settings(&SHALLOW),
    };
    let mut seen = 0;
    let stopped = renderer.render(&job, &mut |evaluation| {
        seen = evaluation.number;
        if seen == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(stopped, Err(RenderError::Cancelled)));
    assert_eq!(seen, 3);
}

#[test]
fn one_seed_is_one_picture() {
    let picture = |seed: &str| render(30, 20, &["start=noise", seed]).unwrap().picture;
    assert_eq!(picture("seed=1"), picture("seed=1"));
    assert_ne!(picture("seed=1"), picture("seed=2"));
}
