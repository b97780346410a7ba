//! Why a command did not do what it was asked, and the exit code of each reason.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::picture::PictureError;
use atelier_proto::listen::Exposed;
use atelier_proto::manual::ManualError;
use atelier_proto::settings::{PictureFormat, SettingsError};
use atelier_proto::telemetry::TelemetryError;

use crate::cli::LabelsError;
use crate::ec2::Ec2Error;
use crate::executor::ExecutorError;
use crate::inputs::InputError;
use crate::render::RenderError;
use crate::session::SessionError;
use crate::weights::{
    CacheError, ChooseError, ExportError, FetchError, StoredWeightsError, WeightsError,
};
use crate::whole_file::WriteError;

/// Why a command did not do what it was asked; its text is what a person reads.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Man pages cannot be written.
    #[error(transparent)]
    Manual(#[from] ManualError),
    /// Logs or traces cannot be told as it was asked.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// `--set`.
    #[error("--set: {0}")]
    Settings(#[from] SettingsError),
    /// A photo or painting cannot be opened.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A photo or painting is no usable picture.
    #[error("cannot use {}: {source}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PictureError,
    },
    /// `--out` names a format that is not written.
    #[error(
        "cannot tell the format of {}\nhint: let its name end with .jpg or .png",
        path.display()
    )]
    OutputFormat {
        /// As it was given.
        path: PathBuf,
    },
    /// `--out` and `--set format=…` contradict each other.
    #[error(
        "format={format} does not go into {}\nhint: let its name end with .{}, or leave the format out",
        path.display(), format.extension()
    )]
    OutputContradicts {
        /// As it was given.
        path: PathBuf,
        /// As it was set.
        format: PictureFormat,
    },
    /// `--label`.
    #[error("--label: {0}")]
    Labels(#[from] LabelsError),
    /// `--ec2`.
    #[error(transparent)]
    Ec2(#[from] Ec2Error),
    /// Something that the command needs was not given, or something was given that it has no use for.
    #[error("{problem}\nhint: {hint}")]
    Arguments {
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// `--checkpoint` names a file that is there and cannot be gone on with.
    #[error("cannot go on from {}: {source}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: RenderError,
    },
    /// A file here cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// `--weights` names what there cannot be here.
    #[error(transparent)]
    Choose(ChooseError),
    /// The weights in the bucket.
    #[error(transparent)]
    StoredWeights(#[from] StoredWeightsError),
    /// The weights that were to be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The weights that were to be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Nowhere to fetch weights to.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The renderer.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The picture could not be encoded.
    #[error("cannot encode the picture: {0}")]
    Encode(#[source] PictureError),
    /// The cache of inputs.
    #[error(transparent)]
    Inputs(#[from] InputError),
    /// Working for the coordinator.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A signal to end.
    #[error("interrupted; nothing was written")]
    Interrupted,
    /// A signal to end, after which the render can be gone on with.
    #[error("interrupted; the same command goes on from {}", path.display())]
    InterruptedWithCheckpoint {
        /// The checkpoint.
        path: PathBuf,
    },
    /// `--metrics-listen` names an address that cannot be had.
    #[error("cannot listen on {address}: {source}\nhint: name another one with --metrics-listen")]
    Listen {
        /// As it was given.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// `--metrics-listen` names an address that others can reach.
    #[error("--metrics-listen: {0}")]
    Exposed(#[from] Exposed),
    /// Something that every system has.
    #[error("this system refused: {0}")]
    System(#[from] io::Error),
}

impl From<ChooseError> for CommandError {
    fn from(error: ChooseError) -> Self {
        match error {
            ChooseError::Weights(error) => Self::Weights(error),
            error @ ChooseError::NoBucket => Self::Choose(error),
        }
    }
}

impl From<RenderError> for CommandError {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Cancelled => Self::Interrupted,
            other => Self::Executor(other.into()),
        }
    }
}

impl CommandError {
    /// The exit code, as `--help` lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Telemetry(_)
            | Self::Settings(_)
            | Self::Read { .. }
            | Self::Picture { .. }
            | Self::OutputFormat { .. }
            | Self::OutputContradicts { .. }
            | Self::Labels(_)
            | Self::Arguments { .. }
            | Self::Checkpoint { .. }
            | Self::Inputs(InputError::Picture(_))
            | Self::Listen { .. }
            | Self::Exposed(_)
            | Self::Weights(_)
            | Self::StoredWeights(StoredWeightsError::Weights(_))
            | Self::Choose(_)
            | Self::Session(SessionError::BadUrl { .. } | SessionError::Access(_)) => 2,
            // Another node may have the device, so it is no refusal of a cell; here it is wrong usage.
            Self::Executor(ExecutorError::Render(error))
                if error.is_refusal() || matches!(error, RenderError::NoSuchDevice { .. }) =>
            {
                2
            }
            Self::Session(
                SessionError::Unreachable { .. }
                | SessionError::Insecure { .. }
                | SessionError::Refused(_),
            ) => 4,
            Self::Write(_)
            | Self::Manual(_)
            | Self::Cache(_)
            | Self::StoredWeights(
                StoredWeightsError::Cache(_)
                | StoredWeightsError::Bucket(BucketError::Write { .. }),
            )
            | Self::Fetch(FetchError::Write { .. })
            | Self::Export(ExportError::Write(_))
            | Self::Inputs(InputError::Folder { .. }) => 8,
            Self::Session(SessionError::Bucket(_))
            | Self::StoredWeights(StoredWeightsError::Bucket(_))
            | Self::Inputs(InputError::Bucket(_)) => 5,
            Self::Ec2(_) => 6,
            Self::Interrupted | Self::InterruptedWithCheckpoint { .. } => 130,
            Self::Fetch(FetchError::Unreachable { .. } | FetchError::NotTheFile { .. })
            | Self::StoredWeights(
                StoredWeightsError::Missing { .. } | StoredWeightsError::OtherFile { .. },
            ) => 3,
            Self::Executor(_)
            | Self::Export(ExportError::Malformed(_))
            | Self::Encode(_)
            | Self::Inputs(InputError::Decoder(_))
            | Self::System(_) => 1,
        }
    }
}
