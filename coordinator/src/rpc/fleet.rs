//! What an operator does with the nodes. No call is filled yet, and each says so.

use atelier_proto::v1;
use atelier_proto::v1::fleet_server::Fleet;
use tonic::{Request, Response, Status};

/// The `Fleet` service.
#[derive(Debug)]
pub(super) struct FleetService;

fn unfilled<T>(call: &str) -> Result<Response<T>, Status> {
    Err(Status::unimplemented(format!(
        "this version of the coordinator does not serve Fleet.{call}"
    )))
}

#[tonic::async_trait]
impl Fleet for FleetService {
    async fn list_nodes(
        &self,
        _request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        unfilled("ListNodes")
    }

    async fn drain(
        &self,
        _request: Request<v1::DrainRequest>,
    ) -> Result<Response<v1::DrainResponse>, Status> {
        unfilled("Drain")
    }

    async fn undrain(
        &self,
        _request: Request<v1::UndrainRequest>,
    ) -> Result<Response<v1::UndrainResponse>, Status> {
        unfilled("Undrain")
    }

    async fn quarantine(
        &self,
        _request: Request<v1::QuarantineRequest>,
    ) -> Result<Response<v1::QuarantineResponse>, Status> {
        unfilled("Quarantine")
    }

    async fn scale(
        &self,
        _request: Request<v1::ScaleRequest>,
    ) -> Result<Response<v1::ScaleResponse>, Status> {
        unfilled("Scale")
    }

    async fn describe(
        &self,
        _request: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        unfilled("Describe")
    }
}
