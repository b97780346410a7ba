//! Reads how the fleet stands.

use super::Scaling;
use crate::domain::fleet::{Counted, Overview};
use crate::domain::node::NodeState;
use crate::ledger::Ledger;
use crate::store::StoreError;

/// Nodes that are counted.
const NODES_MAX: u32 = 100_000;

/// How the fleet stands now; what the scaler does is some seconds old.
///
/// # Errors
/// When the store fails.
pub async fn overview(ledger: &Ledger, scaling: &Scaling) -> Result<Overview, StoreError> {
    let store = ledger.store();
    let line = store.line().await?;
    let lost_before = ledger.rules().lost_before(ledger.now());
    let records = store.nodes(None, lost_before, NODES_MAX).await?;
    let mut nodes = Counted::default();
    for record in &records {
        *match record.health.state {
            NodeState::Active => &mut nodes.active,
            NodeState::Draining { .. } => &mut nodes.draining,
            NodeState::Quarantined { .. } => &mut nodes.quarantined,
        } += 1;
    }
    let standing = match store.fleet_standing().await {
        // As another version wrote it.
        Err(StoreError::Damaged { .. }) => None,
        other => other?,
    };
    let of_nodes = records.iter().map(|record| record.node.dollars_per_hour);
    let of_nodes = of_nodes
        .sum::<Option<f64>>()
        .filter(|_| !records.is_empty());
    let of_machines = standing
        .as_ref()
        .filter(|standing| standing.machines.is_some())
        .and_then(|standing| standing.dollars_per_hour);
    Ok(Overview {
        cells_queued: line.grids.iter().map(|grid| u64::from(grid.queued)).sum(),
        cells_running: line.grids.iter().map(|grid| u64::from(grid.held)).sum(),
        nodes,
        dollars_per_hour: of_machines.or(of_nodes),
        bounds: scaling.bounds_now(ledger).await?,
        standing,
    })
}
