//! How the fleet stands, for people and for metrics.

use super::{Bounds, Reason, Standing};

/// How the fleet stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// Cells that no node holds.
    pub cells_queued: u64,
    /// Cells that one does.
    pub cells_running: u64,
    /// Nodes that take work, that leave, and that are in quarantine.
    pub nodes: Counted,
    /// What the nodes cost in an hour, and the machines that have none, US dollars; unknown where one of them is.
    pub dollars_per_hour: Option<f64>,
    /// The bounds that hold.
    pub bounds: Bounds,
    /// How it stood when it was last looked at.
    pub standing: Option<Standing>,
}

impl Overview {
    /// Why as many nodes are wanted as are, in words; not that there was nothing to do when cells have come since.
    pub fn reasons(&self) -> Vec<String> {
        let reasons = self.standing.iter().flat_map(|standing| &standing.reasons);
        reasons
            .filter(|reason| self.cells_queued == 0 || **reason != Reason::NothingToDo)
            .map(ToString::to_string)
            .collect()
    }
}

/// Nodes by their states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// They take work.
    pub active: u32,
    /// They take no more.
    pub draining: u32,
    /// They get none.
    pub quarantined: u32,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::fleet::{Memory, Mode};

    #[test]
    fn that_there_is_nothing_to_do_is_not_told_beside_cells_that_wait() {
        let standing = Standing {
            at: Timestamp::UNIX_EPOCH,
            wanted: 0,
            machines: None,
            dollars_per_hour: None,
            drain_seconds: None,
            reasons: vec![Reason::Off, Reason::NothingToDo],
            trouble: None,
            memory: Memory::default(),
        };
        let of = |cells_queued| {
            let overview = Overview {
                cells_queued,
                cells_running: 0,
                nodes: Counted::default(),
                dollars_per_hour: None,
                bounds: Bounds {
                    mode: Mode::Off,
                    nodes_min: 0,
                    nodes_max: 0,
                },
                standing: Some(standing.clone()),
            };
            overview.reasons().len()
        };
        assert_eq!(of(0), 2);
        assert_eq!(of(1), 1);
    }
}
