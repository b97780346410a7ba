//! What must become of a node.

use std::collections::BTreeSet;

use atelier_proto::ids::GridId;

use super::super::operation::Order;
use super::cell::Said;
use crate::domain::node::FAILING_GRIDS_MAX;

/// A node.
#[derive(Debug, Default)]
pub(in super::super) struct Node {
    pub(in super::super) is_of_zone: bool,
    pub(in super::super) order: Option<Order>,
    failing: BTreeSet<GridId>,
    pub(in super::super) done: u64,
}

impl Node {
    pub(super) fn heard(&mut self, grid: GridId, said: Said) {
        match said {
            Said::Done(_) => {
                self.done += 1;
                self.failing.clear();
            }
            Said::Failed { refused: false } => {
                self.failing.insert(grid);
                if self.failing.len() >= FAILING_GRIDS_MAX && self.order.is_none() {
                    self.order = Some(Order::Quarantine);
                }
            }
            Said::Failed { refused: true } | Said::Released | Said::Alive(_) => {}
        }
    }

    pub(in super::super) fn obey(&mut self, order: Order) {
        self.order = match order {
            Order::Drain | Order::Quarantine => Some(order),
            Order::Lift => None,
        };
        self.failing.clear();
    }

    /// Its state in a word.
    pub(in super::super) fn state(&self) -> &'static str {
        match self.order {
            None | Some(Order::Lift) => "active",
            Some(Order::Drain) => "draining",
            Some(Order::Quarantine) => "quarantined",
        }
    }
}
