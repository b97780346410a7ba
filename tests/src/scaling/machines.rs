//! A group of machines as AWS keeps it: what it is asked for, what it starts and ends, and how late it tells of that.

use atelier_coordinator::domain::fleet::{MachineId, Phase};

use super::arrivals::{Day, HOUR, MINUTE, Millis, SECOND};
use super::chance::Chance;

/// A spot machine is taken away after so long on average.
const SPOT_MEAN: Millis = 30 * HOUR;
/// Between a spot machine's notice and its end.
const NOTICE: Millis = 2 * MINUTE;
/// Of the spot machines that are taken away, those that are not told before.
const WITHOUT_NOTICE: f64 = 0.1;
/// Machines whose node never registers.
const NEVER_REGISTERS: f64 = 0.015;
/// Machines that take up to ten minutes to come.
const SLOW: f64 = 0.05;
/// How much of the calls fails for good while the cloud wants fewer.
const THROTTLED: f64 = 0.7;
/// How old what is described is, at most.
const LAG_MAX: Millis = 8 * SECOND;
/// A machine that is told to go works so long at its end, and is paid for.
const LEAVING: Millis = 15 * SECOND;
/// It is described for so long after that.
const LINGERS: Millis = 20 * SECOND;
/// Until the cloud sees that a machine has vanished.
const VANISHED: Millis = 90 * SECOND;
/// A machine without a node is replaced after so long, where the group looks for one.
const HEALTH_GRACE: Millis = 15 * MINUTE;
/// Every machine is paid for at least so long.
const BILLED_MIN: Millis = MINUTE;

/// How a group is set up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// Whether its machines are of the spot market.
    pub is_spot: bool,
    /// New machines are protected from a group that becomes smaller.
    pub protects_new: bool,
    /// It replaces machines without a node by itself.
    pub checks_health: bool,
    /// The most that it can be asked for.
    pub size_max: u32,
}

/// A machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// How the cloud calls it.
    pub id: MachineId,
    /// When its node registers, if it ever does.
    pub registers: Option<Millis>,
    /// When its node is told that the machine will be taken away.
    pub noticed: Option<Millis>,
    /// When it will be taken away.
    pub lost: Option<Millis>,
    /// How long it takes for what takes an average one 1.
    pub pace: f64,
    launched: Millis,
    in_service: Millis,
    leaving: Option<Millis>,
    /// Until when it runs.
    ended: Option<Millis>,
    /// From when on it is not described.
    gone: Option<Millis>,
    /// Whether the group may choose it, and since when that is so.
    protected: (bool, Millis),
}

impl Machine {
    /// Whether it runs.
    pub fn runs(&self, now: Millis) -> bool {
        self.launched <= now && self.ended.is_none_or(|ended| ended > now)
    }

    /// Whether it runs and stays for all that it knows.
    pub fn stays(&self, now: Millis) -> bool {
        self.leaving.is_none() && self.noticed.is_none_or(|noticed| noticed > now) && self.runs(now)
    }

    /// Whether the group counts it: of what has vanished it does not know yet.
    fn counts(&self, now: Millis) -> bool {
        self.leaving.is_none()
            && self.gone.is_none_or(|gone| gone > now)
            && self.noticed.is_none_or(|noticed| noticed > now)
    }

    /// For how long it is paid, and how much of that it was without a node.
    pub fn paid(&self, end: Millis) -> (Millis, Millis) {
        let last = self.ended.unwrap_or(end).min(end);
        let paid = last.saturating_sub(self.launched).max(BILLED_MIN);
        let booting = self.registers.unwrap_or(last).min(last);
        (paid, booting.saturating_sub(self.launched))
    }
}

/// What the group does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It starts the machine of this number.
    Starts(usize),
    /// It ends it.
    Ends(usize),
}

/// What is told of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// Its number.
    pub machine: usize,
    /// Where it stands.
    pub phase: Phase,
    /// Whether the group may not choose it.
    pub is_protected: bool,
}

