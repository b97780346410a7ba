//! A grid as its manifest: a pure function of what the store says.

use std::collections::HashSet;

use atelier_gallery::manifest::{
    ArtistEntry, CellEntry, InputEntry, Manifest, MaskEntry, Outcome, PaintingEntry, PhotoEntry,
    PictureEntry, ReconstructionEntry, ReconstructionOf, VERSION, VariantEntry,
};

use crate::domain::cell::Cell;
use crate::domain::facts::GridFacts;
use crate::domain::grid::{Artist, Input, Photo, Position, Subject};
use crate::domain::summary::{CellRecord, Changes};

const SECONDS_PER_HOUR: f64 = 3600.0;

/// The manifest of a grid with all its cells.
pub(super) fn describe(facts: &GridFacts, changes: &Changes) -> Manifest {
    let summary = &changes.summary;
    let (spec, names) = (&facts.spec, &facts.names);
    let cells = changes.cells.iter();
    let cells = cells.filter_map(|record| Some((facts.position(record.id.place)?, record)));
    let mut cells: Vec<(Position, &CellRecord)> = cells.collect();
    cells.sort_by_key(|(position, _)| *position);

    // A node puts the header pictures before it says that a cell is done.
    let done = cells
        .iter()
        .filter(|(_, record)| matches!(record.cell, Cell::Done { .. }));
    let subjects: Vec<Subject> = done.map(|(position, _)| position.subject).collect();
    let photos_shown: HashSet<usize> = subjects.iter().filter_map(|it| it.photo()).collect();
    let artists_shown: HashSet<usize> = subjects.iter().filter_map(|it| it.artist()).collect();
    let photos = spec.photos().iter().enumerate().map(|(index, photo)| {
        let original = names.photo_original(index);
        let original = original.filter(|_| photos_shown.contains(&index));
        photo_entry(photo, original.map(|key| names.relative(&key)))
    });
    let artists = spec.artists().iter().enumerate().map(|(index, artist)| {
        let original = names.artist_original(index);
        let original = original.filter(|_| artists_shown.contains(&index));
        artist_entry(artist, original.map(|key| names.relative(&key)))
    });
    let variants = spec.variants().iter().map(|variant| VariantEntry {
        name: variant.name.clone(),
        settings: variant.settings.clone(),
    });
    Manifest {
        version: VERSION,
        grid_id: summary.grid,
        name: summary.name.clone(),
        submitted_at: summary.submitted_at,
        finished_at: summary.finished_at,
        complete: summary.state.has_ended(),
        state: summary.state.word().to_owned(),
        settings: spec.settings(),
        photos: photos.collect(),
        artists: artists.collect(),
        variants: variants.collect(),
        cells: cells
            .iter()
            .filter_map(|(position, record)| cell_entry(*position, record, facts))
            .collect(),
        reconstructions: cells
            .iter()
            .filter_map(|(position, record)| reconstruction_entry(*position, record, facts))
            .collect(),
    }
}

fn input_entry(input: Input) -> InputEntry {
    InputEntry {
        sha256: input.sha256,
        width: input.width,
        height: input.height,
    }
}

fn photo_entry(photo: &Photo, original: Option<String>) -> PhotoEntry {
    let masks = photo.masks.iter().map(|mask| MaskEntry {
        name: mask.name.clone(),
        input: input_entry(mask.input),
    });
    PhotoEntry {
        name: photo.name.clone(),
        sha256: photo.input.sha256,
        width: photo.input.width,
        height: photo.input.height,
        original,
        masks: masks.collect(),
        start: photo.start.map(input_entry),
    }
}

fn artist_entry(artist: &Artist, original: Option<String>) -> ArtistEntry {
    let paintings = artist.paintings.iter().map(|painting| PaintingEntry {
        name: painting.name.clone(),
        sha256: painting.input.sha256,
        width: painting.input.width,
        height: painting.input.height,
        weight: painting.weight,
        mask: painting.mask.clone(),
    });
    ArtistEntry {
        name: artist.name.clone(),
        paintings: paintings.collect(),
        settings: artist.settings.clone(),
        original,
    }
}

/// A cell of a photo and an artist; `None` of one of them alone.
fn cell_entry(position: Position, record: &CellRecord, facts: &GridFacts) -> Option<CellEntry> {
    let Subject::Transfer { photo, artist } = position.subject else {
        return None;
    };
    Some(CellEntry {
        cell_id: record.id,
        photo,
        artist,
        variant: position.variant,
        outcome: outcome(record, facts),
    })
}

/// A cell of a photo or an artist alone; `None` of both.
fn reconstruction_entry(
    position: Position,
    record: &CellRecord,
    facts: &GridFacts,
) -> Option<ReconstructionEntry> {
    let of = match position.subject {
        Subject::Transfer { .. } => return None,
        Subject::Content { photo } => ReconstructionOf::Photo(photo),
        Subject::Style { artist } => ReconstructionOf::Artist(artist),
    };
    Some(ReconstructionEntry {
        cell_id: record.id,
        of,
        variant: position.variant,
        outcome: outcome(record, facts),
    })
}

fn outcome(record: &CellRecord, facts: &GridFacts) -> Outcome {
    let history = record.cell.history();
    Outcome {
        state: record.cell.state().to_owned(),
        attempts: history.started,
        picture: picture_entry(record, facts),
        failure: history.failure.clone(),
    }
}

