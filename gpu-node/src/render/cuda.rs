//! libtorch's CUDA half, opened at run time: one binary runs with and without a GPU.
//!
//! The linker drops `libtorch_cuda.so` from the program because no symbol of it is named. Opening it before the
//! first question about GPUs registers its kernels, as the loader would have done.

use std::sync::OnceLock;

/// The library stays open as long as the program runs: its kernels are registered.
static OPENED: OnceLock<Option<libloading::os::unix::Library>> = OnceLock::new();

/// Opens libtorch's CUDA half where it is installed; does nothing the second time.
pub(super) fn open() {
    OPENED.get_or_init(|| {
        let opened = load("libtorch_cuda.so");
        if let Err(error) = &opened {
            tracing::debug!(%error, "no CUDA half of libtorch; rendering on the processors");
        }
        opened.ok()
    });
}

/// Free bytes on a GPU, as the CUDA runtime has it; 0 when it does not tell.
pub(super) fn free_bytes(number: usize) -> u64 {
    memory(number).map_or(0, |(free, _)| free)
}

/// Free bytes and all bytes of a GPU, as the CUDA runtime has it.
#[expect(
    unsafe_code,
    reason = "tch has no call for it; the signatures are those of the CUDA runtime's documentation"
)]
pub(super) fn memory(number: usize) -> Option<(u64, u64)> {
    type SetDevice = unsafe extern "C" fn(i32) -> i32;
    type MemGetInfo = unsafe extern "C" fn(*mut usize, *mut usize) -> i32;
    let library = OPENED.get()?.as_ref()?;
    let number = i32::try_from(number).ok()?;
    let (mut free, mut total) = (0, 0);
    // SAFETY: the symbols, found through the dependencies of libtorch_cuda, have these C signatures in every CUDA version,
    // and both pointers are valid for the call. The first one says which GPU the second is about.
    let status = unsafe {
        let set_device = library.get::<SetDevice>(b"cudaSetDevice\0").ok()?;
        let mem_get_info = library.get::<MemGetInfo>(b"cudaMemGetInfo\0").ok()?;
        match set_device(number) {
            0 => mem_get_info(&raw mut free, &raw mut total),
            refused => refused,
        }
    };
    (status == 0).then_some((free as u64, total as u64))
}

/// The compute capability of a GPU, such as (9, 0), as the CUDA runtime has it.
#[expect(
    unsafe_code,
    reason = "tch has no call for it; the signature is that of the CUDA runtime's documentation"
)]
pub(super) fn compute_capability(number: usize) -> Option<(i32, i32)> {
    type DeviceGetAttribute = unsafe extern "C" fn(*mut i32, i32, i32) -> i32;
    /// `cudaDevAttrComputeCapabilityMajor` and `…Minor`.
    const MAJOR: i32 = 75;
    const MINOR: i32 = 76;
    let library = OPENED.get()?.as_ref()?;
    let number = i32::try_from(number).ok()?;
    let attribute = |which: i32| {
        let mut value = 0;
        // SAFETY: the symbol, found through the dependencies of libtorch_cuda, has this C signature in every CUDA version,
        // and the pointer is valid for the call.
        let status = unsafe {
            let get = library
                .get::<DeviceGetAttribute>(b"cudaDeviceGetAttribute\0")
                .ok()?;
            get(&raw mut value, which, number)
        };
        (status == 0).then_some(value)
    };
    Some((attribute(MAJOR)?, attribute(MINOR)?))
}

/// What the driver calls a GPU, such as "NVIDIA H100 80GB HBM3".
pub(super) fn model(number: usize) -> Option<String> {
    let mut gpus: Vec<_> = std::fs::read_dir("/proc/driver/nvidia/gpus")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    // The driver and CUDA both count by bus address unless the environment says otherwise.
    gpus.sort();
    let information = std::fs::read_to_string(gpus.get(number)?.join("information")).ok()?;
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("Model:"))?;
    Some(model.trim().to_owned())
}

#[expect(
    unsafe_code,
    reason = "opening a library runs its initialisers; this one is part of the libtorch that the program links"
)]
fn load(name: &str) -> Result<libloading::os::unix::Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: libtorch_cuda's initialisers register kernels and do nothing else; PyTorch opens it in the same way.
    unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) }
}
