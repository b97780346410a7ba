//! Galleries from anywhere, and what people say of which part of one they want.

use std::collections::HashMap;
use std::path::{Component, Path};
use std::sync::LazyLock;

use atelier_gallery::manifest::Manifest;

use super::{Favourites, Only, Selection, wanted};
use crate::fuzzing::assert_printable;

/// The gallery of which a part is wanted.
static GALLERY: LazyLock<Manifest> = LazyLock::new(|| match Manifest::from_json(GALLERY_JSON) {
    Ok(gallery) => gallery,
    Err(error) => panic!("{error}"),
});

const GALLERY_JSON: &[u8] = br#"{
  "version": 1, "grid_id": "0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b", "name": "Harbour",
  "submitted_at": "2026-01-01T00:00:00Z", "complete": true, "state": "finished", "settings": {},
  "photos": [{"name": "ride, one", "sha256": "0000000000000000000000000000000000000000000000000000000000000001",
    "width": 64, "height": 48, "original": "originals/ride.jpg"}],
  "artists": [{"name": "Monet", "paintings": []}, {"name": "Braque", "paintings": [], "original": "originals/braque.jpg"}],
  "variants": [{"name": "seed 1"}],
  "cells": [
    {"cell_id": "0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b/0", "photo": 0, "artist": 0, "variant": 0, "state": "queued", "attempts": 0},
    {"cell_id": "0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b/1", "photo": 0, "artist": 1, "variant": 0, "state": "done", "attempts": 1,
     "picture": {"path": "pictures/ride--braque.png", "thumbnail": "thumbnails/ride--braque.jpg",
       "large_thumbnail": "thumbnails/ride--braque.large.jpg",
       "sha256": "0000000000000000000000000000000000000000000000000000000000000002", "bytes": 2048, "width": 64, "height": 48,
       "seconds": 2.5, "evaluations": 100, "loss": 1.5, "node": "n", "network": "vgg16 untrained", "device": "cpu"}}
  ]
}
"#;

/// Every file that a gallery has brought lies in the folder of the gallery, under a name of its own, and none in the place of
/// what the client itself writes there.
///
/// # Panics
/// Where that is not so.
pub fn fetched(bytes: &[u8]) {
    let manifest = match Manifest::from_json(bytes) {
        Ok(manifest) => manifest,
        Err(error) => return assert_printable(super::FetchError::from(error)),
    };
    let sizes = HashMap::from([(super::CONTACT_SHEET.to_owned(), 9)]);
    let mut before = None;
    for wanted in wanted(&manifest, &sizes, true) {
        let path = Path::new(&wanted.path);
        let mut parts = path.components();
        assert!(
            parts.all(|part| matches!(part, Component::Normal(_))),
            "{:?}",
            wanted.path
        );
        let is_in_a_folder = path.components().count() > 1;
        assert!(
            is_in_a_folder || wanted.path == super::CONTACT_SHEET,
            "{:?}",
            wanted.path
        );
        assert!(
            before.as_ref() < Some(&wanted.path),
            "{:?} comes twice",
            wanted.path
        );
        before = Some(wanted.path);
    }
}

/// The first line is `--only`, what follows are favourites: what is chosen by them is a part of the gallery, and what is told of
/// others leaves a terminal as it is.
///
/// # Panics
/// Where that is not so.
pub fn selection(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (only, favourites) = text.split_once('\n').unwrap_or((&text, ""));
    let mut selection = Selection::default();
    if !only.is_empty() {
        match only.parse::<Only>() {
            Ok(only) => selection.only = Some(only),
            Err(error) => return assert_printable(super::FetchError::from(error)),
        }
    }
    if !favourites.is_empty() {
        match Favourites::read(favourites) {
            Ok(favourites) => selection.favourites = Some(favourites),
            Err(error) => return assert_printable(super::FetchError::from(error)),
        }
    }
    match selection.of(&GALLERY) {
        Ok(part) => {
            let is_of_it = |id| GALLERY.cells.iter().any(|cell| cell.cell_id == id);
            assert!(part.cells.iter().all(|cell| is_of_it(cell.cell_id)));
            let json = part.to_json().map(|json| Manifest::from_json(&json));
            assert!(matches!(json, Ok(Ok(_))), "the part has no manifest");
        }
        Err(error) => assert_printable(super::FetchError::from(error)),
    }
}

#[cfg(test)]
pub(crate) mod seeds {
    use super::GALLERY_JSON;

    pub(crate) fn fetched() -> [(String, Vec<u8>); 1] {
        [("gallery.json".to_owned(), GALLERY_JSON.to_vec())]
    }

    pub(crate) fn selection() -> impl Iterator<Item = (String, Vec<u8>)> {
        const LINK: &str = "https://b.example/grids/0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b/index.html#favourites=0-1&sort=loss";
        let seeds = [
            ("names", "artist=Monet,photo=*ride*".to_owned()),
            (
                "comma",
                "photo=ride, one, artist = Br[ao]que,variant=seed 1".to_owned(),
            ),
            ("link", format!("\n{LINK}")),
            ("list", "artist=*\n1,0-1,7".to_owned()),
            ("none", "artist=Picasso\nfavourites=3".to_owned()),
        ];
        seeds
            .into_iter()
            .map(|(name, seed)| (name.to_owned(), seed.into_bytes()))
    }
}
