//! A network that needs no file: VGG16's shape with seeded filters, calibrated on noise.
//!
//! Style transfer needs features that tell textures apart and from which a picture can be found again, not features that
//! name objects. Random filters are such features (Ustyuzhaninov et al. 2016, <https://arxiv.org/abs/1606.00021>) once
//! they share with trained ones what the losses rely on:
//! - Every channel has the same strength over pictures with the spectrum of photographs, and its rectifier passes half of
//!   what it sees (the data-dependent initialisation of Krähenbühl et al. 2015, <https://arxiv.org/abs/1511.06856>).
//! - What all pictures have in common is taken out of the filters, not put into a bias: flat areas then have faint
//!   features at every depth. With a bias for it their features are the strongest of all, and Gram matrices tell
//!   pictures apart by how much of them is flat.
//! - Filters hardly see what changes from pixel to pixel, so gradients do not fill pictures with such noise.
//! - Most channels of a layer are passed on to the next, as in scattering networks (Bruna and Mallat 2013,
//!   <https://arxiv.org/abs/1203.1513>): random layers on top of each other scramble a picture so that no optimiser finds
//!   it again from its `conv4_2`, where the published settings hold on to it.

use atelier_proto::ids::Digest;
use atelier_proto::settings::{Padding, Pooling};
use tch::{Kind, TchError, Tensor};

use super::pixels::gaussian;
use super::vgg::{convolve, pool};
use crate::weights::{Architecture, Convolution, VggWeights};

/// How the network is told from others. Whoever changes what it computes changes the number, so that pictures and
/// checkpoints of one are not taken for another's.
pub(super) const NAME: &str = "vgg16 untrained 2";

/// The scale of its features relative to that of trained ones with the published formulas. At the faint noise that
/// `classic` and `neural-style` begin with, style outweighs content 4 and 11 times as much as with VGG19 where mean
/// activations are alike; content goes with the square of this number and style with its fourth power.
pub(super) const STRENGTH: f64 = 0.4;

/// Pictures of noise that channels are calibrated on.
const PICTURES: i64 = 4;
/// Their side, pixels: 8 positions are left in the deepest block.
const SIDE: i64 = 128;
/// Share of a first-layer filter's mean that is taken out: brightness alone says little, edges and hues much.
const BRIGHTNESS_REMOVED: f64 = 0.9;
/// Of this many channels of a layer, all but one are passed on as they are; the other outputs are filters of all of them.
const PASSED_ON_OF: usize = 4;
/// Deviation of the filters' biases: faint features even where nothing is to be seen, without which a picture that begins
/// as grey is on a plateau of Gram matrices and has no way to go.
const BIAS: f32 = 0.2;
/// A blur and a slope along one axis; neither sees a change from pixel to pixel and back.
const BLUR: [f32; 3] = [1.0, 2.0, 1.0];
const SLOPE: [f32; 3] = [1.0, 0.0, -1.0];
/// How strong the spatial parts of filters are: brightness, slopes, and corners.
const PARTS: [f64; 3] = [1.0, 1.0, 0.5];
/// What the network sees of a colour `c` is `(c - mean) / deviation`.
const MEAN: f32 = 0.5;
const DEVIATION: f32 = 0.25;

/// Channels of each block of VGG16.
fn channels(block: u8) -> usize {
    match block {
        1 => 64,
        2 => 128,
        3 => 256,
        _ => 512,
    }
}

/// The untrained network of a seed; the same on every machine, but for the rounding of its calibration.
///
/// # Errors
/// What libtorch says, as when memory runs out.
pub fn calibrated(seed: u64) -> Result<VggWeights, TchError> {
    tch::no_grad(|| {
        let architecture = Architecture::Vgg16;
        let mut features = noise_pictures(seed)?
            .f_sub_scalar(f64::from(MEAN))?
            .f_div_scalar(f64::from(DEVIATION))?;
        let mut convolutions = Vec::new();
        let mut inputs = 3;
        let mut block = 1;
        for (number, layer) in (1_u64..).zip(architecture.layers()) {
            if layer.block() != block {
                block = layer.block();
                features = pool(&features, Pooling::Average)?;
            }
            let outputs = channels(block);
            let seed = seed.wrapping_mul(1000).wrapping_add(number);
            let drawn = draw(seed, &features, outputs)?;
            let (kernel, bias) = calibrate(&features, &drawn, seed.wrapping_add(500))?;
            features = convolve(&features, &kernel, Some(&bias), Padding::Replicate)?.f_relu()?;
            convolutions.push(Convolution {
                layer,
                input_channels: inputs,
                output_channels: outputs,
                kernel: values(&kernel)?,
                bias: values(&bias)?,
            });
            inputs = outputs;
        }
        Ok(VggWeights {
            architecture,
            convolutions,
            mean: [MEAN; 3],
            deviation: [DEVIATION; 3],
            digest: Digest::of(format!("{NAME}, seed {seed}").as_bytes()),
        })
    })
}

