//! A good file says all that it can, and every error names its line.

use super::*;
use crate::submitter::Submitter;

const GOOD: &str = r#"name = "Good"
photos = ["photos/*.png"]

[[artist]]
name = "One"
paintings = ["artists/one.png", "artists/t*.png"]
weights = [2, 0.5]
render.content_weight = 3

[[artist]]
paintings = ["artists/two.png"]

[render]
size = 32
iterations = 2

[sweep]
start = ["photo", "noise"]
seed = [1, 2]
"#;

fn workplace(text: &str) -> tempfile::TempDir {
    let work = fuzzing::folder();
    std::fs::write(work.path().join("grid.toml"), text).unwrap();
    work
}

/// What a fuzzer begins with.
pub(crate) fn seeds() -> impl Iterator<Item = (String, Vec<u8>)> {
    let seeds = [
        ("good.toml", GOOD),
        ("shared.toml", SHARED),
        ("masked.toml", MASKED),
    ];
    seeds
        .into_iter()
        .map(|(name, seed)| (name.to_owned(), seed.into()))
}

#[test]
fn a_good_file_says_all_it_can() {
    let work = workplace(GOOD);
    let file = read(&work.path().join("grid.toml")).unwrap();
    assert_eq!(file.name.as_deref(), Some("Good"));
    assert_eq!(file.photos.len(), 2);
    let weights: Vec<f64> = file.artists[0]
        .paintings
        .iter()
        .map(|it| it.weight)
        .collect();
    assert_eq!(weights, [2.0, 0.5]);
    assert_eq!(file.artists[0].settings.content_weight, Some(3.0));
    assert_eq!(file.artists[1].name, "two");
    assert!(file.artists[1].place.ends_with("grid.toml:10"));
    assert_eq!(file.settings.size, Some(32));
    let keys: Vec<&str> = file.sweep.iter().map(|swept| swept.key.as_str()).collect();
    assert_eq!(keys, ["start", "seed"], "in the order of the file");
    assert_eq!(file.sweep[0].values[1].0, "noise");
}

/// What is told of a file with one thing wrong, without its folder.
fn told_of(text: &str, good: &str, bad: &str) -> String {
    assert!(text.contains(good), "{good}");
    let work = workplace(&text.replacen(good, bad, 1));
    let path = work.path().join("grid.toml");
    let error = Plan::from_file(&path, &Wishes::default()).unwrap_err();
    let folder = work.path().display().to_string();
    error
        .to_string()
        .replace(&format!("{folder}/"), "")
        .replace(&folder, "FOLDER")
}

/// All that is told, with what was wrong.
fn all_told(text: &str, cases: &[(&str, &str)]) -> String {
    let told = cases
        .iter()
        .map(|(good, bad)| format!("{}\n=> {}", bad.trim(), told_of(text, good, bad)));
    told.collect::<Vec<_>>().join("\n\n")
}

#[test]
fn every_error_names_its_line() {
    let cases = [
        ("photos =", "fotos ="),
        ("photos = [\"photos/*.png\"]", "photos = 3"),
        ("photos = [\"photos/*.png\"]", "photos = []"),
        ("photos = [\"photos/*.png\"]", ""),
        ("photos/*.png", "p/*.png"),
        ("name = \"Good\"", "name = "),
        ("name = \"Good\"", "name = \"Good\nx = 1"),
        ("weights = [2, 0.5]", "weights = [2]"),
        ("weights = [2, 0.5]", "weights = [2, 0]"),
        ("weights = [2, 0.5]", "weights = \"2\""),
        ("render.content_weight", "render.contentweight"),
        ("artists/two.png", "artists/three.png"),
        ("size = 32", "size = 0"),
        ("seed = [1, 2]", "seed = 1"),
        ("seed = [1, 2]", "seed = []"),
        ("seed = [1, 2]", "seed = [\n1,\n-1]"),
        ("[sweep]", "[[sweep]]"),
    ];
    insta::assert_snapshot!("errors", all_told(GOOD, &cases));
}

const SHARED: &str = r#"photos = ["photos/*.png"]
priority = -20
labels = { zone = "eu", gpu = "h100" }

[[artist]]
paintings = ["artists/two.png"]
"#;

