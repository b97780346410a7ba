//! What there is to do: cells that wait, those that nodes hold, and what is known of how long they take.
//!
//! As the coordinator does it, in short: grids get work in proportion (stride scheduling), a block is some 45 s of work and
//! no more than half of an even share, and speeds are measured as cells are done.

use std::collections::VecDeque;

use atelier_coordinator::domain::block::fair_cells_max;
use atelier_coordinator::domain::effort::{Speed, Speeds};
use atelier_coordinator::domain::fleet::GridLeft;
use atelier_proto::ids::GridId;
use uuid::Uuid;

use super::arrivals::{KINDS, Millis, Submitted};

/// Seconds of work that a node asks for at once.
const BLOCK_SECONDS: f64 = 45.0;
/// What all machines run on.
pub const DEVICE: &str = "cuda:0 L4";

/// A cell that waits or is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Its grid.
    pub grid: usize,
    /// Its place there.
    pub place: u32,
    /// How long a node of average speed still works for it, milliseconds.
    pub left: f64,
}

/// A grid that was submitted.
#[derive(Debug, Clone)]
pub struct Grid {
    id: GridId,
    kind: usize,
    work: f64,
    queue: VecDeque<Cell>,
    held: u32,
    pass: f64,
    is_done: Vec<bool>,
    /// When it came.
    pub at: Millis,
    /// When its first cell was done.
    pub first: Option<Millis>,
    /// When its last one was.
    pub ended: Option<Millis>,
}

/// All grids of a day, as far as they have come.
#[derive(Debug, Clone, Default)]
pub struct Backlog {
    grids: Vec<Grid>,
    /// Those with cells that are not done.
    open: Vec<usize>,
    speeds: Speeds,
    /// Cells that are done.
    pub done: u32,
    /// Cells that were done although they had been before.
    pub done_twice: u32,
}

impl Backlog {
    /// Takes a grid in.
    pub fn submit(&mut self, submitted: &Submitted, now: Millis) {
        let grid = self.grids.len();
        let cells = submitted.cells.iter().zip(0..);
        let waiting = self.waiting().map(|other| self.grids[other].pass);
        // It starts level with those who wait.
        let pass = waiting.reduce(f64::min).unwrap_or(0.0);
        self.open.push(grid);
        self.grids.push(Grid {
            id: Uuid::from_u128(grid as u128 + 1).into(),
            kind: submitted.kind,
            work: submitted.work,
            queue: cells
                .map(|(left, place)| Cell {
                    grid,
                    place,
                    left: f64::from(*left),
                })
                .collect(),
            held: 0,
            pass,
            is_done: vec![false; submitted.cells.len()],
            at: now,
            first: None,
            ended: None,
        });
    }

    fn waiting(&self) -> impl Iterator<Item = usize> {
        let open = self.open.iter().copied();
        open.filter(|grid| !self.grids[*grid].queue.is_empty())
    }

    /// Cells for one of so many nodes that take work.
    pub fn lease(&mut self, nodes: usize) -> Vec<Cell> {
        let passes = self.waiting().map(|grid| (self.grids[grid].pass, grid));
        let Some((_, next)) = passes.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))) else {
            return Vec::new();
        };
        let grid = &mut self.grids[next];
        let name = KINDS[grid.kind].name;
        let seconds = self.speeds.seconds_per_work(DEVICE, name);
        // Of what was never measured one cell finds out how long it takes.
        let by_time = seconds.map_or(1, |seconds| {
            (BLOCK_SECONDS / (grid.work * seconds)).ceil() as usize
        });
        let fair = fair_cells_max(grid.queue.len() as u32, nodes, 1);
        let count = by_time.min(fair).min(grid.queue.len());
        grid.held += count as u32;
        grid.pass += grid.work * count as f64;
        grid.queue.drain(..count).collect()
    }

    /// Takes cells back that a node held, first come first served.
    pub fn take_back(&mut self, cells: impl DoubleEndedIterator<Item = Cell>) {
        for cell in cells.rev() {
            let grid = &mut self.grids[cell.grid];
            grid.held -= 1;
            grid.queue.push_front(cell);
        }
    }

    /// Counts a cell as done that a node held, and for which it worked so long.
    pub fn complete(&mut self, cell: Cell, seconds: f64, now: Millis) {
        let grid = &mut self.grids[cell.grid];
        let name = KINDS[grid.kind].name;
        grid.held -= 1;
        self.done_twice += u32::from(std::mem::replace(
            &mut grid.is_done[cell.place as usize],
            true,
        ));
        self.done += 1;
        grid.first.get_or_insert(now);
        if grid.held == 0 && grid.queue.is_empty() {
            grid.ended = Some(now);
            self.open.retain(|open| *open != cell.grid);
        }
        let kinds = self.speeds.0.entry(DEVICE.to_owned()).or_default();
        let before = kinds.get(name).copied();
        if let Some(speed) = Speed::measured(before, seconds, grid.work) {
            kinds.insert(name.to_owned(), speed);
        }
    }

    /// What is left, as a decision sees it.
    pub fn left(&self) -> Vec<GridLeft> {
        let left = self.open.iter().map(|open| {
            let grid = &self.grids[*open];
            let queued = grid.queue.len() as u32;
            let work = f64::from(queued + grid.held) * grid.work;
            let seconds = self.speeds.seconds_per_work(DEVICE, KINDS[grid.kind].name);
            GridLeft {
                grid: grid.id,
                queued,
                running: grid.held,
                node_seconds: seconds.map(|seconds| seconds * work),
                dollars_spent: 0.0,
                is_fitting: Some(true),
            }
        });
        left.collect()
    }

    /// How long one node of average speed would work for what is left, hours.
    pub fn node_hours(&self) -> f64 {
        let seconds = self.open.iter().map(|open| {
            let grid = &self.grids[*open];
            let cells = grid.queue.len() as f64 + f64::from(grid.held);
            cells * grid.work * KINDS[grid.kind].seconds_per_work
        });
        // The sum of nothing is -0.
        seconds.sum::<f64>().max(0.0) / 3600.0
    }

    /// Whether nothing is left of what has come.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// All grids that have come.
    pub fn grids(&self) -> &[Grid] {
        &self.grids
    }
}
