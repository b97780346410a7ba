//! What a grid is, and the cells that it makes. What it must be to be accepted is for [`check`] to say.
//!
//! It knows nothing of where inputs lie or how a grid is stored.

mod check;
mod position;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;

use atelier_proto::ids::Digest;
use atelier_proto::settings::{RenderSettings, SettingsPatch, Start};
use serde::{Deserialize, Serialize};

pub use self::check::{NAME_CHARS_MAX, SIDE_PIXELS_MAX};
pub use self::position::{Position, Subject};
use super::effort::Effort;
use super::field::InvalidField;
use super::node::Labels;

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

/// A grey picture over a photo: white where the paintings that are bound to it apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    /// What paintings name it by.
    pub name: String,
    /// Where it is.
    pub input: Input,
}

/// A content image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photo {
    /// The name that people gave it.
    pub name: String,
    /// Where it is.
    pub input: Input,
    /// Its masks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<Mask>,
    /// What `start = "file"` begins from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Input>,
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
    /// The mask of each photo within which it applies; `None`: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
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
    /// Whether each variant has a cell for each photo alone and for each artist alone besides, as far as content and style
    /// have a weight in it.
    #[serde(default)]
    pub reconstructions: bool,
    /// What nodes must have to get cells of it.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// A grid that may be rendered; it does not change after it is submitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GridSpec(Draft);

/// The row and the column of a cell, as far as it has them, and its variant.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Its photo; `None` of an artist alone.
    pub photo: Option<&'a Photo>,
    /// Its artist; `None` of a photo alone.
    pub artist: Option<&'a Artist>,
    /// Its variant.
    pub variant: &'a Variant,
}

/// All that it takes to render a cell, and nothing that it does not take.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Its photo with the masks that its paintings are bound to, and with a start if it begins from it.
    pub photo: Option<Photo>,
    /// Its artist; bound to no masks where there is no photo to have them.
    pub artist: Option<Artist>,
    /// Its settings, complete.
    pub settings: RenderSettings,
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
        check::draft(&draft, cells_max)?;
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

    /// Whether it has cells of photos and of artists alone.
    pub fn has_reconstructions(&self) -> bool {
        self.0.reconstructions
    }

    /// What nodes must have to get cells of it.
    pub fn labels(&self) -> &Labels {
        &self.0.labels
    }

    /// How much each cell takes, in the order of [`GridSpec::positions`].
    pub fn efforts(&self) -> impl Iterator<Item = Effort> + '_ {
        self.positions()
            .filter_map(|position| self.effort(position))
    }

    /// How much a cell takes.
    pub fn effort(&self, position: Position) -> Option<Effort> {
        let settings = self.cell_settings(position)?;
        let size = self.size_by(&settings, position)?;
        Some(Effort::of(&settings, size))
    }

    /// Every cell, in the order in which they are served: artist by artist, so that the pictures that nodes have at
    /// hand are of use again; reconstructions last, where what they are of has a weight.
    ///
    /// **Invariant:** a cell is known by its place in this order, in databases and in buckets, so the order of a grid that
    /// was accepted never changes, whatever the version.
    pub fn positions(&self) -> impl Iterator<Item = Position> + '_ {
        let transfers = (0..self.transfers()).filter_map(|place| self.transfer(place));
        transfers.chain(self.reconstructions())
    }

    /// How many cells are of a photo and an artist; they are served first.
    pub fn transfers(&self) -> usize {
        self.0.photos.len() * self.0.artists.len() * self.0.variants.len()
    }

    /// The cell at a place, if it is of a photo and an artist.
    pub fn transfer(&self, place: usize) -> Option<Position> {
        let (photos, variants) = (self.0.photos.len(), self.0.variants.len());
        if place >= self.transfers() {
            return None;
        }
        let (pair, variant) = (place / variants, place % variants);
        let (artist, photo) = (pair / photos, pair % photos);
        let subject = Subject::Transfer { photo, artist };
        Some(Position { subject, variant })
    }

    /// The cells of a photo or an artist alone, in the order in which they are served.
    pub fn reconstructions(&self) -> impl Iterator<Item = Position> + '_ {
        let of = |count| if self.0.reconstructions { count } else { 0 };
        let contents = (0..of(self.0.photos.len())).map(|photo| Subject::Content { photo });
        let styles = (0..of(self.0.artists.len())).map(|artist| Subject::Style { artist });
        let positions = contents.chain(styles).flat_map(|subject| {
            (0..self.0.variants.len()).map(move |variant| Position { subject, variant })
        });
        positions.filter(|position| {
            let settings = self.cell_settings(*position);
            settings.is_some_and(|settings| position.subject.counts(&settings))
        })
    }

    /// What a cell is made of; `None` if it is beyond the grid's lists.
    pub fn cell(&self, position: Position) -> Option<Parts<'_>> {
        let Position { subject, variant } = position;
        if subject.is_reconstruction() && !self.0.reconstructions {
            return None;
        }
        let photo = subject.photo().map(|photo| self.0.photos.get(photo));
        let artist = subject.artist().map(|artist| self.0.artists.get(artist));
        Some(Parts {
            // An index beyond its list is one thing, none at all another.
            photo: photo.map_or(Some(None), |photo| photo.map(Some))?,
            artist: artist.map_or(Some(None), |artist| artist.map(Some))?,
            variant: self.0.variants.get(variant)?,
        })
    }

    /// The settings of a cell: its variant's over its artist's over the grid's, and over them all what follows from
    /// what it is.
    pub fn cell_settings(&self, position: Position) -> Option<RenderSettings> {
        let Parts {
            artist, variant, ..
        } = self.cell(position)?;
        let artist = artist.map(|artist| artist.settings.clone());
        let below = artist.unwrap_or_default().over(self.0.settings.clone());
        let settings = variant.settings.clone().over(below);
        Some(position.subject.settings().over(settings).resolve())
    }

    /// Width and height of a cell's picture, pixels.
    pub fn picture_size(&self, position: Position) -> Option<(u32, u32)> {
        self.size_by(&self.cell_settings(position)?, position)
    }

    fn size_by(&self, settings: &RenderSettings, position: Position) -> Option<(u32, u32)> {
        let parts = self.cell(position)?;
        let photo = parts.photo.map(|photo| photo.input);
        let first = parts.artist.and_then(|artist| artist.paintings.first());
        let input = settings.shape_of(photo, first.map(|painting| painting.input))?;
        Some(settings.picture_size(input.width, input.height))
    }

    /// All that it takes to render a cell.
    pub fn work(&self, position: Position) -> Option<Work> {
        let parts = self.cell(position)?;
        let settings = self.cell_settings(position)?;
        let mut photo = parts.photo.cloned();
        let mut artist = parts.artist.cloned();
        if let Some(photo) = &mut photo {
            let paintings = artist.iter().flat_map(|artist| &artist.paintings);
            let bound: BTreeSet<&String> = paintings
                .filter_map(|painting| painting.mask.as_ref())
                .collect();
            photo.masks.retain(|mask| bound.contains(&mask.name));
            photo.start = photo.start.filter(|_| settings.start == Start::File);
        } else {
            for painting in artist.iter_mut().flat_map(|artist| &mut artist.paintings) {
                painting.mask = None;
            }
        }
        Some(Work {
            photo,
            artist,
            settings,
        })
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
            for (of_photo, mask) in photo.masks.iter().enumerate() {
                let path = format!("photos[{index}].masks[{of_photo}].input");
                add(&mask.input, path);
            }
            if let Some(start) = &photo.start {
                add(start, format!("photos[{index}].start"));
            }
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
