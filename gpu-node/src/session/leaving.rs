//! How a node leaves: it says so, stops what it has in hand, and gives it back, whatever device and bucket do meanwhile.

use std::sync::Arc;
use std::time::Duration;

use atelier_proto::v1;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Session, timed};
use crate::departure::Reason;

/// How long the coordinator may take to hear that the node leaves.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(3);
/// What is kept of the time for leaving to give back what has not stopped until then, and its largest share.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);
const RELEASE_SHARE: u32 = 4;

impl Session {
    /// Why the node leaves, for people; empty if it does not, or because its coordinator wants it to.
    pub(super) fn why_leaving(&self) -> String {
        let reason = self.departure.reason();
        reason.map(|reason| reason.to_string()).unwrap_or_default()
    }

    /// When the node is told to leave, asks for no more cells and says so at once: until the coordinator knows, it counts
    /// on this node. Gives the reason that it said.
    pub(super) async fn announce(self: Arc<Self>, drain: CancellationToken) -> Option<Reason> {
        self.departure.asked().await;
        drain.cancel();
        let reason = self.departure.reason();
        self.say_leaving().await;
        reason
    }

    /// Tells the coordinator that this node leaves.
    pub(super) async fn say_leaving(&self) {
        let said = self.renew(Vec::new(), ANNOUNCE_TIMEOUT);
        let error = match tokio::time::timeout(ANNOUNCE_TIMEOUT, said).await {
            Ok(Ok(_)) => return,
            Ok(Err(status)) => status.message().to_owned(),
            Err(_) => "it does not answer".to_owned(),
        };
        tracing::warn!(error, "the coordinator was not told that this node leaves");
    }

    /// Stops every cell in hand and waits, within a bound, until each is given back. What a slow device or a bucket that
    /// is away still keeps is given back without waiting for it, so that it costs no attempt.
    pub(super) async fn leave(&self, attempts: &TaskTracker) {
        self.held.stop_all();
        let left = self.departure.left_of(self.leave_timeout);
        let release_timeout = RELEASE_TIMEOUT.min(left / RELEASE_SHARE);
        let ended = tokio::time::timeout(left.saturating_sub(release_timeout), attempts.wait());
        if ended.await.is_err() {
            self.release_the_rest(release_timeout).await;
        }
    }

    async fn release_the_rest(&self, timeout: Duration) {
        let cells = self.held.wire();
        let count = cells.len();
        if count == 0 {
            return;
        }
        let request = v1::ReleaseRequest {
            node_id: self.node.to_string(),
            cells,
            reason: self.why_leaving(),
        };
        let call = async {
            let mut nodes = self.nodes.clone();
            nodes.release(timed(request, timeout)).await
        };
        match tokio::time::timeout(timeout, call).await {
            Ok(Ok(_)) => tracing::warn!(
                cells = count,
                "given back before they had stopped: their last checkpoints may be missing"
            ),
            told => tracing::warn!(
                cells = count,
                error = told
                    .ok()
                    .and_then(Result::err)
                    .map(|status| status.message().to_owned()),
                "left before every cell was given back; their leases expire"
            ),
        }
    }
}
