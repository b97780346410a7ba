//! What this machine has to render on, for people who set up a node.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tch::Cuda;

use super::cuda;
use super::device::{self, DeviceChoice};
use super::host_memory::available_bytes;
use super::precision::{gpu_has_bfloat16, processors_have_bfloat16};

/// The version of libtorch that this program was built for, as in `2.11.0`; `unknown` where its headers do not tell.
pub const LIBTORCH_VERSION: &str = env!("ATELIER_LIBTORCH");

/// A device that a node can render on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// What `--device` calls it: `cpu` or `cuda:0`.
    pub device: String,
    /// Whether `--device auto` takes it.
    pub auto: bool,
    /// What its maker calls it; none where the system does not tell.
    pub name: Option<String>,
    /// Bytes that it has, and that are free now; none where it does not tell.
    pub memory_bytes: Option<u64>,
    /// Free of them now.
    pub memory_free_bytes: Option<u64>,
    /// Of processors: those that this program may use.
    pub cores: Option<usize>,
    /// Whether it multiplies bfloat16 itself, with which convolutions are faster.
    pub bfloat16: bool,
    /// Of NVIDIA GPUs, as in `9.0`.
    pub compute_capability: Option<String>,
}

/// Every device that is here, the processors first. Opens the libraries of GPUs, which takes seconds.
pub fn devices() -> Vec<DeviceInfo> {
    device::open_libraries(DeviceChoice::Auto);
    let gpus = usize::try_from(Cuda::device_count()).unwrap_or(0);
    let mut found = vec![processors(gpus == 0)];
    found.extend((0..gpus).map(|number| gpu(number, number == 0)));
    found
}

fn processors(auto: bool) -> DeviceInfo {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    DeviceInfo {
        device: DeviceChoice::Cpu.to_string(),
        auto,
        name: processor_name(&information).map(str::to_owned),
        memory_bytes: Some(device::total_memory_bytes()),
        memory_free_bytes: available_bytes(),
        cores: std::thread::available_parallelism().ok().map(Into::into),
        bfloat16: processors_have_bfloat16(),
        compute_capability: None,
    }
}

fn gpu(number: usize, auto: bool) -> DeviceInfo {
    let memory = cuda::memory(number);
    let capability = cuda::compute_capability(number);
    DeviceInfo {
        device: DeviceChoice::Cuda(number).to_string(),
        auto,
        name: cuda::model(number),
        memory_bytes: memory.map(|(_, total)| total),
        memory_free_bytes: memory.map(|(free, _)| free),
        cores: None,
        bfloat16: gpu_has_bfloat16(capability),
        compute_capability: capability.map(|(major, minor)| format!("{major}.{minor}")),
    }
}

/// Of what Linux tells of processors, what the first one is called.
fn processor_name(information: &str) -> Option<&str> {
    let line = information
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim()).filter(|name| !name.is_empty())
}

/// The folder from which this process has loaded libtorch; none where the system does not tell.
pub fn libtorch_folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    folder_of(&maps, "libtorch_cpu.so")
}

/// Of what Linux tells of a process' memory, where a library comes from (`proc_pid_maps(5)`).
fn folder_of(maps: &str, library: &str) -> Option<PathBuf> {
    // The path is the last of six columns, and may itself have blanks.
    let paths = maps
        .lines()
        .filter_map(|line| line.find('/').map(|start| &line[start..]));
    let mut paths = paths.map(Path::new);
    let path = paths.find(|path| path.file_name().is_some_and(|name| name == library))?;
    path.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_always_there_and_one_device_is_the_default() {
        let found = devices();
        let cpu = &found[0];
        assert_eq!(cpu.device, "cpu");
        assert!(cpu.cores.unwrap() >= 1 && cpu.memory_bytes.unwrap() > 1 << 20);
        assert!(cpu.memory_free_bytes.unwrap() <= cpu.memory_bytes.unwrap());
        let defaults = found.iter().filter(|device| device.auto);
        let defaults: Vec<_> = defaults.map(|device| device.device.clone()).collect();
        let selected = device::select(DeviceChoice::Auto).unwrap().name;
        assert_eq!(defaults.len(), 1);
        assert!(selected.starts_with(&defaults[0]), "{selected}");
        for device in &found {
            assert!(device.device.parse::<DeviceChoice>().is_ok());
        }
    }

    #[test]
    fn libtorch_is_one_of_this_version_in_a_folder_that_is_there() {
        let numbers: Vec<&str> = LIBTORCH_VERSION.split('.').collect();
        assert_eq!(numbers.len(), 3, "{LIBTORCH_VERSION}");
        // It is loaded when something of it is called.
        let _ = devices();
        let folder = libtorch_folder().unwrap();
        assert!(folder.join("libtorch_cpu.so").exists(), "{folder:?}");
    }

    #[test]
    fn what_linux_tells_is_read_with_care() {
        let maps = "7f00-7f01 r-xp 00000000 fe:00 12 /usr/lib/libc.so.6\n\
                    7f02-7f03 rw-p 00000000 00:00 0 [heap]\n\
                    7f04-7f05 r--p 00000000 fe:00 13 /srv/my torch/lib/libtorch_cpu.so\n";
        let folder = folder_of(maps, "libtorch_cpu.so");
        assert_eq!(folder.unwrap(), Path::new("/srv/my torch/lib"));
        assert_eq!(folder_of(maps, "libtorch.so"), None);
        let name = processor_name("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n");
        assert_eq!(name, Some("Some CPU @ 2 GHz"));
        assert_eq!(processor_name("Hardware: none"), None);
    }
}
