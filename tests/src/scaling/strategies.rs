//! Ways to scale that are compared: ours, fixed fleets, a rule by the length of the queue, and ours with a promise broken.

use std::collections::VecDeque;
use std::time::Duration;

use atelier_coordinator::domain::fleet::{
    Bounds, Decision, Group, Machine, Memory, Mode, NodePhase, Phase, Policy, Seen, decide,
};
use jiff::Timestamp;

use super::arrivals::{MINUTE, Millis, SECOND};
use super::machines::Terms;

/// Most nodes that any of them asks for.
pub const NODES_MAX: u32 = 1000;
/// How long the rule by the queue waits until it asks for fewer: what it would have wanted meanwhile counts.
const STABILISATION: Duration = Duration::from_mins(5);

/// What decides how many machines there are.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// The coordinator's decision.
    Ours(Policy),
    /// The same, but the wanted number is followed down: nodes that work finish what they hold, and go.
    Drained(Policy),
    /// The same, and the group chooses who goes, whatever they do.
    Unprotected(Policy),
    /// So many cells, waiting or held, to a node.
    QueueLength {
        /// Cells to a node.
        cells: f64,
        /// Nodes that work are protected from a group that becomes smaller.
        is_protected: bool,
    },
    /// Always so many.
    Fixed(u32),
}

/// A way to scale, with how its machines are paid for.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// What decides.
    pub rule: Rule,
    /// Whether its machines are of the spot market.
    pub is_spot: bool,
}

impl Plan {
    /// How its group is set up.
    pub fn terms(&self) -> Terms {
        let is_ours = matches!(self.rule, Rule::Ours(_) | Rule::Drained(_));
        let decides = is_ours || matches!(self.rule, Rule::Unprotected(_));
        Terms {
            is_spot: self.is_spot,
            protects_new: is_ours,
            checks_health: !decides,
            size_max: NODES_MAX,
        }
    }
}

/// A way to scale at work.
#[derive(Debug)]
pub struct Scaler {
    rule: Rule,
    memory: Memory,
    /// What was asked for and when the fleet last grew, before the last decision.
    before: (Option<(u32, Timestamp)>, Option<Timestamp>),
    /// What the rule by the queue would have wanted of late.
    recommended: VecDeque<(Timestamp, u32)>,
}

impl Scaler {
    /// Of a plan.
    pub fn new(plan: &Plan) -> Self {
        Self {
            rule: plan.rule.clone(),
            memory: Memory::default(),
            before: (None, None),
            recommended: VecDeque::new(),
        }
    }

    /// How long it waits until it looks again.
    pub fn interval(&self) -> Millis {
        match self.rule {
            Rule::Ours(_) | Rule::Drained(_) | Rule::Unprotected(_) => 5 * SECOND,
            Rule::QueueLength { .. } => 30 * SECOND,
            Rule::Fixed(_) => MINUTE,
        }
    }

    /// Whether it looks at once when cells come while it has asked for no machine.
    pub fn is_woken(&self) -> bool {
        matches!(
            self.rule,
            Rule::Ours(_) | Rule::Drained(_) | Rule::Unprotected(_)
        )
    }

    /// What is to be done.
    pub fn look(&mut self, seen: &Seen, group: &Group) -> Decision {
        match self.rule.clone() {
            Rule::Ours(policy) => self.decided(&policy, seen),
            Rule::Drained(policy) => {
                let mut decision = self.decided(&policy, seen);
                self.drain_down(need(&policy, seen), group, &mut decision);
                decision
            }
            Rule::Unprotected(policy) => {
                let mut decision = self.decided(&policy, seen);
                decision.drain.clear();
                decision.protect.clear();
                let need = need(&policy, seen);
                if need < group.desired {
                    decision.desired = Some(need);
                    self.memory.asked = Some((need, seen.now));
                }
                decision
            }
            Rule::QueueLength {
                cells,
                is_protected,
            } => {
                let mut decision = self.by_queue(cells, seen, group);
                if is_protected {
                    guard(group, &mut decision);
                }
                decision
            }
            Rule::Fixed(nodes) => Decision {
                wanted: nodes,
                desired: (nodes != group.desired).then_some(nodes),
                ..Decision::default()
            },
        }
    }

