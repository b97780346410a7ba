//! The grid file: a grid said in TOML.
//!
//! ```toml
//! name = "Sunday ride"
//! photos = ["photos/*.jpg"]            # relative to this file
//! reconstructions = true               # also each photo and each artist alone
//! priority = 20                        # -100 to 100: each 20 double its share of the nodes
//! labels = { gpu = "h100" }            # only nodes with these get its cells
//!
//! [[photo]]                            # besides `photos` or instead of them
//! path = "ride.jpg"
//! name = "Sunday"                      # left out: the file's name
//! start = "sketch.png"                 # what `start = "file"` begins from
//! masks = { sky = "sky.png", rider = "rider.png" }   # white is where
//!
//! [[artist]]
//! name = "Braque"                      # left out: the first painting's file name
//! paintings = ["houses.jpg", "viaduct.jpg"]
//! weights = [2, 1]                     # one for each entry of `paintings`
//! masks = ["rider", ""]                # likewise: a mask of every photo, within which it applies; "" is everywhere
//! render = { content_weight = 3 }      # overrides [render]
//!
//! [render]                             # any render setting
//! size = 512
//!
//! [sweep]                              # lists over any render setting
//! style_scale = [0.5, 1]
//! ```
//!
//! Every error names the file and the line. How the text is read is for [`document`] to know.

mod document;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use atelier_proto::settings::SettingsPatch;

use self::document::{Document, Table, Value};
pub use self::document::{GridFileError, Problem};
use crate::error::Error;
use crate::plan::{
    ArtistPlan, BoundMask, MaskPlan, PRIORITIES, PaintingPlan, PhotoPlan, Plan, SweptSetting,
    Wishes, assignments, variants,
};
use crate::sources;

const GRID_KEYS: [&str; 9] = [
    "name",
    "photos",
    "photo",
    "artist",
    "render",
    "sweep",
    "reconstructions",
    "priority",
    "labels",
];
const PHOTO_KEYS: [&str; 4] = ["path", "name", "start", "masks"];
const ARTIST_KEYS: [&str; 5] = ["name", "paintings", "weights", "masks", "render"];

/// How a grid without photos may come to some.
const PHOTOS_EXAMPLE: &str = "photos = [\"photos/*.jpg\"], at the top of the file";

/// What a grid file says.
#[derive(Debug)]
struct GridFile {
    /// The grid's name, if given.
    name: Option<String>,
    /// Its photos.
    photos: Vec<PhotoPlan>,
    /// Its artists.
    artists: Vec<ArtistPlan>,
    /// `[render]`.
    settings: SettingsPatch,
    /// `[sweep]`, in the order of the file.
    sweep: Vec<SweptSetting>,
    /// `reconstructions`.
    reconstructions: bool,
    /// `priority`.
    priority: Option<i32>,
    /// `labels`.
    labels: BTreeMap<String, String>,
    /// Files in named folders that are no pictures by their names.
    skipped: Vec<PathBuf>,
}

impl Plan {
    /// The grid of a grid file.
    pub fn from_file(path: &Path, wishes: &Wishes<'_>) -> Result<Self, Error> {
        let settings = assignments(wishes.settings)?;
        let file = read(path)?;
        let name = wishes.name.map(str::to_owned).or(file.name);
        let mut labels = file.labels;
        labels.extend(wishes.labels.iter().cloned());
        let plan = Self {
            name: name.unwrap_or_else(|| sources::stem(path)),
            photos: file.photos,
            artists: file.artists,
            variants: variants(&file.sweep)?,
            settings: settings.over(file.settings),
            reconstructions: wishes.reconstructions || file.reconstructions,
            priority: wishes.priority.or(file.priority).unwrap_or_default(),
            labels,
            submitter: wishes.submitter.clone(),
            skipped: file.skipped,
        };
        plan.check()?;
        Ok(plan)
    }
}

/// Reads a grid file and finds the files that it names.
fn read(path: &Path) -> Result<GridFile, GridFileError> {
    of_text(path, &document::text(path)?)
}

/// Reads the text of a grid file that is called so.
fn of_text(path: &Path, text: &str) -> Result<GridFile, GridFileError> {
    let document = Document::new(path, text);
    let parsed = document.parse()?;
    let base = path.parent().unwrap_or(Path::new(""));
    Reader {
        document,
        base,
        skipped: Vec::new(),
    }
    .grid(&Table::new(document, parsed.get_ref(), parsed.span()))
}

struct Reader<'a> {
    document: Document<'a>,
    base: &'a Path,
    skipped: Vec<PathBuf>,
}

