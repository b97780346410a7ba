//! The cells of a grid by both readings of the database.

use std::collections::BTreeMap;

use atelier_gallery::keys::{GridKeys, GridNames};
use atelier_proto::ids::CellId;

use crate::coordinator::view::{CellState, CellView, GridView, PictureView};

/// What both readings tell of a grid.
pub(super) struct Told<'a> {
    /// The later one, for names.
    pub(super) grid: &'a GridView,
    pub(super) names: GridNames,
    pub(super) cells: BTreeMap<CellId, Pair<'a>>,
    /// Nothing of the grid or its gallery changes any more, or did between the readings.
    pub(super) is_settled: bool,
}

/// A cell by both readings.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pair<'a> {
    pub(super) before: Option<&'a CellView>,
    pub(super) after: Option<&'a CellView>,
}

impl<'a> Told<'a> {
    pub(super) fn new(before: &'a GridView, after: &'a GridView) -> Self {
        let mut cells: BTreeMap<CellId, Pair<'a>> = BTreeMap::new();
        for cell in &before.cells {
            cells.entry(cell.cell_id).or_default().before = Some(cell);
        }
        for cell in &after.cells {
            cells.entry(cell.cell_id).or_default().after = Some(cell);
        }
        let variants = after.variants.iter().map(|it| it.name.as_str());
        let only = after.variants.is_empty().then_some("");
        Self {
            grid: after,
            names: GridNames::new(
                after.summary.grid_id,
                after.photos.iter().map(|it| it.name.as_str()),
                after.artists.iter().map(|it| it.name.as_str()),
                variants.chain(only),
            ),
            cells,
            is_settled: before.summary.is_over()
                && after.summary.is_over()
                && before.summary.sequence == after.summary.sequence,
        }
    }

    pub(super) fn keys(&self) -> GridKeys {
        self.names.keys()
    }

    /// What a cell is called.
    pub(super) fn label(&self, cell: &CellView) -> String {
        label(self.grid, cell)
    }

    /// File name of a cell's picture, without its extension.
    pub(super) fn stem(&self, cell: &CellView) -> Option<String> {
        self.names.stem(cell.photo, cell.artist, cell.variant)
    }

    /// The keys of the originals that stand in the heads of a cell's row and column, with what they show.
    pub(super) fn heads(&self, cell: &CellView) -> impl Iterator<Item = (String, &'static str)> {
        let photo = cell
            .photo
            .and_then(|photo| self.names.photo_original(photo));
        let artist = cell.artist;
        let artist = artist.and_then(|artist| self.names.artist_original(artist));
        let photo = photo.map(|key| (key, "photo"));
        photo.into_iter().chain(artist.map(|key| (key, "painting")))
    }
}

/// What a cell is called: `cell 3 (hill × Monet)`.
pub(super) fn label(grid: &GridView, cell: &CellView) -> String {
    format!("cell {} ({})", cell.cell_id.place, grid.names(cell))
}

impl<'a> Pair<'a> {
    /// The cell by whichever reading has it, the later one first.
    pub(super) fn cell(self) -> Option<&'a CellView> {
        self.after.or(self.before)
    }

    /// The picture of a cell that was done before the bucket was looked at, so that it had to be there.
    pub(super) fn picture_before(self) -> Option<&'a PictureView> {
        let done = self.before.filter(|cell| cell.state == CellState::Done)?;
        done.picture.as_ref()
    }

    /// Whether it is done by either reading.
    pub(super) fn was_done(self) -> bool {
        let mut readings = self.before.into_iter().chain(self.after);
        readings.any(|cell| cell.state == CellState::Done)
    }

    /// Whether some node may have been at work on it while the bucket was looked at.
    pub(super) fn may_be_open(self) -> bool {
        let is_open = |cell: Option<&CellView>| cell.is_none_or(|cell| !cell.state.has_ended());
        is_open(self.before) || is_open(self.after)
    }
}
