//! What was asked for, as a grid: photos × artists × variants, checked as far as that goes without
//! opening a picture.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use atelier_proto::settings::SettingsPatch;

use crate::error::Error;
use crate::grid_file;
use crate::sources::{self, FoundArtist, NamedFile};
use crate::text::{counted, shortened};

/// Characters in the name of a grid, photo or artist.
const NAME_CHARACTERS_MAX: usize = 300;
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
    pub photos: Vec<NamedFile>,
    /// Artists.
    pub artists: Vec<ArtistPlan>,
    /// Points of a sweep; empty when nothing is swept.
    pub variants: Vec<VariantPlan>,
    /// Settings for all; what is unset takes the default.
    pub settings: SettingsPatch,
    /// Files that lay beside the pictures and are none by their names.
    pub skipped: Vec<PathBuf>,
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
}

/// One point of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantPlan {
    /// `key=value key2=value2`.
    pub name: String,
    /// Overrides of the artist's and the grid's settings.
    pub settings: SettingsPatch,
}

/// One setting and the values that a sweep gives it, each with how it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct SweptSetting {
    /// The setting.
    pub key: String,
    /// Its values.
    pub values: Vec<(String, SettingsPatch)>,
}

/// Why what was asked for makes no grid.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Two artists could not be told apart.
    #[error(
        "two artists are called `{}`: {first} and {second}\nhint: give one of them another name",
        shortened(name, 80)
    )]
    SameArtist {
        /// Their name.
        name: String,
        /// Where the one was named.
        first: String,
        /// Where the other was.
        second: String,
    },
    /// A name that is empty or too long.
    #[error(
        "{place}: the name of {what} has {characters} characters, but must have 1 to {NAME_CHARACTERS_MAX}"
    )]
    NameLength {
        /// Whose name it is.
        what: &'static str,
        /// Where it comes from.
        place: String,
        /// Its length.
        characters: usize,
    },
    /// A name that would steer a terminal, or break a line.
    #[error(
        "{place}: the name of {what} holds a control character\nhint: write it on one line, without tabs"
    )]
    ControlCharacter {
        /// Whose name it is.
        what: &'static str,
        /// Where it comes from.
        place: String,
    },
    /// More paintings than an artist may have.
    #[error("{place}: an artist has {paintings} paintings, but may have {PAINTINGS_MAX} at most")]
    TooManyPaintings {
        /// Where the artist was named.
        place: String,
        /// How many there are.
        paintings: usize,
    },
    /// A grid without cells.
    #[error("the grid has no cells: {what}\nhint: it needs at least one photo and one artist")]
    NoCells {
        /// What is missing.
        what: &'static str,
    },
    /// More cells than any coordinator takes.
    #[error(
        "the grid has {photos} × {artists} × {variants} cells, but may have {CELLS_MAX} at most\n\
         hint: sweep over fewer values"
    )]
    TooManyCells {
        /// Photos.
        photos: usize,
        /// Artists.
        artists: usize,
        /// Points of the sweep; at least so many.
        variants: usize,
    },
    /// A value that a sweep has twice.
    #[error("the sweep has `{name}` twice")]
    SameVariant {
        /// The variant.
        name: String,
    },
}

impl Plan {
    /// The grid of the photos that match `photos`, in the styles of the artists in a folder.
    pub fn from_folders(
        name: Option<&str>,
        photos: &[String],
        artists: &Path,
        settings: &[String],
    ) -> Result<Self, Error> {
        let (photos, mut skipped) = photos_of(photos, Path::new(""))?;
        let mut found = sources::artists(artists)?;
        skipped.append(&mut found.skipped);
        let artists: Vec<ArtistPlan> = found.items.into_iter().map(ArtistPlan::from).collect();
        let plan = Self {
            name: name.map_or_else(|| descriptive_name(&photos, &artists), str::to_owned),
            photos,
            artists,
            variants: Vec::new(),
            settings: assignments(settings)?,
            skipped,
        };
        plan.check()?;
        Ok(plan)
    }

    /// The grid of a grid file. `name` and `settings` from the command line come before what it says.
    pub fn from_file(path: &Path, name: Option<&str>, settings: &[String]) -> Result<Self, Error> {
        let settings = assignments(settings)?;
        let file = grid_file::read(path)?;
        let plan = Self {
            name: name
                .map(str::to_owned)
                .or(file.name)
                .unwrap_or_else(|| sources::stem(path)),
            photos: file.photos,
            artists: file.artists,
            variants: variants(&file.sweep)?,
            settings: settings.over(file.settings),
            skipped: file.skipped,
        };
        plan.check()?;
        Ok(plan)
    }

