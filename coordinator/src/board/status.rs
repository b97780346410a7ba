//! How grids and nodes stand, in what a page needs to show them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::block::bytes_min;
use crate::domain::fleet::Machines;
use crate::domain::node::{Labels, NodeRecord, NodeState};
use crate::domain::summary::{GridState, GridSummary};
use crate::estimates;
use crate::ledger::Ledger;
use crate::scaler::{self, Driver, Scaling};
use crate::store::{Filter, StoreError};

/// Grids and nodes that are shown: the newest of each.
const GRIDS_MAX: u32 = 100;
const NODES_MAX: u32 = 500;

/// How everything stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Status {
    grids: Vec<Grid>,
    nodes: Vec<Node>,
    /// Where machines are started and ended for the backlog, once that has been looked at.
    fleet: Option<Fleet>,
}

/// The machines of the fleet.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Fleet {
    wanted: u32,
    /// Unknown while the cloud does not answer.
    machines: Option<Machines>,
    dollars_per_hour: Option<f64>,
    /// Why it is so, the most important first, and what stands against more.
    reasons: Vec<String>,
    trouble: Option<String>,
}

impl Fleet {
    async fn read(ledger: &Ledger, scaling: &Scaling) -> Result<Option<Self>, StoreError> {
        if scaling.driver == Driver::None {
            return Ok(None);
        }
        let overview = scaler::overview(ledger, scaling).await?;
        let reasons = overview.reasons();
        Ok(overview.standing.map(|standing| Self {
            wanted: standing.wanted,
            machines: standing.machines,
            dollars_per_hour: overview.dollars_per_hour,
            reasons,
            trouble: standing.trouble,
        }))
    }
}

/// A grid in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Grid {
    id: String,
    #[serde(flatten)]
    standing: Standing,
}

/// How a grid stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Standing {
    name: String,
    submitter: String,
    state: &'static str,
    submitted_at: Timestamp,
    /// Cells in each state in which there are some.
    cells: BTreeMap<&'static str, u32>,
    /// Seconds until it has ended; `None`: nobody can tell.
    seconds_left: Option<u64>,
    dollars_spent: f64,
    dollars_expected: Option<f64>,
    /// Why nothing of it is rendered although there is something to render.
    waits_for: Option<String>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Node {
    id: String,
    name: String,
    device: String,
    state: &'static str,
    reason: String,
    cells_held: u32,
    /// Names of the grids that these are of.
    renders: Vec<String>,
    cells_done: u64,
    /// Millions of pixels times evaluations in a second; unknown before anything was measured on such a device.
    speed: Option<f64>,
    dollars_per_hour: Option<f64>,
}

impl Status {
    /// How everything stands now, with the grids of one submitter or of all.
    pub(super) async fn read(
        ledger: &Ledger,
        scaling: &Scaling,
        submitter: Option<&str>,
    ) -> Result<Self, StoreError> {
        let store = ledger.store();
        let records = nodes(ledger).await?;
        let held = store.cells_held().await?;
        let mut grids = Vec::new();
        let filter = Filter {
            submitter: submitter.map(str::to_owned),
            ..Filter::default()
        };
        for summary in store.grids(&filter, None, GRIDS_MAX).await? {
            grids.push(Grid {
                id: summary.grid.to_string(),
                standing: standing_among(ledger, summary, &records).await?,
            });
        }
        let speeds = ledger.speeds();
        let nodes = records.into_iter().map(|record| {
            let held = held.get(&record.node.id).cloned().unwrap_or_default();
            let renders = held.0.keys().filter_map(|grid| {
                let id = grid.to_string();
                let shown = grids.iter().find(|shown| shown.id == id);
                // What others have painted is theirs.
                let unknown = submitter.is_none().then_some(id);
                shown.map_or(unknown, |shown| Some(shown.standing.name.clone()))
            });
            Node {
                id: record.node.id.to_string(),
                state: record.health.state.word(),
                reason: record.health.state.reason().to_owned(),
                cells_held: held.total(),
                renders: renders.collect(),
                cells_done: record.cells_done,
                speed: speeds.work_per_second(&record.node.device),
                dollars_per_hour: record.node.dollars_per_hour,
                name: record.node.name,
                device: record.node.device,
            }
        });
        let nodes = nodes.collect();
        let fleet = Fleet::read(ledger, scaling).await?;
        Ok(Self {
            grids,
            nodes,
            fleet,
        })
    }
}

