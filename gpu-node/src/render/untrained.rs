//! A network that needs no file: VGG16's shape with random filters, calibrated on noise.
//!
//! Style transfer needs features that tell textures apart, not features that name objects; random filters are such
//! features once every channel is brought to mean 0 and variance 1 over pictures with the spectrum of photographs, so
//! that each rectifier passes half of what it sees (compare Ustyuzhaninov et al. 2016,
//! <https://arxiv.org/abs/1606.00021>, and the data-dependent initialisation of Krähenbühl et al. 2015,
//! <https://arxiv.org/abs/1511.06856>).

use atelier_proto::ids::Digest;
use atelier_proto::settings::{Padding, Pooling};
use tch::{Kind, TchError, Tensor};

use super::pixels::gaussian;
use super::vgg::{convolve, pool};
use crate::weights::{Architecture, Convolution, VggWeights};

/// Pictures of noise that channels are calibrated on.
const PICTURES: i64 = 4;
/// Their side, pixels: 8 positions are left in the deepest block.
const SIDE: i64 = 128;
/// Share of a first-layer filter's mean that is taken out: brightness alone says little, edges and hues much.
const BRIGHTNESS_REMOVED: f64 = 0.9;
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
            let kernel = filters(
                seed.wrapping_mul(1000).wrapping_add(number),
                inputs,
                outputs,
            )?;
            let response = convolve(&features, &kernel, None, Padding::Replicate)?;
            let axes = [0, 2, 3];
            let mean = response.f_mean_dim(axes.as_slice(), false, None)?;
            let deviation = response.f_std_dim(axes.as_slice(), false, false)?;
            let kernel = kernel.f_div(&deviation.f_view([-1, 1, 1, 1])?)?;
            let bias = mean.f_div(&deviation)?.f_neg()?;
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
            digest: Digest::of(&seed.to_le_bytes()),
        })
    })
}

/// Gaussian filters, `[outputs, inputs, 3, 3]`.
fn filters(seed: u64, inputs: usize, outputs: usize) -> Result<Tensor, TchError> {
    let values = gaussian(seed, outputs * inputs * 9, 0.0, 1.0);
    let kernel = Tensor::f_from_slice(&values)?.f_view([outputs as i64, inputs as i64, 3, 3])?;
    if inputs > 3 {
        return Ok(kernel);
    }
    let brightness = kernel.f_mean_dim([1, 2, 3].as_slice(), true, None)?;
    kernel.f_sub(&brightness.f_mul_scalar(BRIGHTNESS_REMOVED)?)
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
