//! What a node says of itself, how it gets on, and when it is at fault.

use std::collections::BTreeMap;

use atelier_proto::ids::{GridId, NodeId};
use atelier_proto::prices::{Capacity, Prices};
use jiff::Timestamp;

use super::field::{InvalidField, Problem, check_count, check_text};

/// Longest text that a node says of itself.
pub const TEXT_CHARS_MAX: usize = 300;
/// Most labels.
pub const LABELS_MAX: usize = 32;
/// Longest name or value of a label.
pub const LABEL_CHARS_MAX: usize = 100;

/// The label by which a node of a cloud says on what machine it is, as in `g6.xlarge`.
pub const INSTANCE_TYPE_LABEL: &str = "instance-type";
/// The label by which it says how that is paid for: `spot` or `on-demand`.
pub const CAPACITY_LABEL: &str = "capacity";

/// One run of a node program.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The id that it made when it started.
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// What it renders on.
    pub device: String,
    /// Bytes that the device can give to a render.
    pub memory_bytes: u64,
    /// Cells that it optimises in one batch.
    pub batch_capacity: u32,
    /// Version of its program.
    pub version: String,
    /// Cloud instance; empty elsewhere.
    pub instance_id: String,
    /// What its operator says of it.
    pub labels: Labels,
    /// US dollars that an hour of it costs, if somebody knows.
    pub dollars_per_hour: Option<f64>,
}

/// Names with a value each: what a node has, or what a grid wants of its nodes.
pub type Labels = BTreeMap<String, String>;

/// Grids of which a cell must have failed on a node, one after the other and none completed between, for the node to be at
/// fault rather than the cells.
pub const FAILING_GRIDS_MAX: usize = 3;

/// Whether a node gets work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// It does.
    Active,
    /// It finishes what it holds and leaves.
    Draining {
        /// For people.
        reason: String,
    },
    /// It gets none until an operator says so.
    Quarantined {
        /// For people.
        reason: String,
    },
}

impl NodeState {
    /// The state in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draining { .. } => "draining",
            Self::Quarantined { .. } => "quarantined",
        }
    }

    /// Why it gets no work; empty if it does.
    pub fn reason(&self) -> &str {
        match self {
            Self::Active => "",
            Self::Draining { reason } | Self::Quarantined { reason } => reason,
        }
    }

    /// Of its word and its reason.
    pub fn of(word: &str, reason: String) -> Option<Self> {
        match word {
            "active" => Some(Self::Active),
            "draining" => Some(Self::Draining { reason }),
            "quarantined" => Some(Self::Quarantined { reason }),
            _ => None,
        }
    }
}

/// How a node gets on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether it gets work.
    pub state: NodeState,
    /// Grids of which a cell failed there since it last completed one, each once.
    pub failing_grids: Vec<GridId>,
}

impl Health {
    /// After an attempt failed there that might have succeeded elsewhere.
    #[must_use]
    pub fn failed(mut self, grid: GridId, reason: &str) -> Self {
        if !self.failing_grids.contains(&grid) {
            self.failing_grids.push(grid);
        }
        let is_at_fault = self.failing_grids.len() >= FAILING_GRIDS_MAX;
        if is_at_fault && self.state == NodeState::Active {
            let grids = self.failing_grids.len();
            self.state = NodeState::Quarantined {
                reason: format!(
                    "cells of {grids} grids failed there in a row; the last one: {reason}"
                ),
            };
        }
        self
    }

    /// After somebody said in what state it is to be: what failed there before counts no more.
    pub fn ordered(state: NodeState) -> Self {
        Self {
            state,
            failing_grids: Vec::new(),
        }
    }
}

/// A node as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeRecord {
    /// What it says of itself.
    pub node: Node,
    /// How it gets on.
    pub health: Health,
    /// When it first said so.
    pub registered_at: Timestamp,
    /// When it was last heard of, to some seconds.
    pub last_seen_at: Timestamp,
    /// Cells that it has completed.
    pub cells_done: u64,
    /// Name of the identity that it belongs to: the first that registered it; empty: nobody was asked.
    pub identity: String,
}

