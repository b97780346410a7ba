//! Which queued cells a node gets at once.
//!
//! [`super::share`] says which grid is to be served first, and the store has its first queued cells; this file picks from
//! them. Cells of a block
//! have one output shape, so that they can be optimised in one batch, and share photos and artists, so that inputs are
//! fetched and style statistics made once.

use std::collections::HashSet;

use atelier_proto::ids::{CellId, Digest, NodeId};

use super::effort::{Effort, Speeds};
use super::facts::GridFacts;
use super::grid::Position;
use super::node::Node;

/// Bytes that the smallest render of a picture takes for each of its pixels: the image, its gradient, and a short history
/// of both. Everything else is cut into tiles.
const BYTES_PER_PIXEL_MIN: u64 = 150;
/// Cells whose sizes are looked at to tell what a grid wants.
const CELLS_LOOKED_AT_MAX: usize = 1_000;

/// What a node asks for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Most cells; 1 or more.
    pub cells_max: usize,
    /// Inputs that it has at hand.
    pub cached: HashSet<Digest>,
    /// Seconds of work, as far as it is known how long cells take.
    pub seconds: Option<f64>,
}

/// A cell that waits for a node.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuedCell {
    /// The cell.
    pub id: CellId,
    /// See [`super::effort::Effort::work`].
    pub work: f64,
    /// Nodes on which it failed or was lost.
    pub failed_on: Vec<NodeId>,
}

/// A queued cell with what counts for the choice.
struct Candidate<'a> {
    queued: &'a QueuedCell,
    position: Position,
    failed_here: bool,
    cached: usize,
    shape: (u32, u32),
}

/// How many cells a node gets at once of so many that wait for so many nodes, so that all of them end at about the same time:
/// half of an even share, as in guided self-scheduling (Polychronopoulos and Kuck 1987), and one batch at least.
pub fn fair_cells_max(queued: u32, nodes: usize, batch_capacity: u32) -> usize {
    let queued = queued as usize;
    // One alone leaves nobody waiting.
    let share = if nodes > 1 {
        queued.div_ceil(2 * nodes)
    } else {
        queued
    };
    share.max(batch_capacity as usize)
}

/// Picks at most `wanted.cells_max` of the queued cells of one grid, which come in the order of service, for a node.
///
/// The first is the cell whose inputs the node has at hand the most, or else the one whose turn it is. The others have
/// its shape; those of its variant come first, because other settings seldom share a batch, among them those of its artist,
/// then those of its photo, each in their turn. A reconstruction of an artist is one of that artist's, and those of photos
/// come with one another. What has failed on the node comes last, and what its memory cannot hold not at all. The block
/// ends where it has as many seconds of work as are wanted, by what was measured on such devices.
pub fn choose(
    facts: &GridFacts,
    queued: &[QueuedCell],
    wanted: &Wanted,
    node: &Node,
    speeds: &Speeds,
) -> Vec<CellId> {
    let mut candidates: Vec<Candidate<'_>> = queued
        .iter()
        .filter_map(|cell| candidate(facts, cell, wanted, node))
        .collect();
    // The last of equal maxima would be taken, so the search goes backwards.
    let Some(first) = (0..candidates.len()).rev().max_by_key(|index| {
        let candidate = &candidates[*index];
        (!candidate.failed_here, candidate.cached)
    }) else {
        return Vec::new();
    };
    let first = candidates.remove(first);
    let Position { subject, variant } = first.position;
    candidates.retain(|other| other.shape == first.shape);
    candidates.sort_by_key(|other| {
        let position = other.position;
        (
            other.failed_here,
            position.variant != variant,
            position.subject.artist() != subject.artist(),
            position.subject.photo() != subject.photo(),
        )
    });
    let mut seconds = 0.0;
    let mut chosen = Vec::new();
    for candidate in std::iter::once(first).chain(candidates) {
        let is_enough = wanted.seconds.is_some_and(|wanted| seconds >= wanted);
        if is_enough || chosen.len() >= wanted.cells_max {
            break;
        }
        seconds += seconds_of(facts, &candidate, node, speeds).unwrap_or(0.0);
        chosen.push(candidate.queued.id);
    }
    chosen
}

