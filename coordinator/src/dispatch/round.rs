//! Serves some nodes at once: looks at the line, chooses for one node after the other, and commits all blocks together.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use atelier_proto::ids::{CellId, GridId, NodeId};

use super::{Answer, Ask, Given};
use crate::domain::block::{QueuedCell, Wanted, choose, fair_cells_max};
use crate::domain::cell::{Cell, Event};
use crate::domain::facts::GridFacts;
use crate::domain::lease::Holder;
use crate::domain::node::{Node, NodeRecord, NodeState};
use crate::domain::share::Line;
use crate::ledger::Ledger;
use crate::store::StoreError;

/// How many queued cells are looked at for one block.
const CANDIDATES_MAX: usize = 512;
/// How many grids are asked for cells: those before may have none that a node may get now.
const GRIDS_MAX: usize = 64;
/// Cells that are handed out together, which bounds how long others wait for the commit.
const CELLS_MAX: usize = 2_048;

/// Leases cells to nodes, which come in the order in which they are to be served, as far as there are some that they may
/// get; an answer for each.
///
/// # Errors
/// When the store fails; then nobody got anything.
pub async fn give(ledger: &Ledger, asks: &[Ask]) -> Result<Vec<Answer>, StoreError> {
    let ids: BTreeSet<NodeId> = asks.iter().map(|ask| ask.node).collect();
    let records = ledger.store().nodes_of(&ids).await?;
    let mut round = Round::begin(ledger, asks).await?;
    let mut blocks = Vec::with_capacity(asks.len());
    for ask in asks {
        blocks.push(round.serve(ask, &records).await?);
    }
    commit(ledger, asks, blocks).await
}

/// Takes cells back that could not be told to their node, at no cost to them.
///
/// # Errors
/// When the store fails; their leases will expire.
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

/// Cells of one grid that are to be leased to a node, or what it is told instead.
enum Block {
    Cells(Arc<GridFacts>, Vec<CellId>),
    Told(Answer),
}

/// Cells of a grid that wait, less those that are promised to nodes of this round.
struct Queue {
    facts: Arc<GridFacts>,
    cells: Vec<QueuedCell>,
    /// More wait than were looked at.
    is_cut: bool,
}

struct Round<'a> {
    ledger: &'a Ledger,
    /// As it will be once what was promised is kept.
    line: Line,
    queues: HashMap<GridId, Queue>,
    nodes_active: usize,
    /// Cells that all nodes of the round together may get.
    cells_max: usize,
    promised: usize,
}

impl<'a> Round<'a> {
    async fn begin(ledger: &'a Ledger, asks: &[Ask]) -> Result<Self, StoreError> {
        let wanted: usize = asks.iter().map(|ask| ask.wanted.cells_max).sum();
        Ok(Self {
            line: ledger.store().line().await?,
            queues: HashMap::new(),
            nodes_active: ledger.nodes_active(),
            cells_max: wanted.min(CELLS_MAX),
            promised: 0,
            ledger,
        })
    }

    async fn serve(
        &mut self,
        ask: &Ask,
        records: &BTreeMap<NodeId, NodeRecord>,
    ) -> Result<Block, StoreError> {
        let Some(record) = records.get(&ask.node) else {
            return Ok(Block::Told(Answer::Unknown));
        };
        match record.health.state {
            NodeState::Active => {}
            NodeState::Draining { .. } => return Ok(Block::Told(Answer::Drain)),
            NodeState::Quarantined { .. } => return Ok(Block::Told(Answer::Nothing)),
        }
        let node = &record.node;
        if self.promised >= self.cells_max {
            return Ok(Block::Told(Answer::Again));
        }
        let mut is_cut = false;
        let order = self.line.order_of_service(self.ledger.shares(), node);
        for grid in order.into_iter().take(GRIDS_MAX) {
            let chosen = self.choose(grid, node, &ask.wanted).await?;
            let Some(queue) = self.queues.get(&grid) else {
                continue;
            };
            if !chosen.is_empty() {
                return Ok(Block::Cells(queue.facts.clone(), chosen));
            }
            is_cut |= queue.is_cut && queue.cells.len() < CANDIDATES_MAX;
        }
        Ok(Block::Told(if is_cut {
            Answer::Again
        } else {
            Answer::Nothing
        }))
    }

    /// Promises cells of a grid to a node; none if there are none for it.
    async fn choose(
        &mut self,
        grid: GridId,
        node: &Node,
        wanted: &Wanted,
    ) -> Result<Vec<CellId>, StoreError> {
        let Some(in_line) = self.line.grid(grid) else {
            return Ok(Vec::new());
        };
        let shares = self.ledger.shares();
        let left = self.line.running_left(&in_line.submitter, shares) as usize;
        let fair = fair_cells_max(in_line.queued, self.nodes_active, node.batch_capacity);
        let wanted = Wanted {
            cells_max: wanted.cells_max.min(left).min(fair),
            ..wanted.clone()
        };
        let queue = match self.queues.entry(grid) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Queue::read(self.ledger, grid, self.cells_max).await?),
        };
        let candidates = &queue.cells[..queue.cells.len().min(CANDIDATES_MAX)];
        let speeds = self.ledger.speeds();
        let chosen = choose(&queue.facts, candidates, &wanted, node, &speeds);
        let taken: HashSet<CellId> = chosen.iter().copied().collect();
        let mut work = 0.0;
        queue.cells.retain(|cell| {
            let is_taken = taken.contains(&cell.id);
            if is_taken {
                work += cell.work;
            }
            !is_taken
        });
        self.promised += chosen.len();
        self.line.hand_out(grid, chosen.len() as u32, work, shares);
        Ok(chosen)
    }
}

impl Queue {
    /// As many as are looked at for the last block of a round of so many cells.
    async fn read(ledger: &Ledger, grid: GridId, cells_max: usize) -> Result<Self, StoreError> {
        let cells_max = cells_max + CANDIDATES_MAX;
        let store = ledger.store();
        let cells = store.queued(grid, ledger.now(), cells_max as u32).await?;
        Ok(Self {
            facts: ledger.facts(grid).await?,
            is_cut: cells.len() == cells_max,
            cells,
        })
    }
}

/// Leases the blocks to their nodes, whose asks are in the same order.
async fn commit(
    ledger: &Ledger,
    asks: &[Ask],
    blocks: Vec<Block>,
) -> Result<Vec<Answer>, StoreError> {
    let mut events = Vec::new();
    for (ask, block) in asks.iter().zip(&blocks) {
        if let Block::Cells(_, cells) = block {
            let lease = |cell: &CellId| (*cell, Event::Lease { node: ask.node });
            events.extend(cells.iter().map(lease));
        }
    }
    let mut verdicts = ledger.apply(events).await?.into_iter();
    let answers = asks.iter().zip(blocks).map(|(ask, block)| match block {
        Block::Told(answer) => answer,
        Block::Cells(facts, cells) => {
            let given: Vec<Given> = cells
                .into_iter()
                .zip(verdicts.by_ref())
                .filter_map(|(cell, verdict)| describe(&facts, cell, &verdict.ok()?.cell))
                .collect();
            if given.is_empty() {
                return Answer::Again;
            }
            tracing::debug!(node = %ask.node, grid = %facts.grid, cells = given.len(), "leased a block");
            Answer::Cells(given)
        }
    });
    Ok(answers.collect())
}

fn describe(facts: &GridFacts, id: CellId, cell: &Cell) -> Option<Given> {
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
        trace_parent: facts.trace_parent.clone(),
    })
}
