//! Which cells of a gallery are wanted: those of some photos, artists and variants, or somebody's favourites.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use atelier_gallery::manifest::{Manifest, Subject};
use atelier_proto::ids::GridId;
use glob::{MatchOptions, Pattern};
use serde::Deserialize;

use crate::text::{printable, shortened};

/// Most cells that a list of favourites names.
const FAVOURITES_MAX: usize = 1_000_000;
/// Names that are told when none fits.
const NAMES_TOLD_MAX: usize = 8;
/// The largest file of favourites, bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Case does not matter; `*` stands for anything.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: false,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// What a filter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Photo,
    Artist,
    Variant,
}

impl Field {
    const ALL: [Self; 3] = [Self::Photo, Self::Artist, Self::Variant];

    fn word(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Artist => "artist",
            Self::Variant => "variant",
        }
    }
}

/// Some names of each field that is filtered: `artist=Monet,photo=*ride*`. A field that comes several times may have any of
/// its names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only(Vec<(Field, Pattern)>);

/// Why a choice of cells cannot be read, or leaves nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelectionError {
    /// Not `FIELD=NAME`.
    #[error(
        "`{}` does not say of which photo, artist or variant\nhint: write it as in 'artist=Monet,photo=*ride*'",
        printable(&shortened(part, 100))
    )]
    NoField {
        /// The part that is meant.
        part: String,
    },
    /// A pattern that is none.
    #[error("`{}` is no name and no pattern: {problem}", printable(&shortened(part, 100)))]
    BadPattern {
        /// As it was given.
        part: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No cell has all that is asked for.
    #[error("no cell of this grid is {wanted}\nhint: its {field}s are {names}")]
    NothingLeft {
        /// As it was given, in words.
        wanted: String,
        /// The first field of which there is no such name; the first one, if each has some.
        field: &'static str,
        /// Some of its names.
        names: String,
    },
    /// No list of favourites.
    #[error(
        "`{}` is no file of favourites and no link that names some\nhint: give the link or the file that the gallery's page made",
        printable(&shortened(given, 100))
    )]
    NoFavourites {
        /// As it was given.
        given: String,
    },
    /// Favourites of another grid.
    #[error("these are favourites of the grid {theirs}, and this one is {ours}")]
    OtherGrid {
        /// Whose they are.
        theirs: GridId,
        /// Whose cells are chosen.
        ours: GridId,
    },
    /// None of them is a cell of the grid.
    #[error(
        "none of these favourites is a cell of this grid\nhint: is it the grid that they were marked in?"
    )]
    StrangeFavourites,
}

impl std::str::FromStr for Only {
    type Err = SelectionError;

    /// Commas separate, where a field follows: names may have some.
    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let mut parts: Vec<(Field, String)> = Vec::new();
        for part in text.split(',') {
            let trimmed = part.trim_start();
            let field = Field::ALL.into_iter().find_map(|field| {
                let rest = trimmed.strip_prefix(field.word())?.trim_start();
                Some((field, rest.strip_prefix('=')?.trim().to_owned()))
            });
            match (field, parts.last_mut()) {
                (Some(field), _) => parts.push(field),
                (None, Some((_, name))) => {
                    name.push(',');
                    name.push_str(part);
                }
                (None, None) => {
                    let part = part.to_owned();
                    return Err(SelectionError::NoField { part });
                }
            }
        }
        let patterns = parts.into_iter().map(|(field, name)| {
            let pattern = Pattern::new(&name).map_err(|error| SelectionError::BadPattern {
                part: name.clone(),
                problem: error.to_string(),
            })?;
            Ok((field, pattern))
        });
        Ok(Self(patterns.collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.iter();
        let parts = parts.map(|(field, name)| format!("of the {} {name}", field.word()));
        f.write_str(&parts.collect::<Vec<_>>().join(" and "))
    }
}

impl Only {
    fn fits(&self, manifest: &Manifest, subject: &Subject) -> bool {
        Field::ALL.into_iter().all(|field| {
            let mut patterns = self.0.iter().filter(|(of, _)| *of == field).peekable();
            let name = name(manifest, subject, field);
            patterns.peek().is_none()
                || name.is_some_and(|name| {
                    patterns.any(|(_, pattern)| pattern.matches_with(name, MATCHING))
                })
        })
    }

