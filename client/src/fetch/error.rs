//! Why a gallery did not come here.

use std::io;
use std::path::PathBuf;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::manifest::ManifestError;
use atelier_proto::ids::GridId;

use crate::error::bucket_exit;
use crate::exit::Exit;

/// Why a gallery did not come here.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The coordinator publishes it some moments after the grid is submitted.
    #[error(
        "the grid {grid} has no gallery yet\nhint: `atelier watch {grid}` waits until it has one"
    )]
    NoGallery {
        /// The grid.
        grid: GridId,
    },
    /// What lies in the gallery's place cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The folder belongs to another grid, whose pictures would lie among ours.
    #[error(
        "{} holds the gallery of another grid, {other}\nhint: name another folder with --out",
        folder.display()
    )]
    OtherGallery {
        /// The folder.
        folder: PathBuf,
        /// The grid whose gallery lies there.
        other: GridId,
    },
    /// The bucket, or a file that it was to fill.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// A file here.
    #[error("cannot write {}: {source}\nhint: free some space, or name another folder with --out", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl FetchError {
    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoGallery { .. } => Exit::NotFound,
            Self::Manifest(_) => Exit::Unexpected,
            Self::OtherGallery { .. } => Exit::BadInput,
            Self::Bucket(error) => bucket_exit(error),
            Self::Write { .. } => Exit::CannotWrite,
        }
    }
}
