//! Gives cells to a node: which ones is decided by [`crate::domain::block`], whether by [`Cell::apply`].

use atelier_proto::ids::{CellId, GridId, NodeId};
use jiff::Timestamp;

use crate::domain::block::{Wanted, choose};
use crate::domain::cell::{Cell, Event};
use crate::domain::grid::Work;
use crate::domain::keys::{CellKeys, GridNames};
use crate::domain::lease::Holder;
use crate::ledger::Ledger;
use crate::store::{Queue, StoreError};

/// How many queued cells are looked at for one block.
const CANDIDATES_MAX: u32 = 512;
/// How often to look again when others were faster; each time means that somebody got a cell.
const RACES_MAX: usize = 16;

/// A cell that a node has been given, with all that it takes to render it.
#[derive(Debug)]
pub struct Given {
    /// The cell.
    pub cell: CellId,
    /// Its grid.
    pub grid: GridId,
    /// The attempt that fences out those before.
    pub attempt: u32,
    /// What is to be rendered.
    pub work: Work,
    /// Where its pictures go.
    pub keys: CellKeys,
    /// End of the lease, if it is not renewed.
    pub expires_at: Timestamp,
}

/// Leases cells to a node; none if there are none to be had.
pub async fn give(
    ledger: &Ledger,
    node: NodeId,
    wanted: &Wanted,
) -> Result<Vec<Given>, StoreError> {
    for _ in 0..RACES_MAX {
        let Some(queue) = ledger
            .store()
            .next_queue(ledger.now(), CANDIDATES_MAX)
            .await?
        else {
            return Ok(Vec::new());
        };
        let chosen = choose(&queue.spec, &queue.cells, wanted);
        let events = chosen.iter().map(|cell| (*cell, Event::Lease { node }));
        let verdicts = ledger.apply(events.collect()).await?;
        let names = GridNames::new(queue.grid, &queue.spec);
        let given: Vec<Given> = chosen
            .into_iter()
            .zip(verdicts)
            .filter_map(|(cell, verdict)| describe(&queue, &names, cell, &verdict.ok()?.cell))
            .collect();
        if !given.is_empty() {
            for cell in &given {
                tracing::info!(
                    grid = %cell.grid, cell = %cell.cell, attempt = cell.attempt, "leased"
                );
            }
            return Ok(given);
        }
    }
    Ok(Vec::new())
}

/// Takes cells back that could not be told to their node, at no cost to them.
pub async fn take_back(ledger: &Ledger, node: NodeId, given: &[Given]) -> Result<(), StoreError> {
    let release = |cell: &Given| {
        let attempt = cell.attempt;
        let holder = Holder { node, attempt };
        (cell.cell, Event::Release { holder })
    };
    ledger.apply(given.iter().map(release).collect()).await?;
    Ok(())
}

fn describe(queue: &Queue, names: &GridNames, id: CellId, cell: &Cell) -> Option<Given> {
    let position = queue.cells.iter().find(|queued| queued.id == id)?.position;
    let work = queue.spec.work(position)?;
    Some(Given {
        cell: id,
        grid: queue.grid,
        attempt: cell.history().started,
        keys: names.cell(position, work.settings.format.extension())?,
        work,
        expires_at: cell.lease_expires_at()?,
    })
}
