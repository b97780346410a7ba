//! `gallery.json`: what a grid is and what has become of each of its cells, for programs that outlive the coordinator.
//!
//! Paths are relative to the manifest's own place. Whoever reads one trusts nothing in it: [`Manifest::from_json`]
//! refuses paths that lead elsewhere. This file knows neither buckets nor the coordinator's records.

mod entries;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod selection;
#[cfg(test)]
pub(crate) mod tests;

use atelier_proto::ids::{CellId, GridId};
use atelier_proto::settings::RenderSettings;
use serde::{Deserialize, Serialize};

use self::entries::known_settings;
pub use self::entries::{
    ArtistEntry, CellEntry, InputEntry, MaskEntry, Outcome, PaintingEntry, PhotoEntry,
    PictureEntry, ReconstructionEntry, ReconstructionOf, VariantEntry,
};
pub use self::selection::Subject;
use crate::keys::{GALLERY_FOLDERS, is_plain};

/// The version that this code writes, and the only one that it reads. Fields may be added without a new one.
pub const VERSION: u32 = 1;

/// Longest path in a manifest, bytes.
const PATH_BYTES_MAX: usize = 512;

/// Why bytes are no manifest that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or not this JSON.
    #[error("gallery.json cannot be read: {0}")]
    Malformed(#[source] serde_json::Error),
    /// A manifest of another time.
    #[error(
        "gallery.json is of version {version}, and this program reads version {VERSION}\nhint: use a newer atelier"
    )]
    UnknownVersion {
        /// What it says.
        version: u32,
    },
    /// A path that leads out of the gallery.
    #[error("gallery.json names the unsafe path {path:?}")]
    UnsafePath {
        /// As it stands there, shortened.
        path: String,
    },
    /// A cell of a photo, artist or variant that is not listed.
    #[error("gallery.json: cell {cell} is of {list}[{index}], but there are {length}")]
    IndexOutOfRange {
        /// The cell.
        cell: CellId,
        /// `photos`, `artists` or `variants`.
        list: &'static str,
        /// The position that it names.
        index: usize,
        /// How many the list has.
        length: usize,
    },
    /// It cannot be written as JSON.
    #[error("gallery.json cannot be written: {0}")]
    Unwritable(#[source] serde_json::Error),
}

/// `gallery.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// The grid.
    pub grid_id: GridId,
    /// The name that its owner gave it.
    pub name: String,
    /// When it was submitted.
    pub submitted_at: jiff::Timestamp,
    /// When its last cell ended; `None` while some cell may still change.
    #[serde(default)]
    pub finished_at: Option<jiff::Timestamp>,
    /// Every cell has ended and is shown as it ended; nothing here will change.
    pub complete: bool,
    /// `active`, `paused`, `finished` or `cancelled`.
    pub state: String,
    /// The grid's settings; artists and variants may override them.
    #[serde(deserialize_with = "known_settings")]
    pub settings: RenderSettings,
    /// The rows.
    pub photos: Vec<PhotoEntry>,
    /// The columns.
    pub artists: Vec<ArtistEntry>,
    /// One table each; a grid without a sweep has one without a name.
    pub variants: Vec<VariantEntry>,
    /// Every cell of a photo and an artist, whatever has become of it.
    pub cells: Vec<CellEntry>,
    /// Every cell of a photo or an artist alone; none if nobody asked for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reconstructions: Vec<ReconstructionEntry>,
}

impl Manifest {
    /// Reads a manifest from anywhere. Fields that this version does not know are passed over.
    ///
    /// # Errors
    /// Not a manifest, of another version, or one whose paths or positions lead elsewhere.
    pub fn from_json(json: &[u8]) -> Result<Self, ManifestError> {
        /// The one field that says whether the others can be understood.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(json).map_err(ManifestError::Malformed)?;
        if version != VERSION {
            return Err(ManifestError::UnknownVersion { version });
        }
        let manifest: Self = serde_json::from_slice(json).map_err(ManifestError::Malformed)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Indented JSON with a line feed at its end.
    pub fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        let mut json = serde_json::to_vec_pretty(self).map_err(ManifestError::Unwritable)?;
        json.push(b'\n');
        Ok(json)
    }

    /// What has become of each cell, reconstructions included.
    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        let cells = self.cells.iter().map(|cell| &cell.outcome);
        let reconstructions = self.reconstructions.iter();
        cells.chain(reconstructions.map(|entry| &entry.outcome))
    }

    /// Every picture that there is.
    pub fn pictures(&self) -> impl Iterator<Item = &PictureEntry> {
        self.outcomes()
            .filter_map(|outcome| outcome.picture.as_ref())
    }

    /// The paths of the originals of photos and artists, as far as there are any.
    pub fn originals(&self) -> impl Iterator<Item = &String> {
        let photos = self.photos.iter().map(|photo| &photo.original);
        let artists = self.artists.iter().map(|artist| &artist.original);
        photos.chain(artists).flatten()
    }

    /// Every path that it names, each relative to the manifest.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let pictures = self.pictures().flat_map(|picture| {
            let always = [&picture.path, &picture.thumbnail];
            always.into_iter().chain(&picture.large_thumbnail)
        });
        self.originals().chain(pictures).map(String::as_str)
    }

    fn check(&self) -> Result<(), ManifestError> {
        if let Some(path) = self.paths().find(|path| !is_safe(path)) {
            let path = path.chars().take(80).collect();
            return Err(ManifestError::UnsafePath { path });
        }
        let cells = self.cells.iter().map(|cell| cell.cell_id);
        let reconstructions = self.reconstructions.iter().map(|entry| entry.cell_id);
        for (cell, subject) in cells.chain(reconstructions).zip(self.subjects()) {
            for (list, index, length) in [
                ("photos", subject.photo, self.photos.len()),
                ("artists", subject.artist, self.artists.len()),
                ("variants", Some(subject.variant), self.variants.len()),
            ] {
                if let Some(index) = index.filter(|index| *index >= length) {
                    return Err(ManifestError::IndexOutOfRange {
                        cell,
                        list,
                        index,
                        length,
                    });
                }
            }
        }
        Ok(())
    }
}

/// Whether a path stays in one of the gallery's folders on every system.
fn is_safe(path: &str) -> bool {
    let mut names = path.split('/');
    let folder = names.next();
    let is_known = folder.is_some_and(|folder| GALLERY_FOLDERS.contains(&folder));
    is_known && path.len() <= PATH_BYTES_MAX && path.contains('/') && names.all(is_plain)
}
