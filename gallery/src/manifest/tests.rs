//! What is written is read, what is newer is passed over, and what leads elsewhere is refused.

use atelier_proto::ids::Digest;
use atelier_proto::settings::SettingsPatch;

use super::*;

const GRID: &str = "0197a3c4-5f00-7000-8000-000000000001";

fn cell_id(place: u32) -> CellId {
    let grid = GRID.parse().unwrap();
    CellId { grid, place }
}

/// Two photos by two artists; three cells done, one failed.
pub(crate) fn sample() -> Manifest {
    let photo = |name: &str, slug: &str| PhotoEntry {
        name: name.to_owned(),
        sha256: Digest::of(name.as_bytes()),
        width: 640,
        height: 480,
        original: Some(format!("originals/photo-{slug}.jpg")),
        masks: Vec::new(),
        start: None,
    };
    let artist = |name: &str, slug: &str| ArtistEntry {
        name: name.to_owned(),
        paintings: vec![PaintingEntry {
            name: format!("{slug}.jpg"),
            sha256: Digest::of(slug.as_bytes()),
            width: 300,
            height: 400,
            weight: 1.0,
            mask: None,
        }],
        settings: SettingsPatch::default(),
        original: Some(format!("originals/artist-{slug}.jpg")),
    };
    let cell = |photo: usize, artist: usize| {
        let stem = format!("photo-{photo}--artist-{artist}");
        let number = (photo * 2 + artist) as u32;
        CellEntry {
            cell_id: cell_id(number),
            photo,
            artist,
            variant: 0,
            outcome: Outcome {
                state: "done".to_owned(),
                attempts: 1,
                picture: Some(PictureEntry {
                    path: format!("pictures/{stem}.jpg"),
                    thumbnail: format!("thumbnails/{stem}.jpg"),
                    large_thumbnail: Some(format!("thumbnails/{stem}.large.jpg")),
                    sha256: Digest::of(stem.as_bytes()),
                    bytes: 12_345,
                    width: 512,
                    height: 384,
                    seconds: 61.5,
                    evaluations: 450,
                    loss: 0.012_345,
                    node: "studio-1".to_owned(),
                    network: "vgg16 untrained".to_owned(),
                    device: "cpu".to_owned(),
                    dollars: Some(0.0125),
                    losses: vec![(1, 10.0), (200, 0.5), (450, 0.012_345)],
                }),
                failure: None,
            },
        }
    };
    let mut failed = cell(1, 1);
    failed.outcome = Outcome {
        state: "failed".to_owned(),
        attempts: 3,
        picture: None,
        failure: Some("out of memory".to_owned()),
    };
    Manifest {
        version: VERSION,
        grid_id: GRID.parse().unwrap(),
        name: "Summer".to_owned(),
        submitted_at: "2026-06-01T10:00:00Z".parse().unwrap(),
        finished_at: Some("2026-06-01T10:05:30Z".parse().unwrap()),
        complete: true,
        state: "finished".to_owned(),
        settings: RenderSettings::default(),
        photos: vec![photo("Harbour", "harbour"), photo("Hills", "hills")],
        artists: vec![artist("Braque", "braque"), artist("Signac", "signac")],
        variants: vec![VariantEntry {
            name: String::new(),
            settings: SettingsPatch::default(),
        }],
        cells: vec![cell(0, 0), cell(0, 1), cell(1, 0), failed],
        reconstructions: Vec::new(),
    }
}

/// The same with reconstructions: of the first photo and artist done, of the second photo at work, of the artist failed.
pub(crate) fn sample_with_reconstructions() -> Manifest {
    let mut manifest = sample();
    let picture = manifest.cells[0].outcome.picture.clone().unwrap();
    let entry = |number: u32, of, state: &str, stem: Option<&str>| ReconstructionEntry {
        cell_id: cell_id(4 + number),
        of,
        variant: 0,
        outcome: Outcome {
            state: state.to_owned(),
            attempts: 1,
            picture: stem.map(|stem| PictureEntry {
                path: format!("pictures/{stem}.jpg"),
                thumbnail: format!("thumbnails/{stem}.jpg"),
                ..picture.clone()
            }),
            failure: None,
        },
    };
    let (photo, artist) = (ReconstructionOf::Photo, ReconstructionOf::Artist);
    let mut failed = entry(3, artist(1), "failed", None);
    failed.outcome.failure = Some("out of memory".to_owned());
    manifest.reconstructions = vec![
        entry(0, photo(0), "done", Some("harbour_content")),
        entry(1, photo(1), "rendering", None),
        entry(2, artist(0), "done", Some("braque_style")),
        failed,
    ];
    manifest
}

