//! What an operator does with the nodes.

use atelier_proto::ids::NodeId;
use atelier_proto::v1;
use atelier_proto::v1::fleet_server::Fleet;
use jiff::Timestamp;
use tonic::{Request, Response, Status};
use tracing::Span;
use tracing::field::display;

use super::convert::Page;
use super::status::RpcError;
use super::{Context, about, convert};
use crate::domain::node::NodeState;
use crate::scaler;
use crate::store::HeldCells;

/// The `Fleet` service.
#[derive(Debug)]
pub(super) struct FleetService {
    context: Context,
}

impl FleetService {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    /// Nodes that were heard of since then are not lost.
    fn lost_before(&self) -> Timestamp {
        let ledger = &self.context.ledger;
        ledger.rules().lost_before(ledger.now())
    }

    async fn page(
        &self,
        request: &v1::ListNodesRequest,
    ) -> Result<v1::ListNodesResponse, RpcError> {
        let page: Page<NodeId> = convert::page(request.page_size, &request.page_token)?;
        let store = self.context.ledger.store();
        let lost_before = self.lost_before();
        let since = if request.include_lost {
            Timestamp::UNIX_EPOCH
        } else {
            lost_before
        };
        let mut nodes = store.nodes(page.before, since, page.read_max()).await?;
        let next_page_token = page.cut(&mut nodes, |last| last.node.id);
        let held = store.cells_held().await?;
        Ok(v1::ListNodesResponse {
            next_page_token,
            nodes: nodes
                .into_iter()
                .map(|record| {
                    let cells_held = held.get(&record.node.id).map_or(0, HeldCells::total);
                    let is_lost = record.last_seen_at < lost_before;
                    convert::node_record(record, cells_held, is_lost)
                })
                .collect(),
        })
    }

    async fn set_state(&self, node: &str, state: NodeState) -> Result<(), RpcError> {
        let node = convert::node_id(node)?;
        Span::current().record("node", display(node));
        self.keep(node, state).await
    }

    async fn keep(&self, node: NodeId, state: NodeState) -> Result<(), RpcError> {
        tracing::info!(
            state = state.word(),
            reason = state.reason(),
            "an operator said so"
        );
        Ok(self.context.ledger.order(node, state).await?)
    }

    async fn undrain_one(&self, node: &str) -> Result<(), RpcError> {
        let id = convert::node_id(node)?;
        let record = self.context.ledger.store().node(id).await?;
        // What is in quarantine stays there.
        match record.health.state {
            NodeState::Draining { .. } => self.set_state(node, NodeState::Active).await,
            NodeState::Active | NodeState::Quarantined { .. } => Ok(()),
        }
    }

    async fn summed_up(&self) -> Result<v1::DescribeResponse, RpcError> {
        let scaling = &self.context.scaling;
        let overview = scaler::overview(&self.context.ledger, scaling).await?;
        let mut described = convert::fleet(overview, scaling);
        env!("CARGO_PKG_VERSION").clone_into(&mut described.version);
        described.now = Some(convert::timestamp(self.context.ledger.now()));
        Ok(described)
    }

    async fn set_bounds(&self, request: &v1::ScaleRequest) -> Result<(), RpcError> {
        let bounds = convert::bounds(request)?;
        tracing::info!(?bounds, "an operator said so");
        let store = self.context.ledger.store();
        Ok(store.set_fleet_bounds(&bounds).await?)
    }
}

#[tonic::async_trait]
impl Fleet for FleetService {
    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        Ok(Response::new(self.page(request.get_ref()).await?))
    }

    async fn drain(
        &self,
        request: Request<v1::DrainRequest>,
    ) -> Result<Response<v1::DrainResponse>, Status> {
        about(&request).say(&request.get_ref().node_id);
        let request = request.into_inner();
        let node = request.node_id.clone();
        let state = convert::drain(request).map_err(RpcError::from)?;
        self.set_state(&node, state).await?;
        Ok(Response::new(v1::DrainResponse {}))
    }

    async fn undrain(
        &self,
        request: Request<v1::UndrainRequest>,
    ) -> Result<Response<v1::UndrainResponse>, Status> {
        about(&request).say(&request.get_ref().node_id);
        self.undrain_one(&request.get_ref().node_id).await?;
        Ok(Response::new(v1::UndrainResponse {}))
    }

    async fn quarantine(
        &self,
        request: Request<v1::QuarantineRequest>,
    ) -> Result<Response<v1::QuarantineResponse>, Status> {
        about(&request).say(&request.get_ref().node_id);
        let request = request.into_inner();
        let node = request.node_id.clone();
        let state = convert::quarantine(request).map_err(RpcError::from)?;
        self.set_state(&node, state).await?;
        Ok(Response::new(v1::QuarantineResponse {}))
    }

    async fn scale(
        &self,
        request: Request<v1::ScaleRequest>,
    ) -> Result<Response<v1::ScaleResponse>, Status> {
        let v1::ScaleRequest {
            nodes_min,
            nodes_max,
            ..
        } = request.get_ref();
        about(&request).say(&format!("{nodes_min} to {nodes_max} nodes"));
        self.set_bounds(request.get_ref()).await?;
        Ok(Response::new(v1::ScaleResponse {}))
    }

    async fn describe(
        &self,
        _request: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        Ok(Response::new(self.summed_up().await?))
    }
}
