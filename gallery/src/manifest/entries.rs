//! The entries of a manifest's lists.

use atelier_proto::ids::{CellId, Digest};
use atelier_proto::settings::{RenderSettings, SettingsPatch};
use serde::{Deserialize, Deserializer, Serialize};

/// A content image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhotoEntry {
    /// The name that people gave it.
    pub name: String,
    /// Digest of the original file.
    pub sha256: Digest,
    /// Pixels, upright.
    pub width: u32,
    /// Pixels, upright.
    pub height: u32,
    /// Path of the reduced photo, once some node has put it.
    #[serde(default)]
    pub original: Option<String>,
    /// Its masks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<MaskEntry>,
    /// What `start = "file"` begins from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<InputEntry>,
}

/// A picture that somebody gave besides photos and paintings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputEntry {
    /// Digest of the original file.
    pub sha256: Digest,
    /// Pixels, upright.
    pub width: u32,
    /// Pixels, upright.
    pub height: u32,
}

/// A grey picture over a photo: white where the paintings that are bound to it apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskEntry {
    /// What paintings name it by.
    pub name: String,
    /// The picture.
    #[serde(flatten)]
    pub input: InputEntry,
}

/// A name with its paintings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtistEntry {
    /// The name that people gave it.
    pub name: String,
    /// At least one.
    pub paintings: Vec<PaintingEntry>,
    /// Overrides of the grid's settings.
    #[serde(default, deserialize_with = "known_patch")]
    pub settings: SettingsPatch,
    /// Path of the first painting, reduced, once some node has put it.
    #[serde(default)]
    pub original: Option<String>,
}

/// A style image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaintingEntry {
    /// The file's name, for people.
    pub name: String,
    /// Digest of the original file.
    pub sha256: Digest,
    /// Pixels, upright.
    pub width: u32,
    /// Pixels, upright.
    pub height: u32,
    /// Its share in the artist's statistics, relative to its siblings'; more than 0.
    pub weight: f64,
    /// The mask of each photo within which it applies; `None`: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
}

/// One point of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantEntry {
    /// What tells it from its siblings; empty for the only one.
    pub name: String,
    /// Overrides of the artist's and the grid's settings.
    #[serde(default, deserialize_with = "known_patch")]
    pub settings: SettingsPatch,
}

/// One photo, one artist, one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellEntry {
    /// The cell.
    pub cell_id: CellId,
    /// Position in [`super::Manifest::photos`].
    pub photo: usize,
    /// Position in [`super::Manifest::artists`].
    pub artist: usize,
    /// Position in [`super::Manifest::variants`].
    pub variant: usize,
    /// What has become of it; its fields stand beside these.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What the network keeps of a photo or of an artist alone, from noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReconstructionEntry {
    /// The cell.
    pub cell_id: CellId,
    /// What it is of.
    pub of: ReconstructionOf,
    /// Position in [`super::Manifest::variants`].
    pub variant: usize,
    /// What has become of it; its fields stand beside these.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What a reconstruction is of: `{"photo": 0}` or `{"artist": 0}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReconstructionOf {
    /// What the content layers keep of a photo; position in [`super::Manifest::photos`].
    Photo(usize),
    /// What the style layers keep of an artist; position in [`super::Manifest::artists`].
    Artist(usize),
}

/// What has become of a cell, whatever it is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `queued`, `leased`, `rendering`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// Attempts started.
    pub attempts: u32,
    /// Set when done.
    #[serde(default)]
    pub picture: Option<PictureEntry>,
    /// Why the last attempt failed, if one did.
    #[serde(default)]
    pub failure: Option<String>,
}

/// A finished picture and how it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureEntry {
    /// Path of the picture.
    pub path: String,
    /// Path of its thumbnail, of at most 320 pixels a side.
    pub thumbnail: String,
    /// Path of a thumbnail of at most 640 pixels a side; `None` where the picture has no more than the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large_thumbnail: Option<String>,
    /// Digest of the picture's file.
    pub sha256: Digest,
    /// Length of the picture's file, bytes.
    pub bytes: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Seconds of optimisation.
    #[serde(deserialize_with = "number_or_nan")]
    pub seconds: f64,
    /// Evaluations of the loss, over all scales.
    pub evaluations: u32,
    /// The last loss.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
    /// The node that made it.
    pub node: String,
    /// The network, as in `vgg16 untrained`.
    pub network: String,
    /// What it ran on, as in `cpu`.
    pub device: String,
    /// US dollars that its seconds cost, if somebody said what the node costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dollars: Option<f64>,
    /// Evaluations made and the loss after them, in their order: some of them, enough for a curve. It goes over all scales.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<(u32, f64)>,
}

/// Reads settings without those that only a newer version knows.
fn known_patch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SettingsPatch, D::Error> {
    let mut settings = serde_json::Map::deserialize(deserializer)?;
    settings.retain(|key, _| SettingsPatch::KEYS.contains(&key.as_str()));
    SettingsPatch::deserialize(serde_json::Value::Object(settings))
        .map_err(serde::de::Error::custom)
}

/// Settings that an older version did not know had their default.
pub(super) fn known_settings<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<RenderSettings, D::Error> {
    known_patch(deserializer).map(SettingsPatch::resolve)
}

/// JSON has no word for a number that is none and writes `null`.
fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::deserialize(deserializer).map(|number| number.unwrap_or(f64::NAN))
}
