//! The decision, step by step: what is wanted, who goes, and whether there are to be more.

use std::collections::BTreeSet;

use super::memory::seconds_since;
use super::need::Need;
use super::{
    Bounds, Decision, Group, Machine, MachineId, Memory, Mode, NodePhase, Phase, Policy, Reason,
    SETTLE_TIME, SILENT_IN_A_ROW_MAX, SILENT_WAIT, Seen,
};

/// A machine that has had nothing to do for so many seconds may be chosen by a group that somebody made smaller.
const UNPROTECT_AFTER_S: f64 = 60.0;
/// Of the machines that are there one in so many is kept for the idle time when it has nothing to do, and so many at least;
/// the others go after [`GO_AFTER_S`] without work.
const KEPT_ONE_IN: usize = 10;
const KEPT_MIN: usize = 5;
const GO_AFTER_S: f64 = 60.0;

/// Machines that are terminated at one look: each takes a call, and what else there is to do waits for them.
const TERMINATED_MAX: usize = 200;

/// What the fleet is to do now, and what is to be remembered of it.
pub fn decide(
    mut memory: Memory,
    policy: &Policy,
    bounds: &Bounds,
    seen: &Seen,
) -> (Decision, Memory) {
    memory.see_grids(seen);
    let need = Need::of(&memory, policy, seen);
    let mut decision = Decision {
        wanted: need.nodes.clamp(
            bounds.nodes_min.min(bounds.nodes_max),
            bounds.nodes_max.max(bounds.nodes_min),
        ),
        ..Decision::default()
    };
    if let Some(group) = &seen.group {
        memory.see_machines(group, seen.now);
    }
    match (&seen.group, bounds.mode) {
        (_, Mode::Off) => decision.reasons.push(Reason::Off),
        (None, Mode::Automatic) => {
            let missing = decision.wanted.saturating_sub(seen.others.active);
            if missing > 0 {
                decision.reasons.push(Reason::NoDriver { missing });
            }
        }
        (Some(group), Mode::Automatic) => {
            let look = Look {
                policy,
                seen,
                group,
                wanted: decision.wanted.saturating_sub(seen.others.active),
            };
            look.take_back(&mut memory, &mut decision);
            look.shrink(&mut memory, &mut decision);
            look.resize(&mut memory, &mut decision);
            look.guard(&memory, &mut decision);
        }
    }
    if need.nodes > bounds.nodes_max && bounds.mode == Mode::Automatic {
        let nodes_max = bounds.nodes_max;
        decision.reasons.push(Reason::AtMost { nodes_max });
    }
    decision.reasons.extend(need.reasons);
    if decision.reasons.is_empty() {
        let is_idle = seen.backlog.is_empty();
        decision.reasons.push(if is_idle {
            Reason::NothingToDo
        } else {
            let drain_seconds = seen.drain_seconds();
            Reason::Enough { drain_seconds }
        });
    }
    (decision, memory)
}

/// What the steps of a decision look at.
struct Look<'a> {
    policy: &'a Policy,
    seen: &'a Seen,
    group: &'a Group,
    /// Machines that the group should have.
    wanted: u32,
}

