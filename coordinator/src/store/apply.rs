//! Events of cells: read in one go, judged one after the other, written in one go.
//!
//! A row of `grids` is the lock of its cells: whoever changes one has it first. So the verdicts of one transaction are
//! passed on what no other can change, and a grid's sequence numbers become visible in their order.

mod read;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use atelier_proto::ids::{CellId, GridId, NodeId};
use jiff::Timestamp;

use super::verdict::{Applied, Rejection, Verdict};
use super::{Store, StoreError, Tables, nodes};
use crate::domain::attempt::AttemptEnd;
use crate::domain::cell::{Cell, Event};
use crate::domain::lease::LeaseRules;
use crate::domain::node::{Health, NodeRecord};
use crate::domain::share::Shares;
use crate::domain::summary::{GridState, GridSummary};

impl Store {
    /// Applies events in their order, all or none of them kept; a verdict for each.
    pub async fn apply(
        &self,
        events: Vec<(CellId, Event)>,
        now: Timestamp,
        rules: &LeaseRules,
        shares: &Shares,
    ) -> Result<Vec<Verdict>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.write().await?;
        let mut tables = self.tables(&mut transaction);
        let verdicts = apply(&mut tables, events, now, rules, shares).await?;
        transaction.commit().await?;
        Ok(verdicts)
    }
}

/// A cell as it was read, and as it is after the events so far.
struct Judged {
    work: f64,
    before: Cell,
    after: Cell,
    changed_sequence: u64,
}

/// A grid of the events, with what becomes of it.
struct Grid {
    summary: GridSummary,
    /// Whether it had ended when it was read.
    had_ended: bool,
    /// Work that was handed out.
    handed_out: f64,
    is_touched: bool,
}

/// A node at which attempts end, with what becomes of it.
struct AtNode {
    health: Health,
    dollars_per_hour: f64,
    done: u32,
    is_touched: bool,
}

impl AtNode {
    fn of((id, record): (NodeId, NodeRecord)) -> (NodeId, Self) {
        let at_node = Self {
            health: record.health,
            dollars_per_hour: record.node.dollars_per_hour.unwrap_or(0.0),
            done: 0,
            is_touched: false,
        };
        (id, at_node)
    }
}

/// Applies events in their order and keeps what they make of cells, grids, submitters and nodes.
pub(super) async fn apply(
    tables: &mut Tables<'_>,
    events: Vec<(CellId, Event)>,
    now: Timestamp,
    rules: &LeaseRules,
    shares: &Shares,
) -> Result<Vec<Verdict>, StoreError> {
    let mut batch = Batch::read(tables, &events, now, rules).await?;
    let mut verdicts = Vec::with_capacity(events.len());
    for (id, event) in events {
        verdicts.push(batch.judge(id, &event));
    }
    batch.write(tables, shares).await?;
    Ok(verdicts)
}

/// What one transaction changes.
struct Batch<'a> {
    now: Timestamp,
    rules: &'a LeaseRules,
    grids: BTreeMap<GridId, Grid>,
    cells: BTreeMap<CellId, Judged>,
    attempts: Vec<(CellId, AttemptEnd)>,
    nodes: BTreeMap<NodeId, AtNode>,
}

impl<'a> Batch<'a> {
    async fn read(
        tables: &mut Tables<'_>,
        events: &[(CellId, Event)],
        now: Timestamp,
        rules: &'a LeaseRules,
    ) -> Result<Self, StoreError> {
        let ids: BTreeSet<CellId> = events.iter().map(|(id, _)| *id).collect();
        let grids: BTreeSet<GridId> = ids.iter().map(|id| id.grid).collect();
        let grids = read::lock_grids(tables, &grids).await?;
        let cells = read::cells(tables, &ids).await?;
        // What these end is counted at its node.
        let ending: BTreeSet<NodeId> = events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Complete { holder, .. } | Event::Fail { holder, .. } => Some(holder.node),
                // To be lost is no fault of a node's, as [`AttemptEnd::may_be_the_nodes_fault`] has it.
                Event::Expire
                | Event::Lease { .. }
                | Event::Renew { .. }
                | Event::Release { .. }
                | Event::Cancel
                | Event::Retry => None,
            })
            .collect();
        let nodes = nodes::lock(tables, &ending).await?;
        Ok(Self {
            now,
            rules,
            grids,
            cells,
            attempts: Vec::new(),
            nodes: nodes.into_iter().map(AtNode::of).collect(),
        })
    }

    fn judge(&mut self, id: CellId, event: &Event) -> Verdict {
        let unknown = Rejection::UnknownCell(id);
        let grid = self.grids.get_mut(&id.grid).ok_or(unknown)?;
        let judged = self.cells.get_mut(&id).ok_or(unknown)?;
        if matches!(event, Event::Lease { .. }) && grid.summary.state != GridState::Active {
            return Err(Rejection::NotServed);
        }
        let earlier = judged.after.clone();
        let after = earlier.clone().apply(event.clone(), self.now, self.rules)?;
        let changed = !after.looks_like(&earlier);
        let end = AttemptEnd::of(&earlier, event, &after, self.now);
        let ended = end.as_ref().map(|end| end.outcome);
        if let Some(end) = end {
            if end.may_be_the_nodes_fault()
                && let Some(at_node) = self.nodes.get_mut(&end.node)
            {
                at_node.health = at_node.health.clone().failed(id.grid, &end.reason);
                at_node.is_touched = true;
            }
            if end.is_kept() {
                self.attempts.push((id, end));
            }
        }
        if after != earlier {
            grid.is_touched = true;
            grid.summary.count(&earlier, &after, judged.work, self.now);
            if matches!(event, Event::Lease { .. }) {
                grid.handed_out += judged.work;
            }
            if let Cell::Done { result, .. } = &after {
                grid.summary.seconds_spent += result.seconds;
                let node = after.history().node;
                if let Some(at_node) = node.and_then(|node| self.nodes.get_mut(&node)) {
                    at_node.done += 1;
                    at_node.health.failing_grids.clear();
                    at_node.is_touched = true;
                    grid.summary.dollars_spent +=
                        result.seconds / 3600.0 * at_node.dollars_per_hour;
                }
            }
            if changed {
                grid.summary.sequence += 1;
                judged.changed_sequence = grid.summary.sequence;
            }
            judged.after = after.clone();
        }
        Ok(Applied {
            grid: id.grid,
            cell: after,
            changed,
            ended,
            work: judged.work,
        })
    }

    async fn write(self, tables: &mut Tables<'_>, shares: &Shares) -> Result<(), StoreError> {
        write::cells(tables, &self.cells).await?;
        write::attempts(tables, &self.attempts, self.now).await?;
        write::grids(tables, &self.grids).await?;
        write::nodes(tables, &self.nodes).await?;
        write::submitters(tables, &self.grids, shares).await
    }
}
