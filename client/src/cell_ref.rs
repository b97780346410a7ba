//! CELL on the command line: its place in the grid, its names, or its id.

use std::collections::BTreeSet;

use atelier_proto::ids::{CellId, GridId};

use crate::coordinator::view::{CellView, GridView};
use crate::exit::Exit;
use crate::text::{printable, shortened};

/// What stands in `atelier show` where a reconstruction has no photo.
pub const NO_PHOTO: &str = "(style)";
/// What stands in `atelier show` where a reconstruction has no artist.
pub const NO_ARTIST: &str = "(content)";

/// Why CELL names no cell.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The grid has none such.
    #[error(
        "the grid has no cell `{}`\n\
         hint: say its number, PHOTO/ARTIST or PHOTO/ARTIST/VARIANT, as `atelier show {grid}` lists them",
        printable(&shortened(wanted, 300))
    )]
    None {
        /// As it was given.
        wanted: String,
        /// The grid.
        grid: GridId,
    },
    /// It is of another grid.
    #[error("{wanted} is a cell of another grid than {grid}")]
    OtherGrid {
        /// The cell.
        wanted: CellId,
        /// The grid.
        grid: GridId,
    },
    /// No cell was named.
    #[error(
        "which cell?\nhint: say `atelier logs GRID CELL`, with CELL as `atelier show GRID` lists it, or the id of a cell"
    )]
    Unsaid,
    /// Several are meant where one is wanted.
    #[error(
        "the grid has {count} variants of `{}`\nhint: say which, as in `{}`",
        printable(&shortened(wanted, 300)),
        printable(&shortened(example, 300))
    )]
    Several {
        /// As it was given.
        wanted: String,
        /// How many.
        count: usize,
        /// One of them.
        example: String,
    },
    /// It was never attempted so often.
    #[error("the cell {cell} has had no attempt {attempt}\nhint: it has had {attempts}")]
    NoAttempt {
        /// As it was given.
        attempt: u32,
        /// The cell.
        cell: CellId,
        /// How many it has had.
        attempts: u32,
    },
    /// Several are meant, and none of them can be queued again.
    #[error(
        "no variant of `{}` has failed or was cancelled, so there is nothing to queue again",
        printable(&shortened(wanted, 300))
    )]
    NothingToRetry {
        /// As it was given.
        wanted: String,
    },
}

impl CellError {
    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::None { .. } | Self::NoAttempt { .. } => Exit::NotFound,
            Self::OtherGrid { .. } | Self::Unsaid | Self::Several { .. } => Exit::BadInput,
            Self::NothingToRetry { .. } => Exit::NotNow,
        }
    }
}

/// The cells of a grid that are meant, each once. `PHOTO/ARTIST` of several variants means those of them that can be
/// queued again.
pub fn resolve(grid: &GridView, wanted: &[String]) -> Result<BTreeSet<CellId>, CellError> {
    let mut cells = BTreeSet::new();
    for wanted in wanted {
        cells.append(&mut pick(grid, wanted)?);
    }
    Ok(cells)
}

/// The one cell that is meant, whatever its state.
pub fn one(grid: &GridView, wanted: &str) -> Result<CellId, CellError> {
    match named(grid, wanted)?.as_slice() {
        [cell] => Ok(cell.cell_id),
        several => Err(CellError::Several {
            wanted: wanted.to_owned(),
            count: several.len(),
            example: several
                .first()
                .map(|cell| whole_name(grid, cell))
                .unwrap_or_default(),
        }),
    }
}

fn pick(grid: &GridView, wanted: &str) -> Result<BTreeSet<CellId>, CellError> {
    match named(grid, wanted)?.as_slice() {
        [cell] => Ok([cell.cell_id].into()),
        several => {
            let retryable = several.iter().filter(|cell| cell.state.is_retryable());
            let retryable: BTreeSet<CellId> = retryable.map(|cell| cell.cell_id).collect();
            if retryable.is_empty() {
                return Err(CellError::NothingToRetry {
                    wanted: wanted.to_owned(),
                });
            }
            Ok(retryable)
        }
    }
}

/// The cell that is meant, or all variants of what is: one cell at least.
fn named<'a>(grid: &'a GridView, wanted: &str) -> Result<Vec<&'a CellView>, CellError> {
    let id = grid.summary.grid_id;
    let none = || CellError::None {
        wanted: wanted.to_owned(),
        grid: id,
    };
    let by_place = match (wanted.parse::<u32>(), wanted.parse::<CellId>()) {
        (Ok(place), _) => Some(CellId { grid: id, place }),
        (_, Ok(cell)) if cell.grid != id => {
            return Err(CellError::OtherGrid {
                wanted: cell,
                grid: id,
            });
        }
        (_, Ok(cell)) => Some(cell),
        (Err(_), Err(_)) => None,
    };
    if let Some(wanted) = by_place {
        let found = grid.cells.iter().find(|cell| cell.cell_id == wanted);
        return found.map(|cell| vec![cell]).ok_or_else(none);
    }

    let is_called = |cell: &&CellView| wanted == whole_name(grid, cell);
    if let Some(cell) = grid.cells.iter().find(is_called) {
        return Ok(vec![cell]);
    }
    // Names may have slashes in them, so that whole names are compared and none is taken apart.
    let is_variant = |cell: &&CellView| wanted == name_without_variant(grid, cell);
    let variants: Vec<&CellView> = grid.cells.iter().filter(is_variant).collect();
    if variants.is_empty() {
        return Err(none());
    }
    Ok(variants)
}