impl Reader<'_> {
    fn grid(mut self, grid: &Table<'_>) -> Result<GridFile, GridFileError> {
        grid.check_keys(&GRID_KEYS)?;
        let name = grid.string("name")?;
        let photos = self.photos(grid)?;
        let artists = grid.tables("artist")?;
        if artists.is_empty() {
            let example = "[[artist]] with a name and paintings";
            return Err(grid.missing("artist", example));
        }
        let artists = artists.iter().map(|artist| self.artist(artist));
        let artists = artists.collect::<Result<_, _>>()?;
        let settings = match grid.table("render")? {
            Some(render) => settings(&render)?,
            None => SettingsPatch::default(),
        };
        let sweep = match grid.table("sweep")? {
            Some(sweep) => self.sweep(&sweep)?,
            None => Vec::new(),
        };
        Ok(GridFile {
            name,
            photos,
            artists,
            settings,
            sweep,
            reconstructions: grid.boolean("reconstructions")?.unwrap_or_default(),
            priority: priority(grid)?,
            labels: labels(grid)?,
            skipped: self.skipped,
        })
    }

    /// Photos by pattern, each file once, then those that have a table. A file that has both is what its table says.
    fn photos(&mut self, grid: &Table<'_>) -> Result<Vec<PhotoPlan>, GridFileError> {
        let patterns = grid.strings("photos")?;
        let tables = grid.tables("photo")?;
        if patterns.is_none() && tables.is_empty() {
            return Err(grid.missing("photos", PHOTOS_EXAMPLE));
        }
        let described = tables.iter().map(|table| self.photo(table));
        let mut described = described.collect::<Result<Vec<_>, _>>()?;
        let mut seen: BTreeSet<PathBuf> = described.iter().map(|it| it.path.clone()).collect();
        let mut photos = Vec::new();
        for (pattern, place) in patterns.iter().flatten() {
            for path in self.files("photo", pattern, place)? {
                if seen.insert(path.clone()) {
                    let place = self.document.place(place);
                    photos.push(PhotoPlan::nameless(path, place));
                }
            }
        }
        photos.append(&mut described);
        PhotoPlan::name_the_nameless(&mut photos);
        Ok(photos)
    }

    /// A photo with a table of its own; its name is empty if it says none.
    fn photo(&self, photo: &Table<'_>) -> Result<PhotoPlan, GridFileError> {
        photo.check_keys(&PHOTO_KEYS)?;
        let (path, place) = photo.required_string("path", "path = \"ride.jpg\"")?;
        let name = photo.string("name")?;
        let mut masks = Vec::new();
        if let Some(table) = photo.table("masks")? {
            for (key, value) in table.entries() {
                let name = key.get_ref().to_string();
                let Some(path) = value.get_ref().as_str() else {
                    return Err(table.wrong_type(&name, "the name of a file", value));
                };
                let path = self.file("mask", path, &value.span())?;
                masks.push(MaskPlan { name, path });
            }
        }
        let start = match (photo.string("start")?, photo.value("start")) {
            (Some(path), Some(value)) => Some(self.file("start", &path, &value.span())?),
            _ => None,
        };
        Ok(PhotoPlan {
            path: self.file("photo", &path, &place)?,
            name: name.unwrap_or_default(),
            masks,
            start,
            place: self.document.place(&photo.span),
        })
    }

    fn artist(&mut self, artist: &Table<'_>) -> Result<ArtistPlan, GridFileError> {
        artist.check_keys(&ARTIST_KEYS)?;
        let Some(patterns) = artist.strings("paintings")? else {
            return Err(artist.missing("paintings", "paintings = [\"monet.jpg\"]"));
        };
        let weights = self.weights(artist, patterns.len())?;
        let masks = self.masks(artist, patterns.len())?;
        let mut paintings = Vec::new();
        for (((pattern, place), weight), mask) in patterns.iter().zip(weights).zip(masks) {
            for path in self.files("painting", pattern, place)? {
                paintings.push(PaintingPlan {
                    mask: mask.clone(),
                    ..PaintingPlan::new(path, weight)
                });
            }
        }
        let name = artist.string("name")?;
        let first = paintings
            .first()
            .map(|painting| sources::stem(&painting.path));
        Ok(ArtistPlan {
            name: name.or(first).unwrap_or_default(),
            paintings,
            settings: match artist.table("render")? {
                Some(render) => settings(&render)?,
                None => SettingsPatch::default(),
            },
            place: self.document.place(&artist.span),
        })
    }

    fn weights(&self, artist: &Table<'_>, count: usize) -> Result<Vec<f64>, GridFileError> {
        let Some(value) = artist.value("weights") else {
            return Ok(vec![1.0; count]);
        };
        let wrong = |problem| self.document.at(&value.span(), problem);
        let weights: Vec<f64> = document::deserialized(value).map_err(|problem| {
            wrong(Problem::Value {
                key: "weights".to_owned(),
                problem,
            })
        })?;
        if weights.len() != count {
            return Err(wrong(Problem::PaintingCount {
                key: "weights",
                entries: weights.len(),
                paintings: count,
            }));
        }
        match weights
            .iter()
            .find(|weight| !(**weight > 0.0 && **weight <= 1e9))
        {
            Some(weight) => Err(wrong(Problem::Weight { weight: *weight })),
            None => Ok(weights),
        }
    }

    /// What each entry of `paintings` is bound to.
    fn masks(
        &self,
        artist: &Table<'_>,
        count: usize,
    ) -> Result<Vec<Option<BoundMask>>, GridFileError> {
        let (Some(masks), Some(value)) = (artist.strings("masks")?, artist.value("masks")) else {
            return Ok(vec![None; count]);
        };
        if masks.len() != count {
            let problem = Problem::PaintingCount {
                key: "masks",
                entries: masks.len(),
                paintings: count,
            };
            return Err(self.document.at(&value.span(), problem));
        }
        let masks = masks.into_iter().map(|(name, place)| {
            let place = self.document.place(&place);
            let bound = BoundMask { name, place };
            Some(bound).filter(|bound| !bound.name.is_empty())
        });
        Ok(masks.collect())
    }

    fn sweep(&self, sweep: &Table<'_>) -> Result<Vec<SweptSetting>, GridFileError> {
        let mut swept = Vec::new();
        for (key, value) in sweep.entries() {
            let Some(list) = value.get_ref().as_array() else {
                let problem = Problem::WrongType {
                    key: key.get_ref().to_string(),
                    wanted: "a list of values",
                    found: value.get_ref().type_str(),
                };
                return Err(self.document.at(&key.span(), problem));
            };
            if list.is_empty() {
                let key_text = key.get_ref().to_string();
                let problem = Problem::Empty { key: key_text };
                return Err(self.document.at(&key.span(), problem));
            }
            let mut values = Vec::new();
            for value in list {
                let place = value.span();
                values.push((
                    document::written(value),
                    setting(self.document, key.get_ref(), value, &place)?,
                ));
            }
            swept.push(SweptSetting {
                key: key.get_ref().to_string(),
                values,
            });
        }
        Ok(swept)
    }

    fn file(
        &self,
        what: &'static str,
        name: &str,
        place: &std::ops::Range<usize>,
    ) -> Result<PathBuf, GridFileError> {
        sources::file(what, name, self.base)
            .map_err(|problem| self.document.at(place, Problem::Source(problem)))
    }

    fn files(
        &mut self,
        what: &'static str,
        pattern: &str,
        place: &std::ops::Range<usize>,
    ) -> Result<Vec<PathBuf>, GridFileError> {
        let mut found = sources::files(what, pattern, self.base)
            .map_err(|problem| self.document.at(place, Problem::Source(problem)))?;
        self.skipped.append(&mut found.skipped);
        Ok(found.items)
    }
}

