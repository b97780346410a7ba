//! The numbers of a VGG network: read from files, fetched, or left untrained. Knows no torch.

use atelier_proto::ids::Digest;
use atelier_proto::settings::Layer;

/// Which VGG a set of weights is (Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 13 convolutions: 2, 2, 3, 3, 3.
    Vgg16,
    /// 16 convolutions: 2, 2, 4, 4, 4.
    Vgg19,
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
