//! What a draft must be to be accepted as a grid.

use std::collections::{HashMap, HashSet};

use atelier_proto::settings::{RenderSettings, Start};

use super::{Artist, Draft, Input, Photo};
use crate::domain::field::{InvalidField, Problem, check_count, check_text};

/// Longest name of a grid, photo, mask, artist or painting.
pub const NAME_CHARS_MAX: usize = 300;
/// Longest name of a variant, which lists the settings that it changes.
const VARIANT_NAME_CHARS_MAX: usize = 1000;
/// Longest side of an input.
pub const SIDE_PIXELS_MAX: u32 = 30_000;
/// Most paintings of one artist.
const PAINTINGS_MAX: usize = 64;
/// Most masks of one photo.
const MASKS_MAX: usize = 64;
/// Largest weight of a painting.
const WEIGHT_MAX: f64 = 1e9;

/// Checks a draft that has its variants, at least one.
pub(super) fn draft(draft: &Draft, cells_max: u32) -> Result<(), InvalidField> {
    cells(draft, cells_max)?;
    check_text("name", &draft.name, 1, NAME_CHARS_MAX)?;
    for (index, photo) in draft.photos.iter().enumerate() {
        self::photo(photo).map_err(|error| error.within(&format!("photos[{index}]")))?;
    }
    for (index, artist) in draft.artists.iter().enumerate() {
        self::artist(artist).map_err(|error| error.within(&format!("artists[{index}]")))?;
    }
    let only = draft.variants.len() == 1;
    for (index, variant) in draft.variants.iter().enumerate() {
        let path = format!("variants[{index}].name");
        let least = usize::from(!only);
        check_text(&path, &variant.name, least, VARIANT_NAME_CHARS_MAX)?;
    }
    unique("photos", draft.photos.iter().map(|photo| &photo.name))?;
    unique("artists", draft.artists.iter().map(|artist| &artist.name))?;
    let variants = draft.variants.iter().map(|variant| &variant.name);
    unique("variants", variants)?;
    masks_are_there(draft)?;
    starts_are_there(draft)?;
    every_cell_has_an_aim(draft)
}

fn cells(draft: &Draft, cells_max: u32) -> Result<(), InvalidField> {
    let (photos, artists, variants) = (
        draft.photos.len(),
        draft.artists.len(),
        draft.variants.len(),
    );
    check_count("photos", photos, 1, usize::MAX)
        .and_then(|()| check_count("artists", artists, 1, usize::MAX))
        .map_err(|error| InvalidField::new(error.field, Problem::Missing))?;
    let reconstructions = if draft.reconstructions {
        photos as u128 + artists as u128
    } else {
        0
    };
    let cells = (photos as u128 * artists as u128 + reconstructions) * variants as u128;
    if cells > u128::from(cells_max) {
        let problem = Problem::TooManyCells {
            photos,
            artists,
            variants,
            reconstructions: draft.reconstructions,
            cells,
            cells_max,
        };
        return Err(InvalidField::new("grid", problem));
    }
    Ok(())
}

fn photo(photo: &Photo) -> Result<(), InvalidField> {
    check_text("name", &photo.name, 1, NAME_CHARS_MAX)?;
    input("input", &photo.input)?;
    check_count("masks", photo.masks.len(), 0, MASKS_MAX)?;
    for (index, mask) in photo.masks.iter().enumerate() {
        let path = format!("masks[{index}]");
        check_text(&format!("{path}.name"), &mask.name, 1, NAME_CHARS_MAX)?;
        input(&format!("{path}.input"), &mask.input)?;
    }
    unique("masks", photo.masks.iter().map(|mask| &mask.name))?;
    match &photo.start {
        Some(start) => input("start", start),
        None => Ok(()),
    }
}

