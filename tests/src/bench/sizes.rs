//! The same small grids, with little and with much beside them in the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use atelier_proto::ids::NodeId;
use atelier_proto::v1;
use atelier_proto::v1::nodes_client::NodesClient;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::options::Scale;
use super::probe::register;
use super::say;
use super::site::Site;

/// Nodes of this process, which need no time for a cell.
const NODES: u32 = 32;
/// Cells that each leases at once, and completes at once.
const BLOCK_CELLS: u32 = 8;
/// Before a node asks again that got nothing while others still have cells.
const PAUSE: Duration = Duration::from_millis(1);
/// Between two looks whether galleries are complete.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);

/// Completions a second with each size of the database.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    /// Cells of the grid that was rendered.
    pub cells: u32,
    /// Alone.
    pub alone: f64,
    /// Cells of the grids that lay beside it.
    pub cells_beside: u64,
    /// With them.
    pub beside: f64,
}

struct Worker {
    nodes: NodesClient<Channel>,
    node: NodeId,
}

/// Renders small grids in an empty database, fills that, and renders them again.
///
/// # Errors
/// When the coordinator refuses something.
pub async fn run(site: &mut Site<'_>, scale: &Scale) -> anyhow::Result<Sizes> {
    let mut workers = Vec::new();
    for number in 0..NODES {
        let (nodes, node) = register(&site.grpc, &format!("worker {number}")).await?;
        workers.push(Worker { nodes, node });
    }
    // The first one finds connections and caches cold.
    round(site, &workers, scale.round_cells).await?;
    let alone = rounds(site, &workers, scale).await?;
    let mut cells_beside = 0;
    for number in 0..scale.grids_beside {
        let submission = site.submit(scale.cells).await?;
        cells_beside += u64::from(submission.cells);
        let grid_id = submission.grid;
        let watch = Stopwatch::start();
        if number % 2 == 0 {
            site.grids.pause(v1::PauseRequest { grid_id }).await?;
        } else {
            site.grids.cancel(v1::CancelRequest { grid_id }).await?;
            say(&format!(
                "  {} cells cancelled in {:.2} s",
                submission.cells,
                watch.seconds()
            ));
        }
    }
    say(&format!(
        "  {cells_beside} cells beside, half of them cancelled, the others paused"
    ));
    // What is left to do of the cancelled ones is no part of what is compared.
    while site.cells().await?.unpublished > 0 {
        tokio::time::sleep(PUBLISH_INTERVAL).await;
    }
    round(site, &workers, scale.round_cells).await?;
    let beside = rounds(site, &workers, scale).await?;
    say(&format!(
        "  {alone:.0} completions/s alone, {beside:.0} beside them"
    ));
    Ok(Sizes {
        cells: scale.round_cells,
        alone,
        cells_beside,
        beside,
    })
}

/// The median of some rounds, completions a second.
async fn rounds(site: &mut Site<'_>, workers: &[Worker], scale: &Scale) -> anyhow::Result<f64> {
    let mut rates = Vec::new();
    for _ in 0..scale.rounds {
        rates.push(round(site, workers, scale.round_cells).await?);
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[rates.len() / 2])
}

/// Renders a grid and forgets it; completions a second.
async fn round(site: &mut Site<'_>, workers: &[Worker], cells: u32) -> anyhow::Result<f64> {
    let grid_id = site.submit(cells).await?.grid;
    let left = Arc::new(AtomicU32::new(cells));
    let watch = Stopwatch::start();
    let mut working = JoinSet::new();
    for worker in workers {
        working.spawn(work(worker.nodes.clone(), worker.node, left.clone()));
    }
    while let Some(worked) = working.join_next().await {
        worked??;
    }
    let seconds = watch.seconds();
    site.grids.delete(v1::DeleteRequest { grid_id }).await?;
    Ok(f64::from(cells) / seconds)
}

/// Leases and completes until every cell is done.
async fn work(
    mut nodes: NodesClient<Channel>,
    node: NodeId,
    left: Arc<AtomicU32>,
) -> anyhow::Result<()> {
    while left.load(Ordering::Relaxed) > 0 {
        let wanted = v1::LeaseRequest {
            node_id: node.to_string(),
            cells_max: BLOCK_CELLS,
            ..v1::LeaseRequest::default()
        };
        let block = nodes.lease(wanted).await?.into_inner().cells;
        if block.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        let mut completing = JoinSet::new();
        for cell in block {
            let mut nodes = nodes.clone();
            completing.spawn(async move { nodes.complete(completed(node, cell)).await });
        }
        while let Some(answer) = completing.join_next().await {
            answer??;
            left.fetch_sub(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn completed(node: NodeId, cell: v1::LeasedCell) -> v1::CompleteRequest {
    v1::CompleteRequest {
        node_id: node.to_string(),
        cell: Some(v1::HeldCell {
            cell_id: cell.cell_id,
            attempt: cell.attempt,
        }),
        result: Some(v1::CellResult {
            picture_key: cell.picture_key,
            thumbnail_key: cell.thumbnail_key,
            sha256: "0".repeat(64),
            bytes: 1,
            width: 64,
            height: 48,
            seconds: 1.0,
            evaluations: 1,
            loss: 1.0,
            network: "none".to_owned(),
            device: "none".to_owned(),
            ..v1::CellResult::default()
        }),
        log: String::new(),
    }
}