fn candidate<'a>(
    facts: &GridFacts,
    queued: &'a QueuedCell,
    wanted: &Wanted,
    node: &Node,
) -> Option<Candidate<'a>> {
    let position = facts.position(queued.id.place)?;
    let parts = facts.spec.cell(position)?;
    let paintings = parts
        .artist
        .into_iter()
        .flat_map(|artist| &artist.paintings);
    let inputs = parts.photo.map(|photo| photo.input).into_iter();
    let cached = inputs
        .chain(paintings.map(|painting| painting.input))
        .filter(|input| wanted.cached.contains(&input.sha256))
        .count();
    let shape = facts.spec.picture_size(position)?;
    let fits = node.holds(bytes_of(shape));
    fits.then_some(Candidate {
        queued,
        position,
        failed_here: queued.failed_on.contains(&node.id),
        cached,
        shape,
    })
}

/// The memory that a picture of this width and height wants at least.
fn bytes_of((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height) * BYTES_PER_PIXEL_MIN
}

/// The memory that a node must have to paint any cell of a grid, as far as its first cells tell.
pub fn bytes_min(facts: &GridFacts) -> u64 {
    let positions = facts.spec.positions().take(CELLS_LOOKED_AT_MAX);
    let sizes = positions.filter_map(|position| facts.spec.picture_size(position));
    sizes.map(bytes_of).min().unwrap_or(0)
}

fn seconds_of(
    facts: &GridFacts,
    candidate: &Candidate<'_>,
    node: &Node,
    speeds: &Speeds,
) -> Option<f64> {
    let settings = facts.spec.cell_settings(candidate.position)?;
    let Effort { work, kind } = Effort::of(&settings, candidate.shape);
    Some(work * speeds.seconds_per_work(&node.device, &kind)?)
}

#[cfg(test)]
mod tests {
    use atelier_proto::ids::GridId;

    use super::super::effort::Speed;
    use super::super::grid::tests::draft;
    use super::super::grid::{GridSpec, Variant};
    use super::super::node::tests::node;
    use super::*;

    fn facts(draft: super::super::grid::Draft) -> GridFacts {
        let spec = GridSpec::accept(draft, 100).unwrap();
        GridFacts::new(GridId::generate(), spec.into())
    }

    fn queue(facts: &GridFacts) -> Vec<QueuedCell> {
        (0..facts.cells())
            .map(|place| QueuedCell {
                id: CellId {
                    grid: facts.grid,
                    place,
                },
                work: 1.0,
                failed_on: Vec::new(),
            })
            .collect()
    }

    fn blocks(facts: &GridFacts, queue: &[QueuedCell], wanted: &Wanted) -> Vec<CellId> {
        choose(facts, queue, wanted, &node(), &Speeds::default())
    }

    fn chosen(
        facts: &GridFacts,
        queue: &[QueuedCell],
        wanted: &Wanted,
    ) -> Vec<(Option<usize>, Option<usize>)> {
        let ids = blocks(facts, queue, wanted);
        let position = |id: CellId| {
            let subject = facts.position(id.place).unwrap().subject;
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
            seconds: None,
        }
    }

    #[test]
    fn without_anything_at_hand_cells_come_in_their_turn_artist_by_artist() {
        let facts = facts(draft(3, 2));
        let queue = queue(&facts);
        assert_eq!(chosen(&facts, &queue, &wanted(1, &[])), [at(0, 0)]);
        assert_eq!(
            chosen(&facts, &queue, &wanted(4, &[])),
            [at(0, 0), at(1, 0), at(2, 0), at(0, 1)]
        );
        assert_eq!(chosen(&facts, &queue, &wanted(99, &[])).len(), 6);
        assert_eq!(chosen(&facts, &[], &wanted(1, &[])), []);
    }

    #[test]
    fn a_node_goes_on_with_the_pictures_that_it_has() {
        let facts = facts(draft(3, 2));
        let queue = queue(&facts);
        let photo = facts.spec.photos()[2].input.sha256;
        let painting = facts.spec.artists()[1].paintings[0].input.sha256;
        assert_eq!(
            chosen(&facts, &queue, &wanted(2, &[photo, painting])),
            [at(2, 1), at(0, 1)]
        );
        assert_eq!(chosen(&facts, &queue, &wanted(1, &[painting])), [at(0, 1)]);
    }