/// The group with all machines that it ever had.
#[derive(Debug, Clone)]
pub struct Cloud {
    terms: Terms,
    seed: u64,
    chance: Chance,
    refused: std::ops::Range<Millis>,
    throttled: std::ops::Range<Millis>,
    /// Sizes that it was asked for, with the time, the latest last.
    asked: Vec<(Millis, u32)>,
    /// As of when it was last described.
    viewed: Millis,
    machines: Vec<Machine>,
    /// Those that may still be described.
    present: Vec<usize>,
    /// Why the last machine could not be started.
    pub refusal: Option<String>,
    /// Most machines that ran at once.
    pub largest: u32,
    /// Machines that were told to go although they went already: what is described is late.
    pub repeated: u32,
}

impl Cloud {
    /// An empty group on a day.
    pub fn new(day: &Day, terms: Terms) -> Self {
        Self {
            terms,
            seed: day.seed,
            chance: Chance::new(day.seed, 1),
            refused: day.refused.clone(),
            throttled: day.throttled.clone(),
            asked: vec![(0, 0)],
            viewed: 0,
            machines: Vec::new(),
            present: Vec::new(),
            refusal: None,
            largest: 0,
            repeated: 0,
        }
    }

    /// All that it ever had.
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// Those that run.
    pub fn running(&self, now: Millis) -> usize {
        let running = self.present.iter();
        running
            .filter(|machine| self.machines[**machine].runs(now))
            .count()
    }

    /// Whether it answers a call.
    pub fn answers(&mut self, now: Millis) -> bool {
        !(self.throttled.contains(&now) && self.chance.happens(THROTTLED))
    }

    fn desired(&self) -> u32 {
        self.asked.last().map_or(0, |(_, desired)| *desired)
    }

    /// Asks for so many machines.
    pub fn ask(&mut self, desired: u32, now: Millis) {
        self.asked.push((now, desired.min(self.terms.size_max)));
    }

    /// Has a machine go for which no other one comes; whether it had not gone before.
    pub fn terminate(&mut self, machine: usize, now: Millis) -> bool {
        let was_there =
            self.machines[machine].leaving.is_none() && self.machines[machine].runs(now);
        if was_there {
            self.ask(self.desired().saturating_sub(1), now);
            self.end(machine, now, LEAVING);
        } else {
            self.repeated += 1;
        }
        was_there
    }

    fn end(&mut self, machine: usize, now: Millis, after: Millis) {
        let machine = &mut self.machines[machine];
        machine.leaving = Some(now);
        machine.ended = Some(now + after);
        machine.gone = Some(now + after + LINGERS);
    }

    /// Keeps a machine from a group that becomes smaller, or no more.
    pub fn protect(&mut self, machine: usize, is_protected: bool, now: Millis) {
        self.machines[machine].protected = (is_protected, now);
    }

    /// A spot machine is taken away.
    pub fn lose(&mut self, machine: usize, now: Millis) {
        if self.machines[machine].noticed.is_some() {
            self.end(machine, now, 0);
        } else {
            self.machines[machine].ended = Some(now);
            self.machines[machine].gone = Some(now + VANISHED);
        }
    }

    /// The size asked for and the machines as they are described now: as they were some seconds ago.
    pub fn describe(&mut self, now: Millis) -> (u32, Vec<Described>) {
        let lag = self.chance.between(SECOND as f64, LAG_MAX as f64) as Millis;
        let view = now.saturating_sub(lag).max(self.viewed);
        self.viewed = view;
        let asked = self.asked.iter().rev().find(|(at, _)| *at <= view);
        let desired = asked.map_or(0, |(_, desired)| *desired);
        let described = self.present.iter().filter_map(|number| {
            let machine = &self.machines[*number];
            let is_there = machine.launched <= view && machine.gone.is_none_or(|gone| gone > view);
            let (is_protected, since) = machine.protected;
            is_there.then(|| Described {
                machine: *number,
                phase: if machine.leaving.is_some_and(|leaving| leaving <= view) {
                    Phase::Leaving
                } else if machine.in_service <= view {
                    Phase::InService
                } else {
                    Phase::Pending
                },
                is_protected: is_protected == (since <= view),
            })
        });
        (desired, described.collect())
    }

