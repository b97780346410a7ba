//! One day in virtual time: what happens, in the order in which it does.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use atelier_coordinator::domain::fleet::{Decision, MachineId, NodePhase};

use super::arrivals::{Day, HOUR, MINUTE, Millis, SECOND};
use super::backlog::Backlog;
use super::machines::{Change, Cloud};
use super::node::{LEASE, Node};
use super::outcome::{Lived, Outcome, Sample};
use super::seen::seen;
use super::strategies::{Plan, Scaler};

/// The group looks after itself so often, and so soon after it is asked for something.
const RECONCILED: Millis = 15 * SECOND;
const RECONCILED_SOON: Millis = 2 * SECOND;
/// One call to the cloud, and one that is repeated because it wants fewer.
const CALL: Millis = 100;
const CALL_THROTTLED: Millis = 2 * SECOND;
/// Machines that are terminated at the same time, each by a call.
const TERMINATED_AT_ONCE: usize = 8;
/// Longest wait after looks that failed.
const INTERVAL_MAX: Millis = MINUTE;
/// Between two looks when cells come and no machine was asked for.
const WOKEN: Millis = SECOND / 2;
/// A day that is not done by then is given up.
const GIVEN_UP: Millis = 72 * HOUR;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(usize),
    Looks(u32),
    Asks(u32),
    Terminates(usize),
    Protects(usize, bool),
    Reconciles,
    ReconcilesOnce,
    Registers(usize),
    IsNoticed(usize),
    IsLost(usize),
    LeaseExpires(usize),
    CellEnds(usize, u32),
    IsSampled,
}

/// A day with a way to scale.
struct World<'a> {
    day: &'a Day,
    now: Millis,
    events: BinaryHeap<Reverse<(Millis, u64, Event)>>,
    /// So that what comes at the same time comes in the order in which it was foreseen.
    foreseen: u64,
    cloud: Cloud,
    nodes: Vec<Option<Node>>,
    backlog: Backlog,
    scaler: Scaler,
    /// Nodes that hold nothing and would take work.
    waiting: BTreeSet<usize>,
    /// Nodes that take work.
    active: usize,
    /// Looks that failed, one after the other.
    failed: u32,
    /// Counts looks, so that one that was foreseen may come earlier.
    looks: u32,
    is_listening: bool,
    looked: Millis,
    wanted: u32,
    arrived: usize,
    lived: Lived,
}

/// Lives through a day.
pub fn live(day: &Day, plan: &Plan) -> Outcome {
    let mut world = World {
        day,
        now: 0,
        events: BinaryHeap::new(),
        foreseen: 0,
        cloud: Cloud::new(day, plan.terms()),
        nodes: Vec::new(),
        backlog: Backlog::default(),
        scaler: Scaler::new(plan),
        waiting: BTreeSet::new(),
        active: 0,
        failed: 0,
        looks: 0,
        is_listening: false,
        looked: 0,
        wanted: 0,
        arrived: 0,
        lived: Lived::default(),
    };
    for (grid, submitted) in day.grids.iter().enumerate() {
        world.foresee(submitted.at, Event::Arrives(grid));
    }
    for event in [Event::Looks(0), Event::Reconciles, Event::IsSampled] {
        world.foresee(0, event);
    }
    while let Some(Reverse((at, _, event))) = world.events.pop() {
        let is_done = world.arrived == day.grids.len() && world.backlog.is_empty();
        if (is_done && at >= day.length) || at >= GIVEN_UP {
            break;
        }
        world.now = at;
        world.happens(event);
    }
    world.lived.end = world.now.max(day.length);
    let worked = world.nodes.iter().flatten().map(|node| node.worked);
    world.lived.worked = worked.sum();
    Outcome::of(day, plan, &world.cloud, &world.backlog, world.lived)
}

