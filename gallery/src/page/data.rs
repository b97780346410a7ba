//! What the page's script reads: the manifest without what a browser has no use for, and each text once. The script's
//! `gallery.js` is its other half.

use std::collections::HashMap;

use atelier_proto::settings::{RenderSettings, SettingsPatch, fit};
use serde::Serialize;

use super::text::relative;
use crate::manifest::{
    ArtistEntry, Manifest, Outcome, PhotoEntry, PictureEntry, Subject, VariantEntry,
};
use crate::picture::ORIGINAL_SIDE;

/// In the place of a photo or an artist, where a cell has none.
const NONE: i64 = -1;

/// Where the page finds a file of the gallery: by its path, or by whatever it is given for that.
pub(super) type Links<'a> = dyn Fn(&str) -> String + 'a;

#[derive(Serialize)]
pub(super) struct Data<'a> {
    grid: String,
    name: &'a str,
    /// Seconds after which the page looks for news; null if there will be none.
    refresh: Option<u32>,
    settings: &'a RenderSettings,
    photos: Vec<Photo<'a>>,
    artists: Vec<Artist<'a>>,
    variants: Vec<Variant<'a>>,
    nodes: Texts<'a>,
    networks: Texts<'a>,
    devices: Texts<'a>,
    cells: Vec<Cell<'a>>,
}

#[derive(Serialize)]
struct Photo<'a> {
    name: &'a str,
    original: Option<String>,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Artist<'a> {
    name: &'a str,
    original: Option<String>,
    width: u32,
    height: u32,
    paintings: usize,
    settings: &'a SettingsPatch,
}

#[derive(Serialize)]
struct Variant<'a> {
    name: &'a str,
    settings: &'a SettingsPatch,
}

/// Its place, its photo, artist and variant by position, what has become of it, its attempts, and why one failed.
#[derive(Serialize)]
struct Cell<'a>(
    u32,
    i64,
    i64,
    usize,
    &'a str,
    u32,
    Option<&'a str>,
    Option<Picture<'a>>,
);

/// The paths of the picture and its thumbnails, its width, height and bytes, its seconds, evaluations and loss, its node,
/// network and device by position, its dollars, and its losses.
#[derive(Serialize)]
struct Picture<'a>(
    String,
    String,
    Option<String>,
    u32,
    u32,
    u64,
    f64,
    u32,
    f64,
    usize,
    usize,
    usize,
    Option<f64>,
    &'a [(u32, f64)],
);

/// Texts of which there are few, for many to name by position.
#[derive(Default)]
struct Texts<'a> {
    texts: Vec<&'a str>,
    positions: HashMap<&'a str, usize>,
}

impl<'a> Texts<'a> {
    fn position(&mut self, text: &'a str) -> usize {
        *self.positions.entry(text).or_insert_with(|| {
            self.texts.push(text);
            self.texts.len() - 1
        })
    }
}

impl Serialize for Texts<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.texts.serialize(serializer)
    }
}

impl<'a> Data<'a> {
    pub(super) fn new(manifest: &'a Manifest, links: &Links<'_>, refresh: Option<u32>) -> Self {
        let link = |path: &Option<String>| path.as_deref().map(|path| links(&relative(path)));
        let mut data = Self {
            grid: manifest.grid_id.to_string(),
            name: &manifest.name,
            refresh,
            settings: &manifest.settings,
            photos: manifest
                .photos
                .iter()
                .map(|photo| photo_of(photo, link(&photo.original)))
                .collect(),
            artists: manifest
                .artists
                .iter()
                .map(|artist| artist_of(artist, link(&artist.original)))
                .collect(),
            variants: manifest.variants.iter().map(variant_of).collect(),
            nodes: Texts::default(),
            networks: Texts::default(),
            devices: Texts::default(),
            cells: Vec::new(),
        };
        for (subject, outcome) in manifest.subjects().zip(manifest.outcomes()) {
            let cell = data.cell(subject, outcome, links);
            data.cells.push(cell);
        }
        data
    }

    fn cell(&mut self, subject: Subject, outcome: &'a Outcome, links: &Links<'_>) -> Cell<'a> {
        let position = |index: Option<usize>| {
            let index = index.and_then(|index| i64::try_from(index).ok());
            index.unwrap_or(NONE)
        };
        let picture = outcome.picture.as_ref();
        Cell(
            subject.place,
            position(subject.photo),
            position(subject.artist),
            subject.variant,
            &outcome.state,
            outcome.attempts,
            outcome.failure.as_deref(),
            picture.map(|picture| self.picture(picture, links)),
        )
    }

    fn picture(&mut self, picture: &'a PictureEntry, links: &Links<'_>) -> Picture<'a> {
        let link = |path: &String| links(&relative(path));
        Picture(
            link(&picture.path),
            link(&picture.thumbnail),
            picture.large_thumbnail.as_ref().map(link),
            picture.width,
            picture.height,
            picture.bytes,
            picture.seconds,
            picture.evaluations,
            picture.loss,
            self.nodes.position(&picture.node),
            self.networks.position(&picture.network),
            self.devices.position(&picture.device),
            picture.dollars,
            &picture.losses,
        )
    }

    /// JSON that may stand in a script element: nothing in it begins a tag.
    pub(super) fn json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)?.replace('<', "\\u003c"))
    }
}

fn photo_of(photo: &PhotoEntry, original: Option<String>) -> Photo<'_> {
    let (width, height) = fit(photo.width, photo.height, ORIGINAL_SIDE);
    Photo {
        name: &photo.name,
        original,
        width,
        height,
    }
}

fn artist_of(artist: &ArtistEntry, original: Option<String>) -> Artist<'_> {
    let first = artist.paintings.first();
    let (width, height) = first.map_or((1, 1), |painting| (painting.width, painting.height));
    let (width, height) = fit(width, height, ORIGINAL_SIDE);
    Artist {
        name: &artist.name,
        original,
        width,
        height,
        paintings: artist.paintings.len(),
        settings: &artist.settings,
    }
}

fn variant_of(variant: &VariantEntry) -> Variant<'_> {
    Variant {
        name: &variant.name,
        settings: &variant.settings,
    }
}