fn priority(grid: &Table<'_>) -> Result<Option<i32>, GridFileError> {
    let Some(value) = grid.value("priority") else {
        return Ok(None);
    };
    let wanted = "a whole number from -100 to 100";
    let Ok(priority) = document::deserialized::<i64>(value) else {
        return Err(grid.wrong_type("priority", wanted, value));
    };
    let in_range = Some(priority).filter(|priority| PRIORITIES.contains(priority));
    let in_range = in_range.and_then(|priority| i32::try_from(priority).ok());
    in_range.map(Some).ok_or_else(|| {
        let problem = Problem::Value {
            key: "priority".to_owned(),
            problem: format!("{priority} is not {wanted}"),
        };
        grid.document.at(&value.span(), problem)
    })
}

fn labels(grid: &Table<'_>) -> Result<BTreeMap<String, String>, GridFileError> {
    let mut labels = BTreeMap::new();
    if let Some(table) = grid.table("labels")? {
        for (key, value) in table.entries() {
            let name = key.get_ref().to_string();
            let Some(value) = value.get_ref().as_str() else {
                return Err(table.wrong_type(&name, "text in quotes", value));
            };
            labels.insert(name, value.to_owned());
        }
    }
    Ok(labels)
}

fn settings(table: &Table<'_>) -> Result<SettingsPatch, GridFileError> {
    let mut singles = Vec::new();
    for (key, value) in table.entries() {
        let single = setting(table.document, key.get_ref(), value, &key.span())?;
        singles.push((key.get_ref().as_ref(), single));
    }
    Ok(SettingsPatch::together(singles))
}

fn setting(
    document: Document<'_>,
    key: &str,
    value: &Value<'_>,
    place: &std::ops::Range<usize>,
) -> Result<SettingsPatch, GridFileError> {
    let value: toml::Value = document::deserialized(value).map_err(|problem| {
        document.at(
            place,
            Problem::Value {
                key: key.to_owned(),
                problem,
            },
        )
    })?;
    SettingsPatch::single(key, &value)
        .map_err(|problem| document.at(place, Problem::Setting(problem)))
}