    #[test]
    fn a_block_has_one_shape() {
        let mut draft = draft(3, 1);
        draft.photos[1].input.height = 64;
        let facts = facts(draft);
        let queue = queue(&facts);
        assert_eq!(
            chosen(&facts, &queue, &wanted(3, &[])),
            [at(0, 0), at(2, 0)]
        );
    }

    #[test]
    fn a_block_is_as_long_as_is_wanted_where_that_is_known() {
        let facts = facts(draft(3, 2));
        let queue = queue(&facts);
        let position = facts.position(0).unwrap();
        let settings = facts.spec.cell_settings(position).unwrap();
        let effort = Effort::of(&settings, facts.spec.picture_size(position).unwrap());
        let speed = Speed {
            seconds_per_work: 10.0 / effort.work,
            cells: 1,
        };
        let kinds = [(effort.kind, speed)].into();
        let speeds = Speeds([(node().device, kinds)].into());
        let cells = |seconds, speeds: &Speeds| {
            let wanted = Wanted {
                seconds,
                ..wanted(99, &[])
            };
            choose(&facts, &queue, &wanted, &node(), speeds).len()
        };
        assert_eq!(cells(Some(1.0), &speeds), 1, "at least one");
        assert_eq!(cells(Some(35.0), &speeds), 4);
        assert_eq!(cells(None, &speeds), 6);
        assert_eq!(cells(Some(1.0), &Speeds::default()), 6, "nobody knows");
    }

    #[test]
    fn nobody_is_left_with_a_long_block_at_the_end() {
        assert_eq!(fair_cells_max(1000, 10, 4), 50);
        assert_eq!(fair_cells_max(20, 10, 4), 4);
        assert_eq!(fair_cells_max(20, 1, 1), 20);
    }

    #[test]
    fn what_failed_on_a_node_comes_last_there() {
        let facts = facts(draft(3, 1));
        let mut queue = queue(&facts);
        let node = node();
        queue[0].failed_on.push(node.id);
        let ids = choose(&facts, &queue, &wanted(3, &[]), &node, &Speeds::default());
        let places: Vec<u32> = ids.into_iter().map(|id| id.place).collect();
        assert_eq!(places, [1, 2, 0]);
    }

    #[test]
    fn a_node_gets_nothing_that_its_memory_cannot_hold() {
        let facts = facts(draft(1, 1));
        let queue = queue(&facts);
        let mut node = node();
        let cells =
            |node: &Node| choose(&facts, &queue, &wanted(9, &[]), node, &Speeds::default()).len();
        assert_eq!(cells(&node), 1);
        node.memory_bytes = 1;
        assert_eq!(cells(&node), 0);
        node.memory_bytes = 0;
        assert_eq!(cells(&node), 1, "it does not know its memory");
    }

    #[test]
    fn reconstructions_share_a_block_with_what_has_their_shape() {
        let mut draft = draft(1, 2);
        draft.reconstructions = true;
        // As tall as the photo is wide.
        let input = &mut draft.artists[1].paintings[0].input;
        (input.width, input.height) = (48, 64);
        let painting = input.sha256;
        let facts = facts(draft);
        let queue = queue(&facts);
        let (photo, style) = ((Some(0), None), |artist| (None, Some(artist)));
        assert_eq!(
            chosen(&facts, &queue, &wanted(9, &[])),
            [at(0, 0), style(0), at(0, 1), photo]
        );
        let of_artist = &queue[4..];
        assert_eq!(
            chosen(&facts, of_artist, &wanted(9, &[painting])),
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
        let facts = facts(draft);
        let queue = queue(&facts);
        let ids = blocks(&facts, &queue, &wanted(2, &[]));
        let variants = ids
            .iter()
            .map(|id| facts.position(id.place).unwrap().variant);
        assert_eq!(variants.collect::<Vec<_>>(), [0, 0]);
    }
}
