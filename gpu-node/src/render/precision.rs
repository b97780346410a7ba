//! In which numbers a device convolves: float32, or bfloat16 where that is faster.

use std::fmt;
use std::str::FromStr;

use atelier_proto::clock::Stopwatch;
use tch::{Cuda, Device, Kind, TchError, Tensor};

/// What `--precision` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// bfloat16 where the device gains by it, else float32.
    #[default]
    Auto,
    /// float32 throughout, on GPUs without TF32.
    Float32,
    /// Convolutions in bfloat16; image, sums, losses and optimiser in float32. The last evaluations of every picture are
    /// in float32 all the same, on GPUs with TF32 in the convolutions.
    Bfloat16,
}

/// A text that names no precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no precision: use `auto`, `float32` or `bfloat16`")]
pub struct UnknownPrecision {
    text: String,
}

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Self, UnknownPrecision> {
        match text {
            "auto" => Ok(Self::Auto),
            "float32" => Ok(Self::Float32),
            "bfloat16" => Ok(Self::Bfloat16),
            _ => Err(UnknownPrecision {
                text: text.chars().take(80).collect(),
            }),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Float32 => "float32",
            Self::Bfloat16 => "bfloat16",
        })
    }
}

/// A GPU without units for bfloat16 emulates it, several times slower than float32; one with them is several times
/// faster. Anything between is noise.
const GAIN_MIN: f64 = 1.3;
/// The convolution that is timed: images, channels, side.
const TRIAL: (i64, i64, i64) = (4, 128, 128);
const TRIALS: u32 = 5;

/// Whether the device gains by bfloat16: the processors say so, a GPU is timed.
pub(super) fn gains_by_bfloat16(device: Device) -> Result<bool, TchError> {
    match device {
        Device::Cuda(number) => {
            let single = seconds(device, number, Kind::Float)?;
            let half = seconds(device, number, Kind::BFloat16)?;
            tracing::debug!(single, half, "convolutions timed");
            Ok(single / half > GAIN_MIN)
        }
        _ => Ok(processors_have_bfloat16()),
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) fn processors_have_bfloat16() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn processors_have_bfloat16() -> bool {
    false
}

/// Whether oneDNN has its widest units here. Without them it does not convolve in bfloat16 (`mkldnn_bf16_device_check` of
/// libtorch), and libtorch does so by loops of its own.
#[cfg(target_arch = "x86_64")]
pub(super) fn processors_have_avx512() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("avx512bw") && has!("avx512vl") && has!("avx512dq")
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn processors_have_avx512() -> bool {
    false
}

fn seconds(device: Device, number: usize, kind: Kind) -> Result<f64, TchError> {
    let (images, channels, side) = TRIAL;
    let options = (kind, device);
    let image = Tensor::f_ones([images, channels, side, side], options)?;
    let kernel = Tensor::f_ones([channels, channels, 3, 3], options)?;
    let convolve = || image.f_conv2d(&kernel, None::<&Tensor>, 1, 1, 1, 1);
    let _ = convolve()?;
    Cuda::synchronize(number as i64);
    let watch = Stopwatch::start();
    for _ in 0..TRIALS {
        let _ = convolve()?;
    }
    Cuda::synchronize(number as i64);
    Ok(watch.seconds())
}
