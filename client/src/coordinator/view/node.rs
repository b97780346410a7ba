//! Nodes.

use std::collections::BTreeMap;
use std::fmt;

use atelier_proto::ids::NodeId;
use jiff::Timestamp;
use serde::Serialize;

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// It gets work.
    Active,
    /// It finishes what it holds and leaves.
    Draining,
    /// It gets no work until the quarantine is lifted.
    Quarantined,
    /// It was not heard of for longer than a lease lasts.
    Lost,
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Quarantined => "quarantined",
            Self::Lost => "lost",
        })
    }
}

/// A node as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeView {
    /// Its id.
    pub node_id: NodeId,
    /// What its operator calls it.
    pub name: String,
    /// Where it stands.
    pub state: NodeState,
    /// Why it drains or is in quarantine; empty otherwise.
    pub reason: String,
    /// What it renders on.
    pub device: String,
    /// Bytes that the device can give to a render.
    pub memory_bytes: u64,
    /// Version of its program.
    pub version: String,
    /// Cloud instance; empty elsewhere.
    pub instance_id: String,
    /// What its operator says of it.
    pub labels: BTreeMap<String, String>,
    /// Cells that it holds now.
    pub cells_held: u32,
    /// Cells that it has completed.
    pub cells_done: u32,
    /// US dollars that an hour of it costs.
    pub dollars_per_hour: Option<f64>,
    /// Name of the identity that it belongs to; empty where the coordinator asks nobody.
    pub identity: String,
    /// When it began.
    pub registered_at: Option<Timestamp>,
    /// When it was last heard of.
    pub last_seen_at: Option<Timestamp>,
}
