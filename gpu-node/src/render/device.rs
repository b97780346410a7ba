//! What a renderer runs on: this machine's processors or one of its GPUs.

use std::fmt;
use std::str::FromStr;

use tch::{Cuda, Device};

use super::RenderError;
use super::cuda;
use super::host_memory::available_bytes;

/// What `--device` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first GPU if there is one, else the processors.
    #[default]
    Auto,
    /// The processors.
    Cpu,
    /// This GPU, from 0.
    Cuda(usize),
}

/// A text that names no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no device: use `auto`, `cpu` or `cuda:N`")]
pub struct UnknownDevice {
    text: String,
}

impl FromStr for DeviceChoice {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        let unknown = || UnknownDevice {
            text: text.chars().take(80).collect(),
        };
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let number = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                Ok(Self::Cuda(number.parse().map_err(|_| unknown())?))
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// A device that is there.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) torch: Device,
    /// "cpu" or "cuda:0 NVIDIA H100".
    pub(super) name: String,
    /// 0: it does not tell.
    pub(super) memory_bytes: u64,
}

/// Share of a GPU's free memory that renders may take: libtorch's own buffers and other programs want some.
const GPU_SHARE: f64 = 0.9;
/// Share of this machine's free memory that renders may take.
const CPU_SHARE: f64 = 0.7;
/// A GPU is idle half of the time and more with a few pictures: what it is told to do takes longer to say than to do.
const GPU_FIRST_BATCH: u32 = 16;

impl Selected {
    /// Bytes that renders may take.
    pub(super) fn free_bytes(&self) -> u64 {
        let (free, share) = match self.torch {
            Device::Cuda(_) => (self.memory_bytes, GPU_SHARE),
            _ => (available_bytes().unwrap_or(self.memory_bytes), CPU_SHARE),
        };
        (free as f64 * share) as u64
    }

    /// Pictures to render at once while nothing is measured.
    pub(super) fn first_batch(&self) -> u32 {
        match self.torch {
            Device::Cuda(_) => GPU_FIRST_BATCH,
            _ => 1,
        }
    }
}

/// Opens the libraries of the device that was chosen, which takes seconds for a GPU and needs no network. Loading a
/// renderer does so too, if nobody has before.
pub fn open_libraries(choice: DeviceChoice) {
    if choice != DeviceChoice::Cpu {
        cuda::open();
    }
}

/// Finds the device that was chosen.
pub(super) fn select(choice: DeviceChoice) -> Result<Selected, RenderError> {
    if choice == DeviceChoice::Cpu {
        return Ok(cpu());
    }
    open_libraries(choice);
    let gpus = usize::try_from(Cuda::device_count()).unwrap_or(0);
    match choice {
        DeviceChoice::Cuda(number) if number < gpus => Ok(gpu(number)),
        DeviceChoice::Cuda(_) => Err(RenderError::NoSuchDevice {
            device: choice.to_string(),
            reason: "libtorch sees no such GPU here",
        }),
        DeviceChoice::Auto if gpus > 0 => Ok(gpu(0)),
        DeviceChoice::Auto | DeviceChoice::Cpu => Ok(cpu()),
    }
}

/// Bytes of memory that this machine has.
pub(super) fn total_memory_bytes() -> u64 {
    let system = rustix::system::sysinfo();
    system.totalram as u64 * u64::from(system.mem_unit)
}

fn cpu() -> Selected {
    Selected {
        torch: Device::Cpu,
        name: "cpu".to_owned(),
        memory_bytes: total_memory_bytes(),
    }
}

fn gpu(number: usize) -> Selected {
    // What cuDNN guesses is as fast as what it finds by trying, and each new shape would cost seconds of trying.
    Cuda::cudnn_set_benchmark(false);
    let model = cuda::model(number).unwrap_or_default();
    Selected {
        torch: Device::Cuda(number),
        name: format!("cuda:{number} {model}").trim_end().to_owned(),
        memory_bytes: cuda::free_bytes(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_spelt_as_it_is_read() {
        for text in ["auto", "cpu", "cuda:3"] {
            let choice: DeviceChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        let error = "gpu".parse::<DeviceChoice>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"gpu\" is no device: use `auto`, `cpu` or `cuda:N`"
        );
        assert!("cuda:-1".parse::<DeviceChoice>().is_err());
    }

    #[test]
    fn a_gpu_that_is_not_there_is_an_error_and_not_the_processors() {
        let error = select(DeviceChoice::Cuda(999)).unwrap_err();
        assert!(error.to_string().starts_with("there is no device cuda:999"));
        assert!(!error.is_refusal(), "another node may have one");
    }
}
