//! The numbers of a VGG network: read from files, fetched, or left untrained. Knows no torch.
//!
//! [`read`] takes whatever file a person has; [`fetch()`] gets Keras' VGG16; [`fetch_stored`] what a fleet has in its bucket;
//! [`choose()`] decides which network a node paints with when nobody said; [`export()`] writes a network for other programs.

mod assemble;
mod cache;
mod choose;
mod error;
mod export;
mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod keras;
mod safetensors;
mod stored;

use std::fmt;
use std::path::Path;

use atelier_proto::ids::Digest;
use atelier_proto::settings::Layer;

use self::assemble::Tensors;
pub use self::cache::{CacheError, cached_path};
pub use self::choose::{
    ChooseError, Chosen, UNTRAINED_SEED, UnknownWeights, WeightsChoice, choose,
};
pub use self::error::{Problem, WeightsError};
pub use self::export::{ExportError, export};
pub use self::fetch::{FetchError, FetchTimeouts, Source, fetch};
pub use self::stored::{StoredWeightsError, fetch_stored, kept, stored_path};

/// Bytes that a weights file may have: twice those of VGG19 with its classifier in float32.
const FILE_BYTES_MAX: u64 = 1_200_000_000;

/// Which VGG a set of weights is (Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 13 convolutions: 2, 2, 3, 3, 3.
    Vgg16,
    /// 16 convolutions: 2, 2, 4, 4, 4.
    Vgg19,
}

impl Architecture {
    /// Every convolution, shallowest first.
    pub fn layers(self) -> impl Iterator<Item = Layer> {
        let deep = match self {
            Self::Vgg16 => 3,
            Self::Vgg19 => 4,
        };
        [(1, 2), (2, 2), (3, deep), (4, deep), (5, deep)]
            .into_iter()
            .flat_map(|(block, last)| (1..=last).filter_map(move |index| Layer::new(block, index)))
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vgg16 => "vgg16",
            Self::Vgg19 => "vgg19",
        })
    }
}

/// One 3×3 convolution with its bias.
#[derive(Debug, Clone, PartialEq)]
pub struct Convolution {
    /// Where it stands in the network.
    pub layer: Layer,
    /// Channels that it reads.
    pub input_channels: usize,
    /// Channels that it makes.
    pub output_channels: usize,
    /// `[output_channels, input_channels, 3, 3]`, row-major; the first layer reads red, green, blue.
    pub kernel: Vec<f32>,
    /// `[output_channels]`.
    pub bias: Vec<f32>,
}

/// A trained VGG, up to whatever layer its file goes.
#[derive(Debug, Clone, PartialEq)]
pub struct VggWeights {
    /// Which VGG.
    pub architecture: Architecture,
    /// Shallowest first, without gaps.
    pub convolutions: Vec<Convolution>,
    /// What the network wants to see of a colour value `c` in 0..=1 is `(c - mean) / deviation`, for red, green and
    /// blue each.
    pub mean: [f32; 3],
    /// See `mean`.
    pub deviation: [f32; 3],
    /// Of the file.
    pub digest: Digest,
}

/// Which network paints.
#[derive(Debug, Clone, PartialEq)]
pub enum Network {
    /// Weights from a file.
    Trained(VggWeights),
    /// Seeded random filters of VGG16's shape, calibrated on noise: needs no file.
    Untrained {
        /// One seed, one network.
        seed: u64,
    },
}

/// Reads a weights file: safetensors with torchvision's or Keras' names, or Keras' HDF5. What kind it is, and
/// which VGG, is read off its content, never off its name.
pub fn read(path: &Path) -> Result<VggWeights, WeightsError> {
    let io = |source| WeightsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let unusable = |problem| WeightsError::Unusable {
        path: path.to_owned(),
        problem,
    };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(unusable(Problem::TooLarge { bytes }));
    }
    let content = std::fs::read(path).map_err(io)?;
    let digest = Digest::of(&content);
    let tensors = tensors(content).map_err(unusable)?;
    assemble::assemble(tensors, digest).map_err(unusable)
}

fn tensors(content: Vec<u8>) -> Result<Tensors, Problem> {
    if content.starts_with(b"\x89HDF\r\n\x1a\n") {
        keras::tensors(content)
    } else if safetensors::is_likely(&content) {
        safetensors::tensors(&content)
    } else if content.starts_with(b"PK\x03\x04") || content.starts_with(b"\x80\x02") {
        Err(Problem::Pickled)
    } else {
        Err(Problem::UnknownFormat)
    }
}

#[cfg(test)]
pub(crate) mod tests;