fn whole_name(grid: &GridView, cell: &CellView) -> String {
    let name = name_without_variant(grid, cell);
    match grid.names(cell).variant {
        "" => name,
        variant => format!("{name}/{variant}"),
    }
}

fn name_without_variant(grid: &GridView, cell: &CellView) -> String {
    let names = grid.names(cell);
    format!(
        "{}/{}",
        names.photo.unwrap_or(NO_PHOTO),
        names.artist.unwrap_or(NO_ARTIST)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::grid;
    use crate::coordinator::view::{CellState, VariantView};

    /// photo-0 × Monet and photo-1 × Monet, each by seed=1 and seed=2, and photo-0 alone.
    fn swept() -> GridView {
        use CellState::{Cancelled, Done, Failed, Queued};
        let mut grid = grid(&[Done, Failed, Done, Cancelled, Queued]);
        grid.variants = ["seed=1", "seed=2"]
            .map(|name| VariantView {
                name: name.to_owned(),
                settings: atelier_proto::settings::SettingsPatch::default(),
            })
            .into();
        for (cell, (photo, variant)) in grid.cells.iter_mut().zip([(0, 0), (0, 1), (1, 0), (1, 1)])
        {
            (cell.photo, cell.variant) = (Some(photo), variant);
        }
        (grid.cells[4].photo, grid.cells[4].artist) = (Some(0), None);
        grid
    }

    fn places(grid: &GridView, wanted: &[&str]) -> Result<Vec<u32>, CellError> {
        let wanted: Vec<String> = wanted.iter().map(|&it| it.to_owned()).collect();
        let cells = resolve(grid, &wanted)?;
        Ok(cells.into_iter().map(|cell| cell.place).collect())
    }

    #[test]
    fn a_cell_is_meant_by_its_place_its_names_or_its_id_and_counts_once() {
        let mut grid = swept();
        let id = grid.cells[3].cell_id.to_string();
        assert_eq!(places(&grid, &["2"]).unwrap(), [2]);
        assert_eq!(places(&grid, &[&id, "3", "0"]).unwrap(), [0, 3]);
        assert_eq!(places(&grid, &["photo-0/Monet/seed=1"]).unwrap(), [0]);
        assert_eq!(places(&grid, &["photo-0/(content)/seed=1"]).unwrap(), [4]);
        assert_eq!(places(&grid, &["photo-0/(content)"]).unwrap(), [4]);
        grid.photos[1].name = "rides/sunday".to_owned();
        assert_eq!(places(&grid, &["rides/sunday/Monet"]).unwrap(), [3]);
    }

    #[test]
    fn names_without_a_variant_mean_those_that_can_be_queued_again() {
        let mut grid = swept();
        assert_eq!(places(&grid, &["photo-0/Monet"]).unwrap(), [1]);
        grid.cells[1].state = CellState::Done;
        let error = places(&grid, &["photo-0/Monet"]).unwrap_err();
        assert_eq!(error.exit(), Exit::NotNow);
    }

    #[test]
    fn where_one_is_wanted_names_without_a_variant_are_not_enough() {
        let grid = swept();
        assert_eq!(one(&grid, "photo-0/Monet/seed=1").unwrap().place, 0);
        assert_eq!(one(&grid, "photo-0/(content)").unwrap().place, 4);
        let error = one(&grid, "photo-0/Monet").unwrap_err();
        assert_eq!(error.exit(), Exit::BadInput);
        assert!(
            error.to_string().contains("`photo-0/Monet/seed=1`"),
            "{error}"
        );
    }

    #[test]
    fn what_the_grid_does_not_have_is_named() {
        let grid = swept();
        for wanted in ["5", "-1", "photo-9/Monet", "photo-0", "", "photo-0/Monet/"] {
            let error = places(&grid, &["0", wanted]).unwrap_err();
            assert_eq!(error.exit(), Exit::NotFound, "{wanted}");
            assert!(
                error.to_string().contains(&format!("`{wanted}`")),
                "{error}"
            );
        }
        let elsewhere = format!("{}/0", GridId::generate());
        let error = places(&grid, &[&elsewhere]).unwrap_err();
        assert!(matches!(error, CellError::OtherGrid { .. }), "{error}");
    }
}
