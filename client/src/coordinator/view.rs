//! Grids and cells as the coordinator tells of them, with names and ids that were checked.

use std::fmt;

use atelier_proto::ids::{CellId, Digest, GridId, NodeId};
use atelier_proto::settings::SettingsPatch;
use jiff::Timestamp;
use serde::Serialize;

/// What a submission became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The grid.
    pub grid_id: GridId,
    /// How many cells it has.
    pub cells: u32,
    /// Whether this submission made it, or an earlier one with the same request id.
    pub created: bool,
}

/// Where a grid stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GridState {
    /// Some cell may still change.
    Active,
    /// No work is handed out until resumed.
    Paused,
    /// Every cell has ended, and none by a cancel of the grid.
    Finished,
    /// Cancelled by its owner.
    Cancelled,
}

impl GridState {
    /// Whether no cell changes any more.
    pub fn has_ended(self) -> bool {
        match self {
            Self::Active | Self::Paused => false,
            Self::Finished | Self::Cancelled => true,
        }
    }
}

impl fmt::Display for GridState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        })
    }
}

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

/// How many cells of a grid are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each field is the state of its name")]
pub struct CellCounts {
    pub queued: u32,
    pub leased: u32,
    pub rendering: u32,
    pub done: u32,
    pub failed: u32,
    pub cancelled: u32,
}

impl CellCounts {
    /// All cells.
    pub fn total(&self) -> u32 {
        self.queued + self.leased + self.rendering + self.ended()
    }

    /// Those that change no more.
    pub fn ended(&self) -> u32 {
        self.done + self.failed + self.cancelled
    }
}

impl fmt::Display for CellCounts {
    /// Only what there is: `3 done, 1 rendering, 2 queued`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.done, "done"),
            (self.failed, "failed"),
            (self.cancelled, "cancelled"),
            (self.rendering, "rendering"),
            (self.leased, "leased"),
            (self.queued, "queued"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, state)| format!("{count} {state}"))
            .collect();
        f.pad(&parts.join(", "))
    }
}

/// A grid in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Its id.
    pub grid_id: GridId,
    /// The name people gave.
    pub name: String,
    /// Where it stands.
    pub state: GridState,
    /// Where its cells stand.
    pub cells: CellCounts,
    /// When it was submitted.
    pub submitted_at: Option<Timestamp>,
    /// When its last cell ended.
    pub finished_at: Option<Timestamp>,
    /// Grows by one with every change.
    pub sequence: u64,
    /// The gallery shows every cell as it ended.
    pub gallery_complete: bool,
    /// Higher is served first.
    pub priority: i32,
}

impl Summary {
    /// Whether nothing of the grid or its gallery changes any more.
    pub fn is_over(&self) -> bool {
        self.state.has_ended() && self.gallery_complete
    }
}

/// A grid with all that was submitted, and its cells.
#[derive(Debug, Clone)]
pub struct GridView {
    /// The grid in short.
    pub summary: Summary,
    /// Its own settings, complete.
    pub settings: SettingsPatch,
    /// Its photos.
    pub photos: Vec<PhotoView>,
    /// Its artists.
    pub artists: Vec<ArtistView>,
    /// Its variants; one without a name if nothing was swept.
    pub variants: Vec<VariantView>,
    /// Whether it has cells of photos and of artists alone.
    pub reconstructions: bool,
    /// Its cells, whose positions lie within the lists above.
    pub cells: Vec<CellView>,
}

/// A picture that lies in the bucket.
#[derive(Debug, Clone, Serialize)]
pub struct InputView {
    /// Digest of the original bytes.
    pub sha256: Digest,
    /// Pixels, upright.
    pub width: u32,
    /// Pixels, upright.
    pub height: u32,
}

/// A photo of a grid.
#[derive(Debug, Clone, Serialize)]
pub struct PhotoView {
    /// The name people gave.
    pub name: String,
    /// Its bytes.
    #[serde(flatten)]
    pub input: InputView,
    /// Its masks.
    pub masks: Vec<MaskView>,
    /// What `start = "file"` begins from.
    pub start: Option<InputView>,
}

/// A mask of a photo.
#[derive(Debug, Clone, Serialize)]
pub struct MaskView {
    /// What paintings name it by.
    pub name: String,
    /// Its bytes.
    #[serde(flatten)]
    pub input: InputView,
}

/// An artist of a grid.
#[derive(Debug, Clone, Serialize)]
pub struct ArtistView {
    /// The name people gave.
    pub name: String,
    /// The paintings.
    pub paintings: Vec<PaintingView>,
    /// What this artist overrides.
    pub settings: SettingsPatch,
}

/// A painting of an artist.
#[derive(Debug, Clone, Serialize)]
pub struct PaintingView {
    /// The file's name.
    pub name: String,
    /// Its bytes.
    #[serde(flatten)]
    pub input: InputView,
    /// Its share, relative to its siblings.
    pub weight: f64,
    /// The mask of each photo within which it applies; none: everywhere.
    pub mask: Option<String>,
}

/// A variant of a grid.
#[derive(Debug, Clone, Serialize)]
pub struct VariantView {
    /// What tells it from its siblings.
    pub name: String,
    /// What it overrides.
    pub settings: SettingsPatch,
}

/// A cell as it stands.
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, Serialize)]
pub struct PictureView {
    /// Its key in the bucket.
    pub key: String,
    /// The key of its thumbnail.
    pub thumbnail_key: String,
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

/// What has changed in a grid.
#[derive(Debug, Clone)]
pub struct Change {
    /// Go on after this number.
    pub sequence: u64,
    /// The grid as it stands now.
    pub summary: Summary,
    /// Cells that changed, as they stand now.
    pub cells: Vec<CellView>,
}
