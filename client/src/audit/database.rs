//! What the database says against itself.

use std::collections::{BTreeMap, BTreeSet};

use atelier_proto::ids::CellId;

use super::difference::{Difference, Kind};
use super::told::{Pair, Told, label};
use crate::coordinator::view::{
    AttemptOutcome, CellCounts, CellState, CellView, GridView, PictureView,
};
use crate::text::counted;

/// Failed attempts that a coordinator tells of at most; beyond them nothing follows from one that is not there.
const FAILED_ATTEMPTS_MAX: usize = 10_000;
/// What differences of the whole grid are about.
const GRID: &str = "the grid";

/// What one reading says against itself.
pub(super) fn differences(grid: &GridView) -> Vec<Difference> {
    let mut found: Vec<Difference> = counts(grid).into_iter().collect();
    found.extend(lost_cells(grid));
    found.extend(state(grid));
    found.extend(attempts(grid));
    found.extend(without_reason(grid));
    found
}

fn counts(grid: &GridView) -> Option<Difference> {
    let mut are = CellCounts::default();
    for cell in &grid.cells {
        let count = match cell.state {
            CellState::Queued => &mut are.queued,
            CellState::Leased => &mut are.leased,
            CellState::Rendering => &mut are.rendering,
            CellState::Done => &mut are.done,
            CellState::Failed => &mut are.failed,
            CellState::Cancelled => &mut are.cancelled,
        };
        *count += 1;
    }
    let told = grid.summary.cells;
    let detail = || format!("it counts {told}, and its cells are {are}");
    (told != are).then(|| Difference::new(Kind::Counts, GRID, detail()))
}

/// Places without a cell, or with several; and cells of a photo and an artist that are missing at the end.
fn lost_cells(grid: &GridView) -> Vec<Difference> {
    let mut places: Vec<u32> = grid.cells.iter().map(|cell| cell.cell_id.place).collect();
    places.sort_unstable();
    let mut found = Vec::new();
    let mut lost = 0;
    let mut next = 0;
    for place in places {
        if place < next {
            let about = format!("cell {place}");
            found.push(Difference::new(Kind::LostCell, about, "it is there twice"));
        } else if place > next {
            lost += (place - next) as usize;
            let about = match place - next {
                1 => format!("cell {next}"),
                _ => format!("cells {next} to {}", place - 1),
            };
            let detail = "missing, and later ones are there";
            found.push(Difference::new(Kind::LostCell, about, detail));
        }
        next = place.saturating_add(1);
    }
    let is_transfer = |cell: &&CellView| cell.photo.is_some() && cell.artist.is_some();
    let transfers = grid.cells.iter().filter(is_transfer).count();
    let wanted = grid.photos.len() * grid.artists.len() * grid.variants.len().max(1);
    if transfers + lost < wanted {
        let wanted = counted(wanted, "cell");
        let detail = format!("it has {transfers} of {wanted} of a photo and an artist");
        found.push(Difference::new(Kind::LostCell, GRID, detail));
    }
    found
}

fn state(grid: &GridView) -> Vec<Difference> {
    let summary = &grid.summary;
    let is_open = |cell: &&CellView| !cell.state.has_ended();
    let mut open = grid.cells.iter().filter(is_open).peekable();
    if !summary.state.has_ended() {
        let detail = || format!("it is {}, and every cell has ended", summary.state);
        let over = open.peek().is_none() && !grid.cells.is_empty();
        let difference = over.then(|| Difference::new(Kind::State, GRID, detail()));
        return difference.into_iter().collect();
    }
    let told = |cell: &CellView| {
        let detail = format!("it is {}, and the grid is {}", cell.state, summary.state);
        Difference::new(Kind::State, label(grid, cell), detail)
    };
    let mut found: Vec<Difference> = open.map(told).collect();
    if !summary.gallery_complete {
        let detail = format!("it is {}, and its gallery is not complete", summary.state);
        found.push(Difference::new(Kind::LateGallery, GRID, detail));
    }
    found
}

