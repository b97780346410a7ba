//! Between the wire and the domain, by hand and in one place.
//!
//! What comes from the wire is not trusted: every error names its field, and what is kept is bounded.

mod bucket;
mod fleet;
mod from_wire;
mod to_wire;
mod tokens;

pub(super) use self::bucket::{missing, objects, objects_page, signatures, wanted};
pub(super) use self::fleet::{bounds, fleet};
pub(crate) use self::from_wire::{LEASE_WAIT_MAX, LOG_CHARS_MAX, PAGE_ENTRIES_MAX};
pub(super) use self::from_wire::{
    Page, cell_id, cell_result, drain, failure, filter, grid_id, held_cell, lease, leaving, log,
    node, node_id, page, places, priority, progress, quarantine, submission,
};
pub(super) use self::to_wire::{
    attempt, cell, grid, leased_cell, node_record, summary, timestamp, wire_duration,
};
pub(super) use self::tokens::{new_token, token, token_id, wire_role};

#[cfg(test)]
pub(super) mod tests;
