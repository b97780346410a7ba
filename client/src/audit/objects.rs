//! What must be in the bucket: pictures, thumbnails and originals of done cells, and the inputs of the grid.

use std::collections::{BTreeMap, BTreeSet};

use atelier_gallery::keys::input_key;
use atelier_proto::ids::Digest;

use super::difference::{Difference, Kind};
use super::told::Told;
use super::{Content, Facts, inputs};
use crate::coordinator::view::{CellView, InputView, PictureView};

pub(super) fn differences(facts: &Facts, told: &Told<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut cells_by_picture: BTreeMap<&str, Vec<&CellView>> = BTreeMap::new();
    for pair in told.cells.values() {
        let Some((cell, picture)) = pair.cell().zip(pair.picture_before()) else {
            continue;
        };
        let cells = cells_by_picture.entry(&picture.key).or_default();
        cells.push(cell);
        found.extend(place(told, cell, picture));
        found.extend(of_picture(facts, picture, &told.label(cell)));
        for (key, what) in told.heads(cell) {
            let of = format!("the original of the {what}");
            found.extend(of_companion(facts, &key, &of));
        }
    }
    for (key, cells) in cells_by_picture {
        if cells.len() > 1 {
            let cells: Vec<String> = cells.iter().map(|cell| told.label(cell)).collect();
            let detail = format!("the picture of {}", cells.join(", "));
            found.push(Difference::new(Kind::SharedKey, key, detail));
        }
    }
    found.extend(of_inputs(facts));
    found
}

/// Keys of the objects whose bytes are compared: whatever is told of, and is there.
pub(super) fn to_be_read(facts: &Facts) -> BTreeSet<String> {
    let told = Told::new(&facts.before, &facts.after);
    let mut keys: BTreeSet<String> = inputs(&facts.before)
        .map(|(input, _)| input_key(&input.sha256))
        .collect();
    for pair in told.cells.values() {
        if let Some((cell, picture)) = pair.cell().zip(pair.picture_before()) {
            keys.extend(picture.keys().cloned());
            keys.extend(told.heads(cell).map(|(key, _)| key));
        }
    }
    keys.retain(|key| facts.objects.contains_key(key));
    keys
}

/// Whether a picture and its thumbnails lie where those of their cell belong.
fn place(told: &Told<'_>, cell: &CellView, picture: &PictureView) -> Vec<Difference> {
    let stem = told.stem(cell).unwrap_or_default();
    let extension = picture.key.rsplit_once('.').map_or("", |(_, it)| it);
    let keys = told.keys();
    let places = [
        keys.picture(&stem, extension),
        keys.thumbnail(&stem),
        keys.large_thumbnail(&stem),
    ];
    let elsewhere = picture
        .keys()
        .zip(places)
        .filter(|(key, wanted)| *key != wanted);
    elsewhere
        .map(|(key, wanted)| {
            let detail = format!("of {}, whose place is {wanted}", told.label(cell));
            Difference::new(Kind::ForeignKey, key, detail)
        })
        .collect()
}

fn of_picture(facts: &Facts, picture: &PictureView, cell: &str) -> Vec<Difference> {
    let key = &picture.key;
    let mut found = Vec::new();
    match facts.objects.get(key) {
        None => {
            let detail = format!("the picture of {cell} is not there");
            found.push(Difference::new(Kind::Missing, key, detail));
        }
        Some(bytes) if *bytes != picture.bytes => {
            let told = picture.bytes;
            let detail = format!("it has {bytes} bytes, and {told} are told of {cell}");
            found.push(Difference::new(Kind::Length, key, detail));
        }
        Some(_) => {}
    }
    if let Some(content) = facts.contents.get(key) {
        let other = of_content(key, content, picture.sha256, Kind::Content);
        found.extend(other);
        found.extend(of_pixels(
            key,
            content,
            Some((picture.width, picture.height)),
        ));
    }
    let of = format!("the thumbnail of {cell}");
    for key in picture.thumbnails() {
        found.extend(of_companion(facts, key, &of));
    }
    found
}

/// Whether an object has the bytes that are told.
fn of_content(
    key: &str,
    content: &Result<Content, String>,
    told: Digest,
    kind: Kind,
) -> Option<Difference> {
    let detail = match content {
        Ok(content) if content.sha256 == told => return None,
        Ok(Content { sha256, .. }) => format!("it has the SHA-256 {sha256}, and {told} is told"),
        Err(problem) => problem.clone(),
    };
    Some(Difference::new(kind, key, detail))
}

/// Whether an object that could be read is a picture, of this size if one is told.
fn of_pixels(
    key: &str,
    content: &Result<Content, String>,
    told: Option<(u32, u32)>,
) -> Option<Difference> {
    let detail = match (&content.as_ref().ok()?.picture, told) {
        (Ok(size), Some(told)) if *size != told => format!(
            "it has {} × {} pixels, and {} × {} are told",
            size.0, size.1, told.0, told.1
        ),
        (Ok(_), _) => return None,
        (Err(problem), _) => problem.clone(),
    };
    Some(Difference::new(Kind::Pixels, key, detail))
}

/// A reduced picture: nobody tells its length or digest.
fn of_companion(facts: &Facts, key: &str, of: &str) -> Option<Difference> {
    match facts.objects.get(key) {
        None => {
            let detail = format!("{of} is not there");
            return Some(Difference::new(Kind::Missing, key, detail));
        }
        Some(0) => {
            let detail = format!("{of} is empty");
            return Some(Difference::new(Kind::Length, key, detail));
        }
        Some(_) => {}
    }
    match facts.contents.get(key)? {
        Err(problem) => Some(Difference::new(Kind::Content, key, problem)),
        content => of_pixels(key, content, None),
    }
}

fn of_inputs(facts: &Facts) -> Vec<Difference> {
    let of_input = |(input, of): (&InputView, String)| {
        let key = input_key(&input.sha256);
        if !facts.objects.contains_key(&key) {
            let detail = format!("{of} is not there");
            return Some(Difference::new(Kind::Input, key, detail));
        }
        let content = facts.contents.get(&key)?;
        of_content(&key, content, input.sha256, Kind::Input)
    };
    inputs(&facts.before).filter_map(of_input).collect()
}