fn attempts(grid: &GridView) -> Vec<Difference> {
    let mut found = Vec::new();
    for cell in &grid.cells {
        let was_tried = match cell.state {
            CellState::Queued | CellState::Cancelled => false,
            CellState::Leased | CellState::Rendering | CellState::Done | CellState::Failed => true,
        };
        if was_tried && cell.attempts == 0 {
            let detail = format!("it is {} without an attempt", cell.state);
            found.push(Difference::new(Kind::Attempts, label(grid, cell), detail));
        }
    }
    let cells = grid.cells.iter();
    let cells: BTreeMap<CellId, &CellView> = cells.map(|cell| (cell.cell_id, cell)).collect();
    let mut seen = BTreeSet::new();
    for failed in &grid.failed_attempts {
        let (id, attempt) = (failed.cell_id, failed.attempt);
        let cell = cells.get(&id).copied();
        let detail = match cell {
            None => Some("the grid has no such cell".to_owned()),
            Some(_) if attempt == 0 => Some("attempts are counted from 1".to_owned()),
            Some(_) if !seen.insert((id, attempt)) => Some("it ended twice".to_owned()),
            Some(cell) if attempt > cell.attempts => {
                Some(format!("the cell has had {} so far", cell.attempts))
            }
            Some(cell) if attempt == cell.attempts && cell.state == CellState::Done => {
                Some(format!(
                    "it is told as {}, and it brought the picture",
                    failed.outcome
                ))
            }
            Some(_) => None,
        };
        if let Some(detail) = detail {
            let cell = cell.map_or_else(|| format!("cell {id}"), |cell| label(grid, cell));
            let about = format!("attempt {attempt} of {cell}");
            found.push(Difference::new(Kind::Attempts, about, detail));
        }
    }
    found
}

fn without_reason(grid: &GridView) -> Vec<Difference> {
    if grid.failed_attempts.len() >= FAILED_ATTEMPTS_MAX {
        return Vec::new();
    }
    let attempts = grid.failed_attempts.iter();
    let explained: BTreeSet<CellId> = attempts
        .filter(|attempt| attempt.outcome != AttemptOutcome::Released)
        .map(|attempt| attempt.cell_id)
        .collect();
    let is_unexplained = |cell: &&CellView| {
        let has_failed = cell.state == CellState::Failed && cell.failure.is_none();
        has_failed && !explained.contains(&cell.cell_id)
    };
    let detail = "it failed, with no failure told and no failed attempt";
    let cells = grid.cells.iter().filter(is_unexplained);
    cells
        .map(|cell| Difference::new(Kind::NoReason, label(grid, cell), detail))
        .collect()
}

/// Done cells without their picture, or that are not what they were.
pub(super) fn undone(told: &Told<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    for pair in told.cells.values() {
        if let Some((cell, detail)) = pair.cell().zip(undoing(*pair)) {
            found.push(Difference::new(Kind::Undone, told.label(cell), detail));
        }
    }
    found
}

fn undoing(pair: Pair<'_>) -> Option<String> {
    let before = pair.before.filter(|cell| cell.state == CellState::Done)?;
    let Some(picture) = &before.picture else {
        return Some("it is done, and has no picture".to_owned());
    };
    let Some(after) = pair.after else {
        return Some("it was done, and is not there any more".to_owned());
    };
    match &after.picture {
        Some(_) if after.state != CellState::Done => {
            Some(format!("it was done, and is {}", after.state))
        }
        None => Some(format!(
            "it was done, and is {} without a picture",
            after.state
        )),
        Some(now) if !is_same(picture, now) || before.attempts != after.attempts => {
            Some("it has another picture than before".to_owned())
        }
        Some(_) => None,
    }
}

/// Whether two pictures are one; a loss that is no number is not equal to itself.
fn is_same(one: &PictureView, other: &PictureView) -> bool {
    let told = |it: &PictureView| (it.sha256, it.bytes, it.width, it.height);
    told(one) == told(other) && one.keys().eq(other.keys())
}
