//! What is accepted, what is refused and how it is named, and the cells that a grid makes.

use atelier_proto::settings::{Colour, Mode};

use super::*;

/// A good draft of so many photos and artists.
pub(crate) fn draft(photos: usize, artists: usize) -> Draft {
    let input = |name: &str| Input {
        sha256: Digest::of(name.as_bytes()),
        width: 64,
        height: 48,
    };
    let photo = |index| {
        let name = format!("photo {index}");
        let input = input(&name);
        Photo {
            name,
            input,
            masks: Vec::new(),
            start: None,
        }
    };
    let artist = |index| {
        let name = format!("artist {index}");
        let painting = Painting {
            name: "a.png".to_owned(),
            input: input(&name),
            weight: 1.0,
            mask: None,
        };
        Artist {
            name,
            paintings: vec![painting],
            settings: SettingsPatch::default(),
        }
    };
    Draft {
        name: "Afternoon".to_owned(),
        photos: (0..photos).map(photo).collect(),
        artists: (0..artists).map(artist).collect(),
        variants: Vec::new(),
        settings: SettingsPatch::default(),
        reconstructions: false,
        labels: Labels::new(),
    }
}

/// A photo's mask.
pub(crate) fn mask(name: &str) -> Mask {
    Mask {
        name: name.to_owned(),
        input: Input {
            sha256: Digest::of(name.as_bytes()),
            width: 8,
            height: 6,
        },
    }
}

fn variant(name: &str, assignment: &str) -> Variant {
    Variant {
        name: name.to_owned(),
        settings: patch(assignment),
    }
}

fn patch(assignment: &str) -> SettingsPatch {
    let mut patch = SettingsPatch::default();
    patch.set(assignment).unwrap();
    patch
}

fn refusal(change: impl FnOnce(&mut Draft)) -> String {
    let mut draft = draft(2, 2);
    change(&mut draft);
    GridSpec::accept(draft, 10).unwrap_err().to_string()
}

#[test]
fn each_fault_is_named_by_its_path() {
    let long = "x".repeat(301);
    assert_eq!(
        refusal(|draft| draft.artists[1].paintings[0].weight = 0.0),
        "artists[1].paintings[0].weight: is 0, but must be above 0 and at most 1e9"
    );
    assert_eq!(
        refusal(|draft| draft.artists[1].paintings[0].weight = f64::NAN),
        "artists[1].paintings[0].weight: is NaN, but must be above 0 and at most 1e9"
    );
    assert_eq!(
        refusal(|draft| draft.photos[1].input.height = 60_000),
        "photos[1].input.height: is 60000, but must be from 1 to 30000"
    );
    assert_eq!(
        refusal(|draft| draft.photos[1].start = Some(Input {
            width: 0,
            ..mask("").input
        })),
        "photos[1].start.width: is 0, but must be from 1 to 30000"
    );
    assert_eq!(
        refusal(|draft| draft.photos[1].masks = vec![mask("sky"), mask("sky")]),
        "photos[1].masks[1].name: \"sky\" is the name of `masks[0]` too; names must be unique"
    );
    assert_eq!(
        refusal(|draft| draft.artists[0].paintings.clear()),
        "artists[0].paintings: has 0 entries, but must have 1 to 64"
    );
    assert_eq!(
        refusal(|draft| draft.artists[0].name = long),
        "artists[0].name: has 301 characters, but must have 1 to 300"
    );
    assert_eq!(
        refusal(|draft| draft.artists[1].name = "artist 0".to_owned()),
        "artists[1].name: \"artist 0\" is the name of `artists[0]` too; names must be unique"
    );
    assert_eq!(
        refusal(|draft| draft.name = "\u{1b}[31m".to_owned()),
        "name: holds a control character (code 27)"
    );
    assert_eq!(refusal(|draft| draft.photos.clear()), "photos: is missing");
    assert_eq!(
        refusal(|draft| draft.variants = vec![variant("", "seed=1"), variant("b", "seed=2")]),
        "variants[0].name: has 0 characters, but must have 1 to 1000"
    );
}

