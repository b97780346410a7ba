//! The bucket keys of a grid's cells: where nodes put their pictures, and where the manifest finds them.

use atelier_gallery::keys::{GridKeys, cell_stem, slugs};
use atelier_proto::ids::GridId;

use super::grid::{GridSpec, Position};

/// The names of a grid, made into parts of keys.
#[derive(Debug, Clone)]
pub struct GridNames {
    keys: GridKeys,
    photos: Vec<String>,
    artists: Vec<String>,
    /// `None` for the only variant of a grid without a sweep.
    variants: Vec<Option<String>>,
}

/// The keys of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellKeys {
    /// The picture.
    pub picture: String,
    /// The picture, reduced.
    pub thumbnail: String,
    /// The photo, reduced; shared by its row.
    pub photo_original: String,
    /// The artist's first painting, reduced; shared by its column.
    pub artist_original: String,
}

impl GridNames {
    /// The names of a grid. The same grid has the same ones, whoever asks and whenever.
    pub fn new(grid: GridId, spec: &GridSpec) -> Self {
        let photos = spec.photos().iter().map(|photo| photo.name.as_str());
        let artists = spec.artists().iter().map(|artist| artist.name.as_str());
        let variants = spec.variants().iter().map(|variant| variant.name.as_str());
        let is_swept = spec.variants().len() > 1
            || spec
                .variants()
                .iter()
                .any(|variant| !variant.name.is_empty());
        Self {
            keys: GridKeys::new(grid),
            photos: slugs(photos),
            artists: slugs(artists),
            variants: slugs(variants)
                .into_iter()
                .map(|slug| is_swept.then_some(slug))
                .collect(),
        }
    }

    /// The keys of a cell whose picture has the given file name extension; `None` if the grid has no such cell.
    pub fn cell(&self, position: Position, extension: &str) -> Option<CellKeys> {
        let photo = self.photos.get(position.photo)?;
        let artist = self.artists.get(position.artist)?;
        let variant = self.variants.get(position.variant)?;
        let stem = cell_stem(photo, artist, variant.as_deref());
        Some(CellKeys {
            picture: self.keys.picture(&stem, extension),
            thumbnail: self.keys.thumbnail(&stem),
            photo_original: self.keys.photo_original(photo),
            artist_original: self.keys.artist_original(artist),
        })
    }

    /// The key as the gallery's own files name it: relative to them.
    pub fn relative(&self, key: &str) -> String {
        key.strip_prefix(&self.keys.prefix())
            .unwrap_or(key)
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::grid::tests::draft;
    use super::*;

    #[test]
    fn every_cell_has_a_picture_of_its_own_below_its_grid_whatever_the_names() {
        let mut draft = draft(3, 4);
        for (artist, name) in draft.artists.iter_mut().zip(["..", "🎨", "A/B", "a b"]) {
            artist.name = name.to_owned();
        }
        let spec = GridSpec::accept(draft, 100).unwrap();
        let grid = GridId::generate();
        let names = GridNames::new(grid, &spec);
        let keys: BTreeSet<_> = spec
            .positions()
            .map(|position| names.cell(position, "jpg").unwrap().picture)
            .collect();
        assert_eq!(keys.len(), 12);
        for key in &keys {
            let relative = names.relative(key);
            let stem = relative
                .strip_prefix("pictures/")
                .and_then(|name| name.strip_suffix(".jpg"))
                .unwrap();
            assert!(
                stem.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
                "{key}"
            );
            assert!(key.starts_with(&format!("grids/{grid}/")));
        }
    }
}