    fn nothing_left(&self, manifest: &Manifest) -> SelectionError {
        let names = |field| -> Vec<&str> {
            match field {
                Field::Photo => manifest.photos.iter().map(|it| &*it.name).collect(),
                Field::Artist => manifest.artists.iter().map(|it| &*it.name).collect(),
                Field::Variant => manifest.variants.iter().map(|it| &*it.name).collect(),
            }
        };
        let is_strange = |field: &Field| {
            let mut patterns = self.0.iter().filter(|(of, _)| of == field).peekable();
            patterns.peek().is_some()
                && !patterns.any(|(_, pattern)| {
                    let mut names = names(*field).into_iter();
                    names.any(|name| pattern.matches_with(name, MATCHING))
                })
        };
        let field = Field::ALL
            .into_iter()
            .find(is_strange)
            .unwrap_or(Field::Photo);
        let names = names(field);
        let told = names.iter().take(NAMES_TOLD_MAX);
        let told = told.map(|name| printable(&shortened(name, 40)));
        let told = told.collect::<Vec<_>>().join(", ");
        let more = if names.len() > NAMES_TOLD_MAX {
            ", …"
        } else {
            ""
        };
        SelectionError::NothingLeft {
            wanted: printable(&self.to_string()),
            field: field.word(),
            names: format!("{told}{more}"),
        }
    }
}

fn name<'a>(manifest: &'a Manifest, subject: &Subject, field: Field) -> Option<&'a str> {
    match field {
        Field::Photo => Some(&manifest.photos.get(subject.photo?)?.name),
        Field::Artist => Some(&manifest.artists.get(subject.artist?)?.name),
        Field::Variant => Some(&manifest.variants.get(subject.variant)?.name),
    }
}

/// Cells by their places, as a gallery's page marks them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Favourites {
    /// Whose they are, if that is told.
    pub grid: Option<GridId>,
    /// Their places in the order in which cells are served.
    pub places: BTreeSet<u32>,
}

impl Favourites {
    /// Reads the link of a page, what stands in it after `favourites=`, or the file that a page saved.
    ///
    /// # Errors
    /// When it is none of these, or names no cell.
    pub fn read(given: &str) -> Result<Self, SelectionError> {
        #[derive(Deserialize)]
        struct File {
            grid_id: GridId,
            favourites: BTreeSet<u32>,
        }
        let none = || SelectionError::NoFavourites {
            given: given.to_owned(),
        };
        let path = Path::new(given);
        let is_file = path
            .metadata()
            .is_ok_and(|about| about.is_file() && about.len() <= FILE_BYTES_MAX);
        let favourites = if is_file {
            let bytes = std::fs::read(path).map_err(|_| none())?;
            let file: File = serde_json::from_slice(&bytes).map_err(|_| none())?;
            Self {
                grid: Some(file.grid_id),
                places: file.favourites,
            }
        } else {
            let (_, list) = given.rsplit_once("favourites=").unwrap_or(("", given));
            let list = list.split('&').next().unwrap_or_default();
            Self {
                grid: grid_in(given),
                places: places(list).ok_or_else(none)?,
            }
        };
        if favourites.places.is_empty() {
            return Err(none());
        }
        Ok(favourites)
    }
}

/// The grid whose gallery a link leads to, as far as it tells: `…/grids/<grid>/index.html#…`.
fn grid_in(link: &str) -> Option<GridId> {
    let (path, _) = link.split_once('#')?;
    let mut parts = path.split('/').skip_while(|part| *part != "grids");
    parts.nth(1)?.parse().ok()
}

/// The places of a list such as `3,17,40-44`; `None` if it is no such list.
fn places(list: &str) -> Option<BTreeSet<u32>> {
    let mut places = BTreeSet::new();
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        let count = (to.checked_sub(from)? as usize).checked_add(1)?;
        if places.len() + count > FAVOURITES_MAX {
            return None;
        }
        places.extend(from..=to);
    }
    Some(places)
}

/// Which cells are wanted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Of these names.
    pub only: Option<Only>,
    /// Of these places.
    pub favourites: Option<Favourites>,
}

impl Selection {
    /// Whether all are.
    pub fn is_everything(&self) -> bool {
        self.only.is_none() && self.favourites.is_none()
    }

