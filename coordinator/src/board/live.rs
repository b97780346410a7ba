//! One grid as it is painted: what each cell looks like so far, what failed and why.
//!
//! Of a large grid the cells that changed last are shown; what is read for a page does not grow with the grid.

use atelier_proto::ids::GridId;
use jiff::Timestamp;
use serde::Serialize;

use super::status::{Standing, standing};
use crate::domain::cell::Cell;
use crate::domain::facts::GridFacts;
use crate::domain::summary::CellRecord;
use crate::ledger::Ledger;
use crate::store::StoreError;

/// Cells that are read for a page: those that changed last.
const CELLS_READ_MAX: u32 = 1_000;
/// Cells of each kind that are shown.
const PAINTING_MAX: usize = 200;
const FAILED_MAX: usize = 200;
const DONE_MAX: usize = 60;

/// How a grid stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Live {
    #[serde(flatten)]
    standing: Standing,
    painting: Vec<Painting>,
    failed: Vec<Failed>,
    retrying: Vec<Failed>,
    done: Vec<Done>,
}

/// Which cell it is, in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Named {
    /// Its place in the grid.
    key: String,
    photo: Option<String>,
    artist: Option<String>,
    /// Empty for the only one.
    variant: String,
}

/// A cell that a node has.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Painting {
    #[serde(flatten)]
    named: Named,
    state: &'static str,
    node: String,
    evaluations: u32,
    planned: u32,
    /// Where it may be seen, from the grid's folder.
    preview: String,
}

/// A cell that failed, for good or for now.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Failed {
    #[serde(flatten)]
    named: Named,
    reason: String,
    attempts: u32,
    /// When it may be tried again.
    next_at: Option<Timestamp>,
}

/// A cell with a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Done {
    #[serde(flatten)]
    named: Named,
    /// From the grid's folder.
    thumbnail: String,
}

impl Live {
    /// How a grid stands now.
    pub(super) async fn read(ledger: &Ledger, grid: GridId) -> Result<Self, StoreError> {
        let facts = ledger.facts(grid).await?;
        let latest = ledger.store().latest(grid, CELLS_READ_MAX).await?;
        let mut live = Self {
            standing: standing(ledger, latest.summary).await?,
            painting: Vec::new(),
            failed: Vec::new(),
            retrying: Vec::new(),
            done: Vec::new(),
        };
        for record in &latest.cells {
            live.add(record, &facts);
        }
        // Those that there is something to be seen of first, and in the order of the grid, so that tiles stay where they are
        // while they change.
        live.painting.sort_by_key(|cell| {
            let place = cell.named.key.parse::<u32>().unwrap_or(u32::MAX);
            (cell.state != "rendering", place)
        });
        live.painting.truncate(PAINTING_MAX);
        live.failed.truncate(FAILED_MAX);
        live.retrying.truncate(FAILED_MAX);
        live.done.truncate(DONE_MAX);
        Ok(live)
    }

    fn add(&mut self, record: &CellRecord, facts: &GridFacts) {
        let (Some(named), Some(keys)) = (named(record, facts), facts.keys(record.id.place)) else {
            return;
        };
        let node = record.node_name.clone().unwrap_or_default();
        let painting = |named, state, evaluations, planned| Painting {
            named,
            state,
            node,
            evaluations,
            planned,
            preview: facts.names.relative(&keys.preview),
        };
        match &record.cell {
            Cell::Leased { .. } => self.painting.push(painting(named, "leased", 0, 0)),
            Cell::Rendering { rendering, .. } => {
                let progress = rendering.progress;
                let (made, planned) = (progress.evaluations, progress.planned);
                self.painting
                    .push(painting(named, "rendering", made, planned));
            }
            Cell::Queued {
                history,
                not_before,
            } => {
                if let Some(reason) = &history.failure {
                    self.retrying.push(Failed {
                        named,
                        reason: reason.clone(),
                        attempts: history.charged(),
                        next_at: Some(*not_before),
                    });
                }
            }
            Cell::Failed { history } => self.failed.push(Failed {
                named,
                reason: history.failure.clone().unwrap_or_default(),
                attempts: history.charged(),
                next_at: None,
            }),
            Cell::Done { .. } => self.done.push(Done {
                named,
                thumbnail: facts.names.relative(&keys.thumbnail),
            }),
            Cell::Cancelled { .. } => {}
        }
    }
}

fn named(record: &CellRecord, facts: &GridFacts) -> Option<Named> {
    let position = facts.position(record.id.place)?;
    let spec = &facts.spec;
    let photo = position.subject.photo();
    let artist = position.subject.artist();
    Some(Named {
        key: record.id.place.to_string(),
        photo: photo.and_then(|photo| Some(spec.photos().get(photo)?.name.clone())),
        artist: artist.and_then(|artist| Some(spec.artists().get(artist)?.name.clone())),
        variant: spec.variants().get(position.variant)?.name.clone(),
    })
}
