//! In which numbers a device convolves: float32, or bfloat16 where that is faster.

use std::fmt;
use std::str::FromStr;

use tch::Device;

use super::cuda;

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

/// The first compute capability whose matrix units multiply bfloat16, at twice the rate of TF32 (CUDA C++ Programming
/// Guide, "Compute Capabilities"). Older GPUs emulate it, several times slower than float32.
const BFLOAT16_CAPABILITY: (i32, i32) = (8, 0);

/// Whether the device gains by bfloat16. What it is says so, no trial: one short enough to be made at each start says
/// something else now and then, and a node would then paint in other numbers than the day before.
pub(super) fn gains_by_bfloat16(device: Device) -> bool {
    match device {
        Device::Cuda(number) => gpu_has_bfloat16(cuda::compute_capability(number)),
        _ => processors_have_bfloat16(),
    }
}

/// Whether a GPU of this compute capability multiplies bfloat16 itself; one that does not tell is not trusted with it.
pub(super) fn gpu_has_bfloat16(capability: Option<(i32, i32)>) -> bool {
    capability.is_some_and(|capability| capability >= BFLOAT16_CAPABILITY)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_have_bfloat16_from_ampere_on() {
        let turing_ampere_ada_hopper = [(7, 5), (8, 0), (8, 9), (9, 0)];
        let have = turing_ampere_ada_hopper.map(|capability| gpu_has_bfloat16(Some(capability)));
        assert_eq!(have, [false, true, true, true]);
        assert!(!gpu_has_bfloat16(None));
    }
}
