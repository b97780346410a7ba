//! Between the wire and the domain, by hand and in one place.
//!
//! [`to_wire`] is the way out; the others are the way in, by what is asked.
//!
//! What comes from the wire is not trusted: every error names its field, and what is kept is bounded.

mod bucket;
mod fields;
mod fleet;
mod grids;
mod nodes;
mod submission;
mod to_wire;
mod tokens;

pub(super) use self::bucket::{objects, objects_page, signatures, wanted};
#[cfg(test)]
pub(crate) use self::fields::PAGE_ENTRIES_MAX;
pub(super) use self::fields::{Page, cell_id, grid_id, missing, node_id, page};
pub(super) use self::fleet::{bounds, drain, fleet, quarantine};
pub(super) use self::grids::{filter, places, priority};
#[cfg(test)]
pub(crate) use self::nodes::{HELD_CELLS_MAX, LEASE_WAIT_MAX, LOG_CHARS_MAX};
pub(super) use self::nodes::{
    cell_result, failure, held_cell, lease, leaving, log, node, progress, released,
};
pub(super) use self::submission::submission;
pub(super) use self::to_wire::{
    attempt, cell, grid, leased_cell, node_record, summary, timestamp, wire_duration,
};
pub(super) use self::tokens::{new_token, token, token_id, wire_role};

#[cfg(test)]
pub(super) mod tests;
