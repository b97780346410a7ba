//! Between the wire and the domain, by hand and in one place.
//!
//! What comes from the wire is not trusted: every error names its field, and what is kept is bounded.

mod from_wire;
mod to_wire;

pub(super) use self::from_wire::{
    cell_result, failure, grid_id, held_cell, lease, node, node_id, page_of, progress, submission,
};
pub(super) use self::to_wire::{cell, grid, leased_cell, summary, wire_duration};

#[cfg(test)]
mod tests;
