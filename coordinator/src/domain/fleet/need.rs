//! How many nodes the backlog asks for.

use super::{Memory, Policy, Reason, Seen};

/// What the backlog asks for.
pub(super) struct Need {
    /// Nodes, whatever the bounds say.
    pub(super) nodes: u32,
    /// What of it counts not, or not yet.
    pub(super) reasons: Vec<Reason>,
}

impl Need {
    pub(super) fn of(memory: &Memory, policy: &Policy, seen: &Seen) -> Self {
        let most = policy.grid_dollars_max.unwrap_or(f64::INFINITY);
        let (mut cells, mut seconds, mut unmeasured) = (0_u64, 0.0, 0_u32);
        let (mut costly, mut unfit) = (0, 0);
        for grid in &seen.backlog {
            if memory.unfit.contains(&grid.grid) {
                unfit += 1;
                continue;
            }
            if grid.dollars_spent >= most {
                costly += 1;
                continue;
            }
            cells += u64::from(grid.queued) + u64::from(grid.running);
            match grid.node_seconds {
                Some(node_seconds) => seconds += node_seconds,
                None => unmeasured += 1,
            }
        }
        let by_time = (seconds / policy.drain_time.as_secs_f64().max(1.0)).ceil();
        // Of what was never measured one node finds out how long it takes.
        let by_time = by_time as u64 + u64::from(unmeasured > 0);
        let cells = cells.min(seen.cells_runnable);
        let by_backlog = by_time.max(u64::from(cells > 0)).min(cells);
        let machines = seen.group.iter().flat_map(|group| &group.machines);
        let busy = machines.filter(|machine| machine.is_busy()).count() as u64;
        let busy = busy + u64::from(seen.others.busy);
        let mut reasons = Vec::new();
        if unmeasured > 0 && seconds == 0.0 {
            reasons.push(Reason::Measuring);
        }
        if costly > 0 {
            let grids = costly;
            reasons.push(Reason::GridDollars { grids, most });
        }
        if unfit > 0 {
            reasons.push(Reason::Unfit { grids: unfit });
        }
        Self {
            nodes: u32::try_from(by_backlog.max(busy)).unwrap_or(u32::MAX),
            reasons,
        }
    }
}
