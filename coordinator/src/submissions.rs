//! What becomes a grid: from what somebody would like to one that is kept, whichever way it came.

use std::collections::HashMap;
use std::sync::Arc;

use atelier_gallery::bucket::{Bucket, BucketError};
use atelier_gallery::keys::input_key;
use atelier_proto::ids::{Digest, GridId, RequestId};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::Semaphore;

use crate::domain::access::{Caller, ForeignSubmitter};
use crate::domain::effort::{Estimate, Worker};
use crate::domain::field::InvalidField;
use crate::domain::grid::{Draft, GridSpec};
use crate::domain::node::NodeState;
use crate::ledger::Ledger;
use crate::store::{NewGrid, StoreError, Submitted};

/// Inputs looked up in the bucket at once, for one submission.
const LOOKUPS_MAX: usize = 16;
/// Submissions looked at at once.
const SUBMISSIONS_MAX: usize = 8;
/// Nodes by whose speed is told how long a grid would take.
const NODES_MAX: u32 = 10_000;

/// Why something does not become a grid.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// A field of it is wrong.
    #[error(transparent)]
    Field(#[from] InvalidField),
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is submitted for somebody else.
    #[error(transparent)]
    Submitter(#[from] ForeignSubmitter),
    /// One of its pictures is not there.
    #[error(
        "{field}: {sha256} is not in the bucket\nhint: put it under inputs/{sha256} and submit again"
    )]
    InputMissing {
        /// Path of the field that names it.
        field: String,
        /// The picture.
        sha256: Digest,
    },
    /// The bucket does not answer.
    #[error("the coordinator cannot look into the bucket: {0}")]
    Bucket(#[from] BucketError),
}

/// What somebody would like to be a grid, and the id by which it is known when it is sent again.
#[derive(Debug)]
pub struct Submission {
    /// The same one again makes no second grid.
    pub request: RequestId,
    /// Who is named as its submitter; empty: whoever calls.
    pub submitter: String,
    /// What the caller's system calls its user, where nobody is asked who they are.
    pub user: String,
    /// Among the grids of its submitter.
    pub priority: i32,
    /// What it would be.
    pub draft: Draft,
    /// The trace in which it is submitted, as W3C has it; empty: in none.
    pub trace_parent: String,
}

/// What a grid would take if it were all that there is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Its cells.
    pub cells: u32,
    /// How long the nodes that are there would take; unknown where nothing like it was rendered on one of them.
    pub estimate: Estimate,
}

/// Takes grids in; clones share their turns.
#[derive(Debug, Clone)]
pub struct Submissions {
    ledger: Arc<Ledger>,
    bucket: Bucket,
    cells_max: u32,
    /// Submissions looked at.
    turns: Arc<Semaphore>,
}

impl Submissions {
    /// Takes in grids of at most `cells_max` cells, whose pictures lie in the bucket.
    pub fn new(ledger: Arc<Ledger>, bucket: Bucket, cells_max: u32) -> Self {
        Self {
            ledger,
            bucket,
            cells_max,
            turns: Arc::new(Semaphore::new(SUBMISSIONS_MAX)),
        }
    }

    /// Most cells of a grid.
    pub fn cells_max(&self) -> u32 {
        self.cells_max
    }

    /// Keeps a grid that somebody submits; true if it is new.
    ///
    /// # Errors
    /// When a field is wrong, it is submitted for somebody else, a picture is missing, or the store or the bucket fails.
    pub async fn accept(
        &self,
        submission: Submission,
        caller: &Caller,
    ) -> Result<(Submitted, bool), SubmissionError> {
        let owner = caller.submitter(&submission.submitter, &submission.user)?;
        let request = request_of(submission.request, caller);
        let spec = GridSpec::accept(submission.draft, self.cells_max)?;
        // Those that wait here find a grid that was made meanwhile, if they are its repetitions.
        let _turn = self.turns.acquire().await;
        // A grid that was accepted once stays so, whatever has become of its inputs.
        let known = self.ledger.store().submitted(request).await?;
        if known.is_none() {
            self.check_inputs(&spec).await?;
        }
        let grid = NewGrid {
            grid: GridId::generate(),
            request,
            submitter: owner,
            priority: submission.priority,
            spec,
            trace_parent: submission.trace_parent,
        };
        let kept = self.ledger.create_grid(grid).await;
        let (submitted, created) = kept.map_err(|error| match error {
            // By the id that its sender knows.
            StoreError::RequestReused { grid, .. } => StoreError::RequestReused {
                request: submission.request,
                grid,
            },
            other => other,
        })?;
        tracing::info!(grid = %submitted.grid, cells = submitted.cells, created, "submitted");
        Ok((submitted, created))
    }

