//! Grids and cells as the coordinator tells of them, with names and ids that were checked.

mod attempt;
mod cell;
mod fleet;
mod node;
mod token;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use atelier_proto::ids::{Digest, GridId};
use atelier_proto::settings::SettingsPatch;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

pub use self::attempt::{Attempt, AttemptOutcome, CellLogs};
pub use self::cell::{CellNames, CellState, CellView, PictureView};
pub use self::fleet::{FleetBounds, FleetView, MachineCounts, ScaleMode};
pub use self::node::{NodeState, NodeView};
pub use self::token::{Proof, Role, TokenView, WhoView};
use crate::text::dollars;

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
    /// Being forgotten.
    Deleted,
}

impl GridState {
    /// Whether no cell changes any more.
    pub fn has_ended(self) -> bool {
        match self {
            Self::Active | Self::Paused => false,
            Self::Finished | Self::Cancelled | Self::Deleted => true,
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
            Self::Deleted => "deleted",
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
    /// -100 to 100; for each 20, twice the share of the nodes.
    pub priority: i32,
    /// Who submitted it; may be empty.
    pub submitter: String,
    /// Until its last cell has ended, at the speed of the nodes that work on it now.
    #[serde(rename = "time_left_seconds", serialize_with = "seconds")]
    pub time_left: Option<Duration>,
    /// US dollars of its optimisation so far.
    pub dollars_spent: Option<f64>,
    /// US dollars of its optimisation when its last cell has ended.
    pub dollars_expected: Option<f64>,
}

/// A duration as JSON has it.
#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|it| it.as_secs_f64()).serialize(serializer)
}

impl Summary {
    /// Whether nothing of the grid or its gallery changes any more.
    pub fn is_over(&self) -> bool {
        match self.state {
            GridState::Active | GridState::Paused => false,
            GridState::Finished | GridState::Cancelled => self.gallery_complete,
            GridState::Deleted => true,
        }
    }

    /// What it costs, for people: `$0.12 of about $0.40`; `None` if nobody knows.
    pub fn cost(&self) -> Option<String> {
        match (self.dollars_spent, self.dollars_expected) {
            (Some(spent), Some(expected)) if !self.state.has_ended() => {
                Some(format!("{} of about {}", dollars(spent), dollars(expected)))
            }
            (Some(spent), _) => Some(dollars(spent)),
            (None, Some(expected)) => Some(format!("about {}", dollars(expected))),
            (None, None) => None,
        }
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
    /// Labels that a node must have to get its cells.
    pub labels: BTreeMap<String, String>,
    /// Its cells, whose positions lie within the lists above.
    pub cells: Vec<CellView>,
    /// Attempts that brought no picture, cell by cell, oldest first.
    pub failed_attempts: Vec<Attempt>,
}

impl GridView {
    /// What a cell of it is called.
    pub fn names(&self, cell: &CellView) -> CellNames<'_> {
        let photo = |index: usize| self.photos.get(index).map(|it| it.name.as_str());
        let artist = |index: usize| self.artists.get(index).map(|it| it.name.as_str());
        let variant = self.variants.get(cell.variant).map(|it| it.name.as_str());
        CellNames {
            photo: cell.photo.and_then(photo),
            artist: cell.artist.and_then(artist),
            variant: variant.unwrap_or_default(),
        }
    }
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
