//! The bucket keys of a grid's cells: where nodes put their pictures, and where the manifest finds them.

use atelier_gallery::keys;
use atelier_proto::ids::GridId;

use super::grid::{GridSpec, Position};

/// The names of a grid, made into parts of keys.
#[derive(Debug, Clone)]
pub struct GridNames(keys::GridNames);

/// The keys of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellKeys {
    /// The picture.
    pub picture: String,
    /// The picture, reduced.
    pub thumbnail: String,
    /// The picture, less reduced.
    pub large_thumbnail: String,
    /// What has become of the picture so far, while it is rendered.
    pub checkpoint: String,
    /// What it looks like so far, while it is rendered.
    pub preview: String,
    /// The photo, reduced; shared by its row. `None` of an artist alone.
    pub photo_original: Option<String>,
    /// The artist's first painting, reduced; shared by its column. `None` of a photo alone.
    pub artist_original: Option<String>,
}

impl GridNames {
    /// The names of a grid. The same grid has the same ones, whoever asks and whenever.
    pub fn new(grid: GridId, spec: &GridSpec) -> Self {
        Self(keys::GridNames::new(
            grid,
            spec.photos().iter().map(|photo| photo.name.as_str()),
            spec.artists().iter().map(|artist| artist.name.as_str()),
            spec.variants().iter().map(|variant| variant.name.as_str()),
        ))
    }

    /// The keys of a cell whose picture has the given file name extension; `None` if the grid has no such cell.
    pub fn cell(&self, position: Position, extension: &str) -> Option<CellKeys> {
        let (keys, stem) = (self.0.keys(), self.stem(position)?);
        let photo = position.subject.photo();
        let artist = position.subject.artist();
        Some(CellKeys {
            picture: keys.picture(&stem, extension),
            thumbnail: keys.thumbnail(&stem),
            large_thumbnail: keys.large_thumbnail(&stem),
            checkpoint: keys.checkpoint(&stem),
            preview: keys.preview(&stem),
            photo_original: photo.and_then(|photo| self.photo_original(photo)),
            artist_original: artist.and_then(|artist| self.artist_original(artist)),
        })
    }

    /// The key of a cell's checkpoint.
    pub fn checkpoint(&self, position: Position) -> Option<String> {
        Some(self.0.keys().checkpoint(&self.stem(position)?))
    }

    /// The key of a cell's preview.
    pub fn preview(&self, position: Position) -> Option<String> {
        Some(self.0.keys().preview(&self.stem(position)?))
    }

    fn stem(&self, position: Position) -> Option<String> {
        let Position { subject, variant } = position;
        self.0.stem(subject.photo(), subject.artist(), variant)
    }

    /// The key of a photo, reduced.
    pub fn photo_original(&self, photo: usize) -> Option<String> {
        self.0.photo_original(photo)
    }

    /// The key of an artist's first painting, reduced.
    pub fn artist_original(&self, artist: usize) -> Option<String> {
        self.0.artist_original(artist)
    }

    /// The key as the gallery's own files name it: relative to them.
    pub fn relative(&self, key: &str) -> String {
        key.strip_prefix(&self.0.keys().prefix())
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
        let names = ["..", "🎨", "style", "content"];
        for (artist, name) in draft.artists.iter_mut().zip(names) {
            artist.name = name.to_owned();
        }
        for (photo, name) in draft.photos.iter_mut().zip(["content", "style", "A/B"]) {
            photo.name = name.to_owned();
        }
        draft.reconstructions = true;
        let spec = GridSpec::accept(draft, 100).unwrap();
        let grid = GridId::generate();
        let names = GridNames::new(grid, &spec);
        let keys: BTreeSet<_> = spec
            .positions()
            .map(|position| names.cell(position, "jpg").unwrap().picture)
            .collect();
        assert_eq!(keys.len(), 12 + 3 + 4);
        for key in &keys {
            let relative = names.relative(key);
            let stem = relative
                .strip_prefix("pictures/")
                .and_then(|name| name.strip_suffix(".jpg"))
                .unwrap();
            assert!(
                stem.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')),
                "{key}"
            );
            assert!(key.starts_with(&format!("grids/{grid}/")));
        }
    }
}
