//! Why there is no certificate, or none is revoked.

use std::io;
use std::path::PathBuf;

use atelier_proto::holder::HolderError;
use jiff::Timestamp;

use crate::exit::Exit;
use crate::text::printable;

/// Why an authority does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// There is no authority.
    #[error(
        "there is no authority in {}\nhint: make one with `atelier certs init --dir {}`, or name its folder with --dir",
        folder.display(), folder.display()
    )]
    NoAuthority {
        /// Where it should be.
        folder: PathBuf,
    },
    /// A file is there that must not be lost.
    #[error("{} is there already\nhint: {hint}", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file of the authority holds something else.
    #[error(
        "{} is not what an authority keeps there: {problem}\nhint: bring it back from a copy, or make another authority",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The name is none for a node or a person.
    #[error(transparent)]
    Name(#[from] HolderError),
    /// The authority itself is at its end.
    #[error(
        "the authority has expired on {on}\nhint: make another in a new folder with `atelier certs init`, and have \
         everybody trust both for a while: a --ca and a --client-ca file may hold several"
    )]
    Expired {
        /// When.
        on: Timestamp,
    },
    /// Nothing of this name was issued.
    #[error(
        "no certificate that may be used has the name or serial number {:?}\nhint: `atelier certs list` shows all",
        printable(name)
    )]
    Unknown {
        /// As it was given.
        name: String,
    },
    /// Several have the name.
    #[error(
        "{:?} names certificates of several kinds: {kinds}\nhint: name one by its serial number, as `atelier certs list` \
         shows it",
        printable(name)
    )]
    Several {
        /// As it was given.
        name: String,
        /// What they are.
        kinds: String,
    },
    /// The cryptography.
    #[error("cannot make the certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// The system gives no random numbers.
    #[error("this system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

impl CertsError {
    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoAuthority { .. } | Self::Unknown { .. } => Exit::NotFound,
            Self::Exists { .. }
            | Self::Read { .. }
            | Self::Damaged { .. }
            | Self::Name(_)
            | Self::Expired { .. }
            | Self::Several { .. } => Exit::BadInput,
            Self::Write { .. } => Exit::CannotWrite,
            Self::Making(_) | Self::Random(_) => Exit::Unexpected,
        }
    }
}
