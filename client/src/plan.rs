//! What was asked for, as a grid: photos × artists × variants, checked as far as that goes without
//! opening a picture.

mod check;
mod error;
mod notice;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use atelier_proto::settings::SettingsPatch;

pub use self::error::PlanError;
pub use self::sweep::{SweptSetting, VariantPlan, variants};
use crate::error::Error;
use crate::sources::{self, FoundArtist};
use crate::submitter::Submitter;
use crate::text::{counted, shortened};

/// What a priority may be.
pub const PRIORITIES: RangeInclusive<i64> = -100..=100;
/// Characters in the name of a grid, photo or artist.
pub const NAME_CHARACTERS_MAX: usize = 300;
/// Characters in the name of a submitter.
const SUBMITTER_CHARACTERS_MAX: usize = 100;
/// Labels of one grid.
const LABELS_MAX: usize = 32;
/// Characters in the name of a label, or in its value.
const LABEL_CHARACTERS_MAX: usize = 100;
/// Paintings of one artist.
const PAINTINGS_MAX: usize = 64;
/// Cells of one grid. A coordinator draws its own, lower line; this one keeps a sweep that multiplied out
/// of hand from filling the memory.
const CELLS_MAX: usize = 1_000_000;

/// A grid to be submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What it is called.
    pub name: String,
    /// Content images.
    pub photos: Vec<PhotoPlan>,
    /// Artists.
    pub artists: Vec<ArtistPlan>,
    /// Points of a sweep; empty when nothing is swept.
    pub variants: Vec<VariantPlan>,
    /// Settings for all; what is unset takes the default.
    pub settings: SettingsPatch,
    /// Whether each variant has a cell for each photo alone and for each artist alone besides, as far as content and style
    /// have a weight in it.
    pub reconstructions: bool,
    /// -100 to 100: among the grids of its submitter, each 20 double its share of the nodes.
    pub priority: i32,
    /// What nodes must have to get its cells.
    pub labels: BTreeMap<String, String>,
    /// Who submits it.
    pub submitter: Submitter,
    /// Files that lay beside the pictures and are none by their names.
    pub skipped: Vec<PathBuf>,
}

/// What is asked for besides photos and artists; it comes before what a grid file says.
#[derive(Debug, Clone, Default)]
pub struct Wishes<'a> {
    /// What to call the grid.
    pub name: Option<&'a str>,
    /// Render settings, as `--set` has them.
    pub settings: &'a [String],
    /// Cells of photos and of artists alone besides.
    pub reconstructions: bool,
    /// Its share of the nodes.
    pub priority: Option<i32>,
    /// Labels, besides those of a grid file.
    pub labels: &'a [(String, String)],
    /// Who submits.
    pub submitter: Submitter,
}

/// A photo of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct PhotoPlan {
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its masks.
    pub masks: Vec<MaskPlan>,
    /// The picture that `start = "file"` begins from.
    pub start: Option<PathBuf>,
    /// Where the photo was named, for errors: a line of a grid file or the file itself.
    pub place: String,
}

/// A grey picture over a photo: white where the paintings that are bound to it apply.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskPlan {
    /// What paintings name it by.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// An artist of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtistPlan {
    /// The name people gave.
    pub name: String,
    /// Style images.
    pub paintings: Vec<PaintingPlan>,
    /// Overrides of the grid's settings.
    pub settings: SettingsPatch,
    /// Where the artist was named, for errors: a line of a grid file, a folder or a file.
    pub place: String,
}

/// A painting of an artist.
#[derive(Debug, Clone, PartialEq)]
pub struct PaintingPlan {
    /// The file's name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its share, relative to its siblings.
    pub weight: f64,
    /// The mask of each photo within which it applies; none: everywhere.
    pub mask: Option<BoundMask>,
}

/// A mask that a painting is bound to.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundMask {
    /// Its name.
    pub name: String,
    /// Where the painting was bound to it, for errors.
    pub place: String,
}

impl Plan {
    /// The grid of the photos that match `photos`, in the styles of the artists in a folder.
    pub fn from_folders(
        photos: &[String],
        artists: &Path,
        wishes: &Wishes<'_>,
    ) -> Result<Self, Error> {
        let (photos, mut skipped) = photos_of(photos)?;
        let mut found = sources::artists(artists)?;
        skipped.append(&mut found.skipped);
        let artists: Vec<ArtistPlan> = found.items.into_iter().map(ArtistPlan::from).collect();
        let name = wishes.name.map(str::to_owned);
        let plan = Self {
            name: name.unwrap_or_else(|| descriptive_name(&photos, &artists)),
            photos,
            artists,
            variants: Vec::new(),
            settings: assignments(wishes.settings)?,
            reconstructions: wishes.reconstructions,
            priority: wishes.priority.unwrap_or_default(),
            labels: wishes.labels.iter().cloned().collect(),
            submitter: wishes.submitter.clone(),
            skipped,
        };
        plan.check()?;
        Ok(plan)
    }