impl Look<'_> {
    fn idle_seconds(&self, memory: &Memory, machine: &Machine) -> Option<f64> {
        let since = memory.idle_since.get(&machine.id)?;
        Some(seconds_since(*since, self.seen.now))
    }

    /// Machines on which no node is heard of go, and those whose node has left.
    fn take_back(&self, memory: &mut Memory, decision: &mut Decision) {
        let now = self.seen.now;
        let timeout = self.policy.register_timeout.as_secs_f64();
        let idle_time = self.policy.idle_time.as_secs_f64();
        for machine in &self.group.machines {
            let terminated = memory.terminated.get(&machine.id).copied();
            let is_settling =
                terminated.is_some_and(|at| seconds_since(at, now) < SETTLE_TIME.as_secs_f64());
            if machine.phase == Phase::Leaving || is_settling {
                continue;
            }
            if decision.terminate.len() >= TERMINATED_MAX {
                break;
            }
            // What is told is some seconds old, and a machine that goes is counted once.
            let is_first = terminated.is_none();
            let since = memory.since.get(&machine.id).copied().unwrap_or(now);
            match &machine.node {
                None if seconds_since(since, now) >= timeout => {
                    memory.taken_back += u32::from(is_first);
                    // One of many that came is chance, not the image's fault.
                    let is_alone = memory.registered_at.is_none_or(|at| at < since);
                    if is_first && is_alone {
                        memory.silent_in_a_row += 1;
                        memory.silent_at = Some(now);
                    }
                    decision.terminate.push(machine.id.clone());
                }
                // One that leaves by itself may be replaced by the group itself, which then also takes it away.
                Some(node) if node.phase == NodePhase::Draining && node.cells_held == 0 => {
                    let is_ours = memory.drained.contains(&machine.id);
                    let idle = self.idle_seconds(memory, machine).unwrap_or(0.0);
                    if is_ours || idle >= idle_time {
                        decision.terminate.push(machine.id.clone());
                    }
                }
                Some(node) if !node.is_alive => {
                    if seconds_since(node.seen_at.max(since), now) >= timeout {
                        memory.taken_back += u32::from(is_first);
                        decision.terminate.push(machine.id.clone());
                    }
                }
                None | Some(_) => {}
            }
        }
        for machine in &decision.terminate {
            memory.terminated.insert(machine.clone(), now);
        }
    }

    /// Nodes leave that had nothing to do for long, as many as are too many.
    fn shrink(&self, memory: &mut Memory, decision: &mut Decision) {
        let going: BTreeSet<&MachineId> = decision.terminate.iter().collect();
        let staying = self.group.machines.iter().filter(|machine| {
            let is_leaving = machine
                .node
                .as_ref()
                .is_some_and(|node| node.phase == NodePhase::Draining);
            machine.phase != Phase::Leaving && !is_leaving && !going.contains(&machine.id)
        });
        let staying_count = staying.clone().count();
        let surplus = (staying_count as u32).saturating_sub(self.wanted);
        let idle_time = self.policy.idle_time.as_secs_f64();
        let go_after = idle_time.min(GO_AFTER_S);
        let mut idle: Vec<(&Machine, f64)> = staying
            .filter(|machine| machine.alive().is_some())
            .filter_map(|machine| Some((machine, self.idle_seconds(memory, machine)?)))
            .filter(|(_, seconds)| *seconds >= go_after)
            .collect();
        let is_well = |machine: &Machine| machine.is_active();
        idle.sort_by(|(a, a_idle), (b, b_idle)| {
            is_well(a)
                .cmp(&is_well(b))
                .then_with(|| b_idle.total_cmp(a_idle))
                .then_with(|| a.id.cmp(&b.id))
        });
        // What comes next seldom needs as many as what has just ended.
        let kept = KEPT_MIN.max(staying_count / KEPT_ONE_IN);
        let too_many = idle.len().saturating_sub(kept);
        let going = idle
            .into_iter()
            .enumerate()
            .filter(|(place, (_, seconds))| *place < too_many || *seconds >= idle_time)
            .map(|(_, idle)| idle)
            .take(surplus as usize);
        for (machine, _) in going {
            if let Some(node) = machine.alive() {
                decision.drain.push(node.node);
                memory.drained.insert(machine.id.clone());
            }
        }
        let machines = decision.drain.len() as u32;
        if machines > 0 {
            decision.reasons.push(Reason::Shrinking { machines });
        }
    }

    /// Asks the group for more machines, or for fewer of those that it has not started.
    fn resize(&self, memory: &mut Memory, decision: &mut Decision) {
        let now = self.seen.now;
        let asked = memory.asked.filter(|(desired, at)| {
            *desired != self.group.desired && seconds_since(*at, now) < SETTLE_TIME.as_secs_f64()
        });
        let is_settling = asked.is_some();
        let desired = asked.map_or(self.group.desired, |(desired, _)| desired);
        let there = self
            .group
            .machines
            .iter()
            .filter(|machine| machine.phase != Phase::Leaving)
            .count() as u32;
        let useless = self
            .group
            .machines
            .iter()
            .filter(|machine| {
                let node = machine.node.as_ref();
                node.is_some_and(|node| node.phase == NodePhase::Quarantined)
            })
            .count() as u32;
        let goal = self.wanted + useless;
        let refusal = self.group.refusal.clone().filter(|_| there < desired);
        let is_refused = refusal.is_some();
        if let Some(told) = refusal {
            decision.reasons.push(Reason::NoCapacity { told });
        }
        let resized = if goal > desired {
            if is_refused {
                return;
            }
            self.step_up(memory, decision, desired, there, goal)
        } else {
            // Each termination lowers the number by itself; what is asked for before that can be seen would raise it again.
            let settle_time = SETTLE_TIME.as_secs_f64();
            let mut terminated = memory.terminated.values();
            let is_quiet =
                !is_settling && terminated.all(|at| seconds_since(*at, now) >= settle_time);
            let least = goal.max(there).max(self.group.size.0);
            (is_quiet && least < desired).then_some(least)
        };
        if let Some(resized) = resized {
            decision.desired = Some(resized);
            memory.asked = Some((resized, now));
            if resized > desired {
                memory.stepped_at = Some(now);
                let (from, to) = (desired, resized);
                decision.reasons.insert(0, Reason::Growing { from, to });
            }
        }
    }

    /// For how many machines the group is to be asked instead of `desired`, as far as nothing stands against it.
    fn step_up(
        &self,
        memory: &Memory,
        decision: &mut Decision,
        desired: u32,
        there: u32,
        goal: u32,
    ) -> Option<u32> {
        let now = self.seen.now;
        let mut target = goal.min(desired.saturating_add(self.policy.step_max));
        if memory.silent_in_a_row >= SILENT_IN_A_ROW_MAX {
            let machines = memory.silent_in_a_row;
            decision.reasons.push(Reason::Silent { machines });
            let waited = memory
                .silent_at
                .map_or(f64::MAX, |at| seconds_since(at, now));
            let is_one_coming = there > memory.registered.len() as u32 || desired > there;
            if waited < SILENT_WAIT.as_secs_f64() || is_one_coming {
                return None;
            }
            target = target.min(desired + 1);
        }
        if let Some(at) = memory.stepped_at.filter(|_| desired > 0) {
            let left = self.policy.step_interval.as_secs_f64() - seconds_since(at, now);
            if left > 0.0 {
                let seconds = left.ceil() as u64;
                decision.reasons.push(Reason::Pausing { seconds });
                return None;
            }
        }
        let size_max = self.group.size.1;
        if target > size_max {
            decision.reasons.push(Reason::GroupAtMost { size_max });
            target = size_max;
        }
        if let Some(most) = self.policy.dollars_per_hour_max {
            target = target.min(self.affordable(decision, desired, there, target, most));
        }
        (target > desired).then_some(target)
    }

    /// For how many machines there is money, at least `desired`.
    fn affordable(
        &self,
        decision: &mut Decision,
        desired: u32,
        there: u32,
        target: u32,
        most: f64,
    ) -> u32 {
        let Some(each) = self.seen.machine_dollars else {
            decision.reasons.push(Reason::NoPrice);
            return desired;
        };
        let coming = f64::from(desired.saturating_sub(there)) * each;
        let now = self.group.machines.iter().fold(coming, |sum, machine| {
            sum + machine.dollars_per_hour.unwrap_or(each)
        });
        let now = now + self.seen.others.dollars_per_hour;
        // A hair of tolerance: prices are decimal fractions.
        let more = ((most - now) / each + 1e-9).floor().max(0.0);
        let affordable = desired.saturating_add(more as u32);
        if affordable < target {
            decision.reasons.push(Reason::DollarsPerHour { now, most });
        }
        affordable
    }

    /// Machines that work are kept from a group that somebody makes smaller, or that evens out its zones.
    fn guard(&self, memory: &Memory, decision: &mut Decision) {
        let going: BTreeSet<&MachineId> = decision.terminate.iter().collect();
        let staying =
            self.group.machines.iter().filter(|machine| {
                machine.phase == Phase::InService && !going.contains(&machine.id)
            });
        for machine in staying {
            if machine.is_busy() && !machine.is_protected {
                decision.protect.push(machine.id.clone());
            }
            let idle = self.idle_seconds(memory, machine).unwrap_or(0.0);
            let patience = self.policy.idle_time.as_secs_f64().min(UNPROTECT_AFTER_S);
            if !machine.is_busy() && machine.is_protected && idle > patience {
                decision.unprotect.push(machine.id.clone());
            }
        }
    }
}