fn picture_entry(record: &CellRecord, facts: &GridFacts) -> Option<PictureEntry> {
    let Cell::Done { history, result } = &record.cell else {
        return None;
    };
    let (keys, names) = (facts.keys(record.id.place)?, &facts.names);
    let node = record.node_name.clone();
    let node = node.or_else(|| history.node.map(|node| node.to_string()));
    Some(PictureEntry {
        path: names.relative(&keys.picture),
        thumbnail: names.relative(&keys.thumbnail),
        large_thumbnail: result
            .has_large_thumbnail
            .then(|| names.relative(&keys.large_thumbnail)),
        sha256: result.sha256,
        bytes: result.bytes,
        width: result.width,
        height: result.height,
        seconds: result.seconds,
        evaluations: result.evaluations,
        loss: result.loss,
        node: node.unwrap_or_default(),
        network: result.network.clone(),
        device: result.device.clone(),
        dollars: record
            .node_dollars_per_hour
            .map(|dollars| dollars * result.seconds / SECONDS_PER_HOUR),
        losses: result.losses.clone(),
    })
}

#[cfg(test)]
mod tests {
    use atelier_proto::ids::{CellId, GridId, NodeId};
    use jiff::Timestamp;

    use super::*;
    use crate::domain::cell::History;
    use crate::domain::cell::tests::result;
    use crate::domain::grid::tests::{draft, mask};
    use crate::domain::grid::{Draft, GridSpec};
    use crate::domain::summary::{Counts, GridState, GridSummary};

    fn facts(draft: Draft) -> GridFacts {
        let spec = GridSpec::accept(draft, 10).unwrap();
        GridFacts::new(GridId::generate(), spec.into())
    }

    fn record(facts: &GridFacts, place: u32, cell: Cell) -> CellRecord {
        let grid = facts.grid;
        CellRecord {
            id: CellId { grid, place },
            cell,
            changed_sequence: 1,
            node_name: Some("node-0".to_owned()),
            node_dollars_per_hour: Some(36.0),
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn done() -> Cell {
        Cell::Done {
            history: History {
                started: 2,
                released: 0,
                node: Some(NodeId::generate()),
                failure: Some("no memory".to_owned()),
                failed_on: Vec::new(),
            },
            result: result(),
        }
    }

    fn changes(facts: &GridFacts, cells: Vec<CellRecord>) -> Changes {
        Changes {
            summary: GridSummary {
                grid: facts.grid,
                name: "Afternoon".to_owned(),
                state: GridState::Active,
                counts: Counts::default(),
                submitted_at: now(),
                finished_at: None,
                sequence: 9,
                gallery_complete: false,
                priority: 0,
                submitter: String::new(),
                work_open: 0.0,
                seconds_spent: 0.0,
                dollars_spent: 0.0,
            },
            cells,
        }
    }

    #[test]
    fn a_grid_half_done_shows_what_is_there_and_reads_back() {
        let facts = facts(draft(2, 1));
        // As the store gives them: the longest unchanged first.
        let cells = vec![
            record(&facts, 1, Cell::new(now())),
            record(&facts, 0, done()),
        ];
        let manifest = describe(&facts, &changes(&facts, cells));
        assert!(!manifest.complete);
        assert_eq!(
            manifest.photos[0].original.as_deref(),
            Some("originals/photo-photo-0.jpg")
        );
        assert_eq!(manifest.photos[1].original, None, "no node has put it yet");
        assert_eq!(
            manifest.artists[0].original.as_deref(),
            Some("originals/artist-artist-0.jpg")
        );
        let picture = manifest.cells[0].outcome.picture.as_ref().unwrap();
        assert_eq!(picture.path, "pictures/photo-0--artist-0.jpg");
        assert_eq!(picture.thumbnail, "thumbnails/photo-0--artist-0.jpg");
        assert_eq!(picture.node, "node-0");
        assert_eq!(manifest.cells[1].outcome.state, "queued");
        assert_eq!(manifest.cells[1].outcome.picture, None);
        let json = manifest.to_json().unwrap();
        assert_eq!(Manifest::from_json(&json).unwrap(), manifest);
    }

    #[test]
    fn reconstructions_have_a_list_of_their_own_and_bring_the_originals() {
        let mut draft = draft(2, 1);
        draft.reconstructions = true;
        draft.photos[0].masks = vec![mask("sky")];
        let facts = facts(draft);
        let cells = (0..facts.cells()).map(|place| {
            let position = facts.position(place).unwrap();
            let is_done = position.subject.is_reconstruction();
            let cell = if is_done { done() } else { Cell::new(now()) };
            record(&facts, place, cell)
        });
        let mut cells: Vec<CellRecord> = cells.collect();
        cells[3].cell = Cell::new(now());
        let manifest = describe(&facts, &changes(&facts, cells));
        assert_eq!(manifest.cells.len(), 2);
        let of: Vec<ReconstructionOf> = manifest.reconstructions.iter().map(|it| it.of).collect();
        let photo = ReconstructionOf::Photo;
        assert_eq!(of, [photo(0), photo(1), ReconstructionOf::Artist(0)]);
        let paths: Vec<&str> = manifest.pictures().map(|it| it.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "pictures/photo-0_content.jpg",
                "pictures/artist-0_style.jpg"
            ]
        );
        let shown = manifest.photos.iter().map(|photo| photo.original.is_some());
        assert!(shown.eq([true, false]), "with the reconstruction");
        assert!(manifest.artists[0].original.is_some());
        assert_eq!(manifest.photos[0].masks[0].name, "sky");
        let json = manifest.to_json().unwrap();
        assert_eq!(Manifest::from_json(&json).unwrap(), manifest);
    }
}
