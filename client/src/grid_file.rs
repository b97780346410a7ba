//! The grid file: a grid said in TOML.
//!
//! ```toml
//! name = "Sunday ride"
//! photos = ["photos/*.jpg"]            # relative to this file
//!
//! [[artist]]
//! name = "Braque"                      # left out: the first painting's file name
//! paintings = ["houses.jpg", "viaduct.jpg"]
//! weights = [2, 1]                     # one for each entry of `paintings`
//! render = { content_weight = 3 }      # overrides [render]
//!
//! [render]                             # any render setting
//! size = 512
//!
//! [sweep]                              # lists over any render setting
//! seed = [1, 2]
//! ```
//!
//! Every error names the file and the line. How the text is read is for [`document`] to know.

mod document;

use std::path::{Path, PathBuf};

use atelier_proto::settings::SettingsPatch;

use self::document::{Document, Table, Value};
pub use self::document::{GridFileError, Problem};
use crate::plan::{ArtistPlan, PaintingPlan, SweptSetting, unique};
use crate::sources::{self, NamedFile};

const GRID_KEYS: [&str; 5] = ["name", "photos", "artist", "render", "sweep"];
const ARTIST_KEYS: [&str; 4] = ["name", "paintings", "weights", "render"];

/// What a grid file says.
#[derive(Debug)]
pub struct GridFile {
    /// The grid's name, if given.
    pub name: Option<String>,
    /// Its photos.
    pub photos: Vec<NamedFile>,
    /// Its artists.
    pub artists: Vec<ArtistPlan>,
    /// `[render]`.
    pub settings: SettingsPatch,
    /// `[sweep]`, in the order of the file.
    pub sweep: Vec<SweptSetting>,
    /// Files in named folders that are no pictures by their names.
    pub skipped: Vec<PathBuf>,
}

/// Reads a grid file and finds the files that it names.
pub fn read(path: &Path) -> Result<GridFile, GridFileError> {
    let text = document::text(path)?;
    let document = Document::new(path, &text);
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
        let patterns = grid.required_strings("photos")?;
        let mut photos = Vec::new();
        for (pattern, place) in &patterns {
            photos.append(&mut self.files("photo", pattern, place)?);
        }
        let artists = grid
            .tables("artist")?
            .iter()
            .map(|artist| self.artist(artist))
            .collect::<Result<_, _>>()?;
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
            photos: sources::named(unique(photos)),
            artists,
            settings,
            sweep,
            skipped: self.skipped,
        })
    }

    fn artist(&mut self, artist: &Table<'_>) -> Result<ArtistPlan, GridFileError> {
        artist.check_keys(&ARTIST_KEYS)?;
        let patterns = artist.required_strings("paintings")?;
        let weights = self.weights(artist, patterns.len())?;
        let mut paintings = Vec::new();
        for ((pattern, place), weight) in patterns.iter().zip(weights) {
            let files = self.files("painting", pattern, place)?;
            paintings.extend(
                files
                    .into_iter()
                    .map(|path| PaintingPlan::new(path, weight)),
            );
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
            return Err(wrong(Problem::WeightCount {
                weights: weights.len(),
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

fn settings(table: &Table<'_>) -> Result<SettingsPatch, GridFileError> {
    let mut patch = SettingsPatch::default();
    for (key, value) in table.entries() {
        let single = setting(table.document, key.get_ref(), value, &key.span())?;
        patch = single.laid(key.get_ref(), patch);
    }
    Ok(patch)
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

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"name = "Good"
photos = ["photos/*.png"]

[[artist]]
name = "One"
paintings = ["artists/one.png", "artists/t*.png"]
weights = [2, 0.5]
render.content_weight = 3

[[artist]]
paintings = ["artists/two.png"]

[render]
size = 32
iterations = 2

[sweep]
start = ["photo", "noise"]
seed = [1, 2]
"#;

    fn workplace(text: &str) -> tempfile::TempDir {
        let work = tempfile::tempdir().unwrap();
        for file in [
            "photos/a.png",
            "photos/b.png",
            "artists/one.png",
            "artists/two.png",
        ] {
            let path = work.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::fs::write(work.path().join("grid.toml"), text).unwrap();
        work
    }

    #[test]
    fn a_good_file_says_all_it_can() {
        let work = workplace(GOOD);
        let file = read(&work.path().join("grid.toml")).unwrap();
        assert_eq!(file.name.as_deref(), Some("Good"));
        assert_eq!(file.photos.len(), 2);
        let weights: Vec<f64> = file.artists[0]
            .paintings
            .iter()
            .map(|it| it.weight)
            .collect();
        assert_eq!(weights, [2.0, 0.5]);
        assert_eq!(file.artists[0].settings.content_weight, Some(3.0));
        assert_eq!(file.artists[1].name, "two");
        assert!(file.artists[1].place.ends_with("grid.toml:10"));
        assert_eq!(file.settings.size, Some(32));
        let keys: Vec<&str> = file.sweep.iter().map(|swept| swept.key.as_str()).collect();
        assert_eq!(keys, ["start", "seed"], "in the order of the file");
        assert_eq!(file.sweep[0].values[1].0, "noise");
    }

    /// What is told of the file with one thing wrong, without its folder.
    fn told(good: &str, bad: &str) -> String {
        assert!(GOOD.contains(good));
        let work = workplace(&GOOD.replacen(good, bad, 1));
        let error = read(&work.path().join("grid.toml")).unwrap_err();
        let folder = work.path().display().to_string();
        error
            .to_string()
            .replace(&format!("{folder}/"), "")
            .replace(&folder, "FOLDER")
    }

    #[test]
    fn every_error_names_its_line() {
        let cases = [
            ("photos =", "fotos ="),
            ("photos = [\"photos/*.png\"]", "photos = 3"),
            ("photos = [\"photos/*.png\"]", "photos = []"),
            ("photos = [\"photos/*.png\"]", ""),
            ("photos/*.png", "p/*.png"),
            ("name = \"Good\"", "name = "),
            ("name = \"Good\"", "name = \"Good\nx = 1"),
            ("weights = [2, 0.5]", "weights = [2]"),
            ("weights = [2, 0.5]", "weights = [2, 0]"),
            ("weights = [2, 0.5]", "weights = \"2\""),
            ("render.content_weight", "render.contentweight"),
            ("artists/two.png", "artists/three.png"),
            ("size = 32", "size = 0"),
            ("seed = [1, 2]", "seed = 1"),
            ("seed = [1, 2]", "seed = []"),
            ("seed = [1, 2]", "seed = [\n1,\n-1]"),
            ("[sweep]", "[[sweep]]"),
        ];
        let told: Vec<String> = cases
            .iter()
            .map(|(good, bad)| format!("{}\n=> {}", bad.trim(), told(good, bad)))
            .collect();
        insta::assert_snapshot!("errors", told.join("\n\n"));
    }
}
