//! What became of a day, in numbers.

use atelier_proto::prices::{Capacity, Prices};

use super::arrivals::{Day, HOUR, MINUTE, Millis};
use super::backlog::Backlog;
use super::machines::Cloud;
use super::strategies::Plan;

/// What all machines are.
pub const INSTANCE_TYPE: &str = "g6.xlarge";

/// How it stood at one minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Millis,
    /// Machines that ran.
    pub machines: u32,
    /// Nodes that held cells.
    pub working: u32,
    /// Nodes that were wanted.
    pub wanted: u32,
    /// How long one node would have worked for what was left, hours.
    pub node_hours: f64,
}

/// What is added up while a day passes.
#[derive(Debug, Clone, Default)]
pub(super) struct Lived {
    /// How long nodes worked.
    pub(super) worked: Millis,
    /// How much of that is lost.
    pub(super) lost: Millis,
    /// When it was over.
    pub(super) end: Millis,
    /// How it stood from minute to minute.
    pub(super) samples: Vec<Sample>,
}

/// What became of a day.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What the machines cost, US dollars.
    pub dollars: f64,
    /// Hours of machines that were paid for.
    pub machine_hours: f64,
    /// Of these, those without a node yet, or without one for good.
    pub booting_hours: f64,
    /// Of these, those in which a node worked.
    pub worked_hours: f64,
    /// Of these, those for which there is nothing to show.
    pub lost_hours: f64,
    /// From a grid's submission to its end, minutes, the shortest first.
    pub waits: Vec<f64>,
    /// From a grid's submission to its first picture, minutes, the shortest first.
    pub firsts: Vec<f64>,
    /// Most machines that ran at once.
    pub largest: u32,
    /// Machines that were told to go although they went already.
    pub repeated: u32,
    /// Machines that were started.
    pub started: usize,
    /// Cells that were done, and those of them that had been done before.
    pub done: (u32, u32),
    /// Cells that were not, because the day was given up.
    pub undone: usize,
    /// When the last grid ended, hours.
    pub ended: f64,
    /// How it stood from minute to minute.
    pub samples: Vec<Sample>,
}

impl Outcome {
    pub(super) fn of(
        day: &Day,
        plan: &Plan,
        cloud: &Cloud,
        backlog: &Backlog,
        lived: Lived,
    ) -> Self {
        let end = lived.end;
        let hours = |time: Millis| time as f64 / HOUR as f64;
        let paid = cloud.machines().iter().map(|machine| machine.paid(end));
        let (paid, booting) = paid.fold((0, 0), |sum, each| (sum.0 + each.0, sum.1 + each.1));
        let capacity = if plan.is_spot {
            Capacity::Spot
        } else {
            Capacity::OnDemand
        };
        let price = Prices::shipped()
            .machine(INSTANCE_TYPE, capacity)
            .unwrap_or(f64::NAN);
        let waited = |until: fn(&super::backlog::Grid) -> Option<Millis>| {
            let grids = backlog.grids().iter();
            let waits =
                grids.map(|grid| (until(grid).unwrap_or(end) - grid.at) as f64 / MINUTE as f64);
            let mut waits: Vec<f64> = waits.collect();
            waits.sort_by(f64::total_cmp);
            waits
        };
        Self {
            dollars: hours(paid) * price,
            machine_hours: hours(paid),
            booting_hours: hours(booting),
            worked_hours: hours(lived.worked),
            lost_hours: hours(lived.lost),
            waits: waited(|grid| grid.ended),
            firsts: waited(|grid| grid.first),
            largest: cloud.largest,
            repeated: cloud.repeated,
            started: cloud.machines().len(),
            done: (backlog.done, backlog.done_twice),
            undone: day.cells() - (backlog.done - backlog.done_twice) as usize,
            ended: hours(
                backlog
                    .grids()
                    .iter()
                    .filter_map(|grid| grid.ended)
                    .max()
                    .unwrap_or(0),
            ),
            samples: lived.samples,
        }
    }

    /// How much of what was paid for had no node yet.
    pub fn booting(&self) -> f64 {
        self.booting_hours / self.machine_hours
    }

    /// How much of it had a node with nothing to do, or one that was leaving.
    pub fn idle(&self) -> f64 {
        1.0 - (self.booting_hours + self.worked_hours) / self.machine_hours
    }

    /// How long grids waited on average, minutes.
    pub fn mean_wait(&self) -> f64 {
        mean(&self.waits)
    }

    /// How long the first picture of a grid took on average, minutes.
    pub fn mean_first(&self) -> f64 {
        mean(&self.firsts)
    }
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// The number below which so much of a sorted list lies, by the nearest rank.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let rank = (part * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}