    /// What a grid would take.
    ///
    /// # Errors
    /// When a field is wrong, or the store fails.
    pub async fn expected(&self, draft: Draft) -> Result<Expected, SubmissionError> {
        let spec = GridSpec::accept(draft, self.cells_max)?;
        let lost_before = self.ledger.rules().lost_before(self.ledger.now());
        let nodes = self.ledger.store().nodes(None, lost_before, NODES_MAX);
        let nodes = nodes.await?.into_iter().filter(|record| {
            record.health.state == NodeState::Active && record.node.has(spec.labels())
        });
        let devices: Vec<(String, Option<f64>)> = nodes
            .map(|record| (record.node.device, record.node.dollars_per_hour))
            .collect();
        let mut work_by_kind: HashMap<String, f64> = HashMap::new();
        let mut cells = 0;
        for effort in spec.efforts() {
            cells += 1;
            *work_by_kind.entry(effort.kind).or_default() += effort.work;
        }
        let speeds = self.ledger.speeds();
        let of_kinds = work_by_kind.iter().map(|(kind, work)| {
            let workers = devices.iter().map(|(device, dollars_per_hour)| {
                Some(Worker {
                    seconds_per_work: speeds.seconds_per_work(device, kind)?,
                    dollars_per_hour: *dollars_per_hour,
                })
            });
            let workers: Vec<Worker> = workers.collect::<Option<_>>()?;
            (!workers.is_empty()).then(|| Estimate::of(*work, &workers))
        });
        let all: Option<Vec<Estimate>> = of_kinds.collect();
        let all = all.unwrap_or_default();
        Ok(Expected {
            cells,
            estimate: Estimate {
                time_left: sum(all.iter().map(|kind| kind.time_left)),
                dollars_left: sum(all.iter().map(|kind| kind.dollars_left)),
            },
        })
    }

    async fn check_inputs(&self, spec: &GridSpec) -> Result<(), SubmissionError> {
        let lookups = spec.inputs().into_iter().map(|(sha256, field)| async move {
            match self.bucket.head(&input_key(&sha256)).await? {
                Some(_) => Ok(()),
                None => Err(SubmissionError::InputMissing { field, sha256 }),
            }
        });
        futures::stream::iter(lookups)
            .buffered(LOOKUPS_MAX)
            .try_collect::<()>()
            .await
    }
}

/// The id under which a request is kept. Ids of identities are their own: whoever learns somebody else's learns nothing of what
/// was made by it, and takes nothing of it.
fn request_of(request: RequestId, caller: &Caller) -> RequestId {
    let Caller::Known(identity) = caller else {
        return request;
    };
    let whose = format!("{}:{}:{request}", identity.role, identity.name);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Digest::of(whose.as_bytes()).as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().into()
}

/// The sum of what is known of all; none of nothing.
fn sum<T: std::iter::Sum>(values: impl ExactSizeIterator<Item = Option<T>>) -> Option<T> {
    if values.len() == 0 {
        return None;
    }
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::{Identity, Role};

    #[test]
    fn a_request_is_its_identitys_own() {
        let known = |name: &str, role| {
            let name = name.to_owned();
            Caller::Known(Identity { name, role })
        };
        let request = RequestId::generate();
        let of = |caller: &Caller| request_of(request, caller);
        let ann = known("ann", Role::Client);
        assert_eq!(of(&ann), of(&ann));
        assert_ne!(of(&ann), of(&known("bob", Role::Client)));
        assert_ne!(of(&ann), of(&known("ann", Role::Operator)));
        assert_ne!(of(&ann), request);
        assert_eq!(of(&Caller::Anyone), request);
    }
}