fn artist(artist: &Artist) -> Result<(), InvalidField> {
    check_text("name", &artist.name, 1, NAME_CHARS_MAX)?;
    check_count("paintings", artist.paintings.len(), 1, PAINTINGS_MAX)?;
    for (index, painting) in artist.paintings.iter().enumerate() {
        let path = format!("paintings[{index}]");
        check_text(&format!("{path}.name"), &painting.name, 0, NAME_CHARS_MAX)?;
        input(&format!("{path}.input"), &painting.input)?;
        if !(painting.weight > 0.0 && painting.weight <= WEIGHT_MAX) {
            let problem = Problem::OutOfRange {
                value: painting.weight.to_string(),
                range: "above 0 and at most 1e9",
            };
            return Err(InvalidField::new(format!("{path}.weight"), problem));
        }
        if let Some(mask) = &painting.mask {
            check_text(&format!("{path}.mask"), mask, 1, NAME_CHARS_MAX)?;
        }
    }
    Ok(())
}

fn input(path: &str, input: &Input) -> Result<(), InvalidField> {
    for (side, pixels) in [("width", input.width), ("height", input.height)] {
        if !(1..=SIDE_PIXELS_MAX).contains(&pixels) {
            let problem = Problem::OutOfRange {
                value: pixels.to_string(),
                range: "from 1 to 30000",
            };
            return Err(InvalidField::new(format!("{path}.{side}"), problem));
        }
    }
    Ok(())
}

fn unique<'a>(list: &str, names: impl Iterator<Item = &'a String>) -> Result<(), InvalidField> {
    let mut seen = HashMap::new();
    for (index, name) in names.enumerate() {
        if let Some(earlier) = seen.insert(name, index) {
            let problem = Problem::Duplicate {
                name: name.clone(),
                earlier: format!("{list}[{earlier}]"),
            };
            return Err(InvalidField::new(format!("{list}[{index}].name"), problem));
        }
    }
    Ok(())
}

/// Every photo has every mask that some painting is bound to, because every photo meets every artist.
fn masks_are_there(draft: &Draft) -> Result<(), InvalidField> {
    let mut seen = HashSet::new();
    for (index, artist) in draft.artists.iter().enumerate() {
        for (of_artist, painting) in artist.paintings.iter().enumerate() {
            // Many paintings may be bound to one mask; it is looked for once.
            let Some(mask) = painting.mask.as_ref().filter(|mask| seen.insert(*mask)) else {
                continue;
            };
            let lacks = |photo: &Photo| photo.masks.iter().all(|has| has.name != *mask);
            let mut photos = draft.photos.iter().enumerate();
            if let Some((photo_index, photo)) = photos.find(|(_, photo)| lacks(photo)) {
                let problem = Problem::LacksMask {
                    mask: mask.clone(),
                    artist: artist.name.clone(),
                    photo: photo.name.clone(),
                    photo_index,
                };
                let path = format!("artists[{index}].paintings[{of_artist}].mask");
                return Err(InvalidField::new(path, problem));
            }
        }
    }
    Ok(())
}

/// Every photo has a start if some cell of its row begins from it.
fn starts_are_there(draft: &Draft) -> Result<(), InvalidField> {
    let mut photos = draft.photos.iter().enumerate();
    let Some((index, photo)) = photos.find(|(_, photo)| photo.start.is_none()) else {
        return Ok(());
    };
    for artist in &draft.artists {
        for variant in &draft.variants {
            let layers = [&variant.settings, &artist.settings, &draft.settings];
            let start = layers.into_iter().find_map(|settings| settings.start);
            if start.unwrap_or(RenderSettings::default().start) == Start::File {
                let problem = Problem::LacksStart {
                    photo: photo.name.clone(),
                    artist: artist.name.clone(),
                };
                return Err(InvalidField::new(format!("photos[{index}].start"), problem));
            }
        }
    }
    Ok(())
}

/// No cell of a photo and an artist is left without anything to aim at. Reconstructions that would be are not made.
fn every_cell_has_an_aim(draft: &Draft) -> Result<(), InvalidField> {
    for (index, artist) in draft.artists.iter().enumerate() {
        let artist_settings = artist.settings.clone().over(draft.settings.clone());
        for variant in &draft.variants {
            let settings = variant.settings.clone().over(artist_settings.clone());
            let Some(weights) = settings.resolve().missing_weight() else {
                continue;
            };
            let problem = Problem::Weightless {
                weights,
                variant: variant.name.clone(),
            };
            return Err(InvalidField::new(
                format!("artists[{index}].settings"),
                problem,
            ));
        }
    }
    Ok(())
}
