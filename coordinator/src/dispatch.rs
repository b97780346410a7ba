//! Gives cells to a node: whose they are is decided by [`crate::domain::share`], which ones by [`crate::domain::block`],
//! whether by [`Cell::apply`].

use std::sync::Arc;

use atelier_proto::ids::{CellId, NodeId};
use jiff::Timestamp;

use crate::domain::block::{Wanted, choose, fair_cells_max};
use crate::domain::cell::{Cell, Event};
use crate::domain::facts::GridFacts;
use crate::domain::grid::Work;
use crate::domain::keys::CellKeys;
use crate::domain::lease::Holder;
use crate::domain::node::{Node, NodeState};
use crate::domain::share::{order_of_service, running_left};
use crate::ledger::Ledger;
use crate::store::{Line, StoreError};

/// How many queued cells are looked at for one block.
const CANDIDATES_MAX: u32 = 512;
/// How many grids are asked for cells: those before may have none that this node may get now.
const GRIDS_MAX: usize = 64;
/// How often to look again when others were faster; each time means that somebody got a cell.
const RACES_MAX: usize = 16;

/// A cell that a node has been given, with all that it takes to render it.
#[derive(Debug)]
pub struct Given {
    /// The cell.
    pub cell: CellId,
    /// The attempt that fences out those before.
    pub attempt: u32,
    /// What is to be rendered.
    pub work: Work,
    /// Where its pictures go.
    pub keys: CellKeys,
    /// End of the lease, if it is not renewed.
    pub expires_at: Timestamp,
}

/// What a node that asks for work is told.
#[derive(Debug)]
pub enum Answer {
    /// These are its cells.
    Cells(Vec<Given>),
    /// There is nothing for it now.
    Nothing,
    /// It is to finish what it holds and to leave.
    Drain,
}

/// Leases cells to a node, if there are some that it may get.
pub async fn give(ledger: &Ledger, node: NodeId, wanted: &Wanted) -> Result<Answer, StoreError> {
    let record = ledger.store().node(node).await?;
    match record.health.state {
        NodeState::Active => {}
        NodeState::Draining { .. } => return Ok(Answer::Drain),
        NodeState::Quarantined { .. } => return Ok(Answer::Nothing),
    }
    for _ in 0..RACES_MAX {
        let line = ledger.store().line().await?;
        match give_from(ledger, &record.node, wanted, &line).await? {
            Found::Cells(given) => return Ok(Answer::Cells(given)),
            Found::Nothing => return Ok(Answer::Nothing),
            Found::TakenByOthers => {}
        }
    }
    Ok(Answer::Nothing)
}

enum Found {
    Cells(Vec<Given>),
    Nothing,
    TakenByOthers,
}

async fn give_from(
    ledger: &Ledger,
    node: &Node,
    wanted: &Wanted,
    line: &Line,
) -> Result<Found, StoreError> {
    let shares = ledger.shares();
    let order = order_of_service(&line.grids, &line.submitter_passes, shares, node);
    for grid in order.into_iter().take(GRIDS_MAX) {
        let Some(in_line) = line.grids.iter().find(|other| other.grid == grid) else {
            continue;
        };
        let left = running_left(&line.grids, &in_line.submitter, shares);
        let nodes = ledger.nodes_active();
        let fair = fair_cells_max(in_line.queued, nodes, node.batch_capacity);
        let wanted = Wanted {
            cells_max: wanted.cells_max.min(left as usize).min(fair),
            ..wanted.clone()
        };
        let candidates = ledger
            .store()
            .queued(grid, ledger.now(), CANDIDATES_MAX)
            .await?;
        if candidates.is_empty() {
            continue;
        }
        let facts = ledger.facts(grid).await?;
        let chosen = choose(&facts, &candidates, &wanted, node, &ledger.speeds());
        if chosen.is_empty() {
            continue;
        }
        let events = chosen
            .iter()
            .map(|cell| (*cell, Event::Lease { node: node.id }));
        let verdicts = ledger.apply(events.collect()).await?;
        let given: Vec<Given> = chosen
            .into_iter()
            .zip(verdicts)
            .filter_map(|(cell, verdict)| describe(&facts, cell, &verdict.ok()?.cell))
            .collect();
        if given.is_empty() {
            return Ok(Found::TakenByOthers);
        }
        for cell in &given {
            tracing::debug!(cell = %cell.cell, attempt = cell.attempt, "leased");
        }
        tracing::info!(%grid, cells = given.len(), "leased a block");
        return Ok(Found::Cells(given));
    }
    Ok(Found::Nothing)
}

/// Takes cells back that could not be told to their node, at no cost to them.
pub async fn take_back(ledger: &Ledger, node: NodeId, given: &[Given]) -> Result<(), StoreError> {
    let release = |cell: &Given| {
        let attempt = cell.attempt;
        let holder = Holder { node, attempt };
        let reason = "the node was gone before it heard of it".to_owned();
        (cell.cell, Event::Release { holder, reason })
    };
    ledger.apply(given.iter().map(release).collect()).await?;
    Ok(())
}

fn describe(facts: &Arc<GridFacts>, id: CellId, cell: &Cell) -> Option<Given> {
    let position = facts.position(id.place)?;
    let work = facts.spec.work(position)?;
    Some(Given {
        cell: id,
        attempt: cell.history().started,
        keys: facts
            .names
            .cell(position, work.settings.format.extension())?,
        work,
        expires_at: cell.lease_expires_at()?,
    })
}
