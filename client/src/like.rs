//! `atelier submit --like`: cells that somebody marked in a gallery, to be rendered once more, larger or otherwise.
//!
//! A grid is every photo by every artist in every variant, and favourites are seldom: they become as few grids as they fit
//! into. Photos and paintings come from the bucket, where the grid that they were marked in has them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use atelier_gallery::keys::input_key;
use atelier_gallery::manifest::{ArtistEntry, Manifest, PhotoEntry, VariantEntry};
use atelier_gallery::signed::{Method, SignedBucket, Wanted};
use atelier_proto::ids::Digest;
use atelier_proto::settings::SettingsPatch;

use crate::error::Error;
use crate::fetch::FetchError;
use crate::plan::{
    ArtistPlan, BoundMask, MaskPlan, PaintingPlan, PhotoPlan, Plan, VariantPlan, Wishes,
    assignments,
};
use crate::text::{printable, shortened};

/// Characters of the name of the grid that favourites are of, in the name of theirs: so many leave room for the rest.
const THEIR_NAME_CHARACTERS_MAX: usize = 250;

/// Why favourites become no grid.
#[derive(Debug, thiserror::Error)]
pub enum LikeError {
    /// A link that could be of any gallery.
    #[error(
        "`{}` does not tell of which grid these favourites are\nhint: save the list on the gallery's page, and give the file",
        printable(&shortened(list, 100))
    )]
    NoGrid {
        /// As it was given.
        list: String,
    },
    /// Each of them is of a photo or an artist alone.
    #[error(
        "none of these favourites is a photo in an artist's style\n\
         hint: mark pictures of a photo in an artist's style; --reconstructions adds what the network keeps of each of the \
         two alone"
    )]
    OnlyReconstructions,
    /// There is no room for the inputs.
    #[error(
        "cannot make a folder for photos and paintings: {0}\nhint: TMPDIR names where such folders go"
    )]
    Folder(std::io::Error),
}

/// Photos, artists and variants whose combinations are cells, all of them; each by position in its list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    photos: BTreeSet<usize>,
    artists: BTreeSet<usize>,
    variants: BTreeSet<usize>,
}

/// The cells of a manifest as blocks: each cell is in one, and no block has another. Artists that are wanted of the same
/// photos go together, then variants.
fn blocks(manifest: &Manifest) -> Vec<Block> {
    let mut photos = BTreeMap::<_, BTreeSet<usize>>::new();
    for cell in &manifest.cells {
        let of = (cell.variant, cell.artist);
        photos.entry(of).or_default().insert(cell.photo);
    }
    let mut artists = BTreeMap::<_, BTreeSet<usize>>::new();
    for ((variant, artist), photos) in photos {
        artists.entry((variant, photos)).or_default().insert(artist);
    }
    let mut variants = BTreeMap::<_, BTreeSet<usize>>::new();
    for ((variant, photos), artists) in artists {
        variants
            .entry((photos, artists))
            .or_default()
            .insert(variant);
    }
    let blocks = variants.into_iter();
    let blocks = blocks.map(|((photos, artists), variants)| Block {
        photos,
        artists,
        variants,
    });
    blocks.collect()
}

/// Makes plans of a gallery's cells, and brings their inputs into a folder. What is wished for outweighs what the cells were
/// rendered with, but for the settings of single artists.
///
/// # Errors
/// When an input is not in the bucket any more, or a wish is none.
pub async fn plans(
    bucket: &SignedBucket,
    manifest: &Manifest,
    wishes: &Wishes<'_>,
    folder: &Path,
) -> Result<Vec<Plan>, Error> {
    let plans = plans_within(manifest, wishes, folder)?;
    let bucket = bucket.of_grid(manifest.grid_id);
    let inputs = inputs(manifest);
    let wanted = inputs
        .iter()
        .map(|digest| bucket.wanted(Method::Get, input_key(digest)));
    let wanted: Vec<Wanted> = wanted.collect();
    bucket.prepare(&wanted).await.map_err(FetchError::from)?;
    for digest in inputs {
        let (key, path) = (input_key(&digest), place(folder, &digest));
        let download = bucket.download(&key, &path, Some(digest));
        download.await.map_err(FetchError::from)?;
    }
    Ok(plans)
}