impl World<'_> {
    fn foresee(&mut self, at: Millis, event: Event) {
        self.foreseen += 1;
        self.events.push(Reverse((at, self.foreseen, event)));
    }

    fn happens(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Arrives(grid) => {
                self.backlog.submit(&self.day.grids[grid], now);
                self.arrived += 1;
                self.serve_waiting();
                if self.is_listening {
                    self.looks += 1;
                    self.foresee(now.max(self.looked + WOKEN), Event::Looks(self.looks));
                }
            }
            Event::Looks(look) if look == self.looks => self.look(),
            Event::Looks(_) => {}
            Event::Asks(desired) => {
                self.cloud.ask(desired, now);
                self.foresee(now + RECONCILED_SOON, Event::ReconcilesOnce);
            }
            Event::Terminates(machine) => {
                if self.cloud.terminate(machine, now) {
                    self.leave(machine);
                }
            }
            Event::Protects(machine, is_protected) => {
                self.cloud.protect(machine, is_protected, now);
            }
            Event::Reconciles => {
                self.reconcile();
                self.foresee(now + RECONCILED, Event::Reconciles);
            }
            Event::ReconcilesOnce => self.reconcile(),
            Event::Registers(machine) => self.register(machine),
            Event::IsNoticed(machine) => {
                if self.cloud.machines()[machine].runs(now) {
                    self.leave(machine);
                }
            }
            Event::IsLost(machine) => {
                if self.cloud.machines()[machine].runs(now) {
                    self.cloud.lose(machine, now);
                    self.fall_silent(machine);
                }
            }
            Event::LeaseExpires(machine) => self.give_back(machine),
            Event::CellEnds(machine, epoch) => self.end_cell(machine, epoch),
            Event::IsSampled => self.sample(),
        }
    }

    fn reconcile(&mut self) {
        for change in self.cloud.reconcile(self.now) {
            match change {
                Change::Starts(number) => {
                    self.nodes.push(None);
                    let machine = &self.cloud.machines()[number];
                    let (registers, noticed, lost) =
                        (machine.registers, machine.noticed, machine.lost);
                    let fate = [
                        registers.map(|at| (at, Event::Registers(number))),
                        noticed.map(|at| (at, Event::IsNoticed(number))),
                        lost.map(|at| (at, Event::IsLost(number))),
                    ];
                    for (at, event) in fate.into_iter().flatten() {
                        self.foresee(at, event);
                    }
                }
                Change::Ends(machine) => self.leave(machine),
            }
        }
    }

    fn register(&mut self, number: usize) {
        let machine = &self.cloud.machines()[number];
        if machine.stays(self.now) {
            self.nodes[number] = Some(Node::new(machine.pace));
            self.active += 1;
            self.serve(number);
        }
    }

    /// The node takes no more work.
    fn drain(&mut self, machine: usize) {
        if let Some(node) = &mut self.nodes[machine] {
            self.active -= usize::from(node.is_active());
            node.phase = NodePhase::Draining;
            self.waiting.remove(&machine);
        }
    }

    /// The node is told that its machine goes: it takes no more work, and gives back what it holds.
    fn leave(&mut self, machine: usize) {
        self.drain(machine);
        if let Some(node) = &mut self.nodes[machine] {
            self.lived.lost += node.stop(self.now);
        }
        self.give_back(machine);
    }

    /// The node vanishes.
    fn fall_silent(&mut self, machine: usize) {
        let now = self.now;
        if let Some(node) = &mut self.nodes[machine] {
            self.active -= usize::from(node.is_active());
            node.silent = Some(now);
            self.lived.lost += node.stop(now);
            self.waiting.remove(&machine);
            self.foresee(now + LEASE, Event::LeaseExpires(machine));
        }
    }

    fn give_back(&mut self, machine: usize) {
        if let Some(node) = &mut self.nodes[machine] {
            self.backlog.take_back(node.give_back().into_iter());
            self.serve_waiting();
        }
    }

    fn serve_waiting(&mut self) {
        for machine in std::mem::take(&mut self.waiting) {
            self.serve(machine);
        }
    }

    /// Gives a node what it asks for, if it does.
    fn serve(&mut self, machine: usize) {
        let Some(node) = &mut self.nodes[machine] else {
            return;
        };
        if node.wants_more() {
            node.take(self.backlog.lease(self.active));
            if node.held() == 0 {
                self.waiting.insert(machine);
            }
        }
        if let Some(ends) = node.begin(self.now) {
            let epoch = node.epoch;
            self.foresee(ends, Event::CellEnds(machine, epoch));
        }
    }

    fn end_cell(&mut self, machine: usize, epoch: u32) {
        let Some(node) = self.nodes[machine]
            .as_mut()
            .filter(|node| node.epoch == epoch)
        else {
            return;
        };
        if let Some((cell, seconds)) = node.end(self.now) {
            self.backlog.complete(cell, seconds, self.now);
        }
        self.serve(machine);
    }

    /// Looks once, and has done what is decided: calls go out one after the other, but for terminations, and some fail.
    fn look(&mut self) {
        let now = self.now;
        self.looked = now;
        self.looks += 1;
        let mut at = now + CALL;
        if self.cloud.answers(now) {
            let (seen, group) = seen(&mut self.cloud, &self.nodes, &self.backlog, now);
            let decision = self.scaler.look(&seen, &group);
            self.wanted = decision.wanted;
            for node in &decision.drain {
                self.drain(node.as_uuid().as_u128() as usize);
            }
            let is_done = self.call(&decision, &mut at);
            let desired = decision.desired.unwrap_or(group.desired);
            self.is_listening = self.scaler.is_woken() && desired == 0;
            self.failed = if is_done {
                0
            } else {
                self.scaler.undo(&decision);
                self.failed + 1
            };
        } else {
            at += CALL_THROTTLED;
            self.failed += 1;
            self.is_listening = false;
        }
        let wait = self.scaler.interval() << self.failed.min(8);
        let wait = wait.min(INTERVAL_MAX.max(self.scaler.interval()));
        self.foresee(at + wait, Event::Looks(self.looks));
    }

    /// Whether all calls went well.
    fn call(&mut self, decision: &Decision, at: &mut Millis) -> bool {
        let number = |id: &MachineId| id[2..].parse::<usize>().unwrap_or(usize::MAX);
        let mut calls: Vec<Vec<Event>> = Vec::new();
        calls.extend(decision.terminate.chunks(TERMINATED_AT_ONCE).map(|some| {
            some.iter()
                .map(|id| Event::Terminates(number(id)))
                .collect()
        }));
        calls.extend(decision.desired.map(|desired| vec![Event::Asks(desired)]));
        for (machines, is_protected) in [(&decision.protect, true), (&decision.unprotect, false)] {
            // As many as one call takes.
            calls.extend(machines.chunks(50).map(|some| {
                some.iter()
                    .map(|id| Event::Protects(number(id), is_protected))
                    .collect()
            }));
        }
        let mut is_done = true;
        for call in calls {
            if self.cloud.answers(*at) {
                *at += CALL;
                for event in call {
                    self.foresee(*at, event);
                }
            } else {
                *at += CALL_THROTTLED;
                is_done = false;
            }
        }
        is_done
    }

    fn sample(&mut self) {
        self.lived.samples.push(Sample {
            at: self.now,
            machines: self.cloud.running(self.now) as u32,
            working: self
                .nodes
                .iter()
                .flatten()
                .filter(|node| node.held() > 0)
                .count() as u32,
            wanted: self.wanted,
            node_hours: self.backlog.node_hours(),
        });
        self.foresee(self.now + MINUTE, Event::IsSampled);
    }
}
