//! A part of a gallery: the cells that somebody chose, with the photos, artists and variants that they are of.

use super::{Manifest, ReconstructionOf};

/// What a cell is of, by position in the manifest's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Place in the order in which cells are served, which never changes.
    pub place: u32,
    /// Position in [`Manifest::photos`]; `None` of an artist alone.
    pub photo: Option<usize>,
    /// Position in [`Manifest::artists`]; `None` of a photo alone.
    pub artist: Option<usize>,
    /// Position in [`Manifest::variants`].
    pub variant: usize,
}

impl Manifest {
    /// What its cells are of, reconstructions included.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        let cells = self.cells.iter().map(|cell| Subject {
            place: cell.cell_id.place,
            photo: Some(cell.photo),
            artist: Some(cell.artist),
            variant: cell.variant,
        });
        let reconstructions = self.reconstructions.iter().map(|entry| {
            let (photo, artist) = match entry.of {
                ReconstructionOf::Photo(photo) => (Some(photo), None),
                ReconstructionOf::Artist(artist) => (None, Some(artist)),
            };
            Subject {
                place: entry.cell_id.place,
                photo,
                artist,
                variant: entry.variant,
            }
        });
        cells.chain(reconstructions)
    }

    /// The same gallery with the chosen cells alone; photos, artists and variants of which none was chosen are not in it.
    /// Cells keep their ids.
    #[must_use]
    pub fn select(&self, is_chosen: impl Fn(&Subject) -> bool) -> Self {
        let chosen: Vec<bool> = self.subjects().map(|subject| is_chosen(&subject)).collect();
        let kept = |of: fn(&Subject) -> Option<usize>, length: usize| {
            let mut is_kept = vec![false; length];
            for (subject, chosen) in self.subjects().zip(&chosen) {
                if let Some(index) = of(&subject).filter(|_| *chosen)
                    && let Some(kept) = is_kept.get_mut(index)
                {
                    *kept = true;
                }
            }
            Positions::of(&is_kept)
        };
        let photos = kept(|subject| subject.photo, self.photos.len());
        let artists = kept(|subject| subject.artist, self.artists.len());
        let variants = kept(|subject| Some(subject.variant), self.variants.len());
        let (cells_chosen, others_chosen) = chosen.split_at(self.cells.len());
        let cells = self.cells.iter().zip(cells_chosen).filter(|(_, it)| **it);
        let cells = cells.filter_map(|(cell, _)| {
            let mut cell = cell.clone();
            cell.photo = photos.now(cell.photo)?;
            cell.artist = artists.now(cell.artist)?;
            cell.variant = variants.now(cell.variant)?;
            Some(cell)
        });
        let others = self.reconstructions.iter().zip(others_chosen);
        let others = others.filter(|(_, it)| **it).filter_map(|(entry, _)| {
            let mut entry = entry.clone();
            entry.variant = variants.now(entry.variant)?;
            entry.of = match entry.of {
                ReconstructionOf::Photo(photo) => ReconstructionOf::Photo(photos.now(photo)?),
                ReconstructionOf::Artist(artist) => ReconstructionOf::Artist(artists.now(artist)?),
            };
            Some(entry)
        });
        Self {
            cells: cells.collect(),
            reconstructions: others.collect(),
            photos: photos.kept(&self.photos),
            artists: artists.kept(&self.artists),
            variants: variants.kept(&self.variants),
            ..self.without_lists()
        }
    }

    /// What is not a list of it.
    fn without_lists(&self) -> Self {
        Self {
            version: self.version,
            grid_id: self.grid_id,
            name: self.name.clone(),
            submitted_at: self.submitted_at,
            finished_at: self.finished_at,
            complete: self.complete,
            state: self.state.clone(),
            settings: self.settings.clone(),
            photos: Vec::new(),
            artists: Vec::new(),
            variants: Vec::new(),
            cells: Vec::new(),
            reconstructions: Vec::new(),
        }
    }
}

/// Where entries of a list go when some are left out.
struct Positions(Vec<Option<usize>>);

impl Positions {
    fn of(is_kept: &[bool]) -> Self {
        let mut next = 0;
        let positions = is_kept.iter().map(|kept| {
            let position = next;
            next += usize::from(*kept);
            kept.then_some(position)
        });
        Self(positions.collect())
    }

    fn now(&self, before: usize) -> Option<usize> {
        *self.0.get(before)?
    }

    fn kept<T: Clone>(&self, entries: &[T]) -> Vec<T> {
        let kept = entries.iter().zip(&self.0).filter(|(_, new)| new.is_some());
        kept.map(|(entry, _)| entry.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::sample_with_reconstructions;

    #[test]
    fn the_chosen_cells_are_of_the_same_photos_and_artists_at_new_positions() {
        let whole = sample_with_reconstructions();
        let part = whole.select(|subject| subject.artist == Some(1));
        let names: Vec<&str> = part.artists.iter().map(|artist| &*artist.name).collect();
        assert_eq!(names, ["Signac"]);
        assert_eq!(part.photos, whole.photos);
        let places: Vec<u32> = part.subjects().map(|subject| subject.place).collect();
        assert_eq!(places, [1, 3, 7]);
        assert_eq!(part.cells[1].outcome, whole.cells[3].outcome);
        assert_eq!((part.cells[1].photo, part.cells[1].artist), (1, 0));
        assert_eq!(part.reconstructions[0].of, ReconstructionOf::Artist(0));
        part.check().unwrap();
        assert_eq!(whole.select(|_| true), whole);
        let none = whole.select(|_| false);
        assert!(none.cells.is_empty() && none.photos.is_empty() && none.variants.is_empty());
    }
}
