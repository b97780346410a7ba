//! Why a gallery did not come here.

use std::io;
use std::path::PathBuf;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::contact_sheet::ContactSheetError;
use atelier_gallery::manifest::ManifestError;
use atelier_proto::ids::GridId;
use tokio::task::JoinError;

use super::selection::SelectionError;
use crate::coordinator::RpcError;
use crate::error::bucket_exit;
use crate::exit::Exit;
use crate::text::{counted, listed};

/// Missing files that are told one by one.
const PATHS_TOLD_MAX: usize = 20;

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
    /// The cells that were asked for are none of it.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// The gallery names files that the bucket does not have.
    #[error(
        "the bucket lacks {}:\n{}\nhint: everything else is here; `atelier audit {grid}` tells what else differs",
        counted(paths.len(), "file"),
        listed(paths, PATHS_TOLD_MAX, Clone::clone)
    )]
    Missing {
        /// The grid.
        grid: GridId,
        /// Relative to its gallery.
        paths: Vec<String>,
    },
    /// All of it as one picture.
    #[error(transparent)]
    Sheet(#[from] ContactSheetError),
    /// What draws that ended early.
    #[error("the contact sheet was not drawn: {0}")]
    Drawing(#[source] JoinError),
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
    /// The folder is somebody's own, among whose files the gallery's would lie.
    #[error(
        "{} holds other files, such as {name}, and no gallery\nhint: name a new folder with --out",
        folder.display()
    )]
    OtherFiles {
        /// The folder.
        folder: PathBuf,
        /// One of the files.
        name: String,
    },
    /// A folder of the gallery is a link, and what is fetched would be written where it leads.
    #[error(
        "{} is a symbolic link, and a gallery is not written through one\nhint: remove it, or name another folder with --out",
        path.display()
    )]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// The coordinator does not say what there is.
    #[error(transparent)]
    Coordinator(#[from] RpcError),
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
            Self::NoGallery { .. } | Self::Missing { .. } => Exit::NotFound,
            Self::Manifest(_) | Self::Drawing(_) => Exit::Unexpected,
            Self::OtherGallery { .. }
            | Self::OtherFiles { .. }
            | Self::Selection(_)
            | Self::Sheet(_) => Exit::BadInput,
            Self::Coordinator(error) => error.exit(),
            Self::Bucket(error) => bucket_exit(error),
            Self::Write { .. } | Self::Link { .. } => Exit::CannotWrite,
        }
    }
}
