//! What is asked of nodes.

use atelier_proto::connect::Route;
use atelier_proto::ids::NodeId;
use atelier_proto::v1;
use atelier_proto::v1::fleet_client::FleetClient;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::view::{FleetBounds, FleetView, NodeView};
use super::{ANSWER_BYTES_MAX, Coordinator, RpcError};
use crate::error::Error;

/// Nodes in one answer of `ListNodes`.
const PAGE_NODES: u32 = 1000;
/// Nodes that are listed at most.
const NODES_MAX: usize = 100_000;

fn client(route: Route) -> FleetClient<Route> {
    FleetClient::new(route).max_decoding_message_size(ANSWER_BYTES_MAX)
}

impl Coordinator {
    /// The nodes, newest first; also those that were lost and hold nothing, if `include_lost`.
    pub async fn nodes(&self, include_lost: bool) -> Result<Vec<NodeView>, Error> {
        let mut nodes = Vec::new();
        let mut page_token = String::new();
        loop {
            let message = v1::ListNodesRequest {
                page_size: PAGE_NODES,
                page_token,
                include_lost,
            };
            let answer = self
                .call(message, async |route, request| {
                    client(route).list_nodes(request).await
                })
                .await?;
            for node in answer.nodes {
                nodes.push(NodeView::try_from(node)?);
            }
            if answer.next_page_token.is_empty() || nodes.len() >= NODES_MAX {
                return Ok(nodes);
            }
            page_token = answer.next_page_token;
        }
    }

    /// How the fleet stands.
    pub async fn fleet(&self) -> Result<FleetView, Error> {
        let message = v1::DescribeRequest {};
        let described = self.call(message, async |route, request| {
            client(route).describe(request).await
        });
        Ok(FleetView::try_from(described.await?)?)
    }

    /// Whether the coordinator says that it can do its work; `None`: it does not say.
    pub async fn is_serving(&self) -> Option<bool> {
        let message = HealthCheckRequest {
            // Of all services together.
            service: String::new(),
        };
        let checked = self.call(message, async |route, request| {
            HealthClient::new(route).check(request).await
        });
        let answer = checked.await.ok()?;
        Some(answer.status() == ServingStatus::Serving)
    }

    /// Sets between what bounds the fleet follows the backlog.
    pub async fn scale(&self, bounds: FleetBounds) -> Result<(), Error> {
        let message = v1::ScaleRequest::from(bounds);
        self.call(message, async |route, request| {
            client(route).scale(request).await
        })
        .await?;
        Ok(())
    }

    /// Has a node finish what it holds and leave.
    pub async fn drain(&self, node: NodeId, reason: &str) -> Result<(), Error> {
        let message = v1::DrainRequest {
            node_id: node.to_string(),
            reason: reason.to_owned(),
        };
        let drained = self.call(message, async |route, request| {
            client(route).drain(request).await
        });
        drained.await.map_err(RpcError::of_nodes)?;
        Ok(())
    }

    /// Undoes a drain.
    pub async fn undrain(&self, node: NodeId) -> Result<(), Error> {
        let message = v1::UndrainRequest {
            node_id: node.to_string(),
        };
        let undrained = self.call(message, async |route, request| {
            client(route).undrain(request).await
        });
        undrained.await.map_err(RpcError::of_nodes)?;
        Ok(())
    }

    /// Gives a node no work until the quarantine is lifted.
    pub async fn quarantine(&self, node: NodeId, reason: &str) -> Result<(), Error> {
        self.change_quarantine(v1::QuarantineRequest {
            node_id: node.to_string(),
            reason: reason.to_owned(),
            lift: false,
        })
        .await
    }

    /// Ends a quarantine.
    pub async fn lift_quarantine(&self, node: NodeId) -> Result<(), Error> {
        self.change_quarantine(v1::QuarantineRequest {
            node_id: node.to_string(),
            reason: String::new(),
            lift: true,
        })
        .await
    }

    async fn change_quarantine(&self, message: v1::QuarantineRequest) -> Result<(), Error> {
        let changed = self.call(message, async |route, request| {
            client(route).quarantine(request).await
        });
        changed.await.map_err(RpcError::of_nodes)?;
        Ok(())
    }
}