/// What a fuzzer begins with.
pub(crate) fn seeds() -> [(String, Vec<u8>); 3] {
    let mut lossless = sample();
    for cell in &mut lossless.cells {
        if let Some(picture) = &mut cell.outcome.picture {
            picture.loss = f64::NAN;
            picture.losses = vec![(1, 2.5e6), (20, 1.25)];
        }
    }
    let named = [
        ("sample.json", sample()),
        ("reconstructions.json", sample_with_reconstructions()),
        ("no-loss.json", lossless),
    ];
    named.map(|(name, manifest)| (name.to_owned(), manifest.to_json().unwrap()))
}

fn changed(change: impl FnOnce(&mut serde_json::Value)) -> Result<Manifest, ManifestError> {
    let mut json = serde_json::to_value(sample()).unwrap();
    change(&mut json);
    Manifest::from_json(&serde_json::to_vec(&json).unwrap())
}

#[test]
fn it_reads_what_it_wrote() {
    let mut manifest = sample_with_reconstructions();
    manifest.artists[0]
        .settings
        .set("content_weight=4")
        .unwrap();
    manifest.settings.style_layers = "conv1_1,conv2_1:0.5".parse().unwrap();
    let input = InputEntry {
        sha256: Digest::of(b"sky"),
        width: 8,
        height: 6,
    };
    let name = "sky".to_owned();
    manifest.artists[0].paintings[0].mask = Some(name.clone());
    manifest.photos[0].start = Some(input.clone());
    manifest.photos[0].masks = vec![MaskEntry { name, input }];
    let json = manifest.to_json().unwrap();
    assert_eq!(Manifest::from_json(&json).unwrap(), manifest);

    // A loss that is no number must not make the whole gallery unreadable.
    manifest.cells[0].outcome.picture.as_mut().unwrap().loss = f64::INFINITY;
    let read = Manifest::from_json(&manifest.to_json().unwrap()).unwrap();
    assert!(
        read.cells[0]
            .outcome
            .picture
            .as_ref()
            .unwrap()
            .loss
            .is_nan()
    );
}

#[test]
fn what_a_newer_version_adds_is_passed_over_and_what_it_changes_is_not() {
    let read = changed(|json| {
        json["cost"] = 1.5.into();
        json["settings"]["brush"] = "wide".into();
        json["artists"][0]["settings"]["brush"] = "wide".into();
        json["settings"].as_object_mut().unwrap().remove("history");
    });
    assert_eq!(read.unwrap(), sample());
    let error = changed(|json| json["version"] = 2.into()).unwrap_err();
    assert!(
        matches!(error, ManifestError::UnknownVersion { version: 2 }),
        "{error}"
    );
    let error = Manifest::from_json(b"<html>").unwrap_err();
    assert!(matches!(error, ManifestError::Malformed(_)), "{error}");
}

#[test]
fn a_path_that_leads_elsewhere_is_refused() {
    for path in [
        "/etc/passwd",
        "../secret.jpg",
        "pictures/../../secret.jpg",
        "pictures/..",
        "pictures",
        "pictures/",
        "pictures//a.jpg",
        "pictures/.hidden",
        r"pictures\a.jpg",
        r"pictures/..\..\a.jpg",
        "pictures/C:a.jpg",
        "pictures/a\0.jpg",
        "pictures/é.jpg",
        "index.html",
        "elsewhere/a.jpg",
        "http://example.com/pictures/a.jpg",
        "",
    ] {
        for place in ["path", "thumbnail"] {
            let error = changed(|json| json["cells"][0]["picture"][place] = path.into());
            assert!(
                matches!(error, Err(ManifestError::UnsafePath { .. })),
                "{path}: {error:?}"
            );
        }
        for list in ["photos", "artists"] {
            let error = changed(|json| json[list][1]["original"] = path.into());
            assert!(
                matches!(error, Err(ManifestError::UnsafePath { .. })),
                "{path}"
            );
        }
    }
}