    /// How many cells the grid has.
    pub fn cells(&self) -> usize {
        let variants = self.variants.len().max(1);
        self.photos
            .len()
            .saturating_mul(self.artists.len())
            .saturating_mul(variants)
    }

    /// Every picture file, each once.
    pub fn paths(&self) -> BTreeSet<&Path> {
        let photos = self.photos.iter().map(|photo| photo.path.as_path());
        let paintings = self.artists.iter().flat_map(|artist| &artist.paintings);
        photos
            .chain(paintings.map(|painting| painting.path.as_path()))
            .collect()
    }

    fn check(&self) -> Result<(), PlanError> {
        if self.photos.is_empty() {
            return Err(PlanError::NoCells { what: "no photo" });
        }
        if self.artists.is_empty() {
            return Err(PlanError::NoCells { what: "no artist" });
        }
        check_name("the grid", "--name", &self.name)?;
        for photo in &self.photos {
            check_name("a photo", &photo.path.to_string_lossy(), &photo.name)?;
        }
        let mut places: HashMap<&str, &str> = HashMap::new();
        for artist in &self.artists {
            check_name("an artist", &artist.place, &artist.name)?;
            if let Some(first) = places.insert(&artist.name, &artist.place) {
                return Err(PlanError::SameArtist {
                    name: artist.name.clone(),
                    first: first.to_owned(),
                    second: artist.place.clone(),
                });
            }
            if artist.paintings.len() > PAINTINGS_MAX {
                return Err(PlanError::TooManyPaintings {
                    place: artist.place.clone(),
                    paintings: artist.paintings.len(),
                });
            }
        }
        if self.cells() > CELLS_MAX {
            return Err(PlanError::TooManyCells {
                photos: self.photos.len(),
                artists: self.artists.len(),
                variants: self.variants.len().max(1),
            });
        }
        Ok(())
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
        Self { name, path, weight }
    }
}

/// The photos that patterns name, each file once, and what was passed over.
fn photos_of(patterns: &[String], base: &Path) -> Result<(Vec<NamedFile>, Vec<PathBuf>), Error> {
    let mut paths = Vec::new();
    let mut skipped = Vec::new();
    for pattern in patterns {
        let mut found = sources::files("photo", pattern, base)?;
        paths.append(&mut found.items);
        skipped.append(&mut found.skipped);
    }
    Ok((sources::named(unique(paths)), skipped))
}

/// The paths without those that came before.
pub fn unique(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    paths
        .into_iter()
        .filter(|path| seen.insert(path.clone()))
        .collect()
}

