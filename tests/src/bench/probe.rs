//! How long a lease takes while others work: asked for again and again, by a node that gives back what it gets.

use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use atelier_proto::ids::NodeId;
use atelier_proto::v1;
use atelier_proto::v1::nodes_client::NodesClient;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// Between two leases, so that the probe is a small part of the load.
const PAUSE: Duration = Duration::from_millis(25);

/// Times of calls that had work waiting for them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Leases {
    /// Seconds, ascending.
    pub seconds: Vec<f64>,
    /// Calls that failed.
    pub failed: u32,
}

impl Leases {
    /// The time that this share of the calls did not exceed; none without calls.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let last = self.seconds.len().checked_sub(1)?;
        let index = (share * last as f64).round() as usize;
        self.seconds.get(index).copied()
    }
}

/// A node that only asks.
#[derive(Debug)]
pub struct Probe {
    stop: CancellationToken,
    asking: JoinHandle<Leases>,
}

impl Probe {
    /// Registers it and lets it ask.
    ///
    /// # Errors
    /// When the coordinator refuses it.
    pub async fn start(grpc: &str) -> anyhow::Result<Self> {
        let (nodes, node) = register(grpc, "probe").await?;
        let stop = CancellationToken::new();
        let asking = tokio::spawn(ask(nodes, node, stop.clone()));
        Ok(Self { stop, asking })
    }

    /// What it has seen.
    ///
    /// # Errors
    /// When it panicked.
    pub async fn stop(self) -> anyhow::Result<Leases> {
        self.stop.cancel();
        let mut leases = self.asking.await?;
        leases.seconds.sort_by(f64::total_cmp);
        Ok(leases)
    }
}

/// A node of this process, with a connection of its own.
///
/// # Errors
/// When the coordinator refuses it.
pub async fn register(grpc: &str, name: &str) -> anyhow::Result<(NodesClient<Channel>, NodeId)> {
    let node = NodeId::generate();
    let mut nodes = NodesClient::connect(grpc.to_owned()).await?;
    nodes
        .register(v1::RegisterRequest {
            node_id: node.to_string(),
            name: name.to_owned(),
            device: "none".to_owned(),
            batch_capacity: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..v1::RegisterRequest::default()
        })
        .await?;
    Ok((nodes, node))
}

async fn ask(mut nodes: NodesClient<Channel>, node: NodeId, stop: CancellationToken) -> Leases {
    let mut leases = Leases::default();
    let node_id = node.to_string();
    while !stop.is_cancelled() {
        let wanted = v1::LeaseRequest {
            node_id: node_id.clone(),
            cells_max: 1,
            ..v1::LeaseRequest::default()
        };
        let watch = Stopwatch::start();
        match nodes.lease(wanted).await.map(tonic::Response::into_inner) {
            Ok(answer) if answer.cells.is_empty() => {}
            Ok(answer) => {
                leases.seconds.push(watch.seconds());
                let held = answer.cells.into_iter().map(|cell| v1::HeldCell {
                    cell_id: cell.cell_id,
                    attempt: cell.attempt,
                });
                let back = v1::ReleaseRequest {
                    node_id: node_id.clone(),
                    cells: held.collect(),
                    reason: "a probe".to_owned(),
                };
                leases.failed += u32::from(nodes.release(back).await.is_err());
            }
            Err(_) => leases.failed += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
    leases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_times_that_were_seen() {
        let leases = Leases {
            seconds: (0..=100).map(f64::from).collect(),
            failed: 0,
        };
        assert_eq!(leases.quantile(0.5), Some(50.0));
        assert_eq!(leases.quantile(0.99), Some(99.0));
        assert_eq!(Leases::default().quantile(0.5), None);
    }
}
