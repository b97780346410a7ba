//! What the coordinator is told of a cell whose work has ended: done or failed.

use std::sync::atomic::Ordering;

use atelier_proto::retry;
use atelier_proto::v1;
use backon::{ExponentialBuilder, Retryable as _};
use tonic::Status;

use super::held::HeldCell;
use super::{CALL_TIMEOUT, Session, is_passing, timed};

/// Longest reason of a failure that the coordinator takes, characters.
const REASON_CHARS_MAX: usize = 4000;
/// Longest end of a log that it takes with it, characters.
pub(super) const LOG_CHARS_MAX: usize = 16_000;

impl Session {
    /// Says that the picture is there, with what was logged of it.
    #[tracing::instrument(name = "complete", skip_all)]
    pub(super) async fn complete(&self, held: &HeldCell, result: v1::CellResult, log: String) {
        let seconds = result.seconds;
        let request = v1::CompleteRequest {
            node_id: self.node.to_string(),
            cell: Some(held.wire()),
            result: Some(result),
            log,
        };
        let sent = Box::pin(deliver(|| async {
            let request = timed(request.clone(), CALL_TIMEOUT);
            self.nodes.clone().complete(request).await
        }))
        .await;
        match sent {
            Ok(_) => {
                self.is_measured.store(true, Ordering::Relaxed);
                tracing::info!(seconds, "done");
            }
            Err(status) => tracing::warn!(error = status.message(), "done, but not accepted"),
        }
    }

    /// Says that there is no picture, and why.
    #[tracing::instrument(name = "fail", skip_all)]
    pub(super) async fn fail(&self, held: &HeldCell, kind: v1::FailureKind, reason: &str) {
        tracing::warn!(reason, ?kind, "failed");
        let request = v1::FailRequest {
            node_id: self.node.to_string(),
            cell: Some(held.wire()),
            kind: kind.into(),
            reason: reason.chars().take(REASON_CHARS_MAX).collect(),
            log: self.logs.process.text(LOG_CHARS_MAX),
        };
        let sent = Box::pin(deliver(|| async {
            let request = timed(request.clone(), CALL_TIMEOUT);
            self.nodes.clone().fail(request).await
        }))
        .await;
        if let Err(status) = sent {
            tracing::warn!(error = status.message(), "the failure was not accepted");
        }
    }
}

/// Sends a verdict until it arrives, within the life of a lease: after that it would be refused.
pub(super) async fn deliver<T, F, Call>(call: F) -> Result<tonic::Response<T>, Status>
where
    F: FnMut() -> Call,
    Call: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let backoff = ExponentialBuilder::default()
        .with_jitter()
        .with_max_times(6);
    call.retry(backoff)
        .when(is_passing)
        .adjust(retry::hinted)
        .await
}
