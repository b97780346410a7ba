//! `gallery.json`: what a grid is and what has become of each of its cells, for programs that outlive the coordinator.
//!
//! Paths are relative to the manifest's own place. Whoever reads one trusts nothing in it: [`Manifest::from_json`]
//! refuses paths that lead elsewhere. This file knows neither buckets nor the coordinator's records.

use atelier_proto::ids::{CellId, Digest, GridId};
use atelier_proto::settings::{RenderSettings, SettingsPatch};
use serde::{Deserialize, Deserializer, Serialize};

/// The version that this code writes, and the only one that it reads. Fields may be added without a new one.
pub const VERSION: u32 = 1;

/// The folders that a manifest's paths may lead to.
const FOLDERS: [&str; 3] = ["pictures", "thumbnails", "originals"];
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
    /// Every cell, whatever has become of it.
    pub cells: Vec<CellEntry>,
}

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
    /// Position in [`Manifest::photos`].
    pub photo: usize,
    /// Position in [`Manifest::artists`].
    pub artist: usize,
    /// Position in [`Manifest::variants`].
    pub variant: usize,
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
    /// Path of its thumbnail.
    pub thumbnail: String,
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

    /// Every path that it names, each relative to the manifest.
    fn paths(&self) -> impl Iterator<Item = &str> {
        let photos = self.photos.iter().map(|photo| &photo.original);
        let artists = self.artists.iter().map(|artist| &artist.original);
        let pictures = self.cells.iter().filter_map(|cell| cell.picture.as_ref());
        let pictures = pictures.flat_map(|picture| [&picture.path, &picture.thumbnail]);
        let originals = photos.chain(artists).flatten();
        originals.chain(pictures).map(String::as_str)
    }

    fn check(&self) -> Result<(), ManifestError> {
        if let Some(path) = self.paths().find(|path| !is_safe(path)) {
            let path = path.chars().take(80).collect();
            return Err(ManifestError::UnsafePath { path });
        }
        for cell in &self.cells {
            for (list, index, length) in [
                ("photos", cell.photo, self.photos.len()),
                ("artists", cell.artist, self.artists.len()),
                ("variants", cell.variant, self.variants.len()),
            ] {
                if index >= length {
                    return Err(ManifestError::IndexOutOfRange {
                        cell: cell.cell_id,
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

/// Whether a path stays in one of the gallery's folders on every system: plain ASCII names, none hidden, none `..`.
fn is_safe(path: &str) -> bool {
    let mut names = path.split('/');
    let folder = names.next();
    let is_known = folder.is_some_and(|folder| FOLDERS.contains(&folder));
    let is_plain = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    is_known && path.len() <= PATH_BYTES_MAX && path.contains('/') && names.all(is_plain)
}

/// Reads settings without those that only a newer version knows.
fn known_patch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SettingsPatch, D::Error> {
    let mut settings = serde_json::Map::deserialize(deserializer)?;
    settings.retain(|key, _| SettingsPatch::KEYS.contains(&key.as_str()));
    SettingsPatch::deserialize(serde_json::Value::Object(settings))
        .map_err(serde::de::Error::custom)
}

/// Settings that an older version did not know had their default.
fn known_settings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RenderSettings, D::Error> {
    known_patch(deserializer).map(SettingsPatch::resolve)
}

/// JSON has no word for a number that is none and writes `null`.
fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::deserialize(deserializer).map(|number| number.unwrap_or(f64::NAN))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two photos by two artists; three cells done, one failed.
    pub(crate) fn sample() -> Manifest {
        let photo = |name: &str, slug: &str| PhotoEntry {
            name: name.to_owned(),
            sha256: Digest::of(name.as_bytes()),
            width: 640,
            height: 480,
            original: Some(format!("originals/photo-{slug}.jpg")),
        };
        let artist = |name: &str, slug: &str| ArtistEntry {
            name: name.to_owned(),
            paintings: vec![PaintingEntry {
                name: format!("{slug}.jpg"),
                sha256: Digest::of(slug.as_bytes()),
                width: 300,
                height: 400,
                weight: 1.0,
            }],
            settings: SettingsPatch::default(),
            original: Some(format!("originals/artist-{slug}.jpg")),
        };
        let cell = |photo: usize, artist: usize| {
            let stem = format!("photo-{photo}--artist-{artist}");
            let number = photo * 2 + artist;
            CellEntry {
                cell_id: format!("0197a3c4-5f00-7000-8000-00000000001{number}")
                    .parse()
                    .unwrap(),
                photo,
                artist,
                variant: 0,
                state: "done".to_owned(),
                attempts: 1,
                picture: Some(PictureEntry {
                    path: format!("pictures/{stem}.jpg"),
                    thumbnail: format!("thumbnails/{stem}.jpg"),
                    sha256: Digest::of(stem.as_bytes()),
                    bytes: 12_345,
                    width: 512,
                    height: 384,
                    seconds: 61.5,
                    evaluations: 450,
                    loss: 0.012_345,
                    node: "studio-1".to_owned(),
                    network: "vgg16 untrained".to_owned(),
                    device: "cpu".to_owned(),
                }),
                failure: None,
            }
        };
        let mut failed = cell(1, 1);
        "failed".clone_into(&mut failed.state);
        failed.picture = None;
        failed.attempts = 3;
        failed.failure = Some("out of memory".to_owned());
        Manifest {
            version: VERSION,
            grid_id: "0197a3c4-5f00-7000-8000-000000000001".parse().unwrap(),
            name: "Summer".to_owned(),
            submitted_at: "2026-06-01T10:00:00Z".parse().unwrap(),
            finished_at: Some("2026-06-01T10:05:30Z".parse().unwrap()),
            complete: true,
            state: "finished".to_owned(),
            settings: RenderSettings::default(),
            photos: vec![photo("Harbour", "harbour"), photo("Hills", "hills")],
            artists: vec![artist("Braque", "braque"), artist("Signac", "signac")],
            variants: vec![VariantEntry {
                name: String::new(),
                settings: SettingsPatch::default(),
            }],
            cells: vec![cell(0, 0), cell(0, 1), cell(1, 0), failed],
        }
    }

    fn changed(change: impl FnOnce(&mut serde_json::Value)) -> Result<Manifest, ManifestError> {
        let mut json = serde_json::to_value(sample()).unwrap();
        change(&mut json);
        Manifest::from_json(&serde_json::to_vec(&json).unwrap())
    }

    #[test]
    fn it_reads_what_it_wrote() {
        let mut manifest = sample();
        manifest.artists[0]
            .settings
            .set("content_weight=4")
            .unwrap();
        manifest.settings.style_layers = "conv1_1,conv2_1:0.5".parse().unwrap();
        let json = manifest.to_json().unwrap();
        assert_eq!(Manifest::from_json(&json).unwrap(), manifest);

        // A loss that is no number must not make the whole gallery unreadable.
        manifest.cells[0].picture.as_mut().unwrap().loss = f64::INFINITY;
        let read = Manifest::from_json(&manifest.to_json().unwrap()).unwrap();
        assert!(read.cells[0].picture.as_ref().unwrap().loss.is_nan());
    }

    #[test]
    fn what_a_newer_version_adds_is_passed_over_and_what_it_changes_is_not() {
        let read = changed(|json| {
            json["cost"] = 1.5.into();
            json["settings"]["brush"] = "wide".into();
            json["artists"][0]["settings"]["brush"] = "wide".into();
            json["settings"].as_object_mut().unwrap().remove("history");
        });
        assert_eq!(read.unwrap(), sample());
        let error = changed(|json| json["version"] = 2.into()).unwrap_err();
        assert!(
            matches!(error, ManifestError::UnknownVersion { version: 2 }),
            "{error}"
        );
        let error = Manifest::from_json(b"<html>").unwrap_err();
        assert!(matches!(error, ManifestError::Malformed(_)), "{error}");
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        for path in [
            "/etc/passwd",
            "../secret.jpg",
            "pictures/../../secret.jpg",
            "pictures/..",
            "pictures",
            "pictures/",
            "pictures//a.jpg",
            "pictures/.hidden",
            r"pictures\a.jpg",
            r"pictures/..\..\a.jpg",
            "pictures/C:a.jpg",
            "pictures/a\0.jpg",
            "pictures/é.jpg",
            "index.html",
            "elsewhere/a.jpg",
            "http://example.com/pictures/a.jpg",
            "",
        ] {
            for place in ["path", "thumbnail"] {
                let error = changed(|json| json["cells"][0]["picture"][place] = path.into());
                assert!(
                    matches!(error, Err(ManifestError::UnsafePath { .. })),
                    "{path}: {error:?}"
                );
            }
            for list in ["photos", "artists"] {
                let error = changed(|json| json[list][1]["original"] = path.into());
                assert!(
                    matches!(error, Err(ManifestError::UnsafePath { .. })),
                    "{path}"
                );
            }
        }
    }

    #[test]
    fn a_cell_of_nothing_is_refused() {
        for list in ["photo", "artist", "variant"] {
            let error = changed(|json| json["cells"][2][list] = 2.into()).unwrap_err();
            assert!(
                matches!(error, ManifestError::IndexOutOfRange { index: 2, .. }),
                "{error}"
            );
        }
    }
}
