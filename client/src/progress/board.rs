//! What is known of a grid that renders: names, and every cell as it stands. Pure; draws nothing.

use std::collections::HashMap;

use atelier_gallery::keys::GridNames;
use atelier_proto::ids::CellId;

use super::{Ended, Failure, News};
use crate::coordinator::view::{CellNames, CellState, CellView, Change, GridView, Summary};
use crate::text::printable;

/// A grid and its cells as they stand.
#[derive(Debug)]
pub struct Board {
    summary: Summary,
    sequence: u64,
    photos: Vec<String>,
    artists: Vec<String>,
    variants: Vec<String>,
    cells: Vec<CellView>,
    positions: HashMap<CellId, usize>,
}

impl Board {
    /// The grid as it stands at first.
    pub fn new(grid: GridView) -> Self {
        let positions = grid.cells.iter().enumerate();
        let positions = positions.map(|(position, cell)| (cell.cell_id, position));
        Self {
            positions: positions.collect(),
            sequence: grid.summary.sequence,
            summary: grid.summary,
            photos: grid.photos.into_iter().map(|it| it.name).collect(),
            artists: grid.artists.into_iter().map(|it| it.name).collect(),
            variants: grid.variants.into_iter().map(|it| it.name).collect(),
            cells: grid.cells,
        }
    }

    /// Takes a change in, and leaves of its cells those that it tells anything new of. What is worth telling of them
    /// comes back.
    pub(super) fn apply(&mut self, change: &mut Change) -> Vec<News> {
        self.sequence = self.sequence.max(change.sequence);
        self.summary = change.summary.clone();
        let mut news = Vec::new();
        // After a broken connection, cells are told again that may have been told before.
        change.cells.retain(|cell| {
            let Some(known) = self
                .positions
                .get(&cell.cell_id)
                .and_then(|position| self.cells.get_mut(*position))
            else {
                return false;
            };
            if known == cell {
                return false;
            }
            let has_ended = cell.state != known.state && cell.state.has_ended();
            let has_failed = cell.failure.is_some() && cell.failure != known.failure;
            *known = cell.clone();
            if has_ended || has_failed {
                news.push(News {
                    label: self.label(cell),
                    state: cell.state,
                    seconds: cell.picture.as_ref().map(|picture| picture.seconds),
                    failure: cell.failure.clone(),
                });
            }
            true
        });
        news
    }

    /// Whether nothing of the grid changes any more, and everything is known.
    pub(super) fn is_over(&self) -> bool {
        // Many changes come in parts; the grid is in each as it stands after all.
        self.summary.is_over() && self.sequence >= self.summary.sequence
    }

    /// The grid in short.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The number of the last change taken in.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Cells that some node has, in the grid's order.
    pub fn in_hand(&self) -> impl Iterator<Item = &CellView> {
        self.cells
            .iter()
            .filter(|cell| matches!(cell.state, CellState::Leased | CellState::Rendering))
    }

    /// How much of the grid is done, 0 to 1, counting what is done of cells in hand.
    pub(super) fn fraction(&self) -> f64 {
        let done: f64 = self.cells.iter().map(CellView::fraction).sum();
        done / self.cells.len().max(1) as f64
    }

    /// A cell by its names, safe to show.
    pub fn label(&self, cell: &CellView) -> String {
        printable(&self.names(cell).to_string())
    }

    /// The names of a cell's photo, artist and variant.
    pub fn names(&self, cell: &CellView) -> CellNames<'_> {
        CellNames {
            photo: cell.photo.map(|index| nth(&self.photos, index)),
            artist: cell.artist.map(|index| nth(&self.artists, index)),
            variant: nth(&self.variants, cell.variant),
        }
    }

    /// The grid's names, as parts of keys in the bucket.
    pub fn grid_names(&self) -> GridNames {
        GridNames::new(
            self.summary.grid_id,
            self.photos.iter().map(String::as_str),
            self.artists.iter().map(String::as_str),
            self.variants.iter().map(String::as_str),
        )
    }

    /// How the grid ended.
    pub(super) fn ended(&self) -> Ended {
        let failed = self
            .cells
            .iter()
            .filter(|cell| cell.state == CellState::Failed);
        let failures = failed.map(|cell| {
            let names = self.names(cell);
            Failure {
                cell_id: cell.cell_id,
                photo: names.photo.map(str::to_owned),
                artist: names.artist.map(str::to_owned),
                variant: names.variant.to_owned(),
                reason: cell.failure.clone().unwrap_or_default(),
            }
        });
        Ended {
            grid_id: self.summary.grid_id,
            name: self.summary.name.clone(),
            state: self.summary.state,
            counts: self.summary.cells,
            failures: failures.collect(),
        }
    }
}

