//! Goal: L-BFGS takes the steps that theory says, each row for itself, and goes on from a saved state.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use crate::render::lbfgs::Lbfgs;

#[test]
fn the_first_step_is_short_and_the_second_uses_the_curvature() {
    // f(x) = 2 x² in one row, x² / 2 in the other: gradients 4 x and x.
    let curvature = Tensor::from_slice(&[4.0_f32, 1.0]).view([2, 1]);
    let x = Tensor::from_slice(&[3.0_f32, 0.5]).view([2, 1]);
    let mut optimiser = Lbfgs::new(&x, 5, f64::INFINITY).unwrap();
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
    let mut optimiser = Lbfgs::new(&gradient, 5, f64::INFINITY).unwrap();
    let first = optimiser.step(&x, &gradient).unwrap();
    let rows = Tensor::from_slice(&[true, false]).view([2, 1]);
    optimiser.begin_anew(&rows).unwrap();
    // The other way, so that a step across the jump would look like curvature.
    let second = optimiser.step(&x, &(&gradient * -0.5)).unwrap();
    // Half as long as the first, along its own gradient alone.
    let expected = first.get(0) * -0.5;
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
fn a_row_that_stepped_too_far_takes_whole_steps_again_when_that_is_long_ago() {
    let mut x = Tensor::ones([3, 12], (Kind::Float, Device::Cpu));
    let mut optimiser = Lbfgs::new(&x, 4, f64::INFINITY).unwrap();
    let damping = |optimiser: &Lbfgs, row| {
        let state: BTreeMap<String, Tensor> = optimiser.state(row).unwrap().into_iter().collect();
        state["damping"].double_value(&[0, 0])
    };
    let rows = Tensor::from_slice(&[true, false, false]).view([3, 1]);
    optimiser.begin_anew(&rows).unwrap();
    for expected in [0.5, 0.5_f64.sqrt(), 1.0, 1.0] {
        assert!((damping(&optimiser, 0) - expected).abs() < 1e-4);
        assert!((damping(&optimiser, 1) - 1.0).abs() < f64::EPSILON);
        for _ in 0..8 {
            x = optimiser.step(&x, &gradient(&x)).unwrap();
        }
    }
}

/// A valley of 12 dimensions, each row's of another steepness.
fn gradient(x: &Tensor) -> Tensor {
    let steepness = Tensor::arange_start(1, 37, (Kind::Float, Device::Cpu)).view([3, 12]);
    steepness * x
}

#[test]
fn a_row_goes_on_alone_and_elsewhere_as_it_would_have_gone_on() {
    let mut x = Tensor::ones([3, 12], (Kind::Float, Device::Cpu));
    let mut optimiser = Lbfgs::new(&x, 4, f64::INFINITY).unwrap();
    for _ in 0..6 {
        x = optimiser.step(&x, &gradient(&x)).unwrap();
    }
    let state: BTreeMap<String, Tensor> = optimiser.state(1).unwrap().into_iter().collect();
    let row = x.narrow(0, 1, 1);
    let mut elsewhere = Lbfgs::new(&row, 4, f64::INFINITY).unwrap();
    elsewhere.restore(&state).unwrap();
    let elsewhere = elsewhere.step(&row, &gradient(&x).narrow(0, 1, 1)).unwrap();

    let together = optimiser.step(&x, &gradient(&x)).unwrap();
    assert!(
        together
            .narrow(0, 1, 1)
            .allclose(&elsewhere, 1e-5, 1e-6, false)
    );

    let kept = Tensor::from_slice(&[2_i64, 0]);
    optimiser.keep(&[2, 0]).unwrap();
    let x = together.index_select(0, &kept);
    let alone = optimiser
        .step(&x, &gradient(&together).index_select(0, &kept))
        .unwrap();
    assert_eq!(alone.size(), [2, 12]);
    assert!(
        alone.abs().sum(Kind::Float).double_value(&[]) < x.abs().sum(Kind::Float).double_value(&[])
    );
}

#[test]
fn a_row_whose_gradient_was_no_number_goes_on_after_it() {
    let options = (Kind::Float, Device::Cpu);
    let mut x = Tensor::ones([3, 12], options);
    let mut optimiser = Lbfgs::new(&x, 4, f64::INFINITY).unwrap();
    for _ in 0..3 {
        x = optimiser.step(&x, &gradient(&x)).unwrap();
    }
    let before = x.copy();
    let broken = gradient(&x);
    let _ = broken.get(1).fill_(f64::INFINITY);
    let _ = optimiser.step(&x, &broken).unwrap();
    let astray = Tensor::from_slice(&[false, true, false]).view([3, 1]);
    optimiser.begin_anew(&astray).unwrap();
    for _ in 0..4 {
        x = optimiser.step(&x, &gradient(&x)).unwrap();
    }
    assert_eq!(x.isfinite().all().int64_value(&[]), 1, "{x}");
    let size = |images: &Tensor| images.get(1).abs().sum(Kind::Float).double_value(&[]);
    assert!(size(&x) < size(&before));
}
