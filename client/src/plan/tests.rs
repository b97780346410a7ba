//! Which grids are whole, how a sweep multiplies out, and what is said of the others.

use super::*;

fn named(submitter: &str) -> Submitter {
    Submitter {
        named: Some(submitter.to_owned()),
        user: String::new(),
    }
}

fn swept(key: &str, values: &[&str]) -> SweptSetting {
    let value = |written: &&str| {
        let value = atelier_proto::settings::parse_value(written);
        let patch = SettingsPatch::single(key, &value).unwrap();
        ((*written).to_owned(), patch)
    };
    SweptSetting {
        key: key.to_owned(),
        values: values.iter().map(value).collect(),
    }
}

fn artist(name: &str) -> ArtistPlan {
    ArtistPlan {
        name: name.to_owned(),
        paintings: vec![PaintingPlan::new("a.jpg".into(), 1.0)],
        settings: SettingsPatch::default(),
        place: format!("artists/{name}.jpg"),
    }
}

fn plan(artists: &[&str]) -> Plan {
    Plan {
        name: "A grid".to_owned(),
        photos: vec![PhotoPlan {
            name: "p".to_owned(),
            ..PhotoPlan::nameless("p.jpg".into(), "grid.toml:2".to_owned())
        }],
        artists: artists.iter().map(|name| artist(name)).collect(),
        variants: Vec::new(),
        settings: SettingsPatch::default(),
        reconstructions: false,
        priority: 0,
        labels: BTreeMap::new(),
        submitter: named("ann"),
        skipped: Vec::new(),
    }
}

#[test]
fn a_sweep_is_every_combination_by_name() {
    let sweep = [
        swept("seed", &["1", "2"]),
        swept("start", &["noise", "photo"]),
    ];
    let points = variants(&sweep).unwrap();
    let names: Vec<_> = points.iter().map(|point| point.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "seed=1 start=noise",
            "seed=1 start=photo",
            "seed=2 start=noise",
            "seed=2 start=photo"
        ]
    );
    assert_eq!(points[2].settings.seed, Some(2));
    assert!(points[2].settings.start.is_some());
    assert_eq!(variants(&[]).unwrap(), []);
}

#[test]
fn a_sweep_over_nothing_over_one_value_twice_or_over_too_much_is_refused() {
    let empty = variants(&[swept("seed", &["1"]), swept("size", &[])]);
    assert!(matches!(empty, Err(PlanError::NoCells { .. })));
    let twice = variants(&[swept("content_weight", &["1", "1.0"])]);
    assert!(matches!(twice, Err(PlanError::SameVariant { .. })));
    let seeds: Vec<String> = (0..1001).map(|seed| seed.to_string()).collect();
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
    let vast = variants(&[swept("seed", &seeds), swept("history", &["1", "2"]), {
        let sizes: Vec<String> = (16..616).map(|size: u32| size.to_string()).collect();
        let sizes: Vec<&str> = sizes.iter().map(String::as_str).collect();
        swept("size", &sizes)
    }]);
    assert!(matches!(vast, Err(PlanError::TooManyCells { .. })));
}

#[test]
fn artists_are_told_apart_and_names_have_a_length() {
    assert!(plan(&["Monet", "Braque"]).check().is_ok());
    assert!(matches!(
        plan(&["Monet", "Monet"]).check(),
        Err(PlanError::SameArtist { .. })
    ));
    assert!(plan(&["é".repeat(300).as_str()]).check().is_ok());
    for name in ["", " ", "x".repeat(301).as_str()] {
        let error = plan(&[name]).check().unwrap_err();
        assert!(matches!(error, PlanError::NameLength { .. }), "{error}");
    }
    assert!(matches!(
        plan(&["Mo\nnet"]).check(),
        Err(PlanError::ControlCharacter { .. })
    ));
    assert!(matches!(plan(&[]).check(), Err(PlanError::NoCells { .. })));
}

#[test]
fn a_submitter_and_labels_have_lengths_and_no_control_characters() {
    let with = |submitter: &str, labels: &[(&str, &str)]| {
        let labels = labels.iter();
        let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let plan = Plan {
            submitter: named(submitter),
            labels: labels.collect(),
            ..plan(&["Monet"])
        };
        plan.check().map_err(|error| error.to_string())
    };
    let long = "é".repeat(100);
    let longer = "é".repeat(101);
    assert_eq!(with("", &[]), Ok(()));
    assert_eq!(with(&long, &[(&long, &long), ("spot", "")]), Ok(()));
    let told = with(&longer, &[]).unwrap_err();
    assert!(told.contains("101 characters"), "{told}");
    for labels in [
        [("", "x")],
        [(longer.as_str(), "x")],
        [("x", longer.as_str())],
    ] {
        let told = with("", &labels).unwrap_err();
        assert!(told.contains("1 to 100"), "{told}");
    }
    let told = with("", &[("a", "b\nc")]).unwrap_err();
    assert!(told.contains("control character"), "{told}");
    assert!(with("a\nnn", &[]).is_err());
    let many: Vec<String> = (0..33).map(|number| number.to_string()).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
    let told = with("", &many).unwrap_err();
    assert!(told.contains("33 labels"), "{told}");
}

#[test]
fn a_grid_without_a_name_tells_what_is_in_it() {
    let name = |artists: &[&str]| {
        let plan = plan(artists);
        descriptive_name(&plan.photos, &plan.artists)
    };
    assert_eq!(name(&["monet"]), "p by monet");
    assert_eq!(name(&["a", "b", "c", "d"]), "p by a, b and 2 more");
}