#[test]
fn a_cell_of_nothing_is_refused() {
    for list in ["photo", "artist", "variant"] {
        let error = changed(|json| json["cells"][2][list] = 2.into()).unwrap_err();
        assert!(
            matches!(error, ManifestError::IndexOutOfRange { index: 2, .. }),
            "{error}"
        );
    }
}

#[test]
fn what_reconstructions_name_is_checked_too() {
    let json = |change: fn(&mut Manifest)| {
        let mut manifest = sample_with_reconstructions();
        change(&mut manifest);
        Manifest::from_json(&manifest.to_json().unwrap())
    };
    assert_eq!(json(|_| ()).unwrap(), sample_with_reconstructions());
    let beyond = json(|manifest| manifest.reconstructions[2].of = ReconstructionOf::Artist(2));
    assert!(
        matches!(
            beyond,
            Err(ManifestError::IndexOutOfRange {
                list: "artists",
                ..
            })
        ),
        "{beyond:?}"
    );
    let outside = json(|manifest| {
        let picture = manifest.reconstructions[0]
            .outcome
            .picture
            .as_mut()
            .unwrap();
        "../secret.jpg".clone_into(&mut picture.thumbnail);
    });
    assert!(
        matches!(outside, Err(ManifestError::UnsafePath { .. })),
        "{outside:?}"
    );
}

#[test]
fn a_grid_without_reconstructions_is_written_as_it_always_was() {
    let json = serde_json::to_value(sample()).unwrap();
    assert!(json.get("reconstructions").is_none(), "{json}");
    assert!(json["photos"][0].get("masks").is_none(), "{json}");
    assert_eq!(
        serde_json::to_string(&sample().cells[3]).unwrap(),
        r#"{"cell_id":"0197a3c4-5f00-7000-8000-000000000001/3","photo":1,"artist":1,"variant":0,"state":"failed","#
            .to_owned()
            + r#""attempts":3,"picture":null,"failure":"out of memory"}"#
    );
}

/// The published schema; `is_strict`: with nothing allowed that it does not list.
fn schema(is_strict: bool) -> jsonschema::Validator {
    fn close(schema: &mut serde_json::Value) {
        if let Some(fields) = schema.as_object_mut() {
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
            fields.values_mut().for_each(close);
        } else if let Some(items) = schema.as_array_mut() {
            items.iter_mut().for_each(close);
        }
    }
    let text = include_str!("../../schema/gallery.v1.schema.json");
    let mut schema = serde_json::from_str(text).unwrap();
    if is_strict {
        close(&mut schema);
    }
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn the_published_schema_is_of_what_is_written_and_of_nothing_less() {
    let mut manifest = sample_with_reconstructions();
    manifest.photos[0].masks = vec![MaskEntry {
        name: "sky".to_owned(),
        input: InputEntry {
            sha256: Digest::of(b"mask"),
            width: 4,
            height: 3,
        },
    }];
    manifest.photos[0].start = Some(manifest.photos[0].masks[0].input.clone());
    manifest.artists[0].paintings[0].mask = Some("sky".to_owned());
    let written: serde_json::Value = serde_json::from_slice(&manifest.to_json().unwrap()).unwrap();
    let strict = schema(true);
    let errors: Vec<String> = strict
        .iter_errors(&written)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, [] as [String; 0]);
    let open = schema(false);
    let mut newer = written.clone();
    newer["cells"][0]["mood"] = "calm".into();
    assert!(open.is_valid(&newer) && !strict.is_valid(&newer));
    let broken: [fn(&mut serde_json::Value); 6] = [
        |it| it["version"] = 2.into(),
        |it| it["cells"][0]["state"] = "lost".into(),
        |it| it["cells"][0]["picture"]["path"] = "../secret.jpg".into(),
        |it| it["cells"][0]["picture"]["losses"][0] = serde_json::json!([1]),
        |it| it["photos"][0]["sha256"] = "A".into(),
        |it| drop(it.as_object_mut().unwrap().remove("settings")),
    ];
    for (number, break_it) in broken.iter().enumerate() {
        let mut other = written.clone();
        break_it(&mut other);
        assert!(!open.is_valid(&other), "{number}");
    }
}
