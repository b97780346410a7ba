//! What is to be expected of grids: from what was measured, at the speed of the nodes that work on them now.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::effort::{Estimate, Worker};
use crate::domain::summary::GridSummary;
use crate::ledger::Ledger;
use crate::store::StoreError;

/// How often what was noted of cells and nodes is kept.
const INTERVAL: Duration = Duration::from_secs(2);

/// Keeps what was noted, until `shutdown` and once more then.
pub async fn run(ledger: Arc<Ledger>, shutdown: CancellationToken) {
    loop {
        if let Err(error) = ledger.keep_notes().await {
            tracing::warn!(%error, "what was measured cannot be kept; trying again");
        }
        if shutdown.is_cancelled() {
            return;
        }
        shutdown
            .run_until_cancelled(tokio::time::sleep(INTERVAL))
            .await;
    }
}

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