/// The plans, whose inputs are to lie in a folder.
fn plans_within(
    manifest: &Manifest,
    wishes: &Wishes<'_>,
    folder: &Path,
) -> Result<Vec<Plan>, Error> {
    let settings = assignments(wishes.settings)?;
    let blocks = blocks(manifest);
    let count = blocks.len();
    if count == 0 {
        return Err(LikeError::OnlyReconstructions.into());
    }
    let plans = blocks.into_iter().enumerate().map(|(index, block)| {
        let plan = plan(manifest, &block, &settings, wishes, folder);
        let part = format!("{} ({} of {count})", plan.name, index + 1);
        let name = if count > 1 { part } else { plan.name.clone() };
        let plan = Plan { name, ..plan };
        plan.check()?;
        Ok(plan)
    });
    plans.collect()
}

fn plan(
    manifest: &Manifest,
    block: &Block,
    settings: &SettingsPatch,
    wishes: &Wishes<'_>,
    folder: &Path,
) -> Plan {
    let photos = block
        .photos
        .iter()
        .filter_map(|index| manifest.photos.get(*index));
    let artists = block
        .artists
        .iter()
        .filter_map(|index| manifest.artists.get(*index));
    let variants = block
        .variants
        .iter()
        .filter_map(|index| manifest.variants.get(*index));
    let name = wishes.name.map(str::to_owned);
    Plan {
        name: name.unwrap_or_else(|| {
            let theirs = shortened(&manifest.name, THEIR_NAME_CHARACTERS_MAX);
            format!("{theirs}, favourites")
        }),
        photos: photos.map(|photo| photo_plan(photo, folder)).collect(),
        artists: artists.map(|artist| artist_plan(artist, folder)).collect(),
        variants: variants
            .map(|variant| variant_plan(variant, settings))
            .collect(),
        settings: settings.clone().over(manifest.settings.clone().into()),
        reconstructions: wishes.reconstructions,
        priority: wishes.priority.unwrap_or_default(),
        labels: wishes.labels.iter().cloned().collect(),
        submitter: wishes.submitter.clone(),
        skipped: Vec::new(),
    }
}

fn photo_plan(photo: &PhotoEntry, folder: &Path) -> PhotoPlan {
    let masks = photo.masks.iter().map(|mask| MaskPlan {
        name: mask.name.clone(),
        path: place(folder, &mask.input.sha256),
    });
    PhotoPlan {
        name: photo.name.clone(),
        path: place(folder, &photo.sha256),
        masks: masks.collect(),
        start: photo
            .start
            .as_ref()
            .map(|start| place(folder, &start.sha256)),
        place: photo.name.clone(),
    }
}

fn artist_plan(artist: &ArtistEntry, folder: &Path) -> ArtistPlan {
    let paintings = artist.paintings.iter().map(|painting| PaintingPlan {
        name: painting.name.clone(),
        path: place(folder, &painting.sha256),
        weight: painting.weight,
        mask: painting.mask.clone().map(|name| BoundMask {
            name,
            place: artist.name.clone(),
        }),
    });
    ArtistPlan {
        name: artist.name.clone(),
        paintings: paintings.collect(),
        settings: artist.settings.clone(),
        place: artist.name.clone(),
    }
}

fn variant_plan(variant: &VariantEntry, settings: &SettingsPatch) -> VariantPlan {
    let is_only = variant.settings == SettingsPatch::default();
    VariantPlan {
        name: variant.name.clone(),
        settings: if is_only {
            SettingsPatch::default()
        } else {
            settings.clone().over(variant.settings.clone())
        },
    }
}

/// The pictures that its cells are made of, each once.
fn inputs(manifest: &Manifest) -> BTreeSet<Digest> {
    let photos = manifest.photos.iter().flat_map(|photo| {
        let masks = photo.masks.iter().map(|mask| mask.input.sha256);
        let start = photo.start.as_ref().map(|start| start.sha256);
        std::iter::once(photo.sha256).chain(masks).chain(start)
    });
    let paintings = manifest.artists.iter().flat_map(|artist| &artist.paintings);
    photos
        .chain(paintings.map(|painting| painting.sha256))
        .collect()
}

