//! What is remembered of the fleet from one decision to the next, and how it grows and is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use atelier_proto::ids::GridId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Decision, Group, MachineId, NodePhase, Phase, Seen};

/// Weight of the latest machine in the running mean of how long machines take to come.
const BOOT_WEIGHT: f64 = 0.25;

/// What is remembered from one decision to the next, also by the next coordinator that leads.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// What the group was last asked for, and when.
    pub asked: Option<(u32, Timestamp)>,
    /// When it was last asked for more.
    pub stepped_at: Option<Timestamp>,
    /// Since when each machine has been there.
    pub since: BTreeMap<MachineId, Timestamp>,
    /// Machines of which a node registered.
    pub registered: BTreeSet<MachineId>,
    /// Since when machines have had nothing to do.
    pub idle_since: BTreeMap<MachineId, Timestamp>,
    /// Machines that were taken back because no node was heard of there.
    pub taken_back: u32,
    /// How many of these were the last, one after the other.
    pub silent_in_a_row: u32,
    /// When the last one was taken back.
    pub silent_at: Option<Timestamp>,
    /// When a node last registered.
    pub registered_at: Option<Timestamp>,
    /// Machines whose node was told to leave because there was nothing to do.
    pub drained: BTreeSet<MachineId>,
    /// Machines that were terminated and are still told of, and when they were.
    pub terminated: BTreeMap<MachineId, Timestamp>,
    /// Grids that fitted no machine of the group.
    pub unfit: BTreeSet<GridId>,
    /// Seconds from a machine's start to its node's registration: a running mean.
    pub boot_seconds: Option<f64>,
    /// What nodes of the group ran on when there were some.
    pub devices: BTreeSet<String>,
}

impl Memory {
    /// Keeps which grids fitted no machine, for as long as they are there: one that was started for them would find
    /// nothing to do, and so would the next.
    pub(super) fn see_grids(&mut self, seen: &Seen) {
        let known: BTreeSet<GridId> = seen.backlog.iter().map(|grid| grid.grid).collect();
        self.unfit.retain(|grid| known.contains(grid));
        for grid in &seen.backlog {
            match grid.is_fitting {
                Some(false) if grid.running == 0 => {
                    self.unfit.insert(grid.grid);
                }
                Some(true) => {
                    self.unfit.remove(&grid.grid);
                }
                Some(false) | None => {}
            }
        }
    }

    /// Keeps since when machines are there, which of them had a node, and which have nothing to do.
    pub(super) fn see_machines(&mut self, group: &Group, now: Timestamp) {
        let known: BTreeSet<&MachineId> =
            group.machines.iter().map(|machine| &machine.id).collect();
        self.since.retain(|id, _| known.contains(id));
        self.idle_since.retain(|id, _| known.contains(id));
        self.registered.retain(|id| known.contains(id));
        self.drained.retain(|id| known.contains(id));
        self.terminated.retain(|id, _| known.contains(id));
        let devices: BTreeSet<String> = group
            .machines
            .iter()
            .filter_map(|machine| Some(machine.alive()?.device.clone()))
            .collect();
        if !devices.is_empty() {
            self.devices = devices;
        }
        for machine in &group.machines {
            let since = *self.since.entry(machine.id.clone()).or_insert(now);
            if machine.alive().is_some() && self.registered.insert(machine.id.clone()) {
                self.silent_in_a_row = 0;
                self.registered_at = Some(now);
                let seconds = seconds_since(since, now);
                // One that was there before this fleet was looked at says nothing.
                if seconds > 0.0 {
                    let mean = self.boot_seconds.unwrap_or(seconds);
                    self.boot_seconds = Some(mean + (seconds - mean) * BOOT_WEIGHT);
                }
            }
            let is_idle = machine.phase == Phase::InService
                && machine.node.as_ref().is_some_and(|node| {
                    node.cells_held == 0 && (node.is_alive || node.phase == NodePhase::Draining)
                });
            if is_idle {
                self.idle_since.entry(machine.id.clone()).or_insert(now);
            } else {
                self.idle_since.remove(&machine.id);
            }
        }
    }

    /// What is remembered when the cloud did not do all of it: nothing was asked for, so it may be asked again at once.
    #[must_use]
    pub fn undone(mut self, before: &Self, decision: &Decision) -> Self {
        if decision.desired.is_some() {
            self.asked = before.asked;
            self.stepped_at = before.stepped_at;
        }
        self
    }
}

pub(super) fn seconds_since(then: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(then).as_secs_f64()
}
