//! The page of a finished gallery, of one at work, and of names that would break it. What its script does is tested in a
//! browser.

use serde_json::Value;

use super::*;
use crate::manifest::Outcome;
use crate::manifest::tests::{sample, sample_with_reconstructions};

/// What stands between two texts, the first time that they come.
fn between<'a>(page: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = page.split_once(begin).unwrap();
    rest.split_once(end).unwrap().0
}

fn data(page: &str) -> Value {
    let json = between(page, "id=\"gallery\">", "</script>");
    serde_json::from_str(json).unwrap()
}

/// The page without its style, its script and what that reads.
fn words(page: &str) -> String {
    let style = between(page, "<style>", "</style>");
    let json = between(page, "id=\"gallery\">", "</script>");
    page.replace(style, "")
        .replace(json, "")
        .replace(SCRIPT, "")
}

/// Checks that every element is closed in its order, and gives the names of all.
fn elements(page: &str) -> Vec<String> {
    const VOID: [&str; 2] = ["meta", "link"];
    let (mut open, mut all) = (Vec::new(), Vec::new());
    for tag in words(page).split('<').skip(1) {
        let name = tag.split(['>', ' ', '\n']).next().unwrap();
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "before <{tag}");
        } else if name != "!doctype" {
            all.push(name.to_owned());
            if !VOID.contains(&name) {
                open.push(name.to_owned());
            }
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    all
}

#[test]
fn a_finished_gallery() {
    let page = render(&sample()).unwrap();
    elements(&page);
    insta::assert_snapshot!(words(&page).replace(&Escaped(&POLICY).to_string(), "POLICY"));
}

#[test]
fn the_policy_allows_this_style_and_this_script_and_no_other() {
    let page = render(&sample()).unwrap();
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    let style = hash(between(&page, "<style>", "</style>"));
    let script = hash(between(&page, "<script>", "</script>"));
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\"").replace("&#39;", "'");
    assert!(
        policy.contains(&format!("script-src {script};")),
        "{policy}"
    );
    assert!(policy.contains(&format!("style-src {style};")), "{policy}");
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
}

#[test]
fn the_script_gets_every_cell_with_its_place_and_each_text_once() {
    let data = data(&render(&sample_with_reconstructions()).unwrap());
    let cells = data["cells"].as_array().unwrap();
    let at: Vec<Value> = cells
        .iter()
        .map(|cell| Value::from(&cell.as_array().unwrap()[..4]))
        .collect();
    let expected = serde_json::json!([
        [0, 0, 0, 0],
        [1, 0, 1, 0],
        [2, 1, 0, 0],
        [3, 1, 1, 0],
        [4, 0, -1, 0],
        [5, 1, -1, 0],
        [6, -1, 0, 0],
        [7, -1, 1, 0]
    ]);
    assert_eq!(Value::from(at), expected);
    assert_eq!(cells[3][4], "failed");
    assert_eq!(cells[3][6], "out of memory");
    let picture = serde_json::json!([
        "pictures/photo-0--artist-0.jpg",
        "thumbnails/photo-0--artist-0.jpg",
        "thumbnails/photo-0--artist-0.large.jpg",
        512,
        384,
        12_345,
        61.5,
        450,
        0.012_345,
        0,
        0,
        0,
        0.0125,
        [[1, 10.0], [200, 0.5], [450, 0.012_345]]
    ]);
    assert_eq!(cells[0][7], picture);
    assert_eq!(data["nodes"], serde_json::json!(["studio-1"]));
    assert_eq!(data["refresh"], Value::Null);
    assert_eq!(data["photos"][0]["name"], "Harbour");
    assert_eq!(data["settings"]["size"], 512);
}

#[test]
fn a_gallery_at_work_says_so_and_looks_again() {
    let mut manifest = sample();
    manifest.complete = false;
    manifest.finished_at = None;
    "active".clone_into(&mut manifest.state);
    "rendering".clone_into(&mut manifest.cells[1].outcome.state);
    manifest.cells[1].outcome.picture = None;
    let page = render(&manifest).unwrap();
    assert!(page.contains("2 of 4 pictures done"));
    assert!(page.contains("1 rendering") && page.contains("1 failed"));
    assert!(page.contains("not complete") && page.contains("<progress max=\"4\" value=\"2\""));
    assert_eq!(data(&page)["refresh"], REFRESH_SECONDS);
    "paused".clone_into(&mut manifest.state);
    assert_eq!(data(&render(&manifest).unwrap())["refresh"], Value::Null);
}

#[test]
fn a_page_elsewhere_links_as_it_is_told_and_may_load_from_there() {
    let mut manifest = sample();
    "active".clone_into(&mut manifest.state);
    manifest.complete = false;
    let link = |path: &str| format!("https://bucket.example/{path}?signed");
    let page = render_elsewhere(&manifest, "https://bucket.example", &link).unwrap();
    let data = data(&page);
    let picture = &data["cells"][0][7];
    assert_eq!(
        picture[0],
        "https://bucket.example/pictures/photo-0--artist-0.jpg?signed"
    );
    assert_eq!(data["refresh"], Value::Null);
    assert!(page.contains("data: https://bucket.example;"));
}

#[test]
fn nothing_that_people_write_becomes_part_of_the_page() {
    let evil = "<img src=x onerror='alert(1)'>\"</style></title></script><script>&<!--\0";
    let mut manifest = sample_with_reconstructions();
    let spoil = |outcome: &mut Outcome| {
        evil.clone_into(&mut outcome.state);
        outcome.failure = Some(evil.to_owned());
        if let Some(picture) = &mut outcome.picture {
            for text in [
                &mut picture.path,
                &mut picture.thumbnail,
                &mut picture.node,
                &mut picture.network,
                &mut picture.device,
            ] {
                evil.clone_into(text);
            }
        }
    };
    for text in [
        &mut manifest.name,
        &mut manifest.state,
        &mut manifest.photos[0].name,
        &mut manifest.artists[0].name,
        &mut manifest.variants[0].name,
    ] {
        evil.clone_into(text);
    }
    manifest.photos[1].original = Some(evil.to_owned());
    for cell in &mut manifest.cells {
        spoil(&mut cell.outcome);
    }
    for entry in &mut manifest.reconstructions {
        spoil(&mut entry.outcome);
    }
    let page = render(&manifest).unwrap();
    let mut names = elements(&page);
    let mut plain = elements(&render(&sample_with_reconstructions()).unwrap());
    // How many cells are in which state is told only of states that there are.
    for all in [&mut names, &mut plain] {
        all.retain(|name| name != "span");
    }
    assert_eq!(names, plain, "the same page, with other words");
    assert!(!page.contains('\0') && !words(&page).contains("onerror='"));
    let data = data(&page);
    assert_eq!(data["photos"][0]["name"], evil);
    assert!(!between(&page, "id=\"gallery\">", "</script>").contains('<'));
    let path = data["cells"][0][7][0].as_str().unwrap();
    assert!(!path.contains([':', '"', '<', '\'']), "{path}");
}
