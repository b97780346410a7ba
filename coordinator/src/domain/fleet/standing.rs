//! How the fleet stood when it was last looked at, and what is remembered of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Decision, Group, Memory, Phase, Reason, Seen};

/// How the fleet stood when it was last looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// When that was.
    pub at: Timestamp,
    /// Nodes that there should be, within bounds.
    pub wanted: u32,
    /// The machines, where there is a group of them that could be looked at.
    pub machines: Option<Machines>,
    /// What they cost in an hour with all other nodes, US dollars, as far as that is known.
    pub dollars_per_hour: Option<f64>,
    /// Until the backlog is done by the nodes that are there; unknown where nothing was measured.
    pub drain_seconds: Option<f64>,
    /// Why it is so.
    pub reasons: Vec<Reason>,
    /// Why the cloud did not do what it was asked, the last time that it did not.
    pub trouble: Option<String>,
    /// What is remembered.
    pub memory: Memory,
}

impl Standing {
    /// After what was decided of what was seen.
    pub fn of(decision: &Decision, seen: &Seen, memory: Memory, trouble: Option<String>) -> Self {
        let machines = seen.group.as_ref().map(|group| Machines {
            desired: decision.desired.unwrap_or(group.desired),
            ..Machines::count(group)
        });
        let of_machines = seen.group.iter().flat_map(|group| &group.machines);
        let dollars = of_machines.map(|machine| machine.dollars_per_hour);
        let dollars = dollars.sum::<Option<f64>>();
        Self {
            at: seen.now,
            wanted: decision.wanted,
            machines,
            dollars_per_hour: dollars.map(|dollars| dollars + seen.others.dollars_per_hour),
            drain_seconds: seen.drain_seconds(),
            reasons: decision.reasons.clone(),
            trouble,
            memory,
        }
    }
}

/// The machines of a group, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machines {
    /// For how many the group was asked.
    pub desired: u32,
    /// Those that are there and have no node yet.
    pub starting: u32,
    /// Those whose node holds cells.
    pub busy: u32,
    /// Those whose node holds none.
    pub idle: u32,
    /// Those that are going.
    pub leaving: u32,
}

impl Machines {
    /// Of a group.
    pub fn count(group: &Group) -> Self {
        let mut machines = Self {
            desired: group.desired,
            starting: 0,
            busy: 0,
            idle: 0,
            leaving: 0,
        };
        for machine in &group.machines {
            let counted = match machine.phase {
                Phase::Leaving => &mut machines.leaving,
                Phase::Pending => &mut machines.starting,
                Phase::InService if machine.node.is_none() => &mut machines.starting,
                Phase::InService if machine.is_busy() => &mut machines.busy,
                Phase::InService => &mut machines.idle,
            };
            *counted += 1;
        }
        machines
    }
}
