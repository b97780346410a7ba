//! What a grid must be to be accepted, and the cells that it makes.
//!
//! It knows nothing of where inputs lie or how a grid is stored.

use std::collections::{BTreeSet, HashMap};

use atelier_proto::ids::Digest;
use atelier_proto::settings::{RenderSettings, SettingsPatch};
use serde::{Deserialize, Serialize};

use super::field::{InvalidField, Problem, check_count, check_text};

/// Longest name of a grid, photo, artist or painting.
pub const NAME_CHARS_MAX: usize = 300;
/// Longest name of a variant, which lists the settings that it changes.
pub const VARIANT_NAME_CHARS_MAX: usize = 1000;
/// Longest side of an input.
pub const SIDE_PIXELS_MAX: u32 = 30_000;
/// Most paintings of one artist.
pub const PAINTINGS_MAX: usize = 64;
/// Largest weight of a painting.
pub const WEIGHT_MAX: f64 = 1e9;

/// A picture in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Pixels, upright.
    pub width: u32,
    /// Pixels, upright.
    pub height: u32,
}

/// A content image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photo {
    /// The name that people gave it.
    pub name: String,
    /// Where it is.
    pub input: Input,
}

/// A style image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Painting {
    /// The file's name, for people.
    pub name: String,
    /// Where it is.
    pub input: Input,
    /// Its share in the artist's statistics, relative to its siblings'.
    pub weight: f64,
}

/// A name with its paintings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Artist {
    /// The name that people gave it.
    pub name: String,
    /// At least one.
    pub paintings: Vec<Painting>,
    /// Overrides of the grid's settings.
    #[serde(default)]
    pub settings: SettingsPatch,
}

/// One point of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// What tells it from its siblings; empty for the only one.
    pub name: String,
    /// Overrides of the artist's and the grid's settings.
    #[serde(default)]
    pub settings: SettingsPatch,
}

/// What somebody would like to be a grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// The name that its owner gave it.
    pub name: String,
    /// The rows.
    pub photos: Vec<Photo>,
    /// The columns.
    pub artists: Vec<Artist>,
    /// The points of its sweep.
    pub variants: Vec<Variant>,
    /// The grid's settings. They are kept as a patch, so that a later version may add one.
    pub settings: SettingsPatch,
}

/// A grid that may be rendered; it does not change after it is submitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GridSpec(Draft);

/// Where a cell stands in its grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Index into the photos.
    pub photo: usize,
    /// Index into the artists.
    pub artist: usize,
    /// Index into the variants.
    pub variant: usize,
}

impl GridSpec {
    /// Accepts a draft that keeps to the limits.
    ///
    /// The defaults that its settings leave open are filled in, so that its later cells look like its first ones even
    /// if the defaults change between.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn accept(mut draft: Draft, cells_max: u32) -> Result<Self, InvalidField> {
        if draft.variants.is_empty() {
            draft.variants.push(Variant {
                name: String::new(),
                settings: SettingsPatch::default(),
            });
        }
        check_cells(&draft, cells_max)?;
        check_text("name", &draft.name, 1, NAME_CHARS_MAX)?;
        for (index, photo) in draft.photos.iter().enumerate() {
            let path = format!("photos[{index}]");
            check_text(&format!("{path}.name"), &photo.name, 1, NAME_CHARS_MAX)?;
            check_input(&photo.input).map_err(|error| error.within(&path))?;
        }
        for (index, artist) in draft.artists.iter().enumerate() {
            check_artist(artist).map_err(|error| error.within(&format!("artists[{index}]")))?;
        }
        let only = draft.variants.len() == 1;
        for (index, variant) in draft.variants.iter().enumerate() {
            let path = format!("variants[{index}].name");
            check_text(
                &path,
                &variant.name,
                usize::from(!only),
                VARIANT_NAME_CHARS_MAX,
            )?;
        }
        check_unique("photos", draft.photos.iter().map(|photo| &photo.name))?;
        check_unique("artists", draft.artists.iter().map(|artist| &artist.name))?;
        check_unique(
            "variants",
            draft.variants.iter().map(|variant| &variant.name),
        )?;
        draft.settings = draft.settings.resolve().into();
        Ok(Self(draft))
    }

    /// The name that its owner gave it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The rows.
    pub fn photos(&self) -> &[Photo] {
        &self.0.photos
    }

    /// The columns.
    pub fn artists(&self) -> &[Artist] {
        &self.0.artists
    }

    /// The points of its sweep; at least one.
    pub fn variants(&self) -> &[Variant] {
        &self.0.variants
    }

    /// The grid's own settings.
    pub fn settings(&self) -> RenderSettings {
        self.0.settings.clone().resolve()
    }

    /// Every cell, in the order in which they are served: artist by artist, so that the pictures that nodes have at
    /// hand are of use again.
    pub fn positions(&self) -> impl Iterator<Item = Position> + '_ {
        let (photos, artists, variants) = (
            self.0.photos.len(),
            self.0.artists.len(),
            self.0.variants.len(),
        );
        (0..artists).flat_map(move |artist| {
            (0..photos).flat_map(move |photo| {
                (0..variants).map(move |variant| Position {
                    photo,
                    artist,
                    variant,
                })
            })
        })
    }

    /// The row and the column of a cell and its variant; `None` if the grid has no such cell.
    pub fn cell(&self, position: Position) -> Option<(&Photo, &Artist, &Variant)> {
        Some((
            self.0.photos.get(position.photo)?,
            self.0.artists.get(position.artist)?,
            self.0.variants.get(position.variant)?,
        ))
    }

    /// The settings of a cell: its variant's over its artist's over the grid's.
    pub fn cell_settings(&self, position: Position) -> Option<RenderSettings> {
        let (_, artist, variant) = self.cell(position)?;
        let below = artist.settings.clone().over(self.0.settings.clone());
        Some(variant.settings.clone().over(below).resolve())
    }

    /// Every picture that it needs, each once, with the path of the first field that names it.
    pub fn inputs(&self) -> Vec<(Digest, String)> {
        let mut seen = BTreeSet::new();
        let mut inputs = Vec::new();
        let mut add = |input: &Input, path: String| {
            if seen.insert(input.sha256) {
                inputs.push((input.sha256, path));
            }
        };
        for (index, photo) in self.0.photos.iter().enumerate() {
            add(&photo.input, format!("photos[{index}].input"));
        }
        for (index, artist) in self.0.artists.iter().enumerate() {
            for (of_artist, painting) in artist.paintings.iter().enumerate() {
                let path = format!("artists[{index}].paintings[{of_artist}].input");
                add(&painting.input, path);
            }
        }
        inputs
    }
}

