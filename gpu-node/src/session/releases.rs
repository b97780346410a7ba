//! Cells that are given back. A node that leaves gives back all that it holds, so one call takes along as many as wait.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use atelier_proto::v1;
use tokio::sync::oneshot;
use tonic::Status;

use super::held::HeldCell;
use super::verdicts::deliver;
use super::{CALL_TIMEOUT, Session, timed};

/// Longest reason that the coordinator takes, characters.
const REASON_CHARS_MAX: usize = 300;

/// The cells that wait for the next call. There are never more than the node holds.
#[derive(Debug, Default)]
pub(super) struct Releases {
    waiting: Mutex<Vec<Waiting>>,
    /// Held by whoever makes a call.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    cell: v1::HeldCell,
    reason: String,
    answer: oneshot::Sender<Result<(), Status>>,
}

impl Releases {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        // Every change is one push or the taking of all, so a panic elsewhere leaves the list whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Gives a cell back for a reason, which costs it no attempt.
    pub(super) async fn release(&self, held: &HeldCell, reason: &str) {
        let (answer, answered) = oneshot::channel();
        self.releases.waiting().push(Waiting {
            cell: held.wire(),
            reason: reason.chars().take(REASON_CHARS_MAX).collect(),
            answer,
        });
        {
            let _turn = self.releases.turn.lock().await;
            // The call before may have taken this cell along.
            let waiting = std::mem::take(&mut *self.releases.waiting());
            let mut by_reason = BTreeMap::<_, Vec<_>>::new();
            for mut waiting in waiting {
                let reason = std::mem::take(&mut waiting.reason);
                by_reason.entry(reason).or_default().push(waiting);
            }
            for (reason, waiting) in by_reason {
                Box::pin(self.release_all(reason, waiting)).await;
            }
        }
        match answered.await {
            Ok(Ok(())) => tracing::info!("given back"),
            Ok(Err(status)) => tracing::warn!(error = status.message(), "not given back"),
            Err(_) => tracing::warn!("not given back: nobody made the call"),
        }
    }

    async fn release_all(&self, reason: String, waiting: Vec<Waiting>) {
        let cells = waiting.iter().map(|waiting| waiting.cell.clone());
        let request = v1::ReleaseRequest {
            node_id: self.node.to_string(),
            cells: cells.collect(),
            reason,
        };
        let sent = deliver(|| async {
            let request = timed(request.clone(), CALL_TIMEOUT);
            self.nodes.clone().release(request).await
        });
        let sent = sent.await.map(drop);
        for waiting in waiting {
            // Whoever waits for it has not gone.
            let _ = waiting.answer.send(sent.clone());
        }
    }
}
