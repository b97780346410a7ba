//! Why the fleet is of the size that it has, in words.

use std::fmt;

use serde::{Deserialize, Serialize};

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
