//! What a decision looks at: the backlog and the nodes as they are, the machines as the cloud tells of them.

use atelier_coordinator::domain::fleet::{AtMachine, Group, Machine, Others, Seen};
use jiff::Timestamp;
use uuid::Uuid;

use super::arrivals::Millis;
use super::backlog::{Backlog, DEVICE};
use super::machines::Cloud;
use super::node::{LEASE, Node};
use super::strategies::NODES_MAX;

/// A time of the day as a decision sees it, whatever day it is.
fn stamp(at: Millis) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + at as i64).unwrap_or(Timestamp::MAX)
}

/// All that is seen at one look, and the group of it once more.
pub(super) fn seen(
    cloud: &mut Cloud,
    nodes: &[Option<Node>],
    backlog: &Backlog,
    now: Millis,
) -> (Seen, Group) {
    let (desired, described) = cloud.describe(now);
    let machines = described.iter().map(|described| {
        let number = described.machine;
        let machine = &cloud.machines()[number];
        let node = nodes[number].as_ref().map(|node| {
            let seen_at = node.seen_at(now);
            let is_heard_of = machine.runs(now) || node.silent.is_some();
            AtMachine {
                node: Uuid::from_u128(number as u128).into(),
                phase: node.phase,
                is_alive: is_heard_of && now - seen_at < LEASE,
                seen_at: stamp(seen_at),
                cells_held: node.held(),
                device: DEVICE.to_owned(),
            }
        });
        Machine {
            id: machine.id.clone(),
            phase: described.phase,
            is_protected: described.is_protected,
            node,
            dollars_per_hour: None,
        }
    });
    let machines: Vec<Machine> = machines.collect();
    let is_short = machines.len() < desired as usize;
    let group = Group {
        desired,
        size: (0, NODES_MAX),
        refusal: cloud.refusal.clone().filter(|_| is_short),
        machines,
    };
    let seen = Seen {
        now: stamp(now),
        backlog: backlog.left(),
        cells_runnable: u64::MAX,
        group: Some(group.clone()),
        others: Others::default(),
        machine_dollars: None,
    };
    (seen, group)
}
