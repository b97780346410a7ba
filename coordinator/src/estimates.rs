//! What is to be expected of grids: from what was measured, at the speed of the nodes that work on them now.

use crate::domain::effort::{Estimate, Worker};
use crate::domain::summary::GridSummary;
use crate::ledger::Ledger;
use crate::store::StoreError;

/// What is to be expected of a grid.
///
/// # Errors
/// When the store fails.
pub async fn of_grid(ledger: &Ledger, summary: &GridSummary) -> Result<Estimate, StoreError> {
    if summary.counts.leased + summary.counts.rendering == 0 {
        // Nobody works on it, so nobody knows.
        return Ok(Estimate::default());
    }
    let nodes = ledger.store().nodes_at(summary.grid).await?;
    let facts = ledger.facts(summary.grid).await?;
    let kind = facts.kind();
    let speeds = ledger.speeds();
    let workers = nodes.into_iter().filter_map(|(device, dollars_per_hour)| {
        Some(Worker {
            seconds_per_work: speeds.seconds_per_work(&device, kind.as_deref()?)?,
            dollars_per_hour,
        })
    });
    let workers: Vec<Worker> = workers.collect();
    Ok(Estimate::of(summary.work_open, &workers))
}
