//! Why a render brought no picture.

use atelier_proto::settings::{Layer, Mode, Start};
use tch::TchError;

/// Why a render brought no picture.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// Whoever watched it ended it.
    #[error("the render was stopped")]
    Cancelled,
    /// The settings name a layer that the network does not have.
    #[error(
        "the settings ask for {layer}, but this network ({network}) ends at {deepest} or lacks that layer\n\
         hint: name other layers with content_layers and style_layers, or take a network that has it"
    )]
    NoSuchLayer {
        /// What was asked for.
        layer: Layer,
        /// Which VGG.
        network: String,
        /// Its last layer.
        deepest: Layer,
    },
    /// The loss of the very first image is infinite or no number.
    #[error(
        "the loss of the first image is not a finite number\n\
         hint: content_weight, style_weight, tv_weight or the weights of layers are too large"
    )]
    NotFinite,
    /// Neither the photo nor the paintings count, as far as the mode looks at them.
    #[error("{weights}, so there is nothing to paint\nhint: give it a weight")]
    Weightless {
        /// Which weights are 0, for people.
        weights: &'static str,
    },
    /// The job has no picture of a kind that its mode needs.
    #[error("mode = \"{mode}\" needs {what}, but the job has none")]
    Lacks {
        /// "a photo", "a painting".
        what: &'static str,
        /// What is to be painted.
        mode: Mode,
    },
    /// The job has no picture to begin from.
    #[error(
        "start = \"{start}\" needs {what}, but the job has none\nhint: start = \"noise\" needs nothing"
    )]
    NoStart {
        /// What the picture is to begin from.
        start: Start,
        /// "the photo", "a painting", "a start picture".
        what: &'static str,
    },
    /// The bytes are no checkpoint.
    #[error("the checkpoint is damaged, or none at all\nhint: remove it to begin anew")]
    DamagedCheckpoint,
    /// The checkpoint is of another job or network.
    #[error(
        "the checkpoint belongs to other pictures, settings or another network\nhint: remove it to begin anew"
    )]
    CheckpointOfAnother,
    /// The settings leave no scale to render at.
    #[error("the settings leave no scale to render at")]
    NoScale,
    /// A device that is not there was asked for.
    #[error("there is no device {device}: {reason}\nhint: --device auto takes what there is")]
    NoSuchDevice {
        /// As it was asked for.
        device: String,
        /// What is known.
        reason: &'static str,
    },
    /// libtorch refused to say in which numbers GPUs convolve.
    #[error("libtorch refuses to switch TF32, so nobody knows in which numbers it would convolve")]
    Tf32,
    /// libtorch refused an operation; out of memory comes here too.
    #[error("libtorch: {}", first_line(.0))]
    Torch(#[from] TchError),
}

impl RenderError {
    /// Whether every further attempt would end like this one.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::NoSuchLayer { .. }
            | Self::NotFinite
            | Self::Weightless { .. }
            | Self::NoScale
            | Self::Lacks { .. }
            | Self::NoStart { .. } => true,
            Self::Cancelled
            | Self::DamagedCheckpoint
            | Self::CheckpointOfAnother
            | Self::NoSuchDevice { .. }
            | Self::Tf32
            | Self::Torch(_) => false,
        }
    }

    /// Whether the device had too little memory for what was asked at once.
    pub(super) fn is_lack_of_memory(&self) -> bool {
        let Self::Torch(TchError::Torch(text)) = self else {
            return false;
        };
        // What libtorch says on a GPU, and on the processors.
        text.contains("out of memory") || text.contains("can't allocate memory")
    }
}

/// libtorch appends a C++ stack trace, which helps nobody who reads a log.
fn first_line(error: &TchError) -> String {
    let text = match error {
        TchError::Torch(text) => text.clone(),
        other => other.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}
