//! Has what a ledger notes between calls be kept from time to time.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Ledger;

/// How often what was noted of cells and nodes is kept.
const INTERVAL: Duration = Duration::from_secs(2);

/// Keeps what was noted, until `shutdown` and once more then.
pub async fn run(ledger: Arc<Ledger>, shutdown: CancellationToken) {
    loop {
        if let Err(error) = ledger.keep_notes().await {
            tracing::warn!(%error, "what was measured cannot be kept; trying again");
        }
        if shutdown.is_cancelled() {
            return;
        }
        shutdown
            .run_until_cancelled(tokio::time::sleep(INTERVAL))
            .await;
    }
}