fn nth(names: &[String], index: usize) -> &str {
    names.get(index).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use atelier_proto::ids::GridId;

    use super::*;
    use crate::coordinator::tests::grid;
    use crate::coordinator::view::{CellCounts, GridState};

    #[test]
    fn a_cell_of_a_photo_or_an_artist_alone_is_called_so() {
        let mut grid = grid(&[CellState::Failed, CellState::Failed, CellState::Queued]);
        grid.variants[0].name = "seed=1".to_owned();
        grid.cells[0].artist = None;
        grid.cells[1].photo = None;
        let cells = grid.cells.clone();
        let board = Board::new(grid);
        let labels = cells.iter().map(|cell| board.label(cell));
        assert!(labels.eq([
            "photo-0 (content)  seed=1",
            "Monet (style)  seed=1",
            "photo-2 × Monet  seed=1"
        ]));
        let failures = board.ended().failures;
        let names: Vec<String> = failures.iter().map(|it| it.names().to_string()).collect();
        assert_eq!(
            names,
            ["photo-0 (content)  seed=1", "Monet (style)  seed=1"]
        );
    }

    #[test]
    fn ends_and_failed_attempts_are_news_and_progress_is_not() {
        let grid = grid(&[CellState::Queued, CellState::Rendering]);
        let known = grid.cells.clone();
        let mut change = Change {
            sequence: 8,
            summary: grid.summary.clone(),
            cells: vec![grid.cells[1].clone()],
        };
        let mut board = Board::new(grid);
        change.cells[0].evaluations = 30;
        change.cells[0].evaluations_planned = 60;
        assert_eq!(board.apply(&mut change), []);
        assert!((board.fraction() - 0.25).abs() < 1e-9);
        assert_eq!(board.sequence(), 8);

        change.cells[0].state = CellState::Queued;
        change.cells[0].failure = Some("the node was lost".to_owned());
        let mut again = change.clone();
        let news = board.apply(&mut change);
        assert_eq!(news[0].label, "photo-1 × Monet");
        assert_eq!(news[0].state, CellState::Queued);
        assert_eq!(board.apply(&mut again), [], "told once");
        assert!(again.cells.is_empty());

        change.cells[0].state = CellState::Failed;
        assert_eq!(board.apply(&mut change)[0].state, CellState::Failed);
        assert_eq!(board.ended().failures[0].reason, "the node was lost");

        // A cell of some other grid changes nothing.
        change.cells = vec![known[0].clone()];
        change.cells[0].cell_id.grid = GridId::generate();
        change.cells[0].state = CellState::Done;
        assert_eq!(board.apply(&mut change), []);
        assert!(change.cells.is_empty());
    }

    #[test]
    fn what_is_told_again_is_left_out_and_a_change_in_parts_is_over_with_the_last() {
        let grid = grid(&[CellState::Rendering, CellState::Rendering]);
        let mut cells = grid.cells.clone();
        let mut board = Board::new(grid);
        for cell in &mut cells {
            cell.state = CellState::Failed;
        }
        let summary = Summary {
            state: GridState::Finished,
            gallery_complete: true,
            sequence: 9,
            cells: CellCounts {
                failed: 2,
                ..CellCounts::default()
            },
            ..board.summary().clone()
        };
        let part = |sequence, cells: &[CellView]| Change {
            sequence,
            summary: summary.clone(),
            cells: cells.to_vec(),
        };
        let mut first = part(8, &cells[..1]);
        assert_eq!(board.apply(&mut first).len(), 1);
        assert!(!board.is_over(), "a cell is missing");
        assert_eq!(board.ended().failures.len(), 1);

        // The connection broke; whoever goes on after 8 is sent the first cell again.
        let mut rest = part(9, &cells);
        assert_eq!(board.apply(&mut rest).len(), 1);
        assert_eq!(rest.cells, cells[1..]);
        assert!(board.is_over());
        assert_eq!(board.ended().failures.len(), 2);
    }
}
