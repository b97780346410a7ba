//! What must not be in the bucket: objects of cells that ended without a picture, checkpoints of ended cells, objects that
//! belong to nothing.

use std::collections::{BTreeMap, BTreeSet};

use atelier_gallery::keys::LARGE_SUFFIX;

use super::Facts;
use super::difference::{Difference, Kind};
use super::told::{Pair, Told};
use crate::coordinator::view::CellView;

/// Where everything of the grid belongs.
struct Places<'a> {
    /// What done cells and the gallery refer to.
    referred_to: BTreeSet<String>,
    cells_by_stem: BTreeMap<String, Pair<'a>>,
    /// Whether some cell of its row or column may still be open, by key of the original.
    heads: BTreeMap<String, bool>,
}

pub(super) fn differences(facts: &Facts, told: &Told<'_>) -> Vec<Difference> {
    let places = Places::new(told);
    let prefix = told.keys().prefix();
    let below = facts.objects.keys();
    let below = below.filter(|key| key.starts_with(&prefix) && !places.referred_to.contains(*key));
    below
        .filter_map(|key| places.leftover(key, &prefix, told))
        .collect()
}

impl<'a> Places<'a> {
    fn new(told: &Told<'a>) -> Self {
        let keys = told.keys();
        let mut places = Self {
            referred_to: BTreeSet::from([keys.manifest(), keys.page(), keys.contact_sheet()]),
            cells_by_stem: BTreeMap::new(),
            heads: BTreeMap::new(),
        };
        for pair in told.cells.values() {
            let Some(cell) = pair.cell() else {
                continue;
            };
            if let Some(stem) = told.stem(cell) {
                places.cells_by_stem.insert(stem, *pair);
            }
            for (key, _) in told.heads(cell) {
                if pair.was_done() {
                    places.referred_to.insert(key.clone());
                }
                *places.heads.entry(key).or_default() |= pair.may_be_open();
            }
            let readings = pair.before.into_iter().chain(pair.after);
            let pictures = readings.filter_map(|cell| cell.picture.as_ref());
            let of_pictures = pictures.flat_map(|it| it.keys().cloned());
            places.referred_to.extend(of_pictures);
        }
        places
    }

    /// What is wrong with an object that nothing refers to.
    fn leftover(&self, key: &str, prefix: &str, told: &Told<'_>) -> Option<Difference> {
        let stray = || Some(Difference::new(Kind::Stray, key, "nothing refers to it"));
        if let Some(may_be_open) = self.heads.get(key) {
            let detail = "no cell that shows it is done, and none is open";
            return (!may_be_open).then(|| Difference::new(Kind::Orphan, key, detail));
        }
        let path = key.strip_prefix(prefix).unwrap_or(key);
        let Some((folder, name)) = path.split_once('/') else {
            return stray();
        };
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let stem = match folder {
            "thumbnails" => stem.strip_suffix(LARGE_SUFFIX).unwrap_or(stem),
            _ => stem,
        };
        let Some(pair) = self.cells_by_stem.get(stem) else {
            return stray();
        };
        let cell = pair.cell()?;
        match folder {
            "checkpoints" | "previews"
                if [told.keys().checkpoint(stem), told.keys().preview(stem)]
                    .iter()
                    .any(|known| known == key) =>
            {
                // While the grid goes on, its own node or the end of the grid removes it.
                let is_left = told.is_settled && !pair.may_be_open();
                is_left.then(|| Difference::new(Kind::Checkpoint, key, ended(told, cell)))
            }
            // A node may be about to tell that the picture is there.
            "pictures" | "thumbnails" if pair.may_be_open() => None,
            "pictures" | "thumbnails" if !pair.was_done() => {
                Some(Difference::new(Kind::Orphan, key, ended(told, cell)))
            }
            _ => stray(),
        }
    }
}

fn ended(told: &Told<'_>, cell: &CellView) -> String {
    format!("of {}, which is {}", told.label(cell), cell.state)
}
