//! The fleet of nodes.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::seconds;

/// Whether the fleet follows the backlog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ScaleMode {
    /// Between its bounds.
    #[default]
    Automatic,
    /// Its size is left alone.
    Off,
}

/// What an operator wants of the fleet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FleetBounds {
    /// Whether it follows the backlog.
    pub mode: ScaleMode,
    /// Nodes that are there without work, too.
    pub nodes_min: u32,
    /// Most nodes.
    pub nodes_max: u32,
}

/// Machines of a group, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MachineCounts {
    /// For how many the group was asked.
    pub desired: u32,
    /// There, and without a node yet.
    pub starting: u32,
    /// Their nodes hold cells.
    pub busy: u32,
    /// Their nodes hold none.
    pub idle: u32,
    /// On their way out.
    pub leaving: u32,
}

/// How the fleet stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FleetView {
    /// Cells that no node holds.
    pub cells_queued: u64,
    /// Cells that one does.
    pub cells_running: u64,
    /// Nodes that take work.
    pub nodes_active: u32,
    /// Nodes that leave.
    pub nodes_draining: u32,
    /// Nodes that get no work until somebody has looked at them.
    pub nodes_quarantined: u32,
    /// Until the backlog is done, at the speed of the nodes that are there.
    #[serde(rename = "drain_seconds", serialize_with = "seconds")]
    pub drain_time: Option<Duration>,
    /// What nodes and machines cost in an hour, US dollars.
    pub dollars_per_hour: Option<f64>,
    /// The most that they may cost.
    pub dollars_per_hour_max: Option<f64>,
    /// What a grid may have cost before the fleet grows no more for it.
    pub grid_dollars_max: Option<f64>,
    /// Between what bounds the fleet follows the backlog.
    #[serde(flatten)]
    pub bounds: FleetBounds,
    /// What starts and ends machines: `none` or `asg`.
    pub driver: String,
    /// Nodes that the backlog asks for, within bounds.
    pub nodes_wanted: u32,
    /// The machines, where there is a group of them.
    pub machines: Option<MachineCounts>,
    /// Machines that were taken back because no node was heard of there.
    pub machines_taken_back: u32,
    /// From the start of a machine to the registration of its node.
    #[serde(rename = "boot_seconds", serialize_with = "seconds")]
    pub boot_time: Option<Duration>,
    /// Why the fleet is of the size that it has.
    pub reasons: Vec<String>,
    /// Why the driver could not do what it was to; empty: it could.
    pub trouble: String,
    /// Version of the coordinator; empty: it is too old to say so.
    #[serde(skip)]
    pub version: String,
    /// What its clock says.
    #[serde(skip)]
    pub now: Option<Timestamp>,
}
