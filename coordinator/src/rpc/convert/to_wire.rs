//! From the domain to the wire.

use std::time::Duration;

use atelier_proto::settings::SettingsPatch;
use atelier_proto::v1;
use jiff::Timestamp;

use crate::dispatch::Given;
use crate::domain::attempt::{AttemptRecord, Outcome};
use crate::domain::cell::{Cell, CellResult, Progress};
use crate::domain::effort::Estimate;
use crate::domain::facts::GridFacts;
use crate::domain::grid::{Artist, GridSpec, Input, Mask, Photo};
use crate::domain::node::{NodeRecord, NodeState};
use crate::domain::summary::{CellRecord, GridState, GridSummary};

pub(crate) fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    }
}

/// A duration; one that the wire cannot hold becomes the longest.
pub(crate) fn wire_duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().unwrap_or(prost_types::Duration {
        seconds: i64::MAX,
        nanos: 0,
    })
}

/// A grid in short, with what is to be expected of it.
pub(crate) fn summary(summary: &GridSummary, estimate: Estimate) -> v1::GridSummary {
    let counts = summary.counts;
    let state = match summary.state {
        GridState::Active => v1::GridState::Active,
        GridState::Paused => v1::GridState::Paused,
        GridState::Finished => v1::GridState::Finished,
        GridState::Cancelled => v1::GridState::Cancelled,
        GridState::Deleted => v1::GridState::Deleted,
    };
    let spent = Some(summary.dollars_spent).filter(|dollars| *dollars > 0.0);
    let expected = estimate.dollars_left;
    v1::GridSummary {
        grid_id: summary.grid.to_string(),
        name: summary.name.clone(),
        state: state.into(),
        cells: Some(v1::CellCounts {
            queued: counts.queued,
            leased: counts.leased,
            rendering: counts.rendering,
            done: counts.done,
            failed: counts.failed,
            cancelled: counts.cancelled,
        }),
        submitted_at: Some(timestamp(summary.submitted_at)),
        finished_at: summary.finished_at.map(timestamp),
        sequence: summary.sequence,
        gallery_complete: summary.gallery_complete,
        priority: summary.priority,
        submitter: summary.submitter.clone(),
        time_left: estimate.time_left.map(wire_duration),
        dollars_spent: spent,
        dollars_expected: expected.map(|left| summary.dollars_spent + left),
    }
}

/// A grid with all that was submitted.
pub(crate) fn grid(short: &GridSummary, estimate: Estimate, spec: &GridSpec) -> v1::Grid {
    let variants = spec.variants().iter().map(|variant| v1::Variant {
        name: variant.name.clone(),
        settings: Some((&variant.settings).into()),
    });
    v1::Grid {
        summary: Some(summary(short, estimate)),
        photos: spec.photos().iter().map(photo).collect(),
        artists: spec.artists().iter().map(artist).collect(),
        variants: variants.collect(),
        settings: Some((&SettingsPatch::from(spec.settings())).into()),
        reconstructions: spec.has_reconstructions(),
        labels: spec.labels().clone().into_iter().collect(),
    }
}

fn input(input: Input) -> v1::Input {
    v1::Input {
        sha256: input.sha256.to_string(),
        width: input.width,
        height: input.height,
    }
}

fn photo(photo: &Photo) -> v1::Photo {
    v1::Photo {
        name: photo.name.clone(),
        input: Some(input(photo.input)),
        masks: photo.masks.iter().map(mask).collect(),
        start: photo.start.map(input),
    }
}

fn mask(mask: &Mask) -> v1::Mask {
    v1::Mask {
        name: mask.name.clone(),
        input: Some(input(mask.input)),
    }
}

fn artist(artist: &Artist) -> v1::Artist {
    let paintings = artist.paintings.iter().map(|painting| v1::Painting {
        name: painting.name.clone(),
        input: Some(input(painting.input)),
        weight: painting.weight,
        mask: painting.mask.clone().unwrap_or_default(),
    });
    v1::Artist {
        name: artist.name.clone(),
        paintings: paintings.collect(),
        settings: Some((&artist.settings).into()),
    }
}

