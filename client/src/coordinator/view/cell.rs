//! Cells, what they are called, and their pictures.

use std::fmt;

use atelier_proto::ids::{CellId, Digest, NodeId};
use serde::Serialize;

/// Where a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CellState {
    /// Waits for a node.
    Queued,
    /// A node has it and fetches what it needs.
    Leased,
    /// A node renders it.
    Rendering,
    /// Its picture is in the gallery.
    Done,
    /// Given up, for the reason in `failure`.
    Failed,
    /// Ended by a cancel.
    Cancelled,
}

impl CellState {
    /// Whether it changes no more.
    pub fn has_ended(self) -> bool {
        match self {
            Self::Queued | Self::Leased | Self::Rendering => false,
            Self::Done | Self::Failed | Self::Cancelled => true,
        }
    }

    /// Whether it may be queued again.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for CellState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Rendering => "rendering",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        })
    }
}

/// A cell as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct CellView {
    /// Its id.
    pub cell_id: CellId,
    /// Position of its photo in the grid's list; none if it is of an artist alone.
    pub photo: Option<usize>,
    /// Position of its artist; none if it is of a photo alone.
    pub artist: Option<usize>,
    /// Position of its variant.
    pub variant: usize,
    /// Where it stands.
    pub state: CellState,
    /// Attempts started so far.
    pub attempts: u32,
    /// Node that holds or last held it.
    pub node: Option<NodeId>,
    /// Evaluations made in this attempt.
    pub evaluations: u32,
    /// Evaluations planned in this attempt; 0 before it has begun.
    pub evaluations_planned: u32,
    /// Last loss that the node reported.
    pub loss: f64,
    /// Its picture, when done.
    pub picture: Option<PictureView>,
    /// Why the last attempt failed.
    pub failure: Option<String>,
}

impl CellView {
    /// How much of it is done, 0 to 1.
    pub fn fraction(&self) -> f64 {
        if self.state.has_ended() {
            return 1.0;
        }
        let planned = f64::from(self.evaluations_planned.max(1));
        (f64::from(self.evaluations) / planned).min(1.0)
    }
}

/// What a cell is called: its photo and its artist, or one of them alone, and its variant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CellNames<'a> {
    /// The name of its photo; none if it is of an artist alone.
    pub photo: Option<&'a str>,
    /// The name of its artist; none if it is of a photo alone.
    pub artist: Option<&'a str>,
    /// The name of its variant; empty for the only one.
    pub variant: &'a str,
}

impl fmt::Display for CellNames<'_> {
    /// `photo × artist`, `photo (content)` or `artist (style)`, and the variant if there are several.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.photo, self.artist) {
            (Some(photo), Some(artist)) => write!(f, "{photo} × {artist}")?,
            (Some(photo), None) => write!(f, "{photo} (content)")?,
            (None, artist) => write!(f, "{} (style)", artist.unwrap_or_default())?,
        }
        if self.variant.is_empty() {
            return Ok(());
        }
        write!(f, "  {}", self.variant)
    }
}

/// The picture of a cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureView {
    /// Its key in the bucket.
    pub key: String,
    /// The key of its thumbnail.
    pub thumbnail_key: String,
    /// The key of the larger one; `None`: the picture needs none.
    pub large_thumbnail_key: Option<String>,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// Its length.
    pub bytes: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Seconds of optimisation.
    pub seconds: f64,
    /// Evaluations it took.
    pub evaluations: u32,
    /// Its loss.
    pub loss: f64,
    /// Which network painted it.
    pub network: String,
    /// On what.
    pub device: String,
}

impl PictureView {
    /// The keys of its objects: the picture, then its thumbnails.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        let always = [&self.key, &self.thumbnail_key];
        always.into_iter().chain(&self.large_thumbnail_key)
    }

    /// The keys of its thumbnails.
    pub fn thumbnails(&self) -> impl Iterator<Item = &String> {
        self.keys().skip(1)
    }
}
