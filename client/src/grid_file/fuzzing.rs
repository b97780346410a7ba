//! Grid files and settings from anywhere.

use std::path::Path;
use std::sync::LazyLock;

use atelier_proto::settings::SettingsPatch;
use tempfile::TempDir;
use toml::Value;

use super::of_text;
use crate::error::Error;
use crate::fuzzing::assert_printable;
use crate::plan::PRIORITIES;

/// Longest text of an error of one setting, which the board puts into an answer, bytes.
const ERROR_BYTES_MAX: usize = 4_000;

static FOLDER: LazyLock<TempDir> = LazyLock::new(folder);

/// A folder with what grid files may name: photos, paintings, masks.
pub(super) fn folder() -> TempDir {
    let made = tempfile::tempdir().and_then(|folder| {
        for file in [
            "photos/a.png",
            "photos/b.png",
            "artists/one.png",
            "artists/two.png",
            "masks/sky.png",
            "masks/sketch.png",
        ] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
            std::fs::write(path, "")?;
        }
        Ok(folder)
    });
    match made {
        Ok(folder) => folder,
        Err(error) => panic!("there is no folder for grid files: {error}"),
    }
}

/// A grid file that is read names files that are there, weights above 0, and settings and a priority within their limits; what
/// is told of another one names the file and a line of it, and leaves a terminal as it is.
///
/// # Panics
/// Where that is not so.
pub fn grid_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // Whoever says so may read the whole disk, which takes long and depends on the machine.
    if text
        .parse::<toml::Table>()
        .is_ok_and(|table| table.values().any(leaves_the_folder))
    {
        return;
    }
    let path = FOLDER.path().join("grid.toml");
    let file = match of_text(&path, text) {
        Ok(file) => file,
        Err(error) => {
            let told = error.to_string();
            let place = told.strip_prefix(&format!("{}:", path.display()));
            let line = place.and_then(|place| place.split(':').next()?.parse::<usize>().ok());
            let lines = 1 + text.matches('\n').count();
            assert!(
                line.is_some_and(|line| (1..=lines).contains(&line)),
                "{told}"
            );
            assert_printable(error);
            return;
        }
    };
    let is_there = |path: &Path| assert!(path.is_file(), "{}", path.display());
    for photo in &file.photos {
        is_there(&photo.path);
        photo.start.iter().for_each(|path| is_there(path));
        photo.masks.iter().for_each(|mask| is_there(&mask.path));
    }
    for painting in file.artists.iter().flat_map(|artist| &artist.paintings) {
        is_there(&painting.path);
        assert!(painting.weight > 0.0 && painting.weight <= 1e9);
    }
    assert!(
        file.priority
            .is_none_or(|it| PRIORITIES.contains(&it.into()))
    );
    let swept = file.sweep.iter().flat_map(|swept| &swept.values);
    let swept = swept.map(|(_, settings)| settings);
    let artists = file.artists.iter().map(|artist| &artist.settings);
    for settings in artists.chain(swept).chain([&file.settings]) {
        assert_sendable(settings);
    }
}

/// Lines of `key=value`, as people and the board give them: settings that are read are what a coordinator takes; what is told
/// of others is short and leaves a terminal as it is.
///
/// # Panics
/// Where that is not so.
pub fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut settings = SettingsPatch::default();
    for assignment in text.lines() {
        if let Err(error) = settings.set(assignment) {
            let told = error.to_string();
            let bytes = told.len();
            assert!(bytes <= ERROR_BYTES_MAX, "{bytes} bytes: {told}");
            assert_printable(Error::Setting {
                assignment: assignment.to_owned(),
                problem: error,
            });
        }
    }
    assert_sendable(&settings);
}

/// Settings that are read are what a coordinator takes, and the same there.
fn assert_sendable(settings: &SettingsPatch) {
    let sent = atelier_proto::v1::RenderSettings::from(settings);
    match SettingsPatch::try_from(sent) {
        Ok(received) => assert!(&received == settings, "{settings:?} became {received:?}"),
        Err(error) => panic!("no coordinator takes {settings:?}: {error}"),
    }
}

fn leaves_the_folder(value: &Value) -> bool {
    match value {
        Value::String(text) => Path::new(text).is_absolute() || text.contains(".."),
        Value::Array(values) => values.iter().any(leaves_the_folder),
        Value::Table(table) => table.values().any(leaves_the_folder),
        _ => false,
    }
}

/// What a fuzzer of settings begins with.
#[cfg(test)]
pub(crate) fn seeds_of_settings() -> [(String, Vec<u8>); 2] {
    let plain = "preset=gatys\nsize = 256\nseed=7\nformat=jpeg\ncolours=luminance";
    let layers = "layers=conv1_1:0.5 conv4_2\nstyle_layers=[\"conv3_4\"]\ncontent_weight=1e-3";
    [("plain", plain), ("layers", layers)].map(|(name, seed)| (name.to_owned(), seed.into()))
}
