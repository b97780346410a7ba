//! Goal: settings are read, layered and refused as the table says.

use super::*;
use crate::v1;

/// A table of settings, as `[render]` in a grid file.
pub(super) fn table(text: &str) -> Result<SettingsPatch, SettingsError> {
    let table: toml::Table = text.parse().unwrap();
    let mut singles = Vec::new();
    for (key, value) in &table {
        singles.push((key.as_str(), SettingsPatch::single(key, value)?));
    }
    Ok(SettingsPatch::together(singles))
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let error = table("contentweight = 2").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown setting `contentweight`; did you mean `content_weight`?"
    );
}

#[test]
fn a_wrong_type_a_wrong_word_and_a_wrong_range_are_told_apart() {
    let message = |text: &str| table(text).unwrap_err().to_string();
    assert_eq!(
        message("size = 'large'"),
        "setting `size`: invalid type: string \"large\", expected u32"
    );
    assert_eq!(
        message("start = 'sketch'"),
        "setting `start`: unknown variant `sketch`, expected one of `noise`, `photo`, `painting`, `mix`, `file`"
    );
    assert_eq!(
        message("size = 0"),
        "setting `size` is 0, but must be from 16 to 8192"
    );
    assert_eq!(
        message("style_weight = nan"),
        "setting `style_weight` is NaN, but must be from 0 to 1e9"
    );
    assert_eq!(
        message("style_layers = ['conv9_1']"),
        "setting `style_layers`: `conv9_1` is not a layer; layers are conv1_1 and 1_2, 2_1 and 2_2, \
         3_1 to 3_4, 4_1 to 4_4, 5_1 to 5_4"
    );
}

#[test]
fn assignments_take_numbers_words_and_lists() {
    let mut patch = SettingsPatch::default();
    for assignment in [
        "size=256",
        "start = noise",
        "content_weight=2",
        "style_layers=conv1_1,conv2_1:0.5",
        "content_layers={conv4_2 = 1.0}",
    ] {
        patch.set(assignment).unwrap();
    }
    assert_eq!(patch.size, Some(256));
    assert_eq!(patch.start, Some(Start::Noise));
    assert_eq!(patch.content_weight, Some(2.0));
    assert_eq!(
        patch.style_layers.unwrap().to_string(),
        "conv1_1,conv2_1:0.5"
    );
    assert_eq!(patch.content_layers.unwrap().to_string(), "conv4_2");
    assert!(SettingsPatch::default().set("size").is_err());
}

#[test]
fn layers_stand_for_both_kinds_and_give_way_to_either_whatever_the_order() {
    let layers = |patch: &SettingsPatch| {
        let written = |layers: &Option<LayerWeights>| layers.as_ref().map(ToString::to_string);
        (written(&patch.content_layers), written(&patch.style_layers))
    };
    let own = |layers: &str| Some(layers.to_owned());
    let text = "style_layers = 'conv2_1'\nlayers = ['conv1_1']\npreset = 'classic'\ncontent_layers = 'conv3_1'";
    let patch = table(text).unwrap();
    assert_eq!(layers(&patch), (own("conv3_1"), own("conv2_1")));
    let patch = table("layers = 'conv1_1'\npreset = 'classic'");
    let patch = patch.unwrap();
    assert_eq!(layers(&patch), (own("conv1_1"), own("conv1_1")));
    assert_eq!(patch.iterations, Some(200), "the preset's");
    let mut patch = SettingsPatch::default();
    for assignment in ["style_layers=conv2_1", "layers=conv1_1", "preset=classic"] {
        patch.set(assignment).unwrap();
    }
    assert_eq!(layers(&patch), (own("conv1_1"), own("conv1_1")));
    assert_eq!(
        patch.set("layers=conv9_1").unwrap_err().to_string(),
        "setting `layers`: `conv9_1` is not a layer; layers are conv1_1 and 1_2, 2_1 and 2_2, \
         3_1 to 3_4, 4_1 to 4_4, 5_1 to 5_4"
    );
}

#[test]
fn a_patch_survives_the_wire_and_the_wire_is_not_trusted() {
    let patch = SettingsPatch::from(RenderSettings::default());
    let wire = v1::RenderSettings::from(&patch);
    assert_eq!(SettingsPatch::try_from(wire.clone()), Ok(patch));

    let mut too_large = wire.clone();
    too_large.size = Some(u32::MAX);
    assert!(matches!(
        SettingsPatch::try_from(too_large),
        Err(SettingsError::OutOfRange { key: "size", .. })
    ));
    let mut unknown_word = wire;
    unknown_word.pooling = Some(77);
    assert!(matches!(
        SettingsPatch::try_from(unknown_word),
        Err(SettingsError::Malformed { key: "pooling", .. })
    ));
}

#[test]
fn every_setting_is_explained_to_users() {
    let page = include_str!("../../../docs/settings.md");
    for key in SettingsPatch::KEYS {
        let in_a_row = page
            .lines()
            .any(|line| line.starts_with("| `") && line.contains(&format!("`{key}`")));
        assert!(in_a_row, "docs/settings.md has no row for {key}");
    }
}

#[test]
fn an_override_hides_only_what_it_sets() {
    let grid = table("size = 256\nseed = 1").unwrap();
    let artist = table("content_weight = 4\nseed = 2").unwrap();
    let settings = artist.over(grid).resolve();
    assert_eq!(
        (settings.size, settings.seed, settings.content_weight),
        (256, 2, 4.0)
    );
}
