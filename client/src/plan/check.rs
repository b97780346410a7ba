//! What a plan must be, as far as that goes without opening a picture.

use std::collections::HashMap;

use atelier_proto::settings::{RenderSettings, Start};

use super::{
    CELLS_MAX, LABEL_CHARACTERS_MAX, LABELS_MAX, NAME_CHARACTERS_MAX, PAINTINGS_MAX, PhotoPlan,
    Plan, PlanError, SUBMITTER_CHARACTERS_MAX, VariantPlan,
};
use crate::text::shortened;

impl Plan {
    /// Names the first thing that is wrong.
    pub(crate) fn check(&self) -> Result<(), PlanError> {
        if self.photos.is_empty() {
            return Err(PlanError::NoCells { what: "no photo" });
        }
        if self.artists.is_empty() {
            return Err(PlanError::NoCells { what: "no artist" });
        }
        check_name("the grid", "--name", &self.name)?;
        self.check_submitter()?;
        self.check_labels()?;
        self.check_photos()?;
        self.check_artists()?;
        if self.cells() > CELLS_MAX {
            return Err(PlanError::TooManyCells {
                photos: self.photos.len(),
                artists: self.artists.len(),
                variants: self.variants.len().max(1),
                reconstructions: self.reconstructions,
            });
        }
        self.check_masks()?;
        self.check_starts()?;
        self.check_weights()
    }

    fn check_submitter(&self) -> Result<(), PlanError> {
        let submitter = self.submitter.named.as_ref();
        let submitter = submitter.unwrap_or(&self.submitter.user);
        let characters = submitter.chars().count();
        if characters > SUBMITTER_CHARACTERS_MAX {
            return Err(PlanError::SubmitterLength { characters });
        }
        check_characters("the submitter", "--submitter", submitter)
    }

    fn check_labels(&self) -> Result<(), PlanError> {
        if self.labels.len() > LABELS_MAX {
            return Err(PlanError::TooManyLabels {
                labels: self.labels.len(),
            });
        }
        for (name, value) in &self.labels {
            let (of_name, of_value) = (name.chars().count(), value.chars().count());
            if of_name == 0 || of_name.max(of_value) > LABEL_CHARACTERS_MAX {
                return Err(PlanError::LabelLength { name: name.clone() });
            }
            check_characters("a label", "labels", name)?;
            check_characters("the value of a label", "labels", value)?;
        }
        Ok(())
    }

    fn check_photos(&self) -> Result<(), PlanError> {
        let mut places: HashMap<&str, &str> = HashMap::new();
        for photo in &self.photos {
            check_name("a photo", &photo.path.to_string_lossy(), &photo.name)?;
            if let Some(first) = places.insert(&photo.name, &photo.place) {
                return Err(PlanError::SamePhoto {
                    name: photo.name.clone(),
                    first: first.to_owned(),
                    second: photo.place.clone(),
                });
            }
            for mask in &photo.masks {
                check_name("a mask", &photo.place, &mask.name)?;
            }
        }
        Ok(())
    }

    fn check_artists(&self) -> Result<(), PlanError> {
        let mut places: HashMap<&str, &str> = HashMap::new();
        for artist in &self.artists {
            check_name("an artist", &artist.place, &artist.name)?;
            if let Some(first) = places.insert(&artist.name, &artist.place) {
                return Err(PlanError::SameArtist {
                    name: artist.name.clone(),
                    first: first.to_owned(),
                    second: artist.place.clone(),
                });
            }
            if artist.paintings.len() > PAINTINGS_MAX {
                return Err(PlanError::TooManyPaintings {
                    place: artist.place.clone(),
                    paintings: artist.paintings.len(),
                });
            }
        }
        Ok(())
    }

    /// Every photo meets every artist, and so has every mask that some painting is bound to.
    fn check_masks(&self) -> Result<(), PlanError> {
        for artist in &self.artists {
            for bound in artist.paintings.iter().filter_map(|it| it.mask.as_ref()) {
                check_name("a mask", &bound.place, &bound.name)?;
                let has = |photo: &PhotoPlan| photo.masks.iter().any(|it| it.name == bound.name);
                if let Some(photo) = self.photos.iter().find(|photo| !has(photo)) {
                    return Err(PlanError::LacksMask {
                        place: bound.place.clone(),
                        photo: shortened(&photo.name, 80),
                        artist: shortened(&artist.name, 80),
                        mask: shortened(&bound.name, 80),
                    });
                }
            }
        }
        Ok(())
    }

    /// A photo has a start if some cell of its row begins from it.
    fn check_starts(&self) -> Result<(), PlanError> {
        let Some(photo) = self.photos.iter().find(|photo| photo.start.is_none()) else {
            return Ok(());
        };
        for artist in &self.artists {
            for variant in self.variants_or(&VariantPlan::default()) {
                let layers = [&variant.settings, &artist.settings, &self.settings];
                let start = layers.into_iter().find_map(|settings| settings.start);
                if start.unwrap_or(RenderSettings::default().start) == Start::File {
                    return Err(PlanError::LacksStart {
                        place: photo.place.clone(),
                        photo: shortened(&photo.name, 80),
                        artist: shortened(&artist.name, 80),
                        variant: variant.name.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// No cell of a photo and an artist is left without anything to aim at. Reconstructions that would be are not made.
    fn check_weights(&self) -> Result<(), PlanError> {
        for artist in &self.artists {
            let artist_settings = artist.settings.clone().over(self.settings.clone());
            for variant in self.variants_or(&VariantPlan::default()) {
                let settings = variant.settings.clone().over(artist_settings.clone());
                let Some(weights) = settings.resolve().missing_weight() else {
                    continue;
                };
                return Err(PlanError::Weightless {
                    place: artist.place.clone(),
                    artist: shortened(&artist.name, 80),
                    weights,
                    variant: variant.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// The points of the sweep, or `only` where nothing is swept.
    fn variants_or<'a>(&'a self, only: &'a VariantPlan) -> &'a [VariantPlan] {
        match self.variants.as_slice() {
            [] => std::slice::from_ref(only),
            several => several,
        }
    }
}

fn check_name(what: &'static str, place: &str, name: &str) -> Result<(), PlanError> {
    let characters = name.chars().count();
    if name.trim().is_empty() || characters > NAME_CHARACTERS_MAX {
        return Err(PlanError::NameLength {
            what,
            place: place.to_owned(),
            characters,
        });
    }
    check_characters(what, place, name)
}

fn check_characters(what: &'static str, place: &str, text: &str) -> Result<(), PlanError> {
    if text.chars().any(char::is_control) {
        return Err(PlanError::ControlCharacter {
            what,
            place: place.to_owned(),
        });
    }
    Ok(())
}