#[test]
fn too_many_cells_are_refused_with_both_numbers() {
    let error = GridSpec::accept(draft(2, 2), 3).unwrap_err().to_string();
    assert!(
        error.contains("are 4 cells, but at most 3 are taken"),
        "{error}"
    );
    assert!(GridSpec::accept(draft(2, 2), 4).is_ok());
}

#[test]
fn names_are_counted_in_characters_and_may_be_anything_that_people_write() {
    let mut draft = draft(1, 1);
    draft.name = "é".repeat(300);
    draft.artists[0].name = "../../🎨 \"<b>\"".to_owned();
    assert!(GridSpec::accept(draft, 10).is_ok());
}

#[test]
fn a_variant_overrides_its_artist_and_an_artist_the_grid() {
    let mut draft = draft(1, 2);
    draft.settings = patch("size=256");
    draft.artists[0].settings = patch("content_weight=4");
    draft.artists[0].settings.set("seed=7").unwrap();
    draft.variants = vec![variant("seed=1", "seed=1"), variant("size=64", "size=64")];
    let spec = GridSpec::accept(draft, 10).unwrap();
    let settings = |artist, variant| {
        let position = Position {
            subject: Subject::Transfer { photo: 0, artist },
            variant,
        };
        let settings = spec.cell_settings(position).unwrap();
        (settings.size, settings.content_weight, settings.seed)
    };
    assert_eq!(settings(0, 0), (256, 4.0, 1));
    assert_eq!(settings(0, 1), (64, 4.0, 7));
    assert_eq!(settings(1, 0), (256, 1.0, 1));
    assert_eq!(settings(1, 1), (64, 1.0, 0));
}

