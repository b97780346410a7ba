//! What a node does: it asks for work and tells what became of it.

use atelier_proto::ids::{CellId, NodeId};
use atelier_proto::telemetry::context;
use atelier_proto::telemetry::traces::is_tracing;
use atelier_proto::v1;
use atelier_proto::v1::nodes_server::Nodes;
use tonic::{Request, Response, Status};
use tracing::Span;
use tracing::field::display;

use super::status::RpcError;
use super::{Context, about, admitted, convert};
use crate::dispatch::{Answer, Given};
use crate::domain::access::Admitted;
use crate::domain::cell::{Event, Refusal};
use crate::domain::effort::Effort;
use crate::domain::field::InvalidField;
use crate::domain::lease::Holder;
use crate::domain::node::{Health, NodeState};
use crate::store::{Applied, Measurement, Rejection, StoreError};

/// The `Nodes` service.
#[derive(Debug)]
pub(super) struct NodesService {
    context: Context,
}

impl NodesService {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    /// The node that calls, which must have registered, and as the same identity.
    async fn caller(&self, by: &Admitted, node: &str) -> Result<NodeId, RpcError> {
        let node = convert::node_id(node)?;
        Span::current().record("node", display(node));
        self.context.ledger.node_seen(node, &by.caller).await?;
        Ok(node)
    }

    async fn introduce(
        &self,
        by: &Admitted,
        request: v1::RegisterRequest,
    ) -> Result<v1::RegisterResponse, RpcError> {
        let mut node = convert::node(request)?;
        if node.dollars_per_hour.is_none() {
            node.dollars_per_hour = node.listed_price(&self.context.scaling.prices);
        }
        let ledger = &self.context.ledger;
        ledger.register_node(&node, &by.caller).await?;
        tracing::info!(
            node = %node.id, name = node.name, instance = node.instance_id, device = node.device, version = node.version, "registered"
        );
        let rules = ledger.rules();
        Ok(v1::RegisterResponse {
            renew_interval: Some(convert::wire_duration(rules.renew_interval())),
            lease_duration: Some(convert::wire_duration(rules.lease_duration)),
        })
    }

    async fn work_for(
        &self,
        by: &Admitted,
        request: &v1::LeaseRequest,
    ) -> Result<(NodeId, Answer), RpcError> {
        let (ask, wait) = convert::lease(request)?;
        let node = self.caller(by, &request.node_id).await?;
        Ok((node, self.context.dispatcher.give(ask, wait).await?))
    }

    async fn keep(
        &self,
        by: &Admitted,
        request: v1::RenewRequest,
    ) -> Result<v1::RenewResponse, RpcError> {
        let node = self.caller(by, &request.node_id).await?;
        if let Some(reason) = convert::leaving(&request.leaving)? {
            self.see_leaving(node, reason).await?;
        }
        let cells = convert::progress(node, request.cells)?;
        let held: Vec<_> = cells
            .iter()
            .map(|(cell, holder, _)| (*cell, *holder))
            .collect();
        let events = cells
            .into_iter()
            .map(|(cell, holder, progress)| (cell, Event::Renew { holder, progress }));
        let verdicts = self.context.ledger.apply(events.collect()).await?;
        let mut drop = Vec::new();
        let mut ended = Vec::new();
        for ((cell, holder), verdict) in held.into_iter().zip(verdicts) {
            if let Err(rejection) = verdict {
                tracing::info!(%cell, attempt = holder.attempt, %rejection, "told to drop a cell");
                let held = v1::HeldCell {
                    cell_id: cell.to_string(),
                    attempt: holder.attempt,
                };
                if matches!(rejection, Rejection::Refused(Refusal::Ended { .. })) {
                    ended.push(held.clone());
                }
                drop.push(held);
            }
        }
        Ok(v1::RenewResponse {
            drop,
            drain: self.context.ledger.is_draining(node),
            ended,
        })
    }

    /// Gives a node that leaves no more cells, and lets people see why.
    async fn see_leaving(&self, node: NodeId, reason: &str) -> Result<(), RpcError> {
        let ledger = &self.context.ledger;
        if ledger.is_draining(node) {
            return Ok(());
        }
        let health = ledger.store().node(node).await?.health;
        // What is in quarantine stays there.
        if health.state == NodeState::Active {
            tracing::info!(reason, "the node leaves");
            let state = NodeState::Draining {
                reason: reason.to_owned(),
            };
            ledger.set_health(node, &Health { state, ..health }).await?;
        }
        Ok(())
    }

    async fn deliver(&self, by: &Admitted, request: v1::CompleteRequest) -> Result<(), RpcError> {
        let node = self.caller(by, &request.node_id).await?;
        let (cell, holder) = held(node, request.cell)?;
        let ledger = &self.context.ledger;
        let facts = ledger.facts(cell.grid).await?;
        let unknown = || RpcError::from(StoreError::UnknownCell(cell));
        let keys = facts.keys(cell.place).ok_or_else(unknown)?;
        let result = convert::cell_result(request.result, &keys)?;
        let (seconds, device) = (result.seconds, result.device.clone());
        let size = (result.width, result.height);
        let event = Event::Complete {
            holder,
            result,
            log: convert::log(&request.log),
        };
        let applied = self.apply_one(cell, event).await?;
        if applied.changed {
            let taken = format_args!("{seconds:.1}s");
            tracing::info!(%cell, attempt = holder.attempt, taken, "done");
            let settings = facts.settings(cell.place).ok_or_else(unknown)?;
            ledger.measured(Measurement {
                device,
                kind: Effort::of(&settings, size).kind,
                seconds,
                work: applied.work,
            });
        }
        Ok(())
    }

