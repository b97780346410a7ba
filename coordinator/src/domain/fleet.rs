//! How many machines the fleet should have, and which of them are to go.
//!
//! [`decide`] is pure: what is seen of the backlog and of the machines, what is remembered from the time before, and what is
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
mod standing;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use atelier_proto::ids::{GridId, NodeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::decide::decide;
pub use self::machine::{AtMachine, Machine, MachineId, NodePhase, Phase};
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

/// What is remembered from one decision to the next, also by the next coordinator that leads.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// What the group was last asked for, and when.
    pub asked: Option<(u32, Timestamp)>,
    /// When it was last asked for more.
    pub stepped_at: Option<Timestamp>,
    /// Since when each machine has been there.
    pub since: BTreeMap<MachineId, Timestamp>,
    /// Machines of which a node registered.
    pub registered: BTreeSet<MachineId>,
    /// Since when machines have had nothing to do.
    pub idle_since: BTreeMap<MachineId, Timestamp>,
    /// Machines that were taken back because no node was heard of there.
    pub taken_back: u32,
    /// How many of these were the last, one after the other.
    pub silent_in_a_row: u32,
    /// When the last one was taken back.
    pub silent_at: Option<Timestamp>,
    /// When a node last registered.
    pub registered_at: Option<Timestamp>,
    /// Machines whose node was told to leave because there was nothing to do.
    pub drained: BTreeSet<MachineId>,
    /// Machines that were terminated and are still told of, and when they were.
    pub terminated: BTreeMap<MachineId, Timestamp>,
    /// Grids that fitted no machine of the group.
    pub unfit: BTreeSet<GridId>,
    /// Seconds from a machine's start to its node's registration: a running mean.
    pub boot_seconds: Option<f64>,
    /// What nodes of the group ran on when there were some.
    pub devices: BTreeSet<String>,
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

/// Why the fleet is of the size that it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
#[expect(missing_docs, reason = "each is said by its Display")]
pub enum Reason {
    Off,
    NothingToDo,
    Enough { drain_seconds: Option<f64> },
    Measuring,
    NoDriver { missing: u32 },
    Growing { from: u32, to: u32 },
    Pausing { seconds: u64 },
    AtMost { nodes_max: u32 },
    GroupAtMost { size_max: u32 },
    DollarsPerHour { now: f64, most: f64 },
    NoPrice,
    GridDollars { grids: u32, most: f64 },
    Unfit { grids: u32 },
    NoCapacity { told: String },
    Silent { machines: u32 },
    Shrinking { machines: u32 },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => write!(f, "scaling is off"),
            Self::NothingToDo => write!(f, "there is nothing to do"),
            Self::Enough {
                drain_seconds: None,
            } => write!(f, "what is there is enough"),
            Self::Enough {
                drain_seconds: Some(seconds),
            } => {
                let minutes = (seconds / 60.0).ceil();
                write!(f, "what is there will be done in {minutes:.0} min")
            }
            Self::Measuring => write!(f, "one node finds out how long these cells take"),
            Self::NoDriver { missing } => write!(
                f,
                "nothing starts machines here: {} more would be of use",
                counted(*missing, "node")
            ),
            Self::Growing { from, to } => write!(f, "growing from {from} to {to} machines"),
            Self::Pausing { seconds } => write!(f, "the next step up comes in {seconds} s"),
            Self::AtMost { nodes_max } => write!(f, "at the bound of {nodes_max} nodes"),
            Self::GroupAtMost { size_max } => write!(
                f,
                "the group takes no more than {size_max} machines: raise its maximum size"
            ),
            Self::DollarsPerHour { now, most } => write!(
                f,
                "no growth: the machines cost ${now:.2} an hour, and one more would be above ${most:.2}"
            ),
            Self::NoPrice => write!(
                f,
                "no growth: there is a ceiling for dollars an hour, but nobody knows what a machine costs: name its price with --prices"
            ),
            Self::GridDollars { grids, most } => write!(
                f,
                "no growth for {grids} that cost ${most:.2} already",
                grids = counted(*grids, "grid")
            ),
            Self::Unfit { grids } => write!(
                f,
                "no growth for {} that no machine here has the labels or the memory for",
                counted(*grids, "grid")
            ),
            Self::NoCapacity { told } => write!(f, "the cloud starts no machine: {told}"),
            Self::Silent { machines } => write!(
                f,
                "{} in a row never registered a node: growing by one at a time; look at their logs",
                counted(*machines, "machine")
            ),
            Self::Shrinking { machines } => {
                write!(
                    f,
                    "sending away {} without work",
                    counted(*machines, "machine")
                )
            }
        }
    }
}

fn counted(count: u32, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
