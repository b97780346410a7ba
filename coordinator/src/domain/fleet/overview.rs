//! How the fleet stands, for people and for metrics.

use super::{Bounds, Standing};

/// How the fleet stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// Cells that no node holds.
    pub cells_queued: u64,
    /// Cells that one does.
    pub cells_running: u64,
    /// Nodes that take work, that leave, and that are in quarantine.
    pub nodes: Counted,
    /// What the nodes cost in an hour, and the machines that have none, US dollars; unknown where one of them is.
    pub dollars_per_hour: Option<f64>,
    /// The bounds that hold.
    pub bounds: Bounds,
    /// How it stood when it was last looked at.
    pub standing: Option<Standing>,
}

/// Nodes by their states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// They take work.
    pub active: u32,
    /// They take no more.
    pub draining: u32,
    /// They get none.
    pub quarantined: u32,
}
