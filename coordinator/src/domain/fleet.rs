//! How many machines the fleet should have, and which of them are to go.
//!
//! [`mod@decide`] is pure: what is seen of the backlog and of the machines, what is remembered from the time before, and what is
//! wanted of the fleet go in; what is to be done comes out. A day of it is tried in virtual time by `scaling-study`.
//!
//! Wanted are as many nodes as finish what is left within the target time, by what was measured:
//!
//! ```text
//! wanted = seconds that one node would need for all that is left / target drain time
//! ```
//!
//! That number falls while work is done. A fleet that followed it down would never finish: at any time it would have so many
//! nodes that the rest takes another drain time. So nodes that have work stay, and only those go that had none for
//! [`Policy::idle_time`]: they are drained first, so that none is given a cell while it goes, and terminated by their id. Where
//! many have none, all but a few go after a minute: what comes next seldom needs as many as what has just ended.

mod decide;
mod machine;
mod memory;
mod need;
mod overview;
mod reason;
mod standing;

#[cfg(test)]
mod tests;

use std::time::Duration;

use atelier_proto::ids::{GridId, NodeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::decide::decide;
pub use self::machine::{AtMachine, Machine, MachineId, NodePhase, Phase};
pub use self::memory::Memory;
pub use self::overview::{Counted, Overview};
pub use self::reason::Reason;
pub use self::standing::{Machines, Standing};

/// Most nodes that bounds may ask for.
pub const NODES_MAX: u32 = 10_000;
/// What the group was last asked for counts as its size for so long, whatever it says: its answers are eventually
/// consistent.
pub const SETTLE_TIME: Duration = Duration::from_secs(30);
/// After so many machines in a row of which no node registered, the fleet grows by one at a time.
pub const SILENT_IN_A_ROW_MAX: u32 = 3;
/// How long it then waits before the next.
pub const SILENT_WAIT: Duration = Duration::from_mins(10);

/// Whether the fleet follows the backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Between its bounds.
    Automatic,
    /// Its size is left alone.
    Off,
}

/// What an operator wants of the fleet; it can be changed while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Whether it follows the backlog.
    pub mode: Mode,
    /// Nodes that are there without work, too.
    pub nodes_min: u32,
    /// Nodes that are there at most, 0..=[`NODES_MAX`].
    pub nodes_max: u32,
}

/// By what rules the fleet follows the backlog.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Within what time the backlog is to be done.
    pub drain_time: Duration,
    /// A machine goes that had nothing to do for so long.
    pub idle_time: Duration,
    /// A machine is taken back of which no node registered for so long, or whose node has been silent for so long.
    pub register_timeout: Duration,
    /// Most machines that are asked for at once.
    pub step_max: u32,
    /// Least time between two steps up, but for the first machines.
    pub step_interval: Duration,
    /// What all machines may cost in an hour, US dollars.
    pub dollars_per_hour_max: Option<f64>,
    /// What a grid may have cost before the fleet grows no more for it, US dollars.
    pub grid_dollars_max: Option<f64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            drain_time: Duration::from_mins(15),
            idle_time: Duration::from_mins(5),
            register_timeout: Duration::from_mins(15),
            step_max: 50,
            step_interval: Duration::from_secs(30),
            dollars_per_hour_max: None,
            grid_dollars_max: None,
        }
    }
}

/// What is left of a grid whose cells may be handed out.
#[derive(Debug, Clone, PartialEq)]
pub struct GridLeft {
    /// The grid.
    pub grid: GridId,
    /// Its cells that wait.
    pub queued: u32,
    /// Its cells that nodes hold.
    pub running: u32,
    /// Seconds that one node would need for them; `None`: nothing like it was measured.
    pub node_seconds: Option<f64>,
    /// What it has cost, US dollars.
    pub dollars_spent: f64,
    /// Whether a node that is there has the labels and the memory that it wants; `None`: none is there to tell.
    pub is_fitting: Option<bool>,
}

/// The group of machines as the cloud tells it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Group {
    /// How many machines it is asked for.
    pub desired: u32,
    /// The least and the most that it can be asked for.
    pub size: (u32, u32),
    /// Its machines.
    pub machines: Vec<Machine>,
    /// Why it could not start the last machine that it tried to.
    pub refusal: Option<String>,
}

/// All that a decision looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The time.
    pub now: Timestamp,
    /// What there is to do.
    pub backlog: Vec<GridLeft>,
    /// How many cells of it nodes may hold at once, by the limits of its submitters.
    pub cells_runnable: u64,
    /// The machines; `None` where nobody but people starts nodes.
    pub group: Option<Group>,
    /// Nodes that take work and are on no machine of the group, and how many of these have some.
    pub others: Others,
    /// What one more machine would cost in an hour, US dollars.
    pub machine_dollars: Option<f64>,
}

impl Seen {
    /// Nodes that take work, wherever they are.
    pub fn active(&self) -> u32 {
        let machines = self.group.iter().flat_map(|group| &group.machines);
        let active = machines.filter(|machine| machine.is_active()).count() as u32;
        active + self.others.active
    }

    /// Until the backlog is done by the nodes that take work; unknown where a grid of it was not measured.
    pub fn drain_seconds(&self) -> Option<f64> {
        let grids = self.backlog.iter().map(|grid| grid.node_seconds);
        let seconds: f64 = grids.sum::<Option<f64>>()?;
        let active = self.active();
        (active > 0).then(|| seconds / f64::from(active))
    }
}

/// Nodes that no driver has started.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Others {
    /// Those that take work.
    pub active: u32,
    /// Those that hold cells.
    pub busy: u32,
    /// What they cost in an hour, as far as that is known, US dollars.
    pub dollars_per_hour: f64,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// Nodes that there should be, within bounds; told also where nobody acts on it.
    pub wanted: u32,
    /// What the group is to be asked for, if anything.
    pub desired: Option<u32>,
    /// Nodes that are to take no more work because their machine goes.
    pub drain: Vec<NodeId>,
    /// Machines that go.
    pub terminate: Vec<MachineId>,
    /// Machines that a smaller group must not choose.
    pub protect: Vec<MachineId>,
    /// Machines that it may.
    pub unprotect: Vec<MachineId>,
    /// Why it is so.
    pub reasons: Vec<Reason>,
}

impl Decision {
    /// Whether anything is to be done.
    pub fn acts(&self) -> bool {
        let machines = [&self.terminate, &self.protect, &self.unprotect];
        self.desired.is_some()
            || !self.drain.is_empty()
            || machines.into_iter().any(|machines| !machines.is_empty())
    }
}
