//! Whose cells come next: shares of the nodes between submitters, and between the grids of each.
//!
//! Every submitter and every grid has a pass: the work that was handed out of it, divided by its weight. Whoever has the
//! lowest comes next, so that in the long run all get work in proportion to their weights and nobody starves (stride
//! scheduling, Waldspurger and Weihl 1995, MIT/LCS/TM-528). Who comes anew, or has had nothing to do, starts level with
//! those who wait and is not served for the time before.

use std::collections::{BTreeMap, HashMap};

use atelier_proto::ids::GridId;

use super::node::{Labels, Node};

/// Priorities of a grid.
pub const PRIORITY_MIN: i32 = -100;
/// Priorities of a grid.
pub const PRIORITY_MAX: i32 = 100;
/// A priority that is higher by so much doubles the share.
const PRIORITY_DOUBLES: f64 = 20.0;
/// Longest name of a submitter.
pub const SUBMITTER_CHARS_MAX: usize = 100;

/// What the nodes are shared by.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    /// Weights of submitters; 1 where none is given. Above 0.
    pub submitter_weights: BTreeMap<String, f64>,
    /// Most cells of a submitter that nodes hold at once.
    pub submitter_running_max: u32,
    /// Most cells of a submitter that have not ended.
    pub submitter_open_max: u32,
}

impl Shares {
    /// No weights, and no limit that anybody meets.
    pub const fn even() -> Self {
        Self {
            submitter_weights: BTreeMap::new(),
            submitter_running_max: u32::MAX,
            submitter_open_max: u32::MAX,
        }
    }

    /// The weight of a submitter.
    pub fn weight(&self, submitter: &str) -> f64 {
        let weight = self.submitter_weights.get(submitter);
        weight.copied().unwrap_or(1.0)
    }
}

/// The weight of a grid among those of its submitter.
pub fn grid_weight(priority: i32) -> f64 {
    (f64::from(priority) / PRIORITY_DOUBLES).exp2()
}

/// A grid with cells that have not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct GridInLine {
    /// The grid.
    pub grid: GridId,
    /// Who submitted it.
    pub submitter: String,
    /// Its priority among the grids of its submitter.
    pub priority: i32,
    /// What it wants of its nodes.
    pub labels: Labels,
    /// Its pass.
    pub pass: f64,
    /// Whether its cells may be handed out.
    pub is_active: bool,
    /// Cells that wait.
    pub queued: u32,
    /// Cells that nodes hold.
    pub held: u32,
}

/// Every grid with cells that have not ended, oldest first, and the pass of each of their submitters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// The grids.
    pub grids: Vec<GridInLine>,
    /// The passes.
    pub submitter_passes: HashMap<String, f64>,
}

impl Line {
    /// A grid that is in it.
    pub fn grid(&self, grid: GridId) -> Option<&GridInLine> {
        self.grids.iter().find(|other| other.grid == grid)
    }

    /// The grids of which a node may get cells, in the order in which they are to be asked for some.
    ///
    /// Where passes are equal, the older grid comes first.
    pub fn order_of_service(&self, shares: &Shares, node: &Node) -> Vec<GridId> {
        let mut held: HashMap<&str, u64> = HashMap::new();
        for grid in &self.grids {
            *held.entry(&grid.submitter).or_default() += u64::from(grid.held);
        }
        let pass_of = |submitter| self.submitter_passes.get(submitter).copied().unwrap_or(0.0);
        let mut eligible: Vec<&GridInLine> = self
            .grids
            .iter()
            .filter(|grid| grid.is_active && grid.queued > 0 && node.has(&grid.labels))
            .filter(|grid| {
                let running = held.get(grid.submitter.as_str()).copied().unwrap_or(0);
                running < u64::from(shares.submitter_running_max)
            })
            .collect();
        eligible.sort_by(|a, b| {
            pass_of(&a.submitter)
                .total_cmp(&pass_of(&b.submitter))
                .then_with(|| a.submitter.cmp(&b.submitter))
                .then_with(|| a.pass.total_cmp(&b.pass))
                .then_with(|| a.grid.cmp(&b.grid))
        });
        eligible.iter().map(|grid| grid.grid).collect()
    }

