//! The page of a finished gallery, of one at work, and of names that would break it.

use super::*;
use crate::manifest::tests::{sample, sample_with_reconstructions};

/// Checks that every element is closed in its order, and gives the names of all.
fn elements(page: &str) -> Vec<&str> {
    const VOID: [&str; 3] = ["meta", "link", "img"];
    let body = page.split("<style>").next().unwrap_or_default().len();
    let style_end = page.find("</style>").unwrap();
    let mut open: Vec<&str> = Vec::new();
    let mut all = Vec::new();
    for part in [&page[..body], &page[style_end + "</style>".len()..]] {
        for tag in part.split('<').skip(1) {
            let name = tag.split(['>', ' ', '\n']).next().unwrap();
            if let Some(closed) = name.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed), "before <{tag}");
            } else if name != "!doctype" {
                all.push(name);
                if !VOID.contains(&name) {
                    open.push(name);
                }
            }
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    all
}

fn count(elements: &[&str], name: &str) -> usize {
    elements.iter().filter(|element| **element == name).count()
}

#[test]
fn a_finished_gallery() {
    let page = render(&sample());
    insta::assert_snapshot!(page.replace(STYLE, ""));
}

#[test]
fn a_gallery_with_reconstructions() {
    let page = render(&sample_with_reconstructions());
    // A head goes over several lines, and ends where the next element begins.
    let heads = page.split("<th ").skip(1);
    let heads: Vec<&str> = heads
        .filter_map(|head| head.split("</th>").next())
        .collect();
    insta::assert_snapshot!(
        "the_heads_of_a_gallery_with_reconstructions",
        heads.join("\n\n")
    );
}

#[test]
fn what_is_kept_of_photos_and_artists_stands_in_their_heads_and_is_counted() {
    let page = render(&sample_with_reconstructions());
    let elements = elements(&page);
    assert_eq!(count(&elements, "img"), 3 + 2 + 2 + 2);
    assert_eq!(
        (count(&elements, "td"), count(&elements, "th")),
        (4, 1 + 2 + 2)
    );
    assert!(page.contains("2 photos × 2 artists, and each reconstructed"));
    assert!(page.contains("5 of 8 pictures done") && page.contains("2 failed"));
    // Of a sweep, each table has its own.
    let mut manifest = sample_with_reconstructions();
    let mut second = manifest.variants[0].clone();
    "seed=2".clone_into(&mut second.name);
    manifest.variants.push(second);
    manifest.reconstructions[2].variant = 1;
    let page = render(&manifest);
    let (_, second) = page.split_once("id=\"variant-2\"").unwrap();
    assert!(second.contains("braque_style") && !second.contains("harbour_content"));
}

#[test]
fn a_finished_gallery_shows_every_cell_and_original_once() {
    let page = render(&sample());
    let elements = elements(&page);
    assert_eq!(count(&elements, "img"), 3 + 2 + 2);
    assert_eq!(count(&elements, "td"), 4);
    assert_eq!(count(&elements, "h2"), 0);
    assert!(!page.contains("http-equiv=\"refresh\""));
    assert!(page.contains("3 attempts: out of memory"));
}

#[test]
fn a_gallery_at_work_says_so_and_looks_again() {
    let mut manifest = sample();
    manifest.complete = false;
    manifest.finished_at = None;
    "active".clone_into(&mut manifest.state);
    "rendering".clone_into(&mut manifest.cells[1].outcome.state);
    manifest.cells[1].outcome.picture = None;
    manifest.artists[1].original = None;
    let page = render(&manifest);
    assert_eq!(count(&elements(&page), "img"), 2 + 2 + 1);
    assert!(page.contains("2 of 4 pictures done"));
    assert!(page.contains("1 rendering") && page.contains("1 failed"));
    assert!(page.contains("not complete") && page.contains("<progress max=\"4\" value=\"2\""));
    assert!(page.contains("http-equiv=\"refresh\""));
    "paused".clone_into(&mut manifest.state);
    assert!(!render(&manifest).contains("http-equiv=\"refresh\""));
}

#[test]
fn each_variant_has_a_table_of_its_own() {
    let mut manifest = sample();
    "seed=1".clone_into(&mut manifest.variants[0].name);
    let mut second = manifest.variants[0].clone();
    "seed=2".clone_into(&mut second.name);
    manifest.variants.push(second);
    for mut cell in manifest.cells.clone() {
        cell.variant = 1;
        manifest.cells.push(cell);
    }
    let page = render(&manifest);
    let elements = elements(&page);
    assert_eq!((count(&elements, "table"), count(&elements, "td")), (2, 8));
    assert!(page.contains("<h2 class=\"words\"><bdi>seed=2</bdi></h2>"));
    assert!(page.contains("2 photos × 2 artists × 2 variants"));
}

#[test]
fn nothing_that_people_write_becomes_part_of_the_page() {
    let evil = "<img src=x onerror='alert(1)'>\"</style></title><script>&\0";
    let mut manifest = sample_with_reconstructions();
    for text in [
        &mut manifest.name,
        &mut manifest.state,
        &mut manifest.photos[0].name,
        &mut manifest.artists[0].name,
        &mut manifest.variants[0].name,
        &mut manifest.cells[3].outcome.state,
        &mut manifest.reconstructions[3].outcome.state,
    ] {
        evil.clone_into(text);
    }
    manifest.cells[3].outcome.failure = Some(evil.to_owned());
    manifest.reconstructions[3].outcome.failure = Some(evil.to_owned());
    let picture = manifest.reconstructions[0]
        .outcome
        .picture
        .as_mut()
        .unwrap();
    evil.clone_into(&mut picture.path);
    manifest.photos[1].original = Some(evil.to_owned());
    let picture = manifest.cells[0].outcome.picture.as_mut().unwrap();
    for text in [
        &mut picture.path,
        &mut picture.thumbnail,
        &mut picture.node,
        &mut picture.network,
        &mut picture.device,
    ] {
        evil.clone_into(text);
    }
    let page = render(&manifest);
    let evil_elements = elements(&page);
    let mut plain = sample_with_reconstructions();
    "x".clone_into(&mut plain.cells[3].outcome.state);
    "x".clone_into(&mut plain.reconstructions[3].outcome.state);
    assert_eq!(
        evil_elements,
        elements(&render(&plain)),
        "the same page, with other words"
    );
    assert!(!page.contains('\0') && !page.contains("onerror='"));
}