fn place(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(digest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(cells: &[(usize, usize, usize)]) -> Manifest {
        let grid = "0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b";
        let cells = cells.iter().enumerate().map(|(place, (photo, artist, variant))| {
            serde_json::json!({"cell_id": format!("{grid}/{place}"), "photo": photo, "artist": artist,
                "variant": variant, "state": "queued", "attempts": 0})
        });
        let input =
            serde_json::json!({"name": "n", "sha256": "1".repeat(64), "width": 1, "height": 1});
        let mut painting = input.clone();
        painting["weight"] = 1.0.into();
        let artist = serde_json::json!({"name": "a", "paintings": [painting]});
        let seeds = [1, 2].map(
            |seed| serde_json::json!({"name": format!("seed={seed}"), "settings": {"seed": seed}}),
        );
        let manifest = serde_json::json!({
            "version": 1, "grid_id": grid, "name": "Ride", "submitted_at": "2026-06-01T10:00:00Z", "complete": true,
            "state": "finished", "settings": {"size": 256}, "photos": [input, input, input],
            "artists": [artist, artist, artist], "variants": seeds, "cells": cells.collect::<Vec<_>>(),
        });
        Manifest::from_json(manifest.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn favourites_are_as_few_blocks_as_they_fit_into_and_every_one_is_in_one() {
        let whole: Vec<_> = (0..18).map(|it| (it % 3, it / 3 % 3, it / 9)).collect();
        assert_eq!(blocks(&manifest(&whole)).len(), 1);
        let some = [
            (0, 0, 0),
            (0, 0, 1),
            (1, 0, 0),
            (1, 0, 1),
            (2, 2, 1),
            (0, 1, 0),
        ];
        let found = blocks(&manifest(&some));
        assert_eq!(found.len(), 3);
        let mut cells = Vec::new();
        for block in &found {
            for photo in &block.photos {
                for artist in &block.artists {
                    cells.extend(block.variants.iter().map(|it| (*photo, *artist, *it)));
                }
            }
        }
        cells.sort_unstable();
        let mut expected = some.to_vec();
        expected.sort_unstable();
        assert_eq!(cells, expected);
    }

    #[test]
    fn a_wish_that_makes_no_grid_is_refused_before_anything_is_fetched() {
        let told = |settings: &str, name: Option<&str>| {
            let settings = [settings.to_owned()];
            let wishes = Wishes {
                name,
                settings: &settings,
                ..Wishes::default()
            };
            let mut manifest = manifest(&[(0, 0, 1)]);
            manifest.name = "é".repeat(300);
            let plans = plans_within(&manifest, &wishes, Path::new("inputs"));
            plans.map_err(|error| error.to_string())
        };
        let plans = told("size=512", None).unwrap();
        assert!(plans[0].name.ends_with("…, favourites"));
        let without = told("start=file", None).unwrap_err();
        assert!(
            without.contains("names no picture to begin from"),
            "{without}"
        );
        let alone = plans_within(&manifest(&[]), &Wishes::default(), Path::new("inputs"));
        let alone = alone.unwrap_err().to_string();
        assert!(alone.contains("none of these favourites"), "{alone}");
        let long = told("size=512", Some(&"x".repeat(301))).unwrap_err();
        assert!(long.contains("301 characters"), "{long}");
    }

    #[test]
    fn what_is_wished_for_outweighs_what_was_swept_and_set() {
        let manifest = manifest(&[(0, 0, 1)]);
        let settings = assignments(&["size=1024".to_owned(), "seed=9".to_owned()]).unwrap();
        let block = &blocks(&manifest)[0];
        let plan = plan(
            &manifest,
            block,
            &settings,
            &Wishes::default(),
            Path::new("inputs"),
        );
        assert_eq!(plan.name, "Ride, favourites");
        assert_eq!(plan.settings.size, Some(1024));
        assert_eq!(plan.variants[0].settings.seed, Some(9));
        assert_eq!(
            plan.photos[0].path,
            Path::new("inputs").join("1".repeat(64))
        );
    }
}
