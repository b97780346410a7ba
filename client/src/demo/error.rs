//! Why the demo left no gallery.

use std::io;
use std::path::PathBuf;

use crate::exit::Exit;
use crate::samples::SampleError;

/// Why the demo left no gallery.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// What lies in the gallery's place is not the demo's to replace.
    #[error(
        "{} is there and is not the gallery of an earlier demo\nhint: name another folder with --out",
        path.display()
    )]
    Occupied {
        /// The gallery's place.
        path: PathBuf,
    },
    /// A folder here.
    #[error(
        "cannot write {}: {source}\nhint: name a folder that can be written with --out, or free some space",
        path.display()
    )]
    Write {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The sample pictures.
    #[error(transparent)]
    Samples(SampleError),
    /// The sample pictures, by a defect of ours.
    #[error("drawing the sample pictures broke off")]
    Broken,
}

impl DemoError {
    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Occupied { .. } => Exit::BadInput,
            Self::Write { .. } | Self::Samples(_) => Exit::CannotWrite,
            Self::Broken => Exit::Unexpected,
        }
    }
}