    /// The gallery with the wanted cells alone.
    ///
    /// # Errors
    /// When that leaves none.
    pub fn of(&self, manifest: &Manifest) -> Result<Manifest, SelectionError> {
        if let Some(favourites) = &self.favourites
            && let Some(theirs) = favourites.grid.filter(|grid| *grid != manifest.grid_id)
        {
            let ours = manifest.grid_id;
            return Err(SelectionError::OtherGrid { theirs, ours });
        }
        let is_favourite = |subject: &Subject| {
            let favourites = self.favourites.as_ref();
            favourites.is_none_or(|favourites| favourites.places.contains(&subject.place))
        };
        let fits = |subject: &Subject| {
            let only = self.only.as_ref();
            only.is_none_or(|only| only.fits(manifest, subject))
        };
        let selected = manifest.select(|subject| fits(subject) && is_favourite(subject));
        if selected.subjects().next().is_some() {
            return Ok(selected);
        }
        match &self.only {
            Some(only) if !manifest.subjects().any(|subject| fits(&subject)) => {
                Err(only.nothing_left(manifest))
            }
            Some(_) | None => Err(SelectionError::StrangeFavourites),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let grid = "0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b";
        let input = |name: &str| serde_json::json!({"name": name, "sha256": "1".repeat(64), "width": 1, "height": 1});
        let artist = |name: &str| {
            let mut painting = input("p");
            painting["weight"] = 1.0.into();
            serde_json::json!({"name": name, "paintings": [painting]})
        };
        let cells = (0..4).map(|place| {
            let (photo, artist) = (place % 2, place / 2);
            serde_json::json!({"cell_id": format!("{grid}/{place}"), "photo": photo, "artist": artist, "variant": 0,
                "state": "queued", "attempts": 0})
        });
        let manifest = serde_json::json!({
            "version": 1, "grid_id": grid, "name": "n", "submitted_at": "2026-06-01T10:00:00Z", "complete": false,
            "state": "active", "settings": {}, "photos": [input("Morning ride"), input("Hills, far")],
            "artists": [artist("Monet"), artist("Klee")], "variants": [{"name": ""}], "cells": cells.collect::<Vec<_>>(),
        });
        Manifest::from_json(manifest.to_string().as_bytes()).unwrap()
    }

    fn left(only: Option<&str>, favourites: Option<&str>) -> Result<Vec<u32>, SelectionError> {
        let selection = Selection {
            only: only.map(str::parse).transpose()?,
            favourites: favourites.map(Favourites::read).transpose()?,
        };
        let selected = selection.of(&manifest())?;
        Ok(selected.subjects().map(|subject| subject.place).collect())
    }

    #[test]
    fn names_choose_cells_and_so_do_places() {
        assert_eq!(left(None, None).unwrap(), [0, 1, 2, 3]);
        assert_eq!(left(Some("artist=monet"), None).unwrap(), [0, 1]);
        assert_eq!(left(Some("artist=Monet,photo=*ride*"), None).unwrap(), [0]);
        assert_eq!(
            left(Some("photo=Hills, far, artist = K*"), None).unwrap(),
            [3]
        );
        assert_eq!(
            left(Some("artist=K*,artist=M*,photo=M*"), None).unwrap(),
            [0, 2]
        );
        assert_eq!(left(None, Some("1-2")).unwrap(), [1, 2]);
        let link = "https://host/grids/x/index.html#variant=2&favourites=0,3&open=1,1";
        assert_eq!(left(None, Some(link)).unwrap(), [0, 3]);
        assert_eq!(left(Some("artist=Klee"), Some(link)).unwrap(), [3]);
        let elsewhere = format!("https://host/grids/{}/#favourites=0", GridId::generate());
        let told = left(None, Some(&elsewhere)).unwrap_err();
        assert!(matches!(told, SelectionError::OtherGrid { .. }), "{told}");
    }

    #[test]
    fn what_cannot_be_chosen_is_told_with_what_could() {
        let told = |only, favourites| left(only, favourites).unwrap_err().to_string();
        assert!(told(Some("Monet"), None).contains("of which photo, artist or variant"));
        assert!(told(Some("artist=[x"), None).contains("no pattern"));
        let nobody = told(Some("photo=*,artist=Manet"), None);
        assert!(nobody.contains("of the artist Manet"), "{nobody}");
        assert!(nobody.ends_with("its artists are Monet, Klee"), "{nobody}");
        for bad in ["", "x", "5-1", "1,,2", "0-4000000", "https://host/#open=1"] {
            assert!(
                told(None, Some(bad)).contains("no file of favourites"),
                "{bad}"
            );
        }
        assert!(told(None, Some("17")).contains("none of these favourites"));
    }

    #[test]
    fn a_saved_list_is_of_its_grid() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("favourites.json");
        let grid = manifest().grid_id;
        let list = |grid: GridId| {
            serde_json::json!({"grid_id": grid, "name": "n", "favourites": [2, 0]}).to_string()
        };
        std::fs::write(&path, list(grid)).unwrap();
        assert_eq!(left(None, path.to_str()).unwrap(), [0, 2]);
        std::fs::write(&path, list(GridId::generate())).unwrap();
        let told = left(None, path.to_str()).unwrap_err();
        assert!(matches!(told, SelectionError::OtherGrid { ours, .. } if ours == grid));
        std::fs::write(&path, "{}").unwrap();
        assert!(left(None, path.to_str()).is_err());
    }
}
