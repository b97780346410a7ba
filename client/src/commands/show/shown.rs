//! A grid as `--json` has it: cells and attempts by names.

use std::collections::{BTreeMap, HashMap};

use atelier_proto::ids::{CellId, NodeId};
use atelier_proto::settings::SettingsPatch;
use jiff::Timestamp;
use serde::Serialize;

use crate::coordinator::view::{
    ArtistView, Attempt, AttemptOutcome, CellNames, CellState, CellView, GridView, PhotoView,
    PictureView, Summary, VariantView,
};

#[derive(Serialize)]
pub(super) struct ShownGrid<'a> {
    grid: ShownHead<'a>,
    cells: Vec<ShownCell<'a>>,
    failed_attempts: Vec<FailedAttempt<'a>>,
}

#[derive(Serialize)]
struct ShownHead<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    photos: &'a [PhotoView],
    artists: &'a [ArtistView],
    variants: &'a [VariantView],
    reconstructions: bool,
    labels: &'a BTreeMap<String, String>,
    settings: &'a SettingsPatch,
}

/// A cell, by names.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct ShownCell<'a> {
    cell_id: CellId,
    #[serde(flatten)]
    names: CellNames<'a>,
    state: CellState,
    attempts: u32,
    node_id: Option<NodeId>,
    evaluations: u32,
    evaluations_planned: u32,
    loss: f64,
    picture: Option<&'a PictureView>,
    failure: Option<&'a str>,
}

/// An attempt that brought no picture, with its cell.
#[derive(Serialize)]
struct FailedAttempt<'a> {
    cell_id: CellId,
    #[serde(flatten)]
    names: CellNames<'a>,
    #[serde(flatten)]
    attempt: ShownAttempt<'a>,
}

/// An attempt that has ended.
#[derive(Serialize)]
pub(in crate::commands) struct ShownAttempt<'a> {
    attempt: u32,
    node_id: NodeId,
    node_name: &'a str,
    outcome: AttemptOutcome,
    ended_at: Option<Timestamp>,
    reason: &'a str,
    log: Option<&'a str>,
}

impl<'a> ShownGrid<'a> {
    pub(super) fn new(grid: &'a GridView) -> Self {
        let cells = grid.cells.iter();
        let by_id: HashMap<CellId, &CellView> = cells.map(|cell| (cell.cell_id, cell)).collect();
        let names = |cell: CellId| by_id.get(&cell).map(|cell| grid.names(cell));
        let attempts = grid.failed_attempts.iter();
        Self {
            grid: ShownHead {
                summary: &grid.summary,
                photos: &grid.photos,
                artists: &grid.artists,
                variants: &grid.variants,
                reconstructions: grid.reconstructions,
                labels: &grid.labels,
                settings: &grid.settings,
            },
            failed_attempts: attempts
                .map(|attempt| FailedAttempt {
                    cell_id: attempt.cell_id,
                    names: names(attempt.cell_id).unwrap_or_default(),
                    attempt: attempt.into(),
                })
                .collect(),
            cells: grid
                .cells
                .iter()
                .map(|cell| ShownCell::new(cell, grid.names(cell)))
                .collect(),
        }
    }
}

impl<'a> ShownCell<'a> {
    pub(in crate::commands) fn new(cell: &'a CellView, names: CellNames<'a>) -> Self {
        Self {
            cell_id: cell.cell_id,
            names,
            state: cell.state,
            attempts: cell.attempts,
            node_id: cell.node,
            evaluations: cell.evaluations,
            evaluations_planned: cell.evaluations_planned,
            loss: cell.loss,
            picture: cell.picture.as_ref(),
            failure: cell.failure.as_deref(),
        }
    }
}

impl<'a> From<&'a Attempt> for ShownAttempt<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self {
            attempt: attempt.attempt,
            node_id: attempt.node,
            node_name: &attempt.node_name,
            outcome: attempt.outcome,
            ended_at: attempt.ended_at,
            reason: &attempt.reason,
            log: attempt.log.as_deref(),
        }
    }
}
