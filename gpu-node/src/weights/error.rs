//! Why a weights file cannot be used.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use atelier_proto::settings::Layer;

/// What a person reads of a weights file that does not work.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be read at all.
    #[error("cannot read the weights {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It can be read, and is no VGG.
    #[error(
        "cannot paint with {}: {problem}\nhint: {}",
        path.display(),
        problem.hint()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with the content of a weights file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No such file holds only weights of VGG.
    #[error("it has {bytes} bytes, more than any VGG")]
    TooLarge {
        /// Its length.
        bytes: u64,
    },
    /// Neither safetensors nor HDF5.
    #[error("it is neither safetensors nor HDF5")]
    UnknownFormat,
    /// A `PyTorch` archive; reading one can run code that it brings.
    #[error("it is a PyTorch archive, which is not safe to read")]
    Pickled,
    /// The format is right, the file is not.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// No tensor has a name of VGG.
    #[error("none of its tensors is a convolution of VGG16 or VGG19")]
    NotVgg,
    /// A VGG whose layers differ from the plain one.
    #[error("it is a VGG with batch normalisation, which paints differently")]
    BatchNormalised,
    /// A layer is missing though a deeper one is there.
    #[error("it lacks {layer}, though deeper layers are there")]
    MissingLayer {
        /// The layer.
        layer: Layer,
    },
    /// A convolution without its other half.
    #[error("{layer} has no {half}")]
    HalfLayer {
        /// The layer.
        layer: Layer,
        /// "kernel" or "bias".
        half: &'static str,
    },
    /// A tensor that does not fit.
    #[error("{layer} has the shape {shape:?}, but {wanted}")]
    WrongShape {
        /// The layer.
        layer: Layer,
        /// As the file has it.
        shape: Vec<usize>,
        /// What would fit.
        wanted: String,
    },
    /// Integers, or a float format that nobody stores weights in.
    #[error("{layer} is stored as {kind}, but must be float32, float16 or bfloat16")]
    WrongKind {
        /// The layer.
        layer: Layer,
        /// As the file has it.
        kind: String,
    },
    /// Two tensors claim one place.
    #[error("{layer} is there twice")]
    Twice {
        /// The layer.
        layer: Layer,
    },
    /// A safetensors header that says what the network wants to see, in a way that makes no sense.
    #[error("its header has `normalisation` = {text:?}")]
    WrongNormalisation {
        /// As the file has it, shortened.
        text: String,
    },
    /// Infinities and NaNs paint nothing.
    #[error("{layer} holds numbers that are not finite")]
    NotFinite {
        /// The layer.
        layer: Layer,
    },
}

/// Longest text of what a reader of a format says, characters.
const DAMAGE_CHARACTERS_MAX: usize = 400;

impl Problem {
    /// A file that is damaged, as the reader of its format says, who quotes names that anybody may have made up.
    pub(super) fn damaged(said: impl Display) -> Self {
        let shown = |letter: char| {
            if letter.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                letter
            }
        };
        let said = said.to_string();
        let said = said.chars().take(DAMAGE_CHARACTERS_MAX).map(shown);
        Self::Damaged(said.collect())
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Pickled => {
                "convert it once with Python: safetensors.torch.save_file(torch.load(FILE), 'vgg.safetensors')"
            }
            Self::Damaged(_) | Self::NotFinite { .. } => {
                "fetch or copy it again; `atelier-node weights check FILE` tells whether it is whole"
            }
            Self::WrongNormalisation { .. } => {
                "`normalisation` is JSON with three numbers each, for red, green and blue: \
                 {\"mean\": [0.5, 0.5, 0.5], \"deviation\": [0.25, 0.25, 0.25]}, deviations above 0"
            }
            Self::BatchNormalised => "take the weights of vgg16 or vgg19 without `_bn`",
            Self::TooLarge { .. }
            | Self::UnknownFormat
            | Self::NotVgg
            | Self::MissingLayer { .. }
            | Self::HalfLayer { .. }
            | Self::WrongShape { .. }
            | Self::WrongKind { .. }
            | Self::Twice { .. } => {
                "weights are VGG16 or VGG19 as safetensors (torchvision or Keras names) or Keras .h5; \
                 `atelier-node weights fetch` gets some"
            }
        }
    }
}