#[test]
fn a_preset_that_is_swept_gives_way_to_what_is_swept_beside_it_whatever_the_order() {
    let preset = swept("preset", &["classic", "fine"]);
    let layers = swept("layers", &["conv1_1", "[\"conv2_1\", \"conv3_1:0.5\"]"]);
    for sweep in [[preset.clone(), layers.clone()], [layers, preset]] {
        let points = variants(&sweep).unwrap();
        let point = points.iter().find(|point| {
            let name = &point.name;
            name.contains("preset=classic") && name.contains("conv2_1")
        });
        let settings = &point.unwrap().settings;
        assert_eq!(settings.iterations, Some(200), "the preset's");
        for layers in [&settings.content_layers, &settings.style_layers] {
            let layers = layers.as_ref().unwrap().to_string();
            assert_eq!(layers, "conv2_1,conv3_1:0.5");
        }
    }
}

#[test]
fn reconstructions_count_and_their_pictures_are_those_of_the_grid() {
    let mut plan = plan(&["Monet", "Braque"]);
    plan.variants = variants(&[swept("seed", &["1", "2", "3"])]).unwrap();
    assert_eq!(plan.cells(), 2 * 3);
    plan.reconstructions = true;
    assert_eq!(plan.cells(), (2 + 1 + 2) * 3);
    plan.photos[0].start = Some("sketch.png".into());
    plan.photos[0].masks = vec![MaskPlan {
        name: "sky".to_owned(),
        path: "sky.png".into(),
    }];
    let paths: Vec<_> = plan
        .paths()
        .into_iter()
        .map(Path::to_string_lossy)
        .collect();
    assert_eq!(paths, ["a.jpg", "p.jpg", "sketch.png", "sky.png"]);
}

#[test]
fn a_mask_or_a_start_that_a_photo_lacks_is_named_with_its_place() {
    let mut plan = plan(&["Monet", "Braque"]);
    plan.artists[1].paintings[0].mask = Some(BoundMask {
        name: "sky".to_owned(),
        place: "grid.toml:9".to_owned(),
    });
    assert_eq!(
        plan.check().unwrap_err().to_string(),
        "grid.toml:9: the photo `p` has no mask `sky`, and so the artist `Braque` cannot be painted over it\n\
         hint: give the photo one in [[photo]], as in masks = { sky = \"mask.png\" }"
    );
    plan.photos[0].masks = vec![MaskPlan {
        name: "sky".to_owned(),
        path: "sky.png".into(),
    }];
    plan.check().unwrap();

    plan.artists[1].settings.set("start=file").unwrap();
    plan.variants = variants(&[swept("start", &["noise", "photo"])]).unwrap();
    plan.check().unwrap();
    plan.variants = variants(&[swept("seed", &["1", "2"])]).unwrap();
    assert_eq!(
        plan.check().unwrap_err().to_string(),
        "grid.toml:2: the photo `p` names no picture to begin from, but by the artist `Braque` in the variant `seed=1` \
         `start` is `file`\n\
         hint: name one in a grid file: [[photo]] with path = \"photo.jpg\" and start = \"sketch.png\""
    );
    plan.photos[0].start = Some("sketch.png".into());
    plan.check().unwrap();

    plan.photos.push(plan.photos[0].clone());
    let told = plan.check().unwrap_err();
    assert!(matches!(told, PlanError::SamePhoto { .. }), "{told}");
}

#[test]
fn a_cell_without_anything_to_aim_at_is_named_and_a_reconstruction_is_only_left_out() {
    let mut plan = plan(&["Monet", "Braque"]);
    plan.reconstructions = true;
    plan.settings.set("content_weight=0").unwrap();
    plan.check().unwrap();
    plan.artists[1].settings.set("style_weight=0").unwrap();
    plan.variants = variants(&[swept("content_weight", &["1", "0"])]).unwrap();
    assert_eq!(
        plan.check().unwrap_err().to_string(),
        "artists/Braque.jpg: the artist `Braque` in the variant `content_weight=0`: `content_weight` and `style_weight` \
         are both 0, so there is nothing to paint\n\
         hint: give it a weight above 0, as in style_weight = 3"
    );
    plan.variants = Vec::new();
    plan.settings.set("mode=style").unwrap();
    let told = plan.check().unwrap_err().to_string();
    assert!(told.contains("Braque`: `style_weight` is 0, so"), "{told}");
}

#[test]
fn seeds_that_nothing_uses_are_noticed() {
    let mut plan = plan(&["Monet", "Braque"]);
    assert_eq!(plan.notice(), None, "nothing is swept");
    plan.variants = variants(&[swept("seed", &["1", "2"])]).unwrap();
    let notice = plan.notice().unwrap();
    assert!(notice.contains("style_scale"), "{notice}");
    plan.artists[1].settings.set("start=mix").unwrap();
    assert_eq!(plan.notice(), None, "an artist's pictures begin from noise");
    plan.artists[1].settings = SettingsPatch::default();
    plan.settings.set("start=noise").unwrap();
    assert_eq!(plan.notice(), None);
    plan.variants = variants(&[swept("start", &["photo", "painting"])]).unwrap();
    assert_eq!(plan.notice(), None, "no seed is swept");
    plan.variants = variants(&[
        swept("seed", &["1", "2"]),
        swept("start", &["photo", "painting"]),
    ])
    .unwrap();
    assert!(plan.notice().is_some(), "each of four is painted twice");
}
