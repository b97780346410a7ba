//! What a device reaches on arithmetic alone: the yardstick for what a render makes of it.

use atelier_proto::clock::Stopwatch;
use serde::Serialize;
use tch::{Cuda, Device, Kind, TchError, Tensor};

use super::layout::channels_last;
use super::{RenderError, Renderer, cuda};

/// Operations a second on large, friendly shapes; a multiply-add is two.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peak {
    /// On a 3×3 convolution of 256 channels into 256, in the better of both memory layouts.
    pub convolution: f64,
    /// On the product of two square matrices.
    pub matrix_product: f64,
}

/// What a device reaches in each of the numbers that a renderer may convolve in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peaks {
    /// In float32, or in what the renderer allows the device to take for it (TF32).
    pub float32: Peak,
    /// In bfloat16; none where the renderer does without.
    pub bfloat16: Option<Peak>,
}

/// Channels of the convolution.
const CHANNELS: i64 = 256;
/// Height and width of its images, pixels.
const SIDE: i64 = 128;
/// Seconds for which an operation is repeated at least, and how often; the fastest counts.
const SECONDS_MIN: f64 = 0.5;
const REPEATS_MIN: u32 = 3;

/// How large the shapes have to be to be large: a tenth of a second on two cores, or a millisecond on a large GPU.
struct Sizes {
    images: i64,
    matrix_side: i64,
}

impl Renderer {
    /// Measures the device that this renderer is on. Takes some seconds.
    ///
    /// # Errors
    /// What libtorch says, as when a GPU has too little memory left.
    pub fn measure_peaks(&self) -> Result<Peaks, RenderError> {
        let device = self.device.torch;
        // A yardstick may take its time: the best that cuDNN has, found by trying.
        Cuda::cudnn_set_benchmark(true);
        let peaks = tch::no_grad(|| {
            Ok(Peaks {
                float32: peak(device, Kind::Float)?,
                bfloat16: self
                    .fast
                    .is_some()
                    .then(|| peak(device, Kind::BFloat16))
                    .transpose()?,
            })
        });
        Cuda::cudnn_set_benchmark(false);
        peaks
    }

    /// Bytes that are free on the GPU now; what libtorch keeps for itself is not. None on the processors.
    pub fn free_gpu_bytes(&self) -> Option<u64> {
        match self.device.torch {
            Device::Cuda(number) => Some(cuda::free_bytes(number)),
            _ => None,
        }
    }
}

fn peak(device: Device, kind: Kind) -> Result<Peak, TchError> {
    let sizes = match device {
        Device::Cuda(_) => Sizes {
            images: 32,
            matrix_side: 8192,
        },
        _ => Sizes {
            images: 1,
            matrix_side: 2048,
        },
    };
    Ok(Peak {
        convolution: convolution(device, kind, sizes.images)?,
        matrix_product: matrix_product(device, kind, sizes.matrix_side)?,
    })
}

fn convolution(device: Device, kind: Kind, images: i64) -> Result<f64, TchError> {
    // Zeros would let a GPU run cooler, and so faster, than pictures do.
    let image = random(&[images, CHANNELS, SIDE, SIDE], kind, device)?;
    let kernel = random(&[CHANNELS, CHANNELS, 3, 3], kind, device)?;
    let convolve = |image: &Tensor, kernel: &Tensor| {
        fastest(device, || {
            image.f_conv2d(kernel, None::<&Tensor>, 1, 1, 1, 1)
        })
    };
    let plain = convolve(&image, &kernel)?;
    let turned = convolve(&channels_last(&image)?, &channels_last(&kernel)?)?;
    let multiply_adds = images * SIDE * SIDE * CHANNELS * CHANNELS * 9;
    Ok(2.0 * multiply_adds as f64 / plain.min(turned))
}

fn matrix_product(device: Device, kind: Kind, side: i64) -> Result<f64, TchError> {
    let left = random(&[side, side], kind, device)?;
    let right = random(&[side, side], kind, device)?;
    let seconds = fastest(device, || left.f_matmul(&right))?;
    Ok(2.0 * (side as f64).powi(3) / seconds)
}

fn random(shape: &[i64], kind: Kind, device: Device) -> Result<Tensor, TchError> {
    Tensor::f_randn(shape, (Kind::Float, device))?.f_to_kind(kind)
}

/// Seconds of the fastest of several runs.
fn fastest(
    device: Device,
    mut operation: impl FnMut() -> Result<Tensor, TchError>,
) -> Result<f64, TchError> {
    let mut once = || -> Result<f64, TchError> {
        let watch = Stopwatch::start();
        let _ = operation()?;
        if let Device::Cuda(number) = device {
            Cuda::synchronize(number as i64);
        }
        Ok(watch.seconds())
    };
    // In the first run libraries choose their ways.
    once()?;
    let (mut fastest, mut spent, mut repeats) = (f64::INFINITY, 0.0, 0);
    while spent < SECONDS_MIN || repeats < REPEATS_MIN {
        let seconds = once()?;
        fastest = fastest.min(seconds);
        spent += seconds;
        repeats += 1;
    }
    Ok(fastest)
}