fn check_cells(draft: &Draft, cells_max: u32) -> Result<(), InvalidField> {
    let (photos, artists, variants) = (
        draft.photos.len(),
        draft.artists.len(),
        draft.variants.len(),
    );
    check_count("photos", photos, 1, usize::MAX)
        .and_then(|()| check_count("artists", artists, 1, usize::MAX))
        .map_err(|error| InvalidField::new(error.field, Problem::Missing))?;
    let cells = photos as u128 * artists as u128 * variants as u128;
    if cells > u128::from(cells_max) {
        let problem = Problem::TooManyCells {
            photos,
            artists,
            variants,
            cells,
            cells_max,
        };
        return Err(InvalidField::new("grid", problem));
    }
    Ok(())
}

fn check_artist(artist: &Artist) -> Result<(), InvalidField> {
    check_text("name", &artist.name, 1, NAME_CHARS_MAX)?;
    check_count("paintings", artist.paintings.len(), 1, PAINTINGS_MAX)?;
    for (index, painting) in artist.paintings.iter().enumerate() {
        let path = format!("paintings[{index}]");
        check_text(&format!("{path}.name"), &painting.name, 0, NAME_CHARS_MAX)?;
        check_input(&painting.input).map_err(|error| error.within(&path))?;
        if !(painting.weight > 0.0 && painting.weight <= WEIGHT_MAX) {
            let problem = Problem::OutOfRange {
                value: painting.weight.to_string(),
                range: "above 0 and at most 1e9",
            };
            return Err(InvalidField::new(format!("{path}.weight"), problem));
        }
    }
    Ok(())
}

fn check_input(input: &Input) -> Result<(), InvalidField> {
    for (field, side) in [("input.width", input.width), ("input.height", input.height)] {
        if !(1..=SIDE_PIXELS_MAX).contains(&side) {
            let problem = Problem::OutOfRange {
                value: side.to_string(),
                range: "from 1 to 30000",
            };
            return Err(InvalidField::new(field, problem));
        }
    }
    Ok(())
}