impl Node {
    /// Checks that it keeps to the limits.
    ///
    /// # Errors
    /// Names the first field that does not.
    pub fn check(&self) -> Result<(), InvalidField> {
        check_text("name", &self.name, 1, TEXT_CHARS_MAX)?;
        check_text("device", &self.device, 1, TEXT_CHARS_MAX)?;
        check_text("version", &self.version, 0, TEXT_CHARS_MAX)?;
        check_text("instance_id", &self.instance_id, 0, TEXT_CHARS_MAX)?;
        if self.batch_capacity == 0 {
            let problem = Problem::OutOfRange {
                value: "0".to_owned(),
                range: "1 or more",
            };
            return Err(InvalidField::new("batch_capacity", problem));
        }
        if let Some(dollars) = self.dollars_per_hour
            && !(dollars.is_finite() && dollars >= 0.0)
        {
            let problem = Problem::OutOfRange {
                value: dollars.to_string(),
                range: "0 or more",
            };
            return Err(InvalidField::new("dollars_per_hour", problem));
        }
        check_labels(&self.labels)
    }

    /// What an hour of it costs by a table of prices, if it says on what machine it is, US dollars.
    pub fn listed_price(&self, prices: &Prices) -> Option<f64> {
        let capacity = Capacity::of(self.labels.get(CAPACITY_LABEL)?)?;
        prices.machine(self.labels.get(INSTANCE_TYPE_LABEL)?, capacity)
    }

    /// Whether its memory is enough, as far as it knows: one that does not know says 0.
    pub fn holds(&self, bytes: u64) -> bool {
        self.memory_bytes == 0 || bytes <= self.memory_bytes
    }

    /// Whether it has all the labels that are wanted.
    pub fn has(&self, wanted: &Labels) -> bool {
        wanted
            .iter()
            .all(|(name, value)| self.labels.get(name) == Some(value))
    }
}

/// Checks that labels keep to the limits.
///
/// # Errors
/// Names `labels` if they do not.
pub fn check_labels(labels: &Labels) -> Result<(), InvalidField> {
    check_count("labels", labels.len(), 0, LABELS_MAX)?;
    for (name, value) in labels {
        check_text("labels", name, 1, LABEL_CHARS_MAX)?;
        check_text("labels", value, 0, LABEL_CHARS_MAX)?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn node() -> Node {
        Node {
            id: NodeId::generate(),
            name: "node-0".to_owned(),
            device: "cpu".to_owned(),
            memory_bytes: 8 << 30,
            batch_capacity: 1,
            version: "0.1.0".to_owned(),
            instance_id: String::new(),
            labels: [("zone".to_owned(), "a".to_owned())].into(),
            dollars_per_hour: None,
        }
    }

    #[test]
    fn a_node_is_at_fault_when_cells_of_several_grids_fail_there_and_not_for_one_bad_grid() {
        let [first, second, third] = [(); 3].map(|()| GridId::generate());
        let mut health = Health::ordered(NodeState::Active);
        for _ in 0..9 {
            health = health.failed(first, "no memory");
        }
        assert_eq!(health.state, NodeState::Active);
        health = health.failed(second, "no memory");
        assert_eq!(health.state, NodeState::Active);
        health = health.failed(third, "no device");
        assert_eq!(health.state.word(), "quarantined");
        assert!(health.state.reason().contains("no device"));
    }

    #[test]
    fn what_an_operator_said_of_a_node_stays_when_it_fails_on() {
        let reason = "spot".to_owned();
        let mut health = Health::ordered(NodeState::Draining { reason });
        for _ in 0..FAILING_GRIDS_MAX {
            health = health.failed(GridId::generate(), "no device");
        }
        assert_eq!(health.state.word(), "draining");
    }
}
