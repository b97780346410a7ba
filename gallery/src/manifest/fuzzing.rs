//! Manifests from anywhere.

use std::path::{Component, Path};
use std::sync::LazyLock;

use super::{Manifest, PATH_BYTES_MAX};
use crate::page;

/// Tags of a page that begin or end a script, with those of an empty gallery for comparison.
static EMPTY_PAGE_TAGS: LazyLock<[usize; 2]> = LazyLock::new(|| {
    let empty = br#"{"version": 1, "grid_id": "0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b", "name": "a", "submitted_at": "2026-01-01T00:00:00Z",
        "complete": false, "state": "active", "settings": {}, "photos": [], "artists": [], "variants": [], "cells": []}"#;
    match Manifest::from_json(empty).map(|empty| page::render(&empty)) {
        Ok(Ok(page)) => script_tags(&page),
        trouble => panic!("an empty gallery has no page: {trouble:?}"),
    }
});

fn script_tags(page: &str) -> [usize; 2] {
    let page = page.to_ascii_lowercase();
    ["<script", "</script"].map(|tag| page.matches(tag).count())
}

/// A manifest that is read names files of the gallery's folder alone and cells of its own lists, is the same once it was
/// written and read again, and has a page to whose scripts no name adds one.
///
/// # Panics
/// Where that is not so.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::from_json(bytes) else {
        return;
    };
    for path in manifest.paths() {
        let mut components = Path::new(path).components();
        assert!(
            components.all(|part| matches!(part, Component::Normal(_))),
            "{path:?} leads elsewhere"
        );
        assert!(path.len() <= PATH_BYTES_MAX && !path.contains('\\'));
    }
    for subject in manifest.subjects() {
        assert!(subject.photo.is_none_or(|it| it < manifest.photos.len()));
        assert!(subject.artist.is_none_or(|it| it < manifest.artists.len()));
        assert!(subject.variant < manifest.variants.len());
    }
    let written = match manifest.to_json() {
        Ok(written) => written,
        Err(error) => panic!("what was read cannot be written: {error}"),
    };
    // By what is written, because no NaN is itself.
    match Manifest::from_json(&written).map(|again| again.to_json()) {
        Ok(Ok(again)) => assert!(again == written, "read again, it is another manifest"),
        trouble => panic!("what was written cannot be read: {trouble:?}"),
    }
    match page::render(&manifest) {
        Ok(page) => assert_eq!(script_tags(&page), *EMPTY_PAGE_TAGS),
        Err(error) => panic!("it has no page: {error}"),
    }
}
