//! The most memory that a batch takes.

use crate::render::Renderer;

/// What was held before any batch, to compare with.
#[derive(Debug)]
pub(super) enum Memory {
    /// Resident bytes of this process, as Linux counts them.
    Processors {
        /// With the network loaded.
        before: u64,
    },
    /// Free bytes of the GPU.
    Gpu {
        /// With the network loaded.
        before: u64,
    },
}

/// What a batch took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// The most bytes that this process held; on a GPU, as many as `beyond`.
    pub(super) peak: u64,
    /// The same without what was held before any batch: program, libraries, network.
    pub(super) beyond: u64,
}

impl Memory {
    /// Notes what is held now.
    pub(super) fn note(renderer: &Renderer) -> Self {
        match renderer.free_gpu_bytes() {
            Some(before) => Self::Gpu { before },
            None => Self::Processors {
                before: status_bytes("VmRSS:").unwrap_or(0),
            },
        }
    }

    /// Forgets the most that was held so far.
    pub(super) fn reset(&self) {
        if matches!(self, Self::Processors { .. }) {
            // 5 sets VmHWM to what is held now (proc(5), /proc/pid/clear_refs). Where that cannot be written, the mark
            // of smaller batches stays, which come first.
            let _ = std::fs::write("/proc/self/clear_refs", "5");
        }
    }

    /// The most that was taken since [`Memory::reset`]. On a GPU libtorch gives nothing back to the driver, so what is
    /// gone now is the most of all batches so far, the largest of which comes last.
    pub(super) fn taken(&self, renderer: &Renderer) -> Taken {
        match self {
            Self::Processors { before } => {
                let peak = status_bytes("VmHWM:").unwrap_or(0);
                Taken {
                    peak,
                    beyond: peak.saturating_sub(*before),
                }
            }
            Self::Gpu { before } => {
                let free = renderer.free_gpu_bytes().unwrap_or(*before);
                let beyond = before.saturating_sub(free);
                Taken {
                    peak: beyond,
                    beyond,
                }
            }
        }
    }
}

/// A line of /proc/self/status.
fn status_bytes(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