#[test]
fn a_file_says_its_share_of_the_nodes_and_the_command_line_outweighs_it() {
    let work = workplace(SHARED);
    let path = work.path().join("grid.toml");
    let plan = Plan::from_file(&path, &Wishes::default()).unwrap();
    assert_eq!(plan.priority, -20);
    let labels = |plan: &Plan| {
        let labels = plan.labels.iter();
        let labels: Vec<String> = labels
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        labels.join(" ")
    };
    assert_eq!(labels(&plan), "gpu=h100 zone=eu");
    let wishes = Wishes {
        priority: Some(0),
        labels: &[("zone", "us"), ("spot", "")].map(|(name, value)| (name.into(), value.into())),
        submitter: Submitter {
            named: None,
            user: "ann".to_owned(),
        },
        ..Wishes::default()
    };
    let plan = Plan::from_file(&path, &wishes).unwrap();
    assert_eq!((plan.priority, plan.submitter.user.as_str()), (0, "ann"));
    assert_eq!(labels(&plan), "gpu=h100 spot= zone=us");
}

#[test]
fn every_error_of_a_share_names_its_line() {
    let cases = [
        ("priority = -20", "priority = 101"),
        ("priority = -20", "priority = 99999999999"),
        ("priority = -20", "priority = \"high\""),
        ("priority = -20", "priority = 1.5"),
        ("priority = -20", "submitter = \"ann\""),
        ("gpu = \"h100\"", "gpu = 1"),
        ("{ zone = \"eu\", gpu = \"h100\" }", "[\"zone\"]"),
    ];
    insta::assert_snapshot!("errors_of_a_share", all_told(SHARED, &cases));
}

const MASKED: &str = r#"photos = ["photos/*.png"]
reconstructions = true

[[photo]]
path = "photos/b.png"
name = "Sunday"
start = "masks/sketch.png"
masks = { sky = "masks/sky.png", rider = "masks/sketch.png" }

[[photo]]
path = "photos/a.png"
masks.sky = "masks/sky.png"

[[artist]]
name = "One"
paintings = ["artists/one.png", "artists/*.png"]
masks = ["sky", ""]

[render]
layers = "conv1_1"
style_layers = "conv2_1"
"#;

#[test]
fn a_file_with_masks_and_starts_says_which_photo_has_them() {
    let work = workplace(MASKED);
    let path = work.path().join("grid.toml");
    let plan = Plan::from_file(&path, &Wishes::default()).unwrap();
    assert!(plan.reconstructions);
    // A photo that has a table is not there a second time for being matched.
    let names: Vec<&str> = plan
        .photos
        .iter()
        .map(|photo| photo.name.as_str())
        .collect();
    assert_eq!(names, ["Sunday", "a"]);
    let photo = &plan.photos[0];
    assert!(photo.place.ends_with("grid.toml:4"), "{}", photo.place);
    assert_eq!(photo.start, Some(work.path().join("masks/sketch.png")));
    let masks: Vec<&str> = photo.masks.iter().map(|mask| mask.name.as_str()).collect();
    assert_eq!(masks, ["sky", "rider"], "in the order of the file");
    let bound = |number: usize| plan.artists[0].paintings[number].mask.as_ref();
    assert_eq!(bound(0).map(|bound| bound.name.as_str()), Some("sky"));
    assert_eq!((bound(1), bound(2)), (None, None));
    let layers = |layers: &Option<atelier_proto::settings::LayerWeights>| {
        layers.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    assert_eq!(layers(&plan.settings.content_layers), "conv1_1");
    assert_eq!(layers(&plan.settings.style_layers), "conv2_1");
}

#[test]
fn every_error_of_photos_and_masks_names_its_line() {
    let cases = [
        ("reconstructions = true", "reconstructions = 1"),
        ("path = \"photos/b.png\"", ""),
        ("path = \"photos/b.png\"", "path = \"photos\""),
        ("path = \"photos/b.png\"", "path = \"photos/z.png\""),
        ("name = \"Sunday\"", "name = \"a\""),
        ("name = \"Sunday\"", "mask = \"a\""),
        ("masks/sketch.png", "masks/draft.png"),
        ("sky = \"masks/sky.png\", rider", "sky = 3, rider"),
        (
            "masks = { sky = \"masks/sky.png\", rider = \"masks/sketch.png\" }",
            "masks = [\"masks/sky.png\"]",
        ),
        (
            "masks = { sky = \"masks/sky.png\", rider = \"masks/sketch.png\" }",
            "masks.\"\" = \"masks/sky.png\"",
        ),
        ("masks = [\"sky\", \"\"]", "masks = [\"sky\"]"),
        ("masks = [\"sky\", \"\"]", "masks = [\"sky\",\n\"rider\"]"),
        ("[render]", "[render]\nstart = \"file\""),
    ];
    insta::assert_snapshot!("errors_of_photos_and_masks", all_told(MASKED, &cases));
}