fn check_unique<'a>(
    list: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), InvalidField> {
    let mut seen = HashMap::new();
    for (index, name) in names.enumerate() {
        if let Some(earlier) = seen.insert(name, index) {
            let problem = Problem::Duplicate {
                name: name.clone(),
                earlier: format!("{list}[{earlier}]"),
            };
            return Err(InvalidField::new(format!("{list}[{index}].name"), problem));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A good draft of so many photos and artists.
    pub(crate) fn draft(photos: usize, artists: usize) -> Draft {
        let input = |name: &str| Input {
            sha256: Digest::of(name.as_bytes()),
            width: 64,
            height: 48,
        };
        let photo = |index| {
            let name = format!("photo {index}");
            let input = input(&name);
            Photo { name, input }
        };
        let artist = |index| {
            let name = format!("artist {index}");
            let painting = Painting {
                name: "a.png".to_owned(),
                input: input(&name),
                weight: 1.0,
            };
            Artist {
                name,
                paintings: vec![painting],
                settings: SettingsPatch::default(),
            }
        };
        Draft {
            name: "Afternoon".to_owned(),
            photos: (0..photos).map(photo).collect(),
            artists: (0..artists).map(artist).collect(),
            variants: Vec::new(),
            settings: SettingsPatch::default(),
        }
    }

    fn variant(name: &str, assignment: &str) -> Variant {
        Variant {
            name: name.to_owned(),
            settings: patch(assignment),
        }
    }

    fn patch(assignment: &str) -> SettingsPatch {
        let mut patch = SettingsPatch::default();
        patch.set(assignment).unwrap();
        patch
    }

    fn refusal(change: impl FnOnce(&mut Draft)) -> String {
        let mut draft = draft(2, 2);
        change(&mut draft);
        GridSpec::accept(draft, 10).unwrap_err().to_string()
    }

    #[test]
    fn each_fault_is_named_by_its_path() {
        let long = "x".repeat(301);
        assert_eq!(
            refusal(|draft| draft.artists[1].paintings[0].weight = 0.0),
            "artists[1].paintings[0].weight: is 0, but must be above 0 and at most 1e9"
        );
        assert_eq!(
            refusal(|draft| draft.artists[1].paintings[0].weight = f64::NAN),
            "artists[1].paintings[0].weight: is NaN, but must be above 0 and at most 1e9"
        );
        assert_eq!(
            refusal(|draft| draft.photos[1].input.height = 60_000),
            "photos[1].input.height: is 60000, but must be from 1 to 30000"
        );
        assert_eq!(
            refusal(|draft| draft.artists[0].paintings.clear()),
            "artists[0].paintings: has 0 entries, but must have 1 to 64"
        );
        assert_eq!(
            refusal(|draft| draft.artists[0].name = long),
            "artists[0].name: has 301 characters, but must have 1 to 300"
        );
        assert_eq!(
            refusal(|draft| draft.artists[1].name = "artist 0".to_owned()),
            "artists[1].name: \"artist 0\" is the name of `artists[0]` too; names must be unique in a grid"
        );
        assert_eq!(
            refusal(|draft| draft.name = "\u{1b}[31m".to_owned()),
            "name: holds a control character (code 27)"
        );
        assert_eq!(refusal(|draft| draft.photos.clear()), "photos: is missing");
        assert_eq!(
            refusal(|draft| draft.variants = vec![variant("", "seed=1"), variant("b", "seed=2")]),
            "variants[0].name: has 0 characters, but must have 1 to 1000"
        );
    }

    #[test]
    fn too_many_cells_are_refused_with_both_numbers() {
        let error = GridSpec::accept(draft(2, 2), 3).unwrap_err().to_string();
        assert!(
            error.contains("are 4 cells, but at most 3 are taken"),
            "{error}"
        );
        assert!(GridSpec::accept(draft(2, 2), 4).is_ok());
    }

    #[test]
    fn names_are_counted_in_characters_and_may_be_anything_that_people_write() {
        let mut draft = draft(1, 1);
        draft.name = "é".repeat(300);
        draft.artists[0].name = "../../🎨 \"<b>\"".to_owned();
        assert!(GridSpec::accept(draft, 10).is_ok());
    }

    #[test]
    fn a_variant_overrides_its_artist_and_an_artist_the_grid() {
        let mut draft = draft(1, 2);
        draft.settings = patch("size=256");
        draft.artists[0].settings = patch("content_weight=4");
        draft.artists[0].settings.set("seed=7").unwrap();
        draft.variants = vec![variant("seed=1", "seed=1"), variant("size=64", "size=64")];
        let spec = GridSpec::accept(draft, 10).unwrap();
        let settings = |artist, variant| {
            let position = Position {
                photo: 0,
                artist,
                variant,
            };
            let settings = spec.cell_settings(position).unwrap();
            (settings.size, settings.content_weight, settings.seed)
        };
        assert_eq!(settings(0, 0), (256, 4.0, 1));
        assert_eq!(settings(0, 1), (64, 4.0, 7));
        assert_eq!(settings(1, 0), (256, 1.0, 1));
        assert_eq!(settings(1, 1), (64, 1.0, 0));
    }

    #[test]
    fn a_grid_has_every_cell_once_and_each_input_once() {
        let mut draft = draft(3, 2);
        draft.variants = vec![variant("seed=1", "seed=1"), variant("seed=2", "seed=2")];
        draft.artists[1].paintings[0].input = draft.photos[0].input;
        let spec = GridSpec::accept(draft, 12).unwrap();
        let positions: BTreeSet<_> = spec.positions().collect();
        assert_eq!((positions.len(), spec.positions().count()), (12, 12));
        let paths: Vec<_> = spec.inputs().into_iter().map(|(_, path)| path).collect();
        let expected = [
            "photos[0].input",
            "photos[1].input",
            "photos[2].input",
            "artists[0].paintings[0].input",
        ];
        assert_eq!(paths, expected);
    }
}
