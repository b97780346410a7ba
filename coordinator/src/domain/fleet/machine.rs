//! A machine of the group, with what is known of the node on it.

use atelier_proto::ids::NodeId;
use jiff::Timestamp;

/// How the cloud calls it, as in `i-0abc`.
pub type MachineId = String;

/// Where a machine stands in its life, as the cloud tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is being started.
    Pending,
    /// It runs.
    InService,
    /// It is going, or is set aside.
    Leaving,
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodePhase {
    /// It takes work.
    Active,
    /// It takes no more.
    Draining,
    /// It gets none.
    Quarantined,
}

/// The node of a machine: the last one that registered there.
#[derive(Debug, Clone, PartialEq)]
pub struct AtMachine {
    /// Its id.
    pub node: NodeId,
    /// Whether it gets work.
    pub phase: NodePhase,
    /// It was heard of within a lease.
    pub is_alive: bool,
    /// When it was last heard of.
    pub seen_at: Timestamp,
    /// Cells that it holds.
    pub cells_held: u32,
    /// What it runs on.
    pub device: String,
}

/// One machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// How the cloud calls it.
    pub id: MachineId,
    /// Where it stands.
    pub phase: Phase,
    /// A smaller group does not choose it.
    pub is_protected: bool,
    /// Its node.
    pub node: Option<AtMachine>,
    /// What an hour of it costs, US dollars.
    pub dollars_per_hour: Option<f64>,
}

impl Machine {
    /// The node, if it is heard of.
    pub fn alive(&self) -> Option<&AtMachine> {
        self.node.as_ref().filter(|node| node.is_alive)
    }

    /// Whether its node holds cells.
    pub fn is_busy(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.cells_held > 0)
    }

    /// Whether its node takes work.
    pub fn is_active(&self) -> bool {
        self.phase == Phase::InService
            && self
                .alive()
                .is_some_and(|node| node.phase == NodePhase::Active)
    }
}
