//! GRID on the command line: an id, the beginning of one, or a name.

use atelier_proto::ids::GridId;

use crate::coordinator::view::Summary;
use crate::coordinator::{Coordinator, GridFilter};
use crate::error::Error;
use crate::exit::Exit;
use crate::meant::{may_begin_an_id, meant};
use crate::plan::NAME_CHARACTERS_MAX;
use crate::text::{self, printable, shortened};

/// Grids that are looked through for a name.
const GRIDS_MAX: usize = 100_000;
/// Grids that are named when several are meant.
const CANDIDATES_MAX: usize = 5;

/// Why GRID names no grid.
#[derive(Debug, thiserror::Error)]
pub enum PickError {
    /// There is none.
    #[error(
        "no grid has the id or name `{}`\nhint: `atelier list` shows the grids there are",
        printable(&shortened(wanted, 300))
    )]
    None {
        /// As it was given.
        wanted: String,
    },
    /// There are several.
    #[error(
        "{} grids answer to `{}`:\n{}\nhint: say which by its id",
        candidates.len(),
        printable(&shortened(wanted, 300)),
        listed(candidates)
    )]
    Several {
        /// As it was given.
        wanted: String,
        /// Those that are meant, newest first.
        candidates: Vec<Summary>,
    },
}

impl PickError {
    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::None { .. } => Exit::NotFound,
            Self::Several { .. } => Exit::BadInput,
        }
    }
}

fn listed(candidates: &[Summary]) -> String {
    text::listed(candidates, CANDIDATES_MAX, |grid| {
        let name = printable(&shortened(&grid.name, 60));
        format!("{}  {name} ({})", grid.grid_id, grid.state)
    })
}

/// The grid that is meant. A whole id is taken at its word; whether it exists, the next call tells.
pub async fn resolve(coordinator: &Coordinator, wanted: &str) -> Result<GridId, Error> {
    if let Ok(id) = wanted.parse() {
        return Ok(id);
    }
    // A name is looked for by the coordinator, which saves bringing all grids here.
    let alike = GridFilter {
        name: wanted.chars().take(NAME_CHARACTERS_MAX).collect(),
        ..GridFilter::default()
    };
    let (mut grids, _) = coordinator.list(&alike, GRIDS_MAX).await?;
    grids.retain(|grid| grid.name == wanted);
    if grids.is_empty() && may_begin_an_id(wanted) {
        (grids, _) = coordinator.list(&GridFilter::default(), GRIDS_MAX).await?;
    }
    Ok(pick(wanted, &grids)?)
}

/// The one grid of this name or, failing that, with an id that begins so.
fn pick(wanted: &str, grids: &[Summary]) -> Result<GridId, PickError> {
    let candidates = meant(wanted, grids, |it| &it.name, |it| it.grid_id.to_string());
    match candidates.as_slice() {
        [grid] => Ok(grid.grid_id),
        [] => Err(PickError::None {
            wanted: wanted.to_owned(),
        }),
        several => Err(PickError::Several {
            wanted: wanted.to_owned(),
            candidates: several.iter().map(|grid| (*grid).clone()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::summary;

    fn grid(id: &str, name: &str) -> Summary {
        Summary {
            grid_id: id.parse().unwrap(),
            name: name.to_owned(),
            ..summary()
        }
    }

    #[test]
    fn a_grid_is_meant_by_name_or_by_the_beginning_of_its_id() {
        let grids = [
            grid("01890a5d-ac96-774b-bcce-b302099a8057", "Sunday"),
            grid("01890a5d-ac96-774b-bcce-b302099a8058", "Monday"),
            grid("02890a5d-ac96-774b-bcce-b302099a8059", "Sunday ride"),
            grid("02990a5d-ac96-774b-bcce-b302099a8059", "Monday"),
        ];
        assert_eq!(pick("Sunday", &grids).unwrap(), grids[0].grid_id);
        assert_eq!(pick("0289", &grids).unwrap(), grids[2].grid_id);
        assert_eq!(pick("02890A5D-ac", &grids).unwrap(), grids[2].grid_id);
        for nothing in ["", "028", "sunday", "Tuesday"] {
            let error = pick(nothing, &grids).unwrap_err();
            assert_eq!(error.exit(), Exit::NotFound);
        }
        for several in ["Monday", "01890a5d"] {
            let error = pick(several, &grids).unwrap_err();
            assert_eq!(error.exit(), Exit::BadInput);
            assert!(error.to_string().contains("bcce-b302099a8058"), "{error}");
        }
    }
}
