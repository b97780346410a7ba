//! Renewals keep the leases of a node alive, and tell the coordinator how far its cells are and whether the node leaves.

use std::sync::Arc;
use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use atelier_proto::v1;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{CALL_TIMEOUT, Session, timed};

/// How often leases are renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RenewalPace {
    /// Between two renewals, which tell of what got on.
    interval: Duration,
    /// What got no further is told once in so many of them: three times in a lease, so that two may get lost.
    pub(super) unchanged_every: u32,
}

impl RenewalPace {
    /// As a coordinator wants it; one that says nothing has leases of six intervals at least.
    pub(super) fn of(registered: &v1::RegisterResponse) -> Self {
        let duration = |wire: Option<prost_types::Duration>| Duration::try_from(wire?).ok();
        let interval = duration(registered.renew_interval)
            .unwrap_or(Duration::from_secs(2))
            .max(Duration::from_millis(100));
        let lease = duration(registered.lease_duration).unwrap_or(6 * interval);
        let intervals = lease.as_millis() / (3 * interval.as_millis());
        Self {
            interval,
            unchanged_every: u32::try_from(intervals).unwrap_or(u32::MAX).max(1),
        }
    }
}

impl Session {
    /// Tells the coordinator at every interval how far the cells are, and drops those it takes back.
    pub(super) async fn keep_renewing(
        self: Arc<Self>,
        pace: RenewalPace,
        drain: CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(pace.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut number = 0_u32;
        loop {
            ticks.tick().await;
            number = number.wrapping_add(1);
            let cells = self.held.renewal(number, pace.unchanged_every);
            let waited = Stopwatch::start();
            let renewed = self.renew(cells, CALL_TIMEOUT).await;
            let readiness = self.metrics.readiness();
            readiness.coordinator_answers(renewed.is_ok());
            match renewed {
                Ok(response) => {
                    self.held.drop_cells(&response.drop, &response.ended);
                    if response.drain {
                        drain.cancel();
                    }
                }
                Err(status) => {
                    self.held.forget_told();
                    self.headers.forget();
                    tracing::warn!(
                        code = ?status.code(),
                        error = status.message(),
                        seconds = waited.seconds(),
                        "leases not renewed"
                    );
                }
            }
        }
    }

    pub(super) async fn renew(
        &self,
        cells: Vec<v1::CellProgress>,
        timeout: Duration,
    ) -> Result<v1::RenewResponse, Status> {
        let request = v1::RenewRequest {
            node_id: self.node.to_string(),
            cells,
            leaving: self.why_leaving(),
        };
        let response = self.nodes.clone().renew(timed(request, timeout)).await?;
        Ok(response.into_inner())
    }
}
