//! Callers who behave: one call at a time, with a pause between, each with the time that it takes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use atelier_proto::clock::Stopwatch;
use atelier_proto::ids::{NodeId, RequestId};
use atelier_proto::v1;
use tonic::Status;

use crate::identity::Caller;

/// Between two calls.
const PAUSE: Duration = Duration::from_millis(40);
/// A grid is submitted, and its changes are watched, once in so many rounds.
const SUBMIT_ROUNDS: usize = 10;
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calls {
    /// Seconds of the client's calls that were answered, ascending.
    pub client: Vec<f64>,
    /// The same of the node's.
    pub node: Vec<f64>,
    /// Calls that were not, by how they ended.
    pub failed: BTreeMap<String, u64>,
}

impl Calls {
    fn end<T>(
        seconds: f64,
        into: &mut Vec<f64>,
        failed: &mut BTreeMap<String, u64>,
        ended: Result<T, Status>,
    ) -> Option<T> {
        match ended {
            Ok(answer) => {
                into.push(seconds);
                Some(answer)
            }
            Err(status) => {
                let why = format!("{:?}", status.code());
                *failed.entry(why).or_default() += 1;
                None
            }
        }
    }
}

/// The time that this share of the calls did not exceed; none without calls.
pub fn quantile(seconds: &[f64], share: f64) -> Option<f64> {
    let last = seconds.len().checked_sub(1)?;
    let index = (share * last as f64).round() as usize;
    seconds.get(index).copied()
}

/// A client and a node.
#[derive(Debug)]
pub struct Behaved {
    /// Who submits, lists and watches.
    pub client: Caller,
    /// Who leases, renews and gives back.
    pub node: Caller,
    /// That node.
    pub node_id: String,
    /// What is submitted.
    pub grid: v1::SubmitRequest,
}

struct Measuring {
    seconds: Vec<f64>,
    failed: BTreeMap<String, u64>,
}

impl Measuring {
    fn new() -> Self {
        Self {
            seconds: Vec::new(),
            failed: BTreeMap::new(),
        }
    }

    async fn call<T>(&mut self, call: impl Future<Output = Result<T, Status>>) -> Option<T> {
        let watch = Stopwatch::start();
        let ended = tokio::time::timeout(PATIENCE, call).await;
        let ended = ended.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
        let answer = Calls::end(watch.seconds(), &mut self.seconds, &mut self.failed, ended);
        tokio::time::sleep(PAUSE).await;
        answer
    }
}

/// A node of this caller's.
///
/// # Errors
/// When it is not taken in.
pub async fn register(caller: &Caller) -> anyhow::Result<String> {
    let node_id = NodeId::generate().to_string();
    let register = v1::RegisterRequest {
        node_id: node_id.clone(),
        name: "behaved".to_owned(),
        device: "none".to_owned(),
        batch_capacity: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..v1::RegisterRequest::default()
    };
    let registered = caller.nodes().register(register).await;
    registered.context("a node registers")?;
    Ok(node_id)
}

impl Behaved {
    /// Calls for so long.
    pub async fn call_for(self, duration: Duration) -> Calls {
        let (client, node) = tokio::join!(
            client(&self.client, &self.grid, duration),
            node(&self.node, &self.node_id, duration)
        );
        let mut calls = Calls {
            client: client.seconds,
            node: node.seconds,
            failed: client.failed,
        };
        for (why, count) in node.failed {
            *calls.failed.entry(why).or_default() += count;
        }
        calls.client.sort_by(f64::total_cmp);
        calls.node.sort_by(f64::total_cmp);
        calls
    }
}

async fn client(caller: &Caller, grid: &v1::SubmitRequest, duration: Duration) -> Measuring {
    let mut measuring = Measuring::new();
    let mut grid_id = String::new();
    let watch = Stopwatch::start();
    for round in 0.. {
        if watch.elapsed() >= duration {
            break;
        }
        if round % SUBMIT_ROUNDS == 0 {
            let submit = v1::SubmitRequest {
                request_id: RequestId::generate().to_string(),
                ..grid.clone()
            };
            let submitted = measuring.call(caller.grids().submit(submit)).await;
            if let Some(answer) = submitted {
                grid_id = answer.into_inner().grid_id;
            }
            let watch = v1::WatchRequest {
                grid_id: grid_id.clone(),
                after_sequence: 0,
                summary_only: true,
            };
            let first = async {
                let mut changes = caller.grids().watch(watch).await?.into_inner();
                changes.message().await
            };
            measuring.call(first).await;
        }
        if grid_id.is_empty() {
            continue;
        }
        let list = v1::ListRequest {
            page_size: 20,
            ..v1::ListRequest::default()
        };
        measuring.call(caller.grids().list(list)).await;
        let get = v1::GetRequest {
            grid_id: grid_id.clone(),
        };
        measuring.call(caller.grids().get(get)).await;
    }
    measuring
}

async fn node(caller: &Caller, node_id: &str, duration: Duration) -> Measuring {
    let mut measuring = Measuring::new();
    let watch = Stopwatch::start();
    while watch.elapsed() < duration {
        let lease = v1::LeaseRequest {
            node_id: node_id.to_owned(),
            cells_max: 1,
            ..v1::LeaseRequest::default()
        };
        let leased = measuring.call(caller.nodes().lease(lease)).await;
        let cells = leased
            .map(|answer| answer.into_inner().cells)
            .unwrap_or_default();
        let held: Vec<v1::HeldCell> = cells
            .into_iter()
            .map(|cell| v1::HeldCell {
                cell_id: cell.cell_id,
                attempt: cell.attempt,
            })
            .collect();
        let renew = v1::RenewRequest {
            node_id: node_id.to_owned(),
            cells: held
                .iter()
                .map(|cell| v1::CellProgress {
                    cell: Some(cell.clone()),
                    ..v1::CellProgress::default()
                })
                .collect(),
            ..v1::RenewRequest::default()
        };
        measuring.call(caller.nodes().renew(renew)).await;
        let release = v1::ReleaseRequest {
            node_id: node_id.to_owned(),
            cells: held,
            reason: "it behaves".to_owned(),
        };
        measuring.call(caller.nodes().release(release)).await;
    }
    measuring
}
