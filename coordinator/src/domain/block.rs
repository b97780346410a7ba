//! Which queued cells a node gets at once.
//!
//! The store names the grid to be served first and its first queued cells; this file picks from them. Cells of a block
//! have one output shape, so that they can be optimised in one batch, and share photos and artists, so that inputs are
//! fetched and style statistics made once.

use std::collections::HashSet;

use atelier_proto::ids::{CellId, Digest};

use super::grid::{GridSpec, Position};

/// What a node asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Most cells; 1 or more.
    pub cells_max: usize,
    /// Inputs that it has at hand.
    pub cached: HashSet<Digest>,
}

/// A cell that waits for a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedCell {
    /// The cell.
    pub id: CellId,
    /// Where it is in its grid.
    pub position: Position,
}

/// A queued cell with what counts for the choice.
struct Candidate {
    queued: QueuedCell,
    cached: usize,
    shape: (u32, u32),
}

/// Picks at most `wanted.cells_max` of the queued cells of one grid, which come in the order of service.
///
/// The first is the cell whose inputs the node has at hand the most, or else the one whose turn it is. The others have
/// its shape; those of its variant come first, because other settings seldom share a batch, among them those of its artist,
/// then those of its photo, each in their turn. A reconstruction of an artist
/// is one of that artist's, and those of photos come with one another.
pub fn choose(spec: &GridSpec, queued: &[QueuedCell], wanted: &Wanted) -> Vec<CellId> {
    let mut candidates: Vec<Candidate> = queued
        .iter()
        .filter_map(|cell| candidate(spec, *cell, &wanted.cached))
        .collect();
    // The last of equal maxima would be taken, so the search goes backwards.
    let Some(first) = (0..candidates.len())
        .rev()
        .max_by_key(|index| candidates[*index].cached)
    else {
        return Vec::new();
    };
    let first = candidates.remove(first);
    let Position { subject, variant } = first.queued.position;
    candidates.retain(|other| other.shape == first.shape);
    candidates.sort_by_key(|other| {
        let other = other.queued.position;
        (
            other.variant != variant,
            other.subject.artist() != subject.artist(),
            other.subject.photo() != subject.photo(),
        )
    });
    std::iter::once(first)
        .chain(candidates)
        .take(wanted.cells_max)
        .map(|candidate| candidate.queued.id)
        .collect()
}

fn candidate(spec: &GridSpec, queued: QueuedCell, at_hand: &HashSet<Digest>) -> Option<Candidate> {
    let parts = spec.cell(queued.position)?;
    let paintings = parts
        .artist
        .into_iter()
        .flat_map(|artist| &artist.paintings);
    let inputs = parts.photo.map(|photo| photo.input).into_iter();
    let cached = inputs
        .chain(paintings.map(|painting| painting.input))
        .filter(|input| at_hand.contains(&input.sha256))
        .count();
    Some(Candidate {
        queued,
        cached,
        shape: spec.picture_size(queued.position)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::grid::Variant;
    use super::super::grid::tests::draft;
    use super::*;

    fn queue(spec: &GridSpec) -> Vec<QueuedCell> {
        spec.positions()
            .map(|position| QueuedCell {
                id: CellId::generate(),
                position,
            })
            .collect()
    }

    fn chosen(
        spec: &GridSpec,
        queue: &[QueuedCell],
        wanted: &Wanted,
    ) -> Vec<(Option<usize>, Option<usize>)> {
        let ids = choose(spec, queue, wanted);
        let position = |id| {
            let cell = queue.iter().find(|cell| cell.id == id).unwrap();
            let subject = cell.position.subject;
            (subject.photo(), subject.artist())
        };
        ids.into_iter().map(position).collect()
    }

    fn at(photo: usize, artist: usize) -> (Option<usize>, Option<usize>) {
        (Some(photo), Some(artist))
    }

    fn wanted(cells_max: usize, cached: &[Digest]) -> Wanted {
        Wanted {
            cells_max,
            cached: cached.iter().copied().collect(),
        }
    }

    #[test]
    fn without_anything_at_hand_cells_come_in_their_turn_artist_by_artist() {
        let spec = GridSpec::accept(draft(3, 2), 10).unwrap();
        let queue = queue(&spec);
        assert_eq!(chosen(&spec, &queue, &wanted(1, &[])), [at(0, 0)]);
        assert_eq!(
            chosen(&spec, &queue, &wanted(4, &[])),
            [at(0, 0), at(1, 0), at(2, 0), at(0, 1)]
        );
        assert_eq!(chosen(&spec, &queue, &wanted(99, &[])).len(), 6);
        assert_eq!(chosen(&spec, &[], &wanted(1, &[])), []);
    }

    #[test]
    fn a_node_goes_on_with_the_pictures_that_it_has() {
        let spec = GridSpec::accept(draft(3, 2), 10).unwrap();
        let queue = queue(&spec);
        let photo = spec.photos()[2].input.sha256;
        let painting = spec.artists()[1].paintings[0].input.sha256;
        assert_eq!(
            chosen(&spec, &queue, &wanted(2, &[photo, painting])),
            [at(2, 1), at(0, 1)]
        );
        assert_eq!(chosen(&spec, &queue, &wanted(1, &[painting])), [at(0, 1)]);
    }

    #[test]
    fn a_block_has_one_shape() {
        let mut draft = draft(3, 1);
        draft.photos[1].input.height = 64;
        let spec = GridSpec::accept(draft, 10).unwrap();
        let queue = queue(&spec);
        assert_eq!(chosen(&spec, &queue, &wanted(3, &[])), [at(0, 0), at(2, 0)]);
    }

    #[test]
    fn reconstructions_share_a_block_with_what_has_their_shape() {
        let mut draft = draft(1, 2);
        draft.reconstructions = true;
        // As tall as the photo is wide.
        let input = &mut draft.artists[1].paintings[0].input;
        (input.width, input.height) = (48, 64);
        let painting = input.sha256;
        let spec = GridSpec::accept(draft, 10).unwrap();
        let queue = queue(&spec);
        let (photo, style) = ((Some(0), None), |artist| (None, Some(artist)));
        assert_eq!(
            chosen(&spec, &queue, &wanted(9, &[])),
            [at(0, 0), style(0), at(0, 1), photo]
        );
        let of_artist = &queue[4..];
        assert_eq!(
            chosen(&spec, of_artist, &wanted(9, &[painting])),
            [style(1)]
        );
    }

    #[test]
    fn cells_of_one_variant_come_together() {
        let mut draft = draft(2, 1);
        for name in ["seed=1", "seed=2"] {
            let mut settings = atelier_proto::settings::SettingsPatch::default();
            settings.set(name).unwrap();
            draft.variants.push(Variant {
                name: name.to_owned(),
                settings,
            });
        }
        let spec = GridSpec::accept(draft, 10).unwrap();
        let queue = queue(&spec);
        let ids = choose(&spec, &queue, &wanted(2, &[]));
        let variants = ids.iter().map(|id| {
            let cell = queue.iter().find(|cell| cell.id == *id).unwrap();
            cell.position.variant
        });
        assert_eq!(variants.collect::<Vec<_>>(), [0, 0]);
    }
}