#[test]
fn a_grid_has_every_cell_once_and_each_input_once() {
    let mut draft = draft(3, 2);
    draft.variants = vec![variant("seed=1", "seed=1"), variant("seed=2", "seed=2")];
    draft.artists[1].paintings[0].input = draft.photos[0].input;
    let spec = GridSpec::accept(draft, 12).unwrap();
    let positions: BTreeSet<_> = spec.positions().collect();
    assert_eq!((positions.len(), spec.positions().count()), (12, 12));
    let paths: Vec<_> = spec.inputs().into_iter().map(|(_, path)| path).collect();
    let expected = [
        "photos[0].input",
        "photos[1].input",
        "photos[2].input",
        "artists[0].paintings[0].input",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn a_painting_is_bound_to_a_mask_of_every_photo_or_the_one_without_is_named() {
    let mut draft = draft(2, 2);
    draft.artists[1].paintings[0].mask = Some("sky".to_owned());
    draft.photos[0].masks = vec![mask("sky"), mask("rider")];
    let told = GridSpec::accept(draft.clone(), 10).unwrap_err().to_string();
    assert_eq!(
        told,
        "artists[1].paintings[0].mask: is \"sky\", but `photos[1]` (the photo \"photo 1\") has no mask of that name, and \
         so the artist \"artist 1\" cannot be painted over it\n\
         hint: give the photo that mask, or leave the painting unbound"
    );

    draft.photos[1].masks = vec![mask("sky")];
    draft.reconstructions = true;
    let spec = GridSpec::accept(draft, 10).unwrap();
    let work = |subject| {
        let variant = 0;
        spec.work(Position { subject, variant }).unwrap()
    };
    let masks = |work: &Work| -> Vec<String> {
        let masks = work.photo.iter().flat_map(|photo| &photo.masks);
        masks.map(|mask| mask.name.clone()).collect()
    };
    let bound = work(Subject::Transfer {
        photo: 0,
        artist: 1,
    });
    assert_eq!(masks(&bound), ["sky"], "and not the rider's");
    let unbound = work(Subject::Transfer {
        photo: 0,
        artist: 0,
    });
    assert_eq!(masks(&unbound), [""; 0]);
    assert_eq!(masks(&work(Subject::Content { photo: 0 })), [""; 0]);
    let alone = work(Subject::Style { artist: 1 }).artist.unwrap();
    assert_eq!(alone.paintings[0].mask, None, "there is no photo");
    let paths: Vec<_> = spec.inputs().into_iter().map(|(_, path)| path).collect();
    assert!(paths.contains(&"photos[0].masks[1].input".to_owned()));
}

#[test]
fn a_cell_begins_from_a_file_only_if_its_photo_names_one() {
    let mut draft = draft(2, 2);
    let sketch = mask("sketch").input;
    draft.photos[0].start = Some(sketch);
    draft.settings = patch("start=file");
    draft.artists[0].settings = patch("start=noise");
    draft.variants = vec![variant("a", "start=photo"), variant("b", "seed=1")];
    let told = GridSpec::accept(draft.clone(), 10).unwrap_err().to_string();
    assert_eq!(
        told,
        "photos[1].start: is missing, but the photo \"photo 1\" by the artist \"artist 1\" has `start = \"file\"`\n\
         hint: name a picture for it to begin from, or another start"
    );
    // Where every variant begins otherwise, nothing is missing.
    let mut otherwise = draft.clone();
    otherwise.variants.truncate(1);
    assert!(GridSpec::accept(otherwise, 10).is_ok());

    draft.photos[1].start = Some(sketch);
    let spec = GridSpec::accept(draft, 10).unwrap();
    let start = |artist, variant| {
        let subject = Subject::Transfer { photo: 0, artist };
        let work = spec.work(Position { subject, variant }).unwrap();
        work.photo.unwrap().start
    };
    assert_eq!(start(1, 1), Some(sketch));
    assert_eq!((start(1, 0), start(0, 1)), (None, None));
    let paths: Vec<_> = spec.inputs().into_iter().map(|(_, path)| path).collect();
    assert!(paths.contains(&"photos[0].start".to_owned()));
}

#[test]
fn reconstructions_are_cells_of_a_photo_or_an_artist_alone() {
    let mut draft = draft(2, 1);
    draft.artists[0].paintings[0].input = Input {
        sha256: Digest::of(b"tall"),
        width: 100,
        height: 400,
    };
    draft.settings = patch("size=64");
    draft.artists[0].settings = patch("style_layers=conv1_1");
    draft.variants = vec![variant("a", "start=photo"), variant("b", "colour=photo")];
    let plain = GridSpec::accept(draft.clone(), 10).unwrap();
    let alone = Position {
        subject: Subject::Content { photo: 0 },
        variant: 0,
    };
    assert!(plain.cell(alone).is_none(), "nobody asked for it");

    draft.reconstructions = true;
    let told = GridSpec::accept(draft.clone(), 9).unwrap_err().to_string();
    assert!(
        told.contains("variants with their reconstructions are 10 cells, but at most 9"),
        "{told}"
    );
    let spec = GridSpec::accept(draft, 10).unwrap();
    let positions: Vec<Position> = spec.positions().collect();
    assert_eq!(positions.iter().collect::<BTreeSet<_>>().len(), 10);
    assert_eq!(positions[4], alone, "after the cells that need both");
    let style = Position {
        subject: Subject::Style { artist: 0 },
        variant: 1,
    };
    assert_eq!(positions[9], style);

    let settings = spec.cell_settings(style).unwrap();
    assert_eq!(
        (settings.mode, settings.start, settings.colour),
        (Mode::Style, Start::Noise, Colour::Painting)
    );
    assert_eq!(settings.style_layers.to_string(), "conv1_1");
    let settings = spec.cell_settings(alone).unwrap();
    assert_eq!(
        (settings.mode, settings.start),
        (Mode::Content, Start::Noise)
    );
    assert!(settings.style_layers.is_empty(), "that is the artist's");
    assert_eq!(spec.picture_size(alone), Some((64, 48)), "the photo's");
    assert_eq!(spec.picture_size(style), Some((16, 64)), "the painting's");
    let work = spec.work(style).unwrap();
    assert!(work.photo.is_none() && work.artist.is_some());
}

#[test]
fn a_picture_has_the_ratio_of_what_it_reconstructs() {
    let mut draft = draft(1, 1);
    draft.artists[0].paintings[0].input = Input {
        sha256: Digest::of(b"tall"),
        width: 100,
        height: 400,
    };
    draft.settings = patch("size=64");
    draft.variants = vec![variant("a", "mode=transfer"), variant("b", "mode=style")];
    let spec = GridSpec::accept(draft, 10).unwrap();
    let sizes = spec
        .positions()
        .map(|position| spec.picture_size(position).unwrap());
    assert_eq!(sizes.collect::<Vec<_>>(), [(64, 48), (16, 64)]);
}

#[test]
fn where_content_or_style_has_no_weight_it_is_not_reconstructed_and_without_both_nothing_is_painted()
 {
    let mut draft = draft(1, 2);
    draft.reconstructions = true;
    draft.variants = vec![
        variant("a", "content_weight=0"),
        variant("b", "content_weight=1"),
    ];
    draft.artists[1].settings = patch("style_weight=0");
    let told = GridSpec::accept(draft.clone(), 20).unwrap_err().to_string();
    assert_eq!(
        told,
        "artists[1].settings: `content_weight` and `style_weight` are both 0 in the variant \"a\", so there is nothing to \
         paint\n\
         hint: give it a weight above 0 in the settings of the grid, the artist or the variant"
    );
    draft.variants[0] = variant("a", "seed=1");
    draft.settings = patch("content_weight=0");
    draft.artists[1].settings.set("mode=content").unwrap();
    let told = GridSpec::accept(draft.clone(), 20).unwrap_err().to_string();
    assert!(
        told.contains("artists[1].settings: `content_weight` is 0 in the variant \"a\""),
        "{told}"
    );

    draft.artists[1].settings = patch("style_weight=0");
    draft.artists[1].settings.set("content_weight=1").unwrap();
    let spec = GridSpec::accept(draft, 20).unwrap();
    let alone = spec
        .positions()
        .filter(|position| position.subject.is_reconstruction());
    let alone: Vec<_> = alone.map(|it| (it.subject, it.variant)).collect();
    let (photo, artist) = (Subject::Content { photo: 0 }, Subject::Style { artist: 0 });
    assert_eq!(alone, [(photo, 1), (artist, 0), (artist, 1)]);
}

#[test]
fn a_grid_that_an_earlier_version_kept_is_read() {
    let spec = GridSpec::accept(draft(1, 1), 10).unwrap();
    let mut json = serde_json::to_value(&spec).unwrap();
    json.as_object_mut().unwrap().remove("reconstructions");
    assert!(json["photos"][0].get("masks").is_none(), "{json}");
    assert_eq!(serde_json::from_value::<GridSpec>(json).unwrap(), spec);
}

#[test]
fn the_order_of_service_is_what_it_has_always_been() {
    let mut draft = draft(3, 2);
    draft.reconstructions = true;
    draft.variants = ["a", "b"]
        .map(|name| Variant {
            name: name.to_owned(),
            settings: SettingsPatch::default(),
        })
        .into();
    let spec = GridSpec::accept(draft, 100).unwrap();
    let told = spec
        .positions()
        .map(|Position { subject, variant }| match subject {
            Subject::Transfer { photo, artist } => format!("{photo}x{artist}.{variant}"),
            Subject::Content { photo } => format!("{photo}.{variant}"),
            Subject::Style { artist } => format!("x{artist}.{variant}"),
        });
    // Databases and buckets of earlier versions know cells by these places.
    let expected = "0x0.0 0x0.1 1x0.0 1x0.1 2x0.0 2x0.1 0x1.0 0x1.1 1x1.0 1x1.1 2x1.0 2x1.1 \
                    0.0 0.1 1.0 1.1 2.0 2.1 x0.0 x0.1 x1.0 x1.1";
    assert_eq!(told.collect::<Vec<_>>().join(" "), expected);
}
