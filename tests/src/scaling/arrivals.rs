//! What a day brings: grids, and for how long the cloud starts no machine or wants no calls.

use std::ops::Range;

use super::chance::Chance;

/// Milliseconds from the day's beginning.
pub type Millis = u64;

/// A second of it.
pub const SECOND: Millis = 1000;
/// A minute of it.
pub const MINUTE: Millis = 60 * SECOND;
/// An hour of it.
pub const HOUR: Millis = 60 * MINUTE;

/// Cells of one kind, as [`atelier_coordinator::domain::effort`] tells kinds apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Work of a cell, in the coordinator's unit.
    pub work: f64,
    /// Seconds that a node needs for a unit of it.
    pub seconds_per_work: f64,
    /// How often a grid is of it, against the others.
    weight: f64,
}

/// Pictures from small to very large: 4 to 95 s of a node.
pub const KINDS: [Kind; 5] = [
    kind("256", 4.0, 1.0, 0.2),
    kind("512", 10.0, 1.0, 0.4),
    kind("512 deep", 14.0, 1.25, 0.2),
    kind("1024", 30.0, 0.9, 0.15),
    kind("2048", 90.0, 1.05, 0.05),
];
const STANDARD: usize = 1;

const fn kind(name: &'static str, work: f64, seconds_per_work: f64, weight: f64) -> Kind {
    Kind {
        name,
        work,
        seconds_per_work,
        weight,
    }
}

/// Grids that come one by one, by the hour of the day.
const GRIDS_PER_HOUR: [f64; 24] = [
    0.5, 0.3, 0.3, 0.3, 0.3, 0.5, 1.0, 3.0, 8.0, 12.0, 14.0, 12.0, 8.0, 12.0, 14.0, 14.0, 12.0,
    8.0, 4.0, 3.0, 2.0, 2.0, 1.0, 0.5,
];
/// Standard deviation of the logarithm of how long cells of a grid take.
const CELL_SIGMA: f64 = 0.2;

/// Grids that come together.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Burst {
    at: Millis,
    within: Millis,
    grids: usize,
    cells: (f64, f64),
}

/// A grid that is submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    /// When.
    pub at: Millis,
    /// Index into [`KINDS`].
    pub kind: usize,
    /// Work of each cell, in the coordinator's unit.
    pub work: f64,
    /// How long each cell takes a node, milliseconds.
    pub cells: Vec<u32>,
}

/// A day.
#[derive(Debug, Clone, PartialEq)]
pub struct Day {
    /// By what all of it is drawn.
    pub seed: u64,
    /// How long it is.
    pub length: Millis,
    /// Its grids, the first first.
    pub grids: Vec<Submitted>,
    /// When the cloud has no capacity.
    pub refused: Range<Millis>,
    /// When it wants fewer calls.
    pub throttled: Range<Millis>,
}

impl Day {
    /// A working day: a quiet night, grids by the hour, grids of thousands of cells, two bursts, and one that asks for about
    /// 1,000 nodes.
    pub fn working(seed: u64) -> Self {
        let at = |hour: Millis, minute: Millis| hour * HOUR + minute * MINUTE;
        let bursts = [
            one(at(9, 30), (3000.0, 5000.0)),
            many(at(10, 15), 4, 10, (200.0, 600.0)),
            one(at(13, 10), (3000.0, 6000.0)),
            many(at(14, 40), 4, 8, (200.0, 600.0)),
            many(at(16, 0), 2, 4, (20_000.0, 24_000.0)),
            one(at(21, 0), (4000.0, 6000.0)),
        ];
        // No machine comes in the middle of the second burst.
        let refused = at(14, 41)..at(15, 5);
        let throttled = at(11, 20)..at(11, 35);
        Self::drawn(
            seed,
            24 * HOUR,
            &GRIDS_PER_HOUR,
            &bursts,
            refused,
            throttled,
        )
    }

    /// Three hours with all of it but the largest burst, for tests.
    pub fn short(seed: u64) -> Self {
        let at = |minute: Millis| minute * MINUTE;
        let bursts = [
            one(at(25), (1500.0, 2500.0)),
            many(at(70), 3, 6, (150.0, 400.0)),
        ];
        let refused = at(71)..at(78);
        let throttled = at(100)..at(105);
        let per_hour = [10.0, 14.0, 4.0];
        Self::drawn(seed, 3 * HOUR, &per_hour, &bursts, refused, throttled)
    }

    fn drawn(
        seed: u64,
        length: Millis,
        per_hour: &[f64],
        bursts: &[Burst],
        refused: Range<Millis>,
        throttled: Range<Millis>,
    ) -> Self {
        let mut chance = Chance::new(seed, 0);
        let mut grids = Vec::new();
        for (hour, rate) in per_hour.iter().enumerate() {
            let begin = hour as f64 * HOUR as f64;
            let mut at = begin + chance.wait(HOUR as f64 / rate);
            while at < begin + HOUR as f64 {
                let kind = drawn_kind(&mut chance);
                let cells = chance.log_normal(60.0, 1.1).clamp(4.0, 2000.0);
                grids.push(grid(&mut chance, at as Millis, kind, cells));
                at += chance.wait(HOUR as f64 / rate);
            }
        }
        for burst in bursts {
            for _ in 0..burst.grids {
                let at = burst.at as f64 + chance.between(0.0, burst.within as f64);
                let cells = chance.between(burst.cells.0, burst.cells.1);
                grids.push(grid(&mut chance, at as Millis, STANDARD, cells));
            }
        }
        grids.sort_by_key(|grid| grid.at);
        Self {
            seed,
            length,
            grids,
            refused,
            throttled,
        }
    }

    /// The same work in a third of the cells, each of which takes three times as long: pictures that are larger.
    #[must_use]
    pub fn of_larger_pictures(mut self) -> Self {
        for grid in &mut self.grids {
            grid.work *= 3.0;
            grid.cells = grid
                .cells
                .chunks(3)
                .map(|cells| cells.iter().sum())
                .collect();
        }
        self
    }

    /// How many cells it brings.
    pub fn cells(&self) -> usize {
        self.grids.iter().map(|grid| grid.cells.len()).sum()
    }

    /// How long one node would work for all of it, milliseconds.
    pub fn work(&self) -> f64 {
        let cells = self.grids.iter().flat_map(|grid| &grid.cells);
        cells.map(|cell| f64::from(*cell)).sum()
    }
}

fn one(at: Millis, cells: (f64, f64)) -> Burst {
    many(at, 1, 1, cells)
}

fn many(at: Millis, minutes: Millis, grids: usize, cells: (f64, f64)) -> Burst {
    let within = minutes * MINUTE;
    Burst {
        at,
        within,
        grids,
        cells,
    }
}

fn drawn_kind(chance: &mut Chance) -> usize {
    let mut left = chance.between(0.0, KINDS.iter().map(|kind| kind.weight).sum());
    for (index, kind) in KINDS.iter().enumerate() {
        left -= kind.weight;
        if left < 0.0 {
            return index;
        }
    }
    STANDARD
}

fn grid(chance: &mut Chance, at: Millis, kind: usize, cells: f64) -> Submitted {
    let seconds = KINDS[kind].work * KINDS[kind].seconds_per_work;
    let cell = |_| (chance.log_normal(seconds, CELL_SIGMA) * 1000.0) as u32;
    Submitted {
        at,
        kind,
        work: KINDS[kind].work,
        cells: (0..cells as u32).map(cell).collect(),
    }
}