    /// Starts what is missing and ends what is too much, or what has no node.
    pub fn reconcile(&mut self, now: Millis) -> Vec<Change> {
        let machines = &self.machines;
        self.present.retain(|machine| {
            let gone = machines[*machine].gone;
            gone.is_none_or(|gone| gone + LAG_MAX > now)
        });
        let mut changes = Vec::new();
        if self.terms.checks_health {
            self.end_silent(now, &mut changes);
        }
        let counted = self.present.iter().copied();
        let counted: Vec<usize> = counted
            .filter(|machine| self.machines[*machine].counts(now))
            .collect();
        let desired = self.desired() as usize;
        if counted.len() > desired {
            self.end_any(counted, desired, now, &mut changes);
        } else if counted.len() < desired {
            let missing = desired - counted.len();
            if self.refused.contains(&now) {
                self.refusal = Some("there is no g6.xlarge in any zone".to_owned());
            } else {
                self.refusal = None;
                changes.extend((0..missing).map(|_| Change::Starts(self.start(now))));
            }
        }
        self.largest = self.largest.max(self.running(now) as u32);
        changes
    }

    fn end_silent(&mut self, now: Millis, changes: &mut Vec<Change>) {
        for machine in self.present.clone() {
            let silent = &self.machines[machine];
            let is_late = now > silent.launched + HEALTH_GRACE;
            if is_late && silent.counts(now) && silent.registers.is_none_or(|at| at > now) {
                self.end(machine, now, LEAVING);
                changes.push(Change::Ends(machine));
            }
        }
    }

    /// Ends what is too much: any of those that are not protected.
    fn end_any(
        &mut self,
        counted: Vec<usize>,
        desired: usize,
        now: Millis,
        changes: &mut Vec<Change>,
    ) {
        let surplus = counted.len() - desired;
        let mut open = counted;
        open.retain(|machine| !self.machines[*machine].protected.0);
        for _ in 0..surplus.min(open.len()) {
            let machine = open.swap_remove(self.chance.one_of(open.len()));
            self.end(machine, now, LEAVING);
            changes.push(Change::Ends(machine));
        }
    }

    /// The fate of a machine hangs on its number alone, so that it is the same whoever asks for it.
    fn start(&mut self, now: Millis) -> usize {
        let number = self.machines.len();
        let mut chance = Chance::new(self.seed, 2 + number as u64);
        let launched = now + chance.between(0.0, 10_000.0) as Millis;
        let in_service = launched + chance.between(20_000.0, 40_000.0) as Millis;
        let boot = if chance.happens(SLOW) {
            chance.between(240.0, 600.0)
        } else {
            chance.log_normal(95.0, 0.3).clamp(60.0, 240.0)
        };
        let registers =
            (!chance.happens(NEVER_REGISTERS)).then_some(launched + (boot * 1000.0) as Millis);
        let lost = launched + chance.wait(SPOT_MEAN as f64) as Millis;
        let is_told = !chance.happens(WITHOUT_NOTICE);
        let is_spot = self.terms.is_spot;
        self.machines.push(Machine {
            id: format!("i-{number:05}"),
            registers,
            noticed: (is_spot && is_told).then_some(lost),
            lost: is_spot.then_some(lost + if is_told { NOTICE } else { 0 }),
            pace: chance.between(0.9, 1.1),
            launched,
            in_service,
            leaving: None,
            ended: None,
            gone: None,
            protected: (self.terms.protects_new, launched),
        });
        self.present.push(number);
        number
    }
}