    fn decided(&mut self, policy: &Policy, seen: &Seen) -> Decision {
        let bounds = Bounds {
            mode: Mode::Automatic,
            nodes_min: 0,
            nodes_max: NODES_MAX,
        };
        self.before = (self.memory.asked, self.memory.stepped_at);
        let memory = std::mem::take(&mut self.memory);
        let (decision, memory) = decide(memory, policy, &bounds, seen);
        self.memory = memory;
        decision
    }

    /// Not all of it was done, so what was asked for may be asked for again, as the coordinator does it.
    pub fn undo(&mut self, decision: &Decision) {
        if decision.desired.is_some() {
            (self.memory.asked, self.memory.stepped_at) = self.before;
        }
    }

    /// As many nodes leave as are too many, those that hold the least first.
    fn drain_down(&mut self, need: u32, group: &Group, decision: &mut Decision) {
        let mut staying: Vec<&Machine> = group
            .machines
            .iter()
            .filter(|machine| machine.phase != Phase::Leaving)
            .collect();
        staying.retain(|machine| {
            machine
                .node
                .as_ref()
                .is_none_or(|node| node.phase == NodePhase::Active)
        });
        let surplus = staying
            .len()
            .saturating_sub(need as usize + decision.drain.len());
        let nodes = staying
            .into_iter()
            .filter_map(|machine| Some((machine, machine.alive()?)));
        let mut nodes: Vec<_> = nodes
            .filter(|(_, node)| !decision.drain.contains(&node.node))
            .collect();
        nodes.sort_by(|(a, a_node), (b, b_node)| {
            a_node
                .cells_held
                .cmp(&b_node.cells_held)
                .then_with(|| a.id.cmp(&b.id))
        });
        for (machine, node) in nodes.into_iter().take(surplus) {
            decision.drain.push(node.node);
            self.memory.drained.insert(machine.id.clone());
        }
    }

    fn by_queue(&mut self, cells: f64, seen: &Seen, group: &Group) -> Decision {
        let open: u32 = seen
            .backlog
            .iter()
            .map(|grid| grid.queued + grid.running)
            .sum();
        let latest = ((f64::from(open) / cells).ceil() as u32).min(NODES_MAX);
        self.recommended.push_back((seen.now, latest));
        let is_old = |at: Timestamp| seen.now.duration_since(at).unsigned_abs() > STABILISATION;
        while self.recommended.front().is_some_and(|(at, _)| is_old(*at)) {
            self.recommended.pop_front();
        }
        let wanted = self.recommended.iter().map(|(_, wanted)| *wanted).max();
        let wanted = wanted.unwrap_or(latest);
        Decision {
            wanted,
            desired: (wanted != group.desired).then_some(wanted),
            ..Decision::default()
        }
    }
}

/// Nodes that finish what is left within the target time, whoever works now.
fn need(policy: &Policy, seen: &Seen) -> u32 {
    let cells: u32 = seen
        .backlog
        .iter()
        .map(|grid| grid.queued + grid.running)
        .sum();
    let seconds: f64 = seen
        .backlog
        .iter()
        .filter_map(|grid| grid.node_seconds)
        .sum();
    let by_time = (seconds / policy.drain_time.as_secs_f64()).ceil() as u32;
    by_time.max(u32::from(cells > 0)).min(cells).min(NODES_MAX)
}

/// Protects machines that work, and no others.
fn guard(group: &Group, decision: &mut Decision) {
    for machine in &group.machines {
        if machine.is_busy() != machine.is_protected {
            let list = if machine.is_busy() {
                &mut decision.protect
            } else {
                &mut decision.unprotect
            };
            list.push(machine.id.clone());
        }
    }
}
