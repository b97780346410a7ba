//! What a decision looks at: the backlog by what was measured, and the machines with the nodes on them.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use atelier_proto::ids::NodeId;
use atelier_proto::prices::{Capacity, Prices};
use jiff::Timestamp;

use super::Scaling;
use super::asg::{Told, ToldMachine};
use crate::domain::block::bytes_min;
use crate::domain::effort::Speeds;
use crate::domain::facts::GridFacts;
use crate::domain::fleet::{AtMachine, GridLeft, Group, Machine, NodePhase, Others, Seen};
use crate::domain::node::{NodeRecord, NodeState};
use crate::domain::summary::{GridState, GridSummary};
use crate::ledger::Ledger;
use crate::store::{Filter, HeldCells, StoreError};

/// Grids that are looked at: the newest.
const GRIDS_MAX: u32 = 10_000;
/// Nodes that are looked at: the newest.
const NODES_MAX: u32 = 20_000;
/// Nodes that were heard of longer ago than this are forgotten, where nobody waits longer for one of a machine.
const NODES_FOR: Duration = Duration::from_hours(1);

/// All that is seen of nodes at one look.
struct Nodes {
    records: Vec<NodeRecord>,
    held: HashMap<NodeId, HeldCells>,
    lost_before: Timestamp,
}

impl Nodes {
    fn is_alive(&self, record: &NodeRecord) -> bool {
        record.last_seen_at >= self.lost_before
    }

    fn held(&self, record: &NodeRecord) -> u32 {
        self.held.get(&record.node.id).map_or(0, HeldCells::total)
    }

    /// Those that are heard of and take work.
    fn active(&self) -> impl Iterator<Item = &NodeRecord> {
        let is_active = |record: &&NodeRecord| {
            self.is_alive(record) && record.health.state == NodeState::Active
        };
        self.records.iter().filter(is_active)
    }
}

/// Looks at everything. `devices`: what nodes of the group ran on when there were some.
///
/// # Errors
/// When the store fails.
pub(super) async fn observe(
    ledger: &Ledger,
    told: Option<(Told, Option<String>)>,
    scaling: &Scaling,
    devices: &BTreeSet<String>,
) -> Result<Seen, StoreError> {
    let prices = &scaling.prices;
    let now = ledger.now();
    let store = ledger.store();
    // Those that were lost, too: what happened at a machine is seen by its last node.
    let seen_since = now
        .checked_sub(scaling.policy.register_timeout + NODES_FOR)
        .unwrap_or(Timestamp::MIN);
    let nodes = Nodes {
        records: store.nodes(None, seen_since, NODES_MAX).await?,
        held: store.cells_held().await?,
        lost_before: ledger.rules().lost_before(now),
    };
    let speeds = ledger.speeds();
    let devices = fleet_devices(&nodes, devices, &speeds);
    let filter = Filter {
        states: vec![GridState::Active],
        ..Filter::default()
    };
    let mut backlog = Vec::new();
    let mut open_cells: HashMap<String, u64> = HashMap::new();
    for summary in store.grids(&filter, None, GRIDS_MAX).await? {
        if summary.counts.open() > 0 {
            let facts = ledger.facts(summary.grid).await?;
            backlog.push(left(&summary, &facts, &nodes, &speeds, &devices));
            let open = u64::from(summary.counts.open());
            *open_cells.entry(summary.submitter).or_default() += open;
        }
    }
    let machine_dollars = told
        .as_ref()
        .and_then(|(told, _)| dollars_of_next(told, prices));
    let group = told.map(|(told, refusal)| group(told, refusal, &nodes, prices));
    let on_machines: BTreeSet<&str> = group
        .iter()
        .flat_map(|group| &group.machines)
        .map(|machine| machine.id.as_str())
        .collect();
    let mut others = Others::default();
    for record in nodes.active() {
        if !on_machines.contains(record.node.instance_id.as_str()) {
            others.active += 1;
            others.busy += u32::from(nodes.held(record) > 0);
            others.dollars_per_hour += record.node.dollars_per_hour.unwrap_or(0.0);
        }
    }
    let running_max = u64::from(ledger.shares().submitter_running_max);
    Ok(Seen {
        now,
        backlog,
        cells_runnable: open_cells
            .values()
            .map(|cells| *cells.min(&running_max))
            .sum(),
        group,
        others,
        machine_dollars,
    })
}