/// Every combination of a sweep's values, the last setting changing fastest.
pub fn variants(sweep: &[SweptSetting]) -> Result<Vec<VariantPlan>, PlanError> {
    if sweep.is_empty() {
        return Ok(Vec::new());
    }
    let mut points = vec![VariantPlan {
        name: String::new(),
        settings: SettingsPatch::default(),
    }];
    for setting in sweep {
        let count = points.len().saturating_mul(setting.values.len());
        if count == 0 {
            return Err(PlanError::NoCells {
                what: "a sweep over no values",
            });
        }
        if count > CELLS_MAX {
            return Err(PlanError::TooManyCells {
                photos: 1,
                artists: 1,
                variants: count,
            });
        }
        let mut seen: Vec<&SettingsPatch> = Vec::new();
        for (written, patch) in &setting.values {
            if seen.contains(&patch) {
                let name = format!("{}={written}", setting.key);
                return Err(PlanError::SameVariant { name });
            }
            seen.push(patch);
        }
        let longer = points.iter().flat_map(|point| {
            setting.values.iter().map(|(written, patch)| VariantPlan {
                name: format!("{} {}={written}", point.name, setting.key)
                    .trim_start()
                    .to_owned(),
                settings: patch.clone().over(point.settings.clone()),
            })
        });
        points = longer.collect();
    }
    Ok(points)
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

fn check_name(what: &'static str, place: &str, name: &str) -> Result<(), PlanError> {
    let characters = name.chars().count();
    if name.trim().is_empty() || characters > NAME_CHARACTERS_MAX {
        return Err(PlanError::NameLength {
            what,
            place: place.to_owned(),
            characters,
        });
    }
    if name.chars().any(char::is_control) {
        return Err(PlanError::ControlCharacter {
            what,
            place: place.to_owned(),
        });
    }
    Ok(())
}

/// What a grid without a name is called: `rider by monet, braque`, `12 photos by monet and 7 more`.
fn descriptive_name(photos: &[NamedFile], artists: &[ArtistPlan]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn swept(key: &str, values: &[&str]) -> SweptSetting {
        let value = |written: &&str| {
            let value = atelier_proto::settings::parse_value(written);
            let patch = SettingsPatch::single(key, &value).unwrap();
            ((*written).to_owned(), patch)
        };
        SweptSetting {
            key: key.to_owned(),
            values: values.iter().map(value).collect(),
        }
    }

    fn artist(name: &str) -> ArtistPlan {
        ArtistPlan {
            name: name.to_owned(),
            paintings: vec![PaintingPlan::new("a.jpg".into(), 1.0)],
            settings: SettingsPatch::default(),
            place: format!("artists/{name}.jpg"),
        }
    }

    fn plan(artists: &[&str]) -> Plan {
        Plan {
            name: "A grid".to_owned(),
            photos: sources::named(vec!["p.jpg".into()]),
            artists: artists.iter().map(|name| artist(name)).collect(),
            variants: Vec::new(),
            settings: SettingsPatch::default(),
            skipped: Vec::new(),
        }
    }

    #[test]
    fn a_sweep_is_every_combination_by_name() {
        let sweep = [
            swept("seed", &["1", "2"]),
            swept("start", &["noise", "photo"]),
        ];
        let points = variants(&sweep).unwrap();
        let names: Vec<_> = points.iter().map(|point| point.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "seed=1 start=noise",
                "seed=1 start=photo",
                "seed=2 start=noise",
                "seed=2 start=photo"
            ]
        );
        assert_eq!(points[2].settings.seed, Some(2));
        assert!(points[2].settings.start.is_some());
        assert_eq!(variants(&[]).unwrap(), []);
    }

    #[test]
    fn a_sweep_over_nothing_over_one_value_twice_or_over_too_much_is_refused() {
        let empty = variants(&[swept("seed", &["1"]), swept("size", &[])]);
        assert!(matches!(empty, Err(PlanError::NoCells { .. })));
        let twice = variants(&[swept("content_weight", &["1", "1.0"])]);
        assert!(matches!(twice, Err(PlanError::SameVariant { .. })));
        let seeds: Vec<String> = (0..1001).map(|seed| seed.to_string()).collect();
        let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
        let vast = variants(&[swept("seed", &seeds), swept("history", &["1", "2"]), {
            let sizes: Vec<String> = (16..616).map(|size: u32| size.to_string()).collect();
            let sizes: Vec<&str> = sizes.iter().map(String::as_str).collect();
            swept("size", &sizes)
        }]);
        assert!(matches!(vast, Err(PlanError::TooManyCells { .. })));
    }

    #[test]
    fn artists_are_told_apart_and_names_have_a_length() {
        assert!(plan(&["Monet", "Braque"]).check().is_ok());
        assert!(matches!(
            plan(&["Monet", "Monet"]).check(),
            Err(PlanError::SameArtist { .. })
        ));
        assert!(plan(&["é".repeat(300).as_str()]).check().is_ok());
        for name in ["", " ", "x".repeat(301).as_str()] {
            let error = plan(&[name]).check().unwrap_err();
            assert!(matches!(error, PlanError::NameLength { .. }), "{error}");
        }
        assert!(matches!(
            plan(&["Mo\nnet"]).check(),
            Err(PlanError::ControlCharacter { .. })
        ));
        assert!(matches!(plan(&[]).check(), Err(PlanError::NoCells { .. })));
    }

    #[test]
    fn a_grid_without_a_name_tells_what_is_in_it() {
        let name = |artists: &[&str]| {
            let plan = plan(artists);
            descriptive_name(&plan.photos, &plan.artists)
        };
        assert_eq!(name(&["monet"]), "p by monet");
        assert_eq!(name(&["a", "b", "c", "d"]), "p by a, b and 2 more");
    }
}