    /// How many more cells of a submitter nodes may get.
    pub fn running_left(&self, submitter: &str, shares: &Shares) -> u32 {
        let of_submitter = self.grids.iter().filter(|grid| grid.submitter == submitter);
        let held: u64 = of_submitter.map(|grid| u64::from(grid.held)).sum();
        let left = u64::from(shares.submitter_running_max).saturating_sub(held);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Counts cells of a grid as handed out, as they will be counted once that is kept.
    pub fn hand_out(&mut self, grid: GridId, cells: u32, work: f64, shares: &Shares) {
        let Some(grid) = self.grids.iter_mut().find(|other| other.grid == grid) else {
            return;
        };
        grid.queued = grid.queued.saturating_sub(cells);
        grid.held += cells;
        grid.pass += work / grid_weight(grid.priority);
        let passed = work / shares.weight(&grid.submitter);
        *self
            .submitter_passes
            .entry(grid.submitter.clone())
            .or_default() += passed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::node::tests::node;

    /// Hands out one cell of work 1 at a time, and counts whose they were.
    fn served(
        grids: Vec<GridInLine>,
        priorities: &[i32],
        shares: &Shares,
        cells: usize,
    ) -> Vec<u32> {
        let mut line = line(grids);
        for (grid, priority) in line.grids.iter_mut().zip(priorities) {
            grid.priority = *priority;
        }
        for _ in 0..cells {
            let order = line.order_of_service(shares, &node());
            line.hand_out(order[0], 1, 1.0, shares);
        }
        line.grids.iter().map(|grid| grid.held).collect()
    }

    fn line(grids: Vec<GridInLine>) -> Line {
        Line {
            grids,
            submitter_passes: HashMap::new(),
        }
    }

    fn in_line(submitter: &str) -> GridInLine {
        GridInLine {
            grid: GridId::generate(),
            submitter: submitter.to_owned(),
            priority: 0,
            labels: Labels::new(),
            pass: 0.0,
            is_active: true,
            queued: 1000,
            held: 0,
        }
    }

    #[test]
    fn grids_of_one_submitter_share_by_their_priorities() {
        let grids = vec![in_line("ann"), in_line("ann"), in_line("ann")];
        let counts = served(grids, &[0, 20, -20], &Shares::even(), 700);
        assert_eq!(counts, [200, 400, 100]);
    }

    #[test]
    fn submitters_share_by_their_weights_however_many_grids_they_have() {
        let shares = Shares {
            submitter_weights: [("bob".to_owned(), 3.0)].into(),
            ..Shares::even()
        };
        let grids = vec![in_line("ann"), in_line("ann"), in_line("bob")];
        // A priority counts among the grids of one submitter alone.
        let counts = served(grids, &[100, 0, -100], &shares, 400);
        assert_eq!(counts[0] + counts[1], 100);
        assert_eq!(counts[2], 300);
        assert!(
            counts[1] > 0,
            "the lowest priority is served, too: {counts:?}"
        );
    }

    #[test]
    fn nobody_gets_what_may_not_be_handed_out() {
        let paused = GridInLine {
            is_active: false,
            ..in_line("ann")
        };
        let empty = GridInLine {
            queued: 0,
            ..in_line("ann")
        };
        let elsewhere = GridInLine {
            labels: [("zone".to_owned(), "mars".to_owned())].into(),
            ..in_line("ann")
        };
        let busy = GridInLine {
            held: 7,
            ..in_line("bob")
        };
        let other = in_line("cecil");
        let line = line(vec![paused, empty, elsewhere, busy, other.clone()]);
        let shares = Shares {
            submitter_running_max: 7,
            ..Shares::even()
        };
        let order = line.order_of_service(&shares, &node());
        assert_eq!(order, [other.grid]);
        assert_eq!(line.running_left("bob", &shares), 0);
        assert_eq!(line.running_left("cecil", &shares), 7);
    }
}
