//! What ends a command before its time: one enum over those of the modules, and the exit code of each.

use std::io;

use atelier_gallery::bucket::BucketError;
use atelier_proto::manual::ManualError;
use atelier_proto::storage::IncompleteStorage;

use crate::cell_ref::CellError;
use crate::certs::CertsError;
use crate::cloud::CloudError;
use crate::coordinator::{ConvertError, RpcError};
use crate::demo::DemoError;
use crate::exit::Exit;
use crate::fetch::FetchError;
use crate::gallery_url::BadGalleryUrl;
use crate::grid_file::GridFileError;
use crate::grid_ref::PickError;
use crate::inputs::InputError;
use crate::like::LikeError;
use crate::local::LocalError;
use crate::node_ref::NodeError;
use crate::plan::PlanError;
use crate::profiles::ProfileError;
use crate::share::ShareError;
use crate::sources::SourceError;

/// Why a command did not do what it says. What a person reads is its text; a last line that starts with
/// `hint:` says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The grid file.
    #[error(transparent)]
    GridFile(#[from] GridFileError),
    /// Photos or artists that were named and are not there.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What was named makes no grid.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A picture that cannot be used.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A `--set` that sets nothing.
    #[error("--set {assignment}: {problem}")]
    Setting {
        /// As it was typed.
        assignment: String,
        /// What is wrong with it.
        problem: atelier_proto::settings::SettingsError,
    },
    /// GRID names none, or several.
    #[error(transparent)]
    Pick(#[from] PickError),
    /// No grid of favourites.
    #[error(transparent)]
    Like(#[from] LikeError),
    /// No page to share.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The URL of no gallery.
    #[error(transparent)]
    GalleryUrl(#[from] BadGalleryUrl),
    /// CELL names none.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// NODE names none, or several.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// What cannot be undone wants a yes, and there is nobody to give it.
    #[error(
        "`atelier {command}` asks before it does so, and there is no terminal to ask on: nothing was done\nhint: say --yes if you mean it"
    )]
    NobodyToAsk {
        /// The command.
        command: &'static str,
    },
    /// Pictures cannot be drawn here.
    #[error(
        "previews are drawn in a terminal, and standard error is none, or --quiet or --json is given\n\
         hint: leave --preview out"
    )]
    NoTerminal,
    /// A call to the coordinator.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// An answer of the coordinator that cannot be so.
    #[error(
        "the coordinator answered what cannot be: {0}\nhint: are client and coordinator of one version?"
    )]
    Convert(#[from] ConvertError),
    /// The coordinator does not say where the bytes live.
    #[error(transparent)]
    Storage(#[from] IncompleteStorage),
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Bringing a gallery here.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The atelier on this machine.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The demo.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// No such profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Certificates.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// The atelier on AWS.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// A file for a token cannot be made.
    #[error("cannot write {}: {cause}\nhint: name a file that is not there yet, in a folder that you may write", path.display())]
    TokenFile {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// No man pages.
    #[error(transparent)]
    Manual(#[from] ManualError),
    /// Whoever reads our standard output has gone, as `head` does; not worth a word.
    #[error("standard output was closed")]
    OutputClosed,
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// Ctrl-C, another signal or a no; what goes on elsewhere is said in the text.
    #[error("{0}")]
    Interrupted(String),
    /// Signal handlers, or something else that every system has.
    #[error("this system refused {what}: {cause}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        #[source]
        cause: io::Error,
    },
}

impl Error {
    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::GridFile(_)
            | Self::GalleryUrl(_)
            | Self::Like(_)
            | Self::Source(_)
            | Self::Plan(_)
            | Self::Input(_)
            | Self::Setting { .. }
            | Self::NobodyToAsk { .. }
            | Self::NoTerminal => Exit::BadInput,
            Self::Pick(error) => error.exit(),
            Self::Share(error) => error.exit(),
            Self::Cell(error) => error.exit(),
            Self::Node(error) => error.exit(),
            Self::Rpc(error) => error.exit(),
            Self::Convert(_) | Self::Storage(_) | Self::System { .. } => Exit::Unexpected,
            Self::Bucket(error) => bucket_exit(error),
            Self::Fetch(error) => error.exit(),
            Self::Local(error) => error.exit(),
            Self::Demo(error) => error.exit(),
            Self::Profile(error) => error.exit(),
            Self::Certs(error) => error.exit(),
            Self::Cloud(error) => error.exit(),
            Self::OutputClosed => Exit::Ok,
            Self::Output(_) | Self::TokenFile { .. } | Self::Manual(_) => Exit::CannotWrite,
            Self::Interrupted(_) => Exit::Interrupted,
        }
    }
}

/// The exit code for an error of the bucket.
pub(crate) fn bucket_exit(error: &BucketError) -> Exit {
    match error {
        BucketError::NotSigned(error) => {
            let cause = error.cause();
            let by_coordinator = cause.downcast_ref().map(RpcError::exit);
            let by_ourselves = cause.downcast_ref().map(bucket_exit);
            by_coordinator.or(by_ourselves).unwrap_or(Exit::Unexpected)
        }
        BucketError::Write { .. } => Exit::CannotWrite,
        BucketError::Authorities(_) => Exit::BadInput,
        BucketError::NoSuchBucket { .. }
        | BucketError::NoCredentials { .. }
        | BucketError::Refused { .. }
        | BucketError::OtherRegion { .. }
        | BucketError::Unreachable { .. }
        | BucketError::Busy { .. }
        | BucketError::Full { .. }
        | BucketError::BrokenOff { .. } => Exit::StorageUnavailable,
        BucketError::NotFound { .. }
        | BucketError::TooLarge { .. }
        | BucketError::DigestMismatch { .. }
        | BucketError::TooMany { .. }
        | BucketError::Client { .. }
        | BucketError::Other { .. } => Exit::Unexpected,
    }
}