/// A cell as it stands; `None` if its grid has no such place.
pub(crate) fn cell(record: &CellRecord, facts: &GridFacts) -> Option<v1::Cell> {
    let position = facts.position(record.id.place)?;
    let history = record.cell.history();
    let none = Progress {
        evaluations: 0,
        planned: 0,
        loss: 0.0,
    };
    let (state, progress, result) = match &record.cell {
        Cell::Queued { .. } => (v1::CellState::Queued, none, None),
        Cell::Leased { .. } => (v1::CellState::Leased, none, None),
        Cell::Rendering { rendering, .. } => (v1::CellState::Rendering, rendering.progress, None),
        Cell::Done { result, .. } => {
            let progress = Progress {
                evaluations: result.evaluations,
                planned: result.evaluations,
                loss: result.loss,
            };
            (v1::CellState::Done, progress, Some(result))
        }
        Cell::Failed { .. } => (v1::CellState::Failed, none, None),
        Cell::Cancelled { .. } => (v1::CellState::Cancelled, none, None),
    };
    Some(v1::Cell {
        cell_id: record.id.to_string(),
        photo: position.subject.photo().map(|photo| photo as u32),
        artist: position.subject.artist().map(|artist| artist as u32),
        variant: position.variant as u32,
        state: state.into(),
        attempts: history.started,
        node_id: history
            .node
            .map(|node| node.to_string())
            .unwrap_or_default(),
        evaluations: progress.evaluations,
        evaluations_planned: progress.planned,
        loss: progress.loss,
        result: result.map(|result| cell_result(result, record, facts)),
        failure: history.failure.clone().unwrap_or_default(),
    })
}

fn cell_result(result: &CellResult, record: &CellRecord, facts: &GridFacts) -> v1::CellResult {
    let keys = facts.keys(record.id.place);
    let (picture_key, thumbnail_key, large_thumbnail_key) = keys
        .map(|keys| (keys.picture, keys.thumbnail, keys.large_thumbnail))
        .unwrap_or_default();
    v1::CellResult {
        picture_key,
        thumbnail_key,
        sha256: result.sha256.to_string(),
        bytes: result.bytes,
        width: result.width,
        height: result.height,
        seconds: result.seconds,
        evaluations: result.evaluations,
        loss: result.loss,
        network: result.network.clone(),
        device: result.device.clone(),
        large_thumbnail_key: if result.has_large_thumbnail {
            large_thumbnail_key
        } else {
            String::new()
        },
        // Those who watch thousands of cells have no use for them.
        losses: Vec::new(),
    }
}

/// An attempt that has ended.
pub(crate) fn attempt(attempt: AttemptRecord) -> v1::Attempt {
    let outcome = match attempt.end.outcome {
        Outcome::Done => v1::AttemptOutcome::Done,
        Outcome::Failed => v1::AttemptOutcome::Failed,
        Outcome::Refused => v1::AttemptOutcome::Refused,
        Outcome::Lost => v1::AttemptOutcome::Lost,
        Outcome::Stuck => v1::AttemptOutcome::Stuck,
        Outcome::Released => v1::AttemptOutcome::Released,
    };
    v1::Attempt {
        cell_id: attempt.cell.to_string(),
        attempt: attempt.end.attempt,
        node_id: attempt.end.node.to_string(),
        node_name: attempt.node_name,
        ended_at: Some(timestamp(attempt.ended_at)),
        outcome: outcome.into(),
        reason: attempt.end.reason,
        log: attempt.end.log,
    }
}

/// A node as it stands; `is_lost` says that it was not heard of for longer than a lease lasts.
pub(crate) fn node_record(record: NodeRecord, cells_held: u32, is_lost: bool) -> v1::Node {
    let state = match &record.health.state {
        NodeState::Quarantined { .. } => v1::NodeState::Quarantined,
        NodeState::Active | NodeState::Draining { .. } if is_lost => v1::NodeState::Lost,
        NodeState::Draining { .. } => v1::NodeState::Draining,
        NodeState::Active => v1::NodeState::Active,
    };
    let node = record.node;
    v1::Node {
        node_id: node.id.to_string(),
        name: node.name,
        device: node.device,
        memory_bytes: node.memory_bytes,
        version: node.version,
        state: state.into(),
        registered_at: Some(timestamp(record.registered_at)),
        last_seen_at: Some(timestamp(record.last_seen_at)),
        cells_held,
        cells_done: u32::try_from(record.cells_done).unwrap_or(u32::MAX),
        instance_id: node.instance_id,
        labels: node.labels.into_iter().collect(),
        reason: record.health.state.reason().to_owned(),
        dollars_per_hour: node.dollars_per_hour,
        identity: record.identity,
    }
}

/// A cell to render.
pub(crate) fn leased_cell(given: Given) -> v1::LeasedCell {
    v1::LeasedCell {
        cell_id: given.cell.to_string(),
        grid_id: given.cell.grid.to_string(),
        attempt: given.attempt,
        photo: given.work.photo.as_ref().map(photo),
        artist: given.work.artist.as_ref().map(artist),
        settings: Some((&SettingsPatch::from(given.work.settings)).into()),
        picture_key: given.keys.picture,
        thumbnail_key: given.keys.thumbnail,
        photo_original_key: given.keys.photo_original.unwrap_or_default(),
        artist_original_key: given.keys.artist_original.unwrap_or_default(),
        lease_expires_at: Some(timestamp(given.expires_at)),
        checkpoint_key: given.keys.checkpoint,
        large_thumbnail_key: given.keys.large_thumbnail,
        preview_key: given.keys.preview,
        trace_parent: given.trace_parent,
    }
}
