//! What a simulation of nodes can be told.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::executor::Simulation;

/// What paints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Painter {
    /// The renderer.
    #[default]
    Libtorch,
    /// Nothing.
    Simulated,
}

/// Options of `--renderer simulated`, none of which is given without it.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct SimulatedArgs {
    /// How many nodes this process is, called NAME-0001, NAME-0002, …; from 1 to 10000 [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub simulated_nodes: Option<u32>,
    /// How long a node works for a cell; a batch takes as long as its cells one after the other [default: 1s]
    #[arg(long, value_name = "DURATION")]
    pub simulated_cell_time: Option<CellTime>,
    /// How far nodes differ: each is faster or slower by a share of up to this, from 0 to 0.9 [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub simulated_spread: Option<Spread>,
    /// Share of the cells that fail on their way, so that they are tried again: from 0 to 1, as in 0.05 [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub simulated_failures: Option<Share>,
    /// `off` puts nothing into the bucket, to measure coordinators alone: galleries then name pictures that are not there
    /// [default: on]
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    pub simulated_uploads: Option<Switch>,
    /// Cells that a node takes at once, from 1 to 256 [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub simulated_batch: Option<u32>,
}

impl SimulatedArgs {
    /// The first option that was given; none if none was.
    pub fn given(&self) -> Option<&'static str> {
        let options = [
            ("--simulated-nodes", self.simulated_nodes.is_some()),
            ("--simulated-cell-time", self.simulated_cell_time.is_some()),
            ("--simulated-spread", self.simulated_spread.is_some()),
            ("--simulated-failures", self.simulated_failures.is_some()),
            ("--simulated-uploads", self.simulated_uploads.is_some()),
            ("--simulated-batch", self.simulated_batch.is_some()),
        ];
        let first = options.into_iter().find(|(_, is_given)| *is_given);
        first.map(|(name, _)| name)
    }

    /// How many nodes.
    pub fn nodes(&self) -> u32 {
        self.simulated_nodes.unwrap_or(1)
    }

    /// What each of them does.
    pub fn simulation(&self) -> Simulation {
        let cell_time = self.simulated_cell_time;
        Simulation {
            cell_time: cell_time.map_or(Duration::from_secs(1), |time| time.0),
            spread: self.simulated_spread.map_or(0.0, |spread| spread.0),
            failure_share: self.simulated_failures.map_or(0.0, |share| share.0),
            leaves_pictures: self.simulated_uploads.unwrap_or_default() == Switch::On,
            batch: self.simulated_batch.unwrap_or(8),
        }
    }
}

/// On or off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    #[default]
    On,
    /// Off.
    Off,
}

/// How long a cell takes: from a millisecond to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellTime(pub Duration);

/// A time that no cell takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it must be a time from 1ms to 1day, as in 300ms")]
pub struct MalformedCellTime;

impl FromStr for CellTime {
    type Err = MalformedCellTime;

    fn from_str(text: &str) -> Result<Self, MalformedCellTime> {
        let time = humantime::parse_duration(text).map_err(|_| MalformedCellTime)?;
        let possible = Duration::from_millis(1)..=Duration::from_hours(24);
        if possible.contains(&time) {
            Ok(Self(time))
        } else {
            Err(MalformedCellTime)
        }
    }
}

/// A part of all: 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(pub f64);

/// A part that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it must be a number from 0 to 1, as in 0.05")]
pub struct MalformedShare;

impl FromStr for Share {
    type Err = MalformedShare;

    fn from_str(text: &str) -> Result<Self, MalformedShare> {
        let share: f64 = text.parse().map_err(|_| MalformedShare)?;
        if (0.0..=1.0).contains(&share) {
            Ok(Self(share))
        } else {
            Err(MalformedShare)
        }
    }
}

/// How far nodes differ: 0..=0.9.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread(pub f64);

/// A spread with which nodes would stand still.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it must be a number from 0 to 0.9, as in 0.3")]
pub struct MalformedSpread;

impl FromStr for Spread {
    type Err = MalformedSpread;

    fn from_str(text: &str) -> Result<Self, MalformedSpread> {
        let spread: f64 = text.parse().map_err(|_| MalformedSpread)?;
        if (0.0..=0.9).contains(&spread) {
            Ok(Self(spread))
        } else {
            Err(MalformedSpread)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Cli, Command, RunArgs};
    use super::*;

    fn run(args: &[&str]) -> RunArgs {
        let args = ["atelier-node", "run"].iter().chain(args);
        match Cli::try_parse_from(args).unwrap().command {
            Command::Run(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_simulation_is_not_told_has_defaults() {
        let args = run(&["--renderer", "simulated"]);
        assert_eq!(args.painter, Painter::Simulated);
        assert_eq!(args.simulated.given(), None);
        assert_eq!(args.simulated.nodes(), 1);
        let simulation = args.simulated.simulation();
        assert_eq!(simulation.cell_time, Duration::from_secs(1));
        assert!(simulation.leaves_pictures);
        assert_eq!((simulation.batch, simulation.failure_share), (8, 0.0));
        let told = [
            "--simulated-cell-time",
            "250ms",
            "--simulated-spread",
            "0.25",
            "--simulated-failures",
            "0.5",
            "--simulated-uploads",
            "off",
            "--simulated-batch",
            "3",
        ];
        let simulated = run(&told).simulated;
        assert_eq!(simulated.given(), Some("--simulated-cell-time"));
        let simulation = simulated.simulation();
        assert_eq!(simulation.cell_time, Duration::from_millis(250));
        assert!(!simulation.leaves_pictures);
        assert_eq!((simulation.batch, simulation.failure_share), (3, 0.5));
        assert!((simulation.spread - 0.25).abs() < 1e-12);
    }

    #[test]
    fn times_and_shares_have_bounds() {
        assert!("1ms".parse::<CellTime>().is_ok() && "1day".parse::<CellTime>().is_ok());
        for wrong in ["", "0s", "2days", "soon"] {
            assert_eq!(wrong.parse::<CellTime>(), Err(MalformedCellTime));
        }
        assert!("0".parse::<Share>().is_ok() && "1".parse::<Share>().is_ok());
        for wrong in ["", "-0.1", "1.1", "nan", "5%"] {
            assert_eq!(wrong.parse::<Share>(), Err(MalformedShare));
        }
        assert!("0".parse::<Spread>().is_ok() && "0.9".parse::<Spread>().is_ok());
        for wrong in ["", "-0.1", "1", "nan"] {
            assert_eq!(wrong.parse::<Spread>(), Err(MalformedSpread));
        }
    }
}
