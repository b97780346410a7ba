//! What is asked of grids.

use atelier_proto::ids::{CellId, GridId};
use atelier_proto::v1;

use super::fields::{Parsed, id, in_range, out_of_range};
use crate::domain::access::Caller;
use crate::domain::field::{InvalidField, Problem, check_count, check_text};
use crate::domain::share::{PRIORITY_MAX, PRIORITY_MIN, SUBMITTER_CHARS_MAX};
use crate::domain::summary::GridState;
use crate::store::Filter;

/// Most cells that one call may have tried again.
const RETRY_CELLS_MAX: usize = 10_000;
/// Longest text to look for in names.
const NAME_PART_CHARS_MAX: usize = 300;

/// Which grids are listed of those that a caller may see; `None`: there can be none.
pub(crate) fn filter(request: &v1::ListRequest, caller: &Caller) -> Parsed<Option<Filter>> {
    let states = request.states.iter().enumerate().map(|(index, value)| {
        match v1::GridState::try_from(*value) {
            Ok(v1::GridState::Active) => Ok(GridState::Active),
            Ok(v1::GridState::Paused) => Ok(GridState::Paused),
            Ok(v1::GridState::Finished) => Ok(GridState::Finished),
            Ok(v1::GridState::Cancelled) => Ok(GridState::Cancelled),
            Ok(v1::GridState::Deleted | v1::GridState::Unspecified) | Err(_) => {
                let problem = Problem::UnknownValue { value: *value };
                Err(InvalidField::new(format!("states[{index}]"), problem))
            }
        }
    });
    if let Some(submitter) = &request.submitter {
        check_text("submitter", submitter, 0, SUBMITTER_CHARS_MAX)?;
    }
    check_text("user", &request.user, 0, SUBMITTER_CHARS_MAX)?;
    let submitter = match (&request.submitter, request.mine) {
        (Some(_), true) => return Err(out_of_range("submitter", "set", "unset with `mine`")),
        (Some(submitter), false) => Some(submitter.as_str()),
        (None, true) => Some(caller.name().unwrap_or(&request.user)),
        (None, false) => None,
    };
    check_text(
        "name_contains",
        &request.name_contains,
        0,
        NAME_PART_CHARS_MAX,
    )?;
    let states = states.collect::<Parsed<_>>()?;
    if submitter.is_some_and(|submitter| !caller.reaches(submitter)) {
        return Ok(None);
    }
    Ok(Some(Filter {
        states,
        submitter: submitter.or(caller.confined_to()).map(str::to_owned),
        name_contains: request.name_contains.clone(),
    }))
}

/// A priority within its range.
pub(crate) fn priority(priority: i32) -> Parsed<i32> {
    let allowed = (PRIORITY_MIN..=PRIORITY_MAX).contains(&priority);
    in_range("priority", allowed, priority, "from -100 to 100")?;
    Ok(priority)
}

/// The places of a grid's cells; `None` if none is named.
pub(crate) fn places(grid: GridId, cells: &[String]) -> Parsed<Option<Vec<u32>>> {
    check_count("cell_ids", cells.len(), 0, RETRY_CELLS_MAX)?;
    let places = cells.iter().enumerate().map(|(index, text)| {
        let field = format!("cell_ids[{index}]");
        let cell: CellId = id(&field, text)?;
        if cell.grid == grid {
            Ok(cell.place)
        } else {
            let problem = Problem::ForeignCell { grid };
            Err(InvalidField::new(field, problem))
        }
    });
    let places: Vec<u32> = places.collect::<Parsed<_>>()?;
    Ok(Some(places).filter(|places| !places.is_empty()))
}