/// The filters of a layer before their calibration.
#[derive(Debug)]
struct Drawn {
    /// `[outputs, inputs, 3, 3]`; first those that pass on a channel.
    kernel: Tensor,
    passed_on: usize,
}

/// Filters of features, `[PICTURES, inputs, …]`, from a seed.
fn draw(seed: u64, features: &Tensor, outputs: usize) -> Result<Drawn, TchError> {
    let inputs = features.size()[1];
    if inputs <= 3 {
        let kernel = random_filters(seed, inputs, outputs)?;
        let brightness = kernel.f_mean_dim([1, 2, 3].as_slice(), true, None)?;
        let kernel = kernel.f_sub(&brightness.f_mul_scalar(BRIGHTNESS_REMOVED)?)?;
        return Ok(Drawn {
            kernel,
            passed_on: 0,
        });
    }
    let passed: Vec<i64> = (0..inputs)
        .filter(|channel| (channel + 1) % PASSED_ON_OF as i64 != 0)
        .collect();
    let options = (Kind::Float, features.device());
    let as_they_are = Tensor::f_eye(inputs, options)?
        .f_index_select(0, &Tensor::f_from_slice(&passed)?)?
        .f_view([passed.len() as i64, inputs, 1, 1])?
        .f_constant_pad_nd([1, 1, 1, 1])?;
    let kernel = random_filters(seed, inputs, outputs - passed.len())?;
    let common = features.f_mean_dim([0, 2, 3].as_slice(), false, None)?;
    let response = kernel
        .f_sum_dim_intlist([2, 3].as_slice(), false, None)?
        .f_matmul(&common)?
        .f_div(&common.f_dot(&common)?)?;
    let flat = window(&BLUR, &BLUR)?;
    let flat = flat.f_div(&flat.f_sum(None)?)?;
    let of_common = response
        .f_outer(&common)?
        .f_view([-1, inputs, 1, 1])?
        .f_mul(&flat)?;
    Ok(Drawn {
        kernel: Tensor::f_cat(&[as_they_are, kernel.f_sub(&of_common)?], 0)?,
        passed_on: passed.len(),
    })
}

/// Kernel and bias with which every channel is equally strong over the features.
fn calibrate(features: &Tensor, drawn: &Drawn, seed: u64) -> Result<(Tensor, Tensor), TchError> {
    let response = convolve(features, &drawn.kernel, None, Padding::Replicate)?;
    let strength = response
        .f_square()?
        .f_mean_dim([0, 2, 3].as_slice(), false, None)?
        .f_sqrt()?;
    let (outputs, passed_on) = (drawn.kernel.size()[0], drawn.passed_on as i64);
    // What is passed on is rectified already and keeps the half of its energy that it has.
    let _ = strength
        .f_narrow(0, 0, passed_on)?
        .f_mul_scalar_(std::f64::consts::SQRT_2)?;
    let bias = Tensor::f_from_slice(&gaussian(seed, outputs as usize, 0.0, BIAS))?;
    let _ = bias.f_narrow(0, 0, passed_on)?.f_zero_()?;
    let kernel = drawn.kernel.f_div(&strength.f_view([-1, 1, 1, 1])?)?;
    Ok((kernel, bias))
}

/// Gaussian mixtures of blurs, slopes and corners, `[outputs, inputs, 3, 3]`.
fn random_filters(seed: u64, inputs: i64, outputs: usize) -> Result<Tensor, TchError> {
    let [brightness, slope, corner] = PARTS;
    let part = |down: &[f32; 3], across: &[f32; 3], strength: f64| {
        let part = window(down, across)?;
        let norm = part.f_norm()?;
        part.f_div(&norm)?.f_mul_scalar(strength)
    };
    let parts = Tensor::f_stack(
        &[
            part(&BLUR, &BLUR, brightness)?,
            part(&BLUR, &SLOPE, slope)?,
            part(&SLOPE, &BLUR, slope)?,
            part(&SLOPE, &SLOPE, corner)?,
        ],
        0,
    )?;
    let shares = gaussian(seed, outputs * inputs as usize * 4, 0.0, 1.0);
    Tensor::f_from_slice(&shares)?
        .f_view([-1, 4])?
        .f_matmul(&parts.f_view([4, 9])?)?
        .f_view([outputs as i64, inputs, 3, 3])
}

