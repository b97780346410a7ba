//! Whether `gallery.json` tells what the database does, and is there with its page.
//!
//! It is written some moments after the database has changed. So that of a grid that still changes may tell of less than
//! the database, and of nothing that the database does not know.

use std::collections::{BTreeMap, BTreeSet};

use atelier_gallery::manifest::{Manifest, Outcome, PictureEntry, ReconstructionOf};
use atelier_proto::ids::CellId;

use super::difference::{Difference, Kind};
use super::told::Told;
use super::{Facts, Gallery};
use crate::coordinator::view::{CellState, CellView, PictureView};

const MANIFEST: &str = "gallery.json";

/// Position of a photo, of an artist and of a variant.
type Position = (Option<usize>, Option<usize>, usize);

pub(super) fn differences(facts: &Facts, told: &Told<'_>) -> Vec<Difference> {
    let mut cells = facts.before.cells.iter();
    let is_due = cells.any(|cell| cell.state.has_ended());
    let absent = |name: &str| Difference::new(Kind::NoGallery, name, "it is not there");
    let mut found = Vec::new();
    if is_due && !facts.objects.contains_key(&told.keys().page()) {
        found.push(absent("index.html"));
    }
    match &facts.gallery {
        Gallery::Absent => found.extend(is_due.then(|| absent(MANIFEST))),
        Gallery::Unreadable(problem) => {
            found.push(Difference::new(Kind::BadGallery, MANIFEST, problem));
        }
        Gallery::There(manifest) if manifest.grid_id != told.grid.summary.grid_id => {
            let detail = format!("it is of the grid {}", manifest.grid_id);
            found.push(Difference::new(Kind::BadGallery, MANIFEST, detail));
        }
        Gallery::There(manifest) => {
            found.extend(complete(facts, told, manifest));
            found.extend(inputs(told, manifest));
            found.extend(originals(facts, told, manifest));
            found.extend(of_cells(told, manifest));
        }
    }
    found
}

fn complete(facts: &Facts, told: &Told<'_>, manifest: &Manifest) -> Vec<Difference> {
    let mut found = Vec::new();
    let now = told.grid.summary.state;
    let is_open = !facts.before.summary.state.has_ended() && !now.has_ended();
    let is_wrong = (told.is_settled && !manifest.complete) || (is_open && manifest.complete);
    if is_wrong {
        let says = if manifest.complete { "" } else { "not " };
        let detail = format!("it says that it is {says}complete, and the grid is {now}");
        found.push(Difference::new(Kind::GalleryComplete, MANIFEST, detail));
    }
    if told.is_settled && manifest.state != now.to_string() {
        let detail = format!("it says {}, and the grid is {now}", manifest.state);
        found.push(different("state", detail));
    }
    found
}

fn different(about: &str, detail: impl Into<String>) -> Difference {
    Difference::new(Kind::Gallery, format!("{MANIFEST}: {about}"), detail)
}

/// Name and digests of each photo and of each artist.
fn inputs(told: &Told<'_>, manifest: &Manifest) -> Vec<Difference> {
    let photos = told
        .grid
        .photos
        .iter()
        .map(|it| (&it.name, it.input.sha256));
    let entries = manifest.photos.iter().map(|it| (&it.name, it.sha256));
    let artists = told.grid.artists.iter().map(|artist| {
        let paintings = artist.paintings.iter().map(|it| it.input.sha256);
        (&artist.name, paintings.collect::<Vec<_>>())
    });
    let artist_entries = manifest.artists.iter().map(|artist| {
        let paintings = artist.paintings.iter().map(|it| it.sha256);
        (&artist.name, paintings.collect::<Vec<_>>())
    });
    let variants = told.grid.variants.iter().map(|it| &it.name);
    let variant_entries = manifest.variants.iter().map(|it| &it.name);
    let lists = [
        ("photos", photos.eq(entries)),
        ("artists", artists.eq(artist_entries)),
        ("variants", variants.eq(variant_entries)),
    ];
    let detail = "they are not those of the grid";
    let other = lists.into_iter().filter(|(_, is_same)| !is_same);
    other.map(|(list, _)| different(list, detail)).collect()
}