/// What the nodes of the fleet run on, each as often as there are such: those that take work now, or those that were there
/// last, or all that was ever measured.
fn fleet_devices(nodes: &Nodes, before: &BTreeSet<String>, speeds: &Speeds) -> Vec<String> {
    let now: Vec<String> = nodes
        .active()
        .map(|record| record.node.device.clone())
        .collect();
    if !now.is_empty() {
        return now;
    }
    if !before.is_empty() {
        return before.iter().cloned().collect();
    }
    speeds.0.keys().cloned().collect()
}

fn left(
    summary: &GridSummary,
    facts: &GridFacts,
    nodes: &Nodes,
    speeds: &Speeds,
    devices: &[String],
) -> GridLeft {
    let kind = facts.kind();
    let rates = devices.iter().filter_map(|device| {
        let seconds_per_work = speeds.seconds_per_work(device, kind.as_deref()?)?;
        Some(seconds_per_work.recip())
    });
    let rates: Vec<f64> = rates.collect();
    let node_seconds = (!rates.is_empty())
        .then(|| summary.work_open * rates.len() as f64 / rates.iter().sum::<f64>());
    let (labels, bytes) = (facts.spec.labels(), bytes_min(facts));
    let mut active = nodes.active().peekable();
    let is_fitting = active
        .peek()
        .is_some()
        .then(|| active.any(|record| record.node.has(labels) && record.node.holds(bytes)));
    // Whether the machines have these labels is found out by one of them, too.
    let is_known = is_fitting.is_some() || labels.is_empty();
    GridLeft {
        grid: summary.grid,
        queued: summary.counts.queued,
        running: summary.counts.leased + summary.counts.rendering,
        node_seconds: node_seconds.filter(|_| is_known),
        dollars_spent: summary.dollars_spent,
        is_fitting,
    }
}

fn group(told: Told, refusal: Option<String>, nodes: &Nodes, prices: &Prices) -> Group {
    // Newest first: of several nodes of a machine the last one counts.
    let mut by_machine: HashMap<&str, &NodeRecord> = HashMap::new();
    for record in &nodes.records {
        by_machine.entry(&record.node.instance_id).or_insert(record);
    }
    let is_spot = told.on_demand_percent == 0;
    let machines = told.machines.into_iter().map(|machine| {
        let record = by_machine.get(machine.id.as_str()).copied();
        let told = record.and_then(|record| record.node.dollars_per_hour);
        let dollars_per_hour = told.or_else(|| dollars(&machine, is_spot, prices));
        Machine {
            id: machine.id,
            phase: machine.phase,
            is_protected: machine.is_protected,
            node: record.map(|record| AtMachine {
                node: record.node.id,
                phase: match record.health.state {
                    NodeState::Active => NodePhase::Active,
                    NodeState::Draining { .. } => NodePhase::Draining,
                    NodeState::Quarantined { .. } => NodePhase::Quarantined,
                },
                is_alive: nodes.is_alive(record),
                seen_at: record.last_seen_at,
                cells_held: nodes.held(record),
                device: record.node.device.clone(),
            }),
            dollars_per_hour,
        }
    });
    Group {
        desired: told.desired,
        size: told.size,
        machines: machines.collect(),
        refusal,
    }
}

fn capacity(is_spot: bool) -> Capacity {
    if is_spot {
        Capacity::Spot
    } else {
        Capacity::OnDemand
    }
}

fn dollars(machine: &ToldMachine, is_spot: bool, prices: &Prices) -> Option<f64> {
    prices.machine(machine.instance_type.as_deref()?, capacity(is_spot))
}

/// What one more machine would cost in an hour: the mean of those that are there, or else the most that it may be.
fn dollars_of_next(told: &Told, prices: &Prices) -> Option<f64> {
    let is_spot = told.on_demand_percent == 0;
    let there: Option<Vec<f64>> = told
        .machines
        .iter()
        .map(|machine| dollars(machine, is_spot, prices))
        .collect();
    if let Some(there) = there.filter(|there| !there.is_empty()) {
        return Some(there.iter().sum::<f64>() / there.len() as f64);
    }
    let of_types = told.instance_types.iter();
    let each: Option<Vec<f64>> = of_types
        .map(|name| prices.machine(name, capacity(is_spot)))
        .collect();
    each?.into_iter().reduce(f64::max)
}