    /// How many cells the grid has at most: a reconstruction of what has no weight is not made.
    pub fn cells(&self) -> usize {
        let (photos, artists) = (self.photos.len(), self.artists.len());
        let alone = if self.reconstructions {
            photos.saturating_add(artists)
        } else {
            0
        };
        let variants = self.variants.len().max(1);
        photos
            .saturating_mul(artists)
            .saturating_add(alone)
            .saturating_mul(variants)
    }

    /// Every picture file, each once.
    pub fn paths(&self) -> BTreeSet<&Path> {
        let paintings = self.artists.iter().flat_map(|artist| &artist.paintings);
        let of_photos = self.photos.iter().flat_map(|photo| {
            let masks = photo.masks.iter().map(|mask| &mask.path);
            std::iter::once(&photo.path)
                .chain(masks)
                .chain(&photo.start)
        });
        of_photos
            .chain(paintings.map(|painting| &painting.path))
            .map(PathBuf::as_path)
            .collect()
    }
}

impl PhotoPlan {
    /// A photo without a name.
    pub fn nameless(path: PathBuf, place: String) -> Self {
        Self {
            name: String::new(),
            path,
            masks: Vec::new(),
            start: None,
            place,
        }
    }

    /// Calls each photo without a name by as little of its path as tells it from the others of them.
    pub fn name_the_nameless(photos: &mut [Self]) {
        let nameless = photos.iter_mut().filter(|photo| photo.name.is_empty());
        let nameless: Vec<&mut Self> = nameless.collect();
        let paths: Vec<&Path> = nameless.iter().map(|photo| &*photo.path).collect();
        let names = sources::names(&paths);
        for (photo, name) in nameless.into_iter().zip(names) {
            photo.name = name;
        }
    }
}

impl From<FoundArtist> for ArtistPlan {
    fn from(found: FoundArtist) -> Self {
        Self {
            name: found.name,
            paintings: found
                .paintings
                .into_iter()
                .map(|path| PaintingPlan::new(path, 1.0))
                .collect(),
            settings: SettingsPatch::default(),
            place: found.place.display().to_string(),
        }
    }
}

impl PaintingPlan {
    /// A painting called as its file.
    pub fn new(path: PathBuf, weight: f64) -> Self {
        let name = shortened(&sources::file_name(&path), NAME_CHARACTERS_MAX);
        Self {
            name,
            path,
            weight,
            mask: None,
        }
    }
}

/// The photos that patterns name from here, each file once, and what was passed over.
fn photos_of(patterns: &[String]) -> Result<(Vec<PhotoPlan>, Vec<PathBuf>), Error> {
    let mut paths = Vec::new();
    let mut skipped = Vec::new();
    for pattern in patterns {
        let mut found = sources::files("photo", pattern, Path::new(""))?;
        paths.append(&mut found.items);
        skipped.append(&mut found.skipped);
    }
    let photos = unique(paths).into_iter().map(|path| {
        let place = path.display().to_string();
        PhotoPlan::nameless(path, place)
    });
    let mut photos: Vec<PhotoPlan> = photos.collect();
    PhotoPlan::name_the_nameless(&mut photos);
    Ok((photos, skipped))
}

/// The paths without those that came before.
fn unique(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    paths
        .into_iter()
        .filter(|path| seen.insert(path.clone()))
        .collect()
}

/// What `--set` sets.
pub fn assignments(settings: &[String]) -> Result<SettingsPatch, Error> {
    let mut patch = SettingsPatch::default();
    for assignment in settings {
        patch.set(assignment).map_err(|problem| Error::Setting {
            assignment: shortened(assignment, 80),
            problem,
        })?;
    }
    Ok(patch)
}

/// What a grid without a name is called: `rider by monet, braque`, `12 photos by monet and 7 more`.
fn descriptive_name(photos: &[PhotoPlan], artists: &[ArtistPlan]) -> String {
    const NAMED_MAX: usize = 2;
    let photos = match photos {
        [photo] => shortened(&photo.name, 40),
        several => counted(several.len(), "photo"),
    };
    let named = artists.iter().take(NAMED_MAX);
    let named: Vec<String> = named.map(|artist| shortened(&artist.name, 40)).collect();
    let more = match artists.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{photos} by {}{more}", named.join(", "))
}