    async fn give_up(&self, by: &Admitted, request: v1::FailRequest) -> Result<(), RpcError> {
        let node = self.caller(by, &request.node_id).await?;
        let (cell, holder) = held(node, request.cell)?;
        let (refused, reason) = convert::failure(request.kind, &request.reason)?;
        let event = Event::Fail {
            holder,
            refused,
            reason: reason.clone(),
            log: convert::log(&request.log),
        };
        let applied = self.apply_one(cell, event).await?;
        if applied.changed {
            tracing::warn!(
                %cell,
                attempt = holder.attempt,
                refused,
                reason,
                state = applied.cell.state(),
                "an attempt failed"
            );
        }
        Ok(())
    }

    async fn apply_one(&self, cell: CellId, event: Event) -> Result<Applied, RpcError> {
        let verdicts = self.context.ledger.apply(vec![(cell, event)]).await?;
        let verdict = verdicts.into_iter().next();
        Ok(verdict.ok_or(StoreError::Conflict(cell))??)
    }

    async fn take_back(&self, by: &Admitted, request: &v1::ReleaseRequest) -> Result<(), RpcError> {
        let node = self.caller(by, &request.node_id).await?;
        let cells = convert::released(node, request)?;
        let events = cells.iter().map(|&(cell, holder)| {
            let reason = request.reason.clone();
            (cell, Event::Release { holder, reason })
        });
        let verdicts = self.context.ledger.apply(events.collect()).await?;
        for ((cell, _), verdict) in cells.into_iter().zip(verdicts) {
            match verdict {
                Ok(applied) => tracing::info!(
                    %cell, attempt = applied.cell.history().started,
                    reason = request.reason, "given back"
                ),
                // Whoever gives back what it no longer holds has nothing to do about it.
                Err(rejection) => tracing::info!(%cell, %rejection, "given back for nothing"),
            }
        }
        Ok(())
    }
}

/// The cell and the attempt that a call is about, which its span tells too.
fn held(node: NodeId, cell: Option<v1::HeldCell>) -> Result<(CellId, Holder), InvalidField> {
    let (cell, holder) = convert::held_cell(node, cell)?;
    let span = Span::current();
    span.record("grid", display(cell.grid));
    span.record("cell", display(cell));
    span.record("attempt", holder.attempt);
    Ok((cell, holder))
}

/// The same with the lease, as a part of the trace that its grid was submitted in, as what the attempt belongs to. One call
/// leases cells of whatever grids come next, so its own trace is none of theirs.
fn traced(given: Given, node: NodeId) -> Given {
    if !is_tracing() {
        return given;
    }
    let span = tracing::info_span!(
        parent: None,
        "lease",
        grid = %given.cell.grid,
        cell = %given.cell,
        attempt = given.attempt,
        %node,
    );
    context::set_parent(&span, &given.trace_parent);
    span.follows_from(Span::current());
    Given {
        trace_parent: context::of_span(&span),
        ..given
    }
}

#[tonic::async_trait]
impl Nodes for NodesService {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let by = admitted(&request)?;
        about(&request).say(&request.get_ref().node_id);
        let introduced = self.introduce(&by, request.into_inner()).await?;
        Ok(Response::new(introduced))
    }

    async fn lease(
        &self,
        request: Request<v1::LeaseRequest>,
    ) -> Result<Response<v1::LeaseResponse>, Status> {
        let by = admitted(&request)?;
        let (node, answer) = self.work_for(&by, request.get_ref()).await?;
        let (given, drain) = match answer {
            Answer::Cells(given) => (given, false),
            Answer::Drain => (Vec::new(), true),
            Answer::Nothing | Answer::Again | Answer::Unknown => (Vec::new(), false),
        };
        Ok(Response::new(v1::LeaseResponse {
            cells: given
                .into_iter()
                .map(|given| convert::leased_cell(traced(given, node)))
                .collect(),
            drain,
        }))
    }

    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewResponse>, Status> {
        let by = admitted(&request)?;
        Ok(Response::new(self.keep(&by, request.into_inner()).await?))
    }

    async fn complete(
        &self,
        request: Request<v1::CompleteRequest>,
    ) -> Result<Response<v1::CompleteResponse>, Status> {
        let by = admitted(&request)?;
        self.deliver(&by, request.into_inner()).await?;
        Ok(Response::new(v1::CompleteResponse {}))
    }

    async fn fail(
        &self,
        request: Request<v1::FailRequest>,
    ) -> Result<Response<v1::FailResponse>, Status> {
        let by = admitted(&request)?;
        self.give_up(&by, request.into_inner()).await?;
        Ok(Response::new(v1::FailResponse {}))
    }

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        let by = admitted(&request)?;
        self.take_back(&by, request.get_ref()).await?;
        Ok(Response::new(v1::ReleaseResponse {}))
    }
}