/// Whether the originals that it names are those that there are.
fn originals(facts: &Facts, told: &Told<'_>, manifest: &Manifest) -> Vec<Difference> {
    let done = told.cells.values().filter(|pair| pair.was_done());
    let shown = done.filter_map(|pair| Some(told.heads(pair.cell()?)));
    let shown: BTreeSet<String> = shown.flatten().map(|(key, _)| key).collect();
    let photos = manifest.photos.iter().enumerate();
    let photos = photos.map(|(index, it)| (told.names.photo_original(index), &it.original));
    let artists = manifest.artists.iter().enumerate();
    let artists = artists.map(|(index, it)| (told.names.artist_original(index), &it.original));
    let prefix = told.keys().prefix();
    let mut found = Vec::new();
    for (key, named) in photos.chain(artists) {
        let Some(key) = key else {
            continue;
        };
        let path = key.strip_prefix(&prefix).unwrap_or(&key);
        match named {
            Some(named) if named != path => {
                found.push(different(named, format!("the original lies at {path}")));
            }
            Some(_) if !facts.objects.contains_key(&key) => {
                let detail = format!("{MANIFEST} names it, and it is not there");
                found.push(Difference::new(Kind::Missing, key, detail));
            }
            None if told.is_settled && shown.contains(&key) => {
                found.push(different(
                    path,
                    "a cell that shows it is done, and it is not named",
                ));
            }
            Some(_) | None => {}
        }
    }
    found
}

fn of_cells(told: &Told<'_>, manifest: &Manifest) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut entries = BTreeMap::new();
    for (id, position, outcome) in listed(manifest) {
        if entries.insert(id, (position, outcome)).is_some() {
            found.push(different(
                &format!("cell {}", id.place),
                "it is listed twice",
            ));
        }
    }
    for (id, pair) in &told.cells {
        // By the later reading: no entry may be ahead of that.
        let Some(cell) = pair.cell() else {
            continue;
        };
        let detail = match entries.remove(id) {
            None => Some("it is not listed".to_owned()),
            Some((position, _)) if position != (cell.photo, cell.artist, cell.variant) => {
                Some("it is of another photo, artist or variant".to_owned())
            }
            Some((_, outcome)) => of_outcome(told, cell, outcome),
        };
        found.extend(detail.map(|detail| different(&told.label(cell), detail)));
    }
    let unknown = entries.into_keys();
    let detail = "the grid has no such cell";
    found.extend(unknown.map(|id| different(&format!("cell {}", id.place), detail)));
    found
}

fn listed(manifest: &Manifest) -> impl Iterator<Item = (CellId, Position, &Outcome)> {
    let cells = manifest.cells.iter().map(|entry| {
        let position = (Some(entry.photo), Some(entry.artist), entry.variant);
        (entry.cell_id, position, &entry.outcome)
    });
    let reconstructions = manifest.reconstructions.iter().map(|entry| {
        let (photo, artist) = match entry.of {
            ReconstructionOf::Photo(photo) => (Some(photo), None),
            ReconstructionOf::Artist(artist) => (None, Some(artist)),
        };
        (
            entry.cell_id,
            (photo, artist, entry.variant),
            &entry.outcome,
        )
    });
    cells.chain(reconstructions)
}

/// What an entry tells that the database does not, and of a settled grid what it does not tell.
fn of_outcome(told: &Told<'_>, cell: &CellView, entry: &Outcome) -> Option<String> {
    let state = cell.state.to_string();
    let is_done = entry.state == CellState::Done.to_string();
    if is_done != entry.picture.is_some() {
        let with = if is_done { "without" } else { "with" };
        return Some(format!("it is listed as {} {with} a picture", entry.state));
    }
    let has_other_state = entry.state != state;
    if has_other_state && (told.is_settled || is_done) {
        return Some(format!(
            "it is listed as {}, and it is {state}",
            entry.state
        ));
    }
    let (listed, had) = (entry.attempts, cell.attempts);
    if listed > had || (told.is_settled && listed != had) {
        return Some(format!(
            "{listed} attempts are listed, and it has had {had}"
        ));
    }
    let (listed, picture) = entry.picture.as_ref().zip(cell.picture.as_ref())?;
    let other = other_field(told, listed, picture)?;
    Some(format!("another {other} of its picture is listed"))
}

/// The first of what is told of a picture in which the gallery is wrong.
fn other_field(
    told: &Told<'_>,
    entry: &PictureEntry,
    picture: &PictureView,
) -> Option<&'static str> {
    let prefix = told.keys().prefix();
    let is_at = |path: &str, key: &str| key.strip_prefix(&prefix) == Some(path);
    let fields = [
        ("path", is_at(&entry.path, &picture.key)),
        ("thumbnail", is_at(&entry.thumbnail, &picture.thumbnail_key)),
        (
            "larger thumbnail",
            match (&entry.large_thumbnail, &picture.large_thumbnail_key) {
                (Some(path), Some(key)) => is_at(path, key),
                (path, key) => path.is_none() && key.is_none(),
            },
        ),
        ("SHA-256", entry.sha256 == picture.sha256),
        ("length", entry.bytes == picture.bytes),
        ("width", entry.width == picture.width),
        ("height", entry.height == picture.height),
    ];
    let other = fields.into_iter().find(|(_, is_same)| !is_same);
    other.map(|(field, _)| field)
}