/// How a grid stands now.
pub(super) async fn standing(
    ledger: &Ledger,
    summary: GridSummary,
) -> Result<Standing, StoreError> {
    let records = if is_waiting(&summary) {
        nodes(ledger).await?
    } else {
        Vec::new()
    };
    standing_among(ledger, summary, &records).await
}

async fn standing_among(
    ledger: &Ledger,
    summary: GridSummary,
    records: &[NodeRecord],
) -> Result<Standing, StoreError> {
    let estimate = estimates::of_grid(ledger, &summary).await?;
    let waits_for = if is_waiting(&summary) {
        let facts = ledger.facts(summary.grid).await?;
        waits_for(facts.spec.labels(), bytes_min(&facts), records)
    } else {
        None
    };
    let expected = estimate.dollars_left;
    Ok(Standing {
        cells: cells(&summary),
        state: summary.state.word(),
        submitted_at: summary.submitted_at,
        seconds_left: estimate.time_left.map(|left| left.as_secs()),
        dollars_spent: summary.dollars_spent,
        dollars_expected: expected.map(|left| summary.dollars_spent + left),
        waits_for,
        name: summary.name,
        submitter: summary.submitter,
    })
}

/// Whether there is something to render, and nobody does.
fn is_waiting(summary: &GridSummary) -> bool {
    summary.state == GridState::Active
        && summary.counts.queued > 0
        && summary.counts.leased + summary.counts.rendering == 0
}

/// The nodes that were heard of lately.
async fn nodes(ledger: &Ledger) -> Result<Vec<NodeRecord>, StoreError> {
    let lost_before = ledger.rules().lost_before(ledger.now());
    ledger.store().nodes(None, lost_before, NODES_MAX).await
}

fn cells(summary: &GridSummary) -> BTreeMap<&'static str, u32> {
    let counts = summary.counts;
    let all = [
        ("queued", counts.queued),
        ("leased", counts.leased),
        ("rendering", counts.rendering),
        ("done", counts.done),
        ("failed", counts.failed),
        ("cancelled", counts.cancelled),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// Why none of these nodes takes cells of a grid that wants these labels, and so much memory for its smallest cell; `None`:
/// one may be about to.
fn waits_for(labels: &Labels, bytes: u64, nodes: &[NodeRecord]) -> Option<String> {
    let mut active = nodes
        .iter()
        .filter(|record| record.health.state == NodeState::Active)
        .peekable();
    if active.peek().is_none() {
        return Some("no node is there that takes work".to_owned());
    }
    let mut fitting = active.filter(|record| record.node.has(labels)).peekable();
    if fitting.peek().is_none() {
        let labels = labels.iter().map(|(name, value)| format!("{name}={value}"));
        let labels: Vec<String> = labels.collect();
        return Some(format!("no node has {}", labels.join(" and ")));
    }
    if fitting.any(|record| record.node.holds(bytes)) {
        return None;
    }
    let gigabytes = bytes.div_ceil(1_000_000_000);
    Some(format!("no node has {gigabytes} GB of memory"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::node::Health;
    use crate::domain::node::tests::node;

    #[test]
    fn a_grid_that_nobody_takes_says_what_it_waits_for() {
        let record = |zone: &str, state| NodeRecord {
            node: crate::domain::node::Node {
                labels: [("zone".to_owned(), zone.to_owned())].into(),
                ..node()
            },
            health: Health {
                state,
                failing_grids: Vec::new(),
            },
            registered_at: Timestamp::UNIX_EPOCH,
            last_seen_at: Timestamp::UNIX_EPOCH,
            cells_done: 0,
            identity: String::new(),
        };
        let reason = "spot".to_owned();
        let leaving = record("b", NodeState::Draining { reason });
        let wanted: Labels = [("zone".to_owned(), "b".to_owned())].into();
        let nobody = Some("no node is there that takes work".to_owned());
        assert_eq!(waits_for(&wanted, 0, &[]), nobody);
        assert_eq!(
            waits_for(&wanted, 0, std::slice::from_ref(&leaving)),
            nobody
        );
        let elsewhere = record("a", NodeState::Active);
        let none = Some("no node has zone=b".to_owned());
        assert_eq!(waits_for(&wanted, 0, &[leaving, elsewhere.clone()]), none);
        let mut elsewhere = [elsewhere];
        assert_eq!(waits_for(&Labels::new(), 0, &elsewhere), None);
        elsewhere[0].node.memory_bytes = 8_000_000_000;
        assert_eq!(waits_for(&Labels::new(), 8_000_000_000, &elsewhere), None);
        assert_eq!(
            waits_for(&Labels::new(), 23_100_000_000, &elsewhere),
            Some("no node has 24 GB of memory".to_owned())
        );
    }
}