/// What one axis has times what the other has, `[3, 3]`.
fn window(down: &[f32; 3], across: &[f32; 3]) -> Result<Tensor, TchError> {
    Tensor::f_from_slice(down)?.f_outer(&Tensor::f_from_slice(across)?)
}

/// Colour pictures whose amplitudes fall as 1/f, as those of photographs do: noise of every octave, equally strong.
/// `[PICTURES, 3, SIDE, SIDE]`, in 0..=1.
pub(super) fn noise_pictures(seed: u64) -> Result<Tensor, TchError> {
    let mut sum = Tensor::f_zeros([PICTURES, 3, SIDE, SIDE], (Kind::Float, tch::Device::Cpu))?;
    let mut side = 2;
    while side <= SIDE {
        let grey = octave(seed.wrapping_add(side as u64), 1, side)?;
        let hues = octave(seed.wrapping_add(1_000 + side as u64), 3, side)?;
        // The colours of a photograph vary less than its brightness.
        sum = sum.f_add(&grey)?.f_add(&hues.f_mul_scalar(0.5)?)?;
        side *= 2;
    }
    let axes = [1, 2, 3];
    let mean = sum.f_mean_dim(axes.as_slice(), true, None)?;
    let deviation = sum.f_std_dim(axes.as_slice(), false, true)?;
    sum.f_sub(&mean)?
        .f_div(&deviation)?
        .f_mul_scalar(f64::from(DEVIATION))?
        .f_add_scalar(f64::from(MEAN))?
        .f_clamp(0.0, 1.0)
}

/// Noise with details of one size, `[PICTURES, channels, SIDE, SIDE]`.
fn octave(seed: u64, channels: i64, side: i64) -> Result<Tensor, TchError> {
    let count = PICTURES * channels * side * side;
    let values = gaussian(seed, count as usize, 0.0, 1.0);
    Tensor::f_from_slice(&values)?
        .f_view([PICTURES, channels, side, side])?
        .f_upsample_bilinear2d([SIDE, SIDE], false, None, None)
}

fn values(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let flat = tensor.f_contiguous()?;
    let mut values = vec![0.0; flat.numel()];
    flat.f_copy_data(&mut values, flat.numel())?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use atelier_proto::settings::Layer;
    use tch::Device;

    use super::*;
    use crate::render::vgg::{Numbers, Vgg};

    /// Mean features of every layer, shallowest first.
    fn strengths(vgg: &Vgg, pictures: &Tensor) -> Vec<(Layer, f64)> {
        let layers: Vec<Layer> = vgg.layers().map(|(layer, _)| layer).collect();
        let features = vgg
            .features(pictures, layers, Pooling::Average, Padding::Replicate)
            .unwrap();
        features
            .into_iter()
            .map(|(layer, features)| (layer, features.mean(Kind::Double).double_value(&[])))
            .collect()
    }

    #[test]
    fn flat_areas_have_faint_features_but_some_at_every_depth() {
        let numbers = Numbers {
            convolutions: Kind::Float,
            channels_last: false,
        };
        let vgg = Vgg::load(&calibrated(1).unwrap(), Device::Cpu, numbers).unwrap();
        // Other noise than that of the calibration.
        let noise = strengths(&vgg, &noise_pictures(2).unwrap());
        let grey = strengths(
            &vgg,
            &Tensor::full([1, 3, 64, 64], 0.5, (Kind::Float, Device::Cpu)),
        );
        for ((layer, of_noise), (_, of_grey)) in noise.into_iter().zip(grey) {
            // Half of a normal distribution of variance 1 has a mean of 0.4.
            assert!((0.25..0.6).contains(&of_noise), "{layer}: {of_noise}");
            let share = of_grey / of_noise;
            assert!(
                (0.05..0.9).contains(&share),
                "{layer}: {of_grey} of {of_noise}"
            );
        }
    }
}
