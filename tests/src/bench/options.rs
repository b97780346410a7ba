//! What a measurement can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures how much one coordinator carries: the real programs, all on this machine
///
/// The table goes to standard output, what is going on to standard error.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench-coordinator", version)]
pub struct Options {
    /// Everything small, to try it out: 5,000 cells, 100 nodes, windows of 5 s. Nothing is written then
    #[arg(long)]
    pub quick: bool,
    /// Databases to measure, one after the other
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "sqlite,postgres",
        value_name = "NAME"
    )]
    pub databases: Vec<DatabaseKind>,
    /// Parts of the measurement
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "load,memory,sizes,graphile",
        value_name = "NAME"
    )]
    pub parts: Vec<Part>,
    /// Cells of a grid [default: 100000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub cells: Option<u32>,
    /// Simulated nodes [default: 1000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub nodes: Option<u32>,
    /// How long a node works for a cell: one load after the other, the heaviest last [default: 1s,500ms,220ms]
    #[arg(long, value_delimiter = ',', value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub cell_time: Vec<Duration>,
    /// Cells that a node renders at once; they end together
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub batch: u32,
    /// How long a load lasts before it is measured [default: 15s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub warm_up: Option<Duration>,
    /// How long it is measured. A block is 45 s of work or 64 cells: a window that is no multiple of that sees too many
    /// leases or too few [default: 48s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub window: Option<Duration>,
    /// How long the memory of a coordinator is looked at, under the lightest of the loads [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub memory_window: Option<Duration>,
    /// Who watches, each over a connection of its own [default: 1000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub watchers: Option<u32>,
    /// Grids that lie beside the one that is rendered when sizes are compared
    #[arg(long, default_value_t = 10, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(2..=100))]
    pub grids_beside: u32,
    /// Grids of 1,000 cells that are rendered for each size [default: 20]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,
    /// Jobs of Graphile Worker [default: 20000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    pub jobs: Option<u32>,
    /// Put the table into this file, over the last one of its kind
    #[arg(long, value_name = "FILE", conflicts_with = "quick")]
    pub write: Option<PathBuf>,
}

/// Where a coordinator keeps the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatabaseKind {
    /// In its data folder.
    Sqlite,
    /// In PostgreSQL.
    Postgres,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Submitting, nodes at work, watchers.
    Load,
    /// Whether a coordinator at work grows.
    Memory,
    /// 1,000 cells in the database against a million.
    Sizes,
    /// What Graphile Worker does on the same PostgreSQL.
    Graphile,
}

/// The options with their defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// Cells of a grid.
    pub cells: u32,
    /// Simulated nodes.
    pub nodes: u32,
    /// Seconds of a node for a cell, load by load.
    pub cell_times: Vec<Duration>,
    /// Cells that a node renders at once.
    pub batch: u32,
    /// Before a window.
    pub warm_up: Duration,
    /// How long is measured.
    pub window: Duration,
    /// How long memory is looked at.
    pub memory_window: Duration,
    /// Who watches.
    pub watchers: u32,
    /// Grids beside the one that is rendered.
    pub grids_beside: u32,
    /// Cells of a grid of a round.
    pub round_cells: u32,
    /// Rounds for each size.
    pub rounds: u32,
    /// Jobs of Graphile Worker.
    pub jobs: u32,
}

impl Options {
    /// What is to be done, in numbers.
    pub fn scale(&self) -> Scale {
        let count = |given: Option<u32>, quick, full| given.unwrap_or(self.either(quick, full));
        let milliseconds = Duration::from_millis;
        let cell_times = if self.cell_time.is_empty() {
            let quick = vec![milliseconds(100), milliseconds(20)];
            let full = vec![milliseconds(1000), milliseconds(500), milliseconds(220)];
            self.either(quick, full)
        } else {
            self.cell_time.clone()
        };
        let seconds = Duration::from_secs;
        Scale {
            cells: count(self.cells, 5_000, 100_000),
            nodes: count(self.nodes, 100, 1_000),
            cell_times,
            batch: self.batch,
            warm_up: self.warm_up.unwrap_or(self.either(seconds(3), seconds(15))),
            window: self.window.unwrap_or(self.either(seconds(5), seconds(48))),
            memory_window: self
                .memory_window
                .unwrap_or(self.either(seconds(5), seconds(600))),
            watchers: count(self.watchers, 100, 1_000),
            grids_beside: self.grids_beside,
            round_cells: self.either(500, 1_000),
            rounds: count(self.rounds, 3, 20),
            jobs: count(self.jobs, 2_000, 20_000),
        }
    }

    fn either<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}

impl Scale {
    /// How long a load may take, with what is submitted for it.
    pub fn patience(&self) -> Duration {
        2 * (self.warm_up + 3 * self.window) + Duration::from_mins(2)
    }

    /// The same with the window in which memory is looked at.
    #[must_use]
    pub fn at_length(&self) -> Self {
        Self {
            window: self.memory_window,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn scale(args: &[&str]) -> Scale {
        let args = ["bench-coordinator"].iter().chain(args);
        Options::try_parse_from(args).unwrap().scale()
    }

    #[test]
    fn quick_is_small_and_what_is_given_wins() {
        Options::command().debug_assert();
        assert_eq!(scale(&[]).cells, 100_000);
        assert_eq!(scale(&[]).nodes, 1_000);
        let quick = scale(&["--quick", "--nodes", "7", "--cell-time", "3s,40ms"]);
        assert_eq!((quick.cells, quick.nodes), (5_000, 7));
        let cell_times = [Duration::from_secs(3), Duration::from_millis(40)];
        assert_eq!(quick.cell_times, cell_times);
        assert_eq!(quick.window, Duration::from_secs(5));
    }
}
