//! What is counted of calls, and what their health service says.

use std::sync::Arc;

use atelier_proto::telemetry::calls::{Observer, word};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::health::{FRESH_FOR, Health};
use crate::ledger::Ledger;

/// Counts calls among the metrics of a ledger.
pub(super) struct Counted(pub(super) Arc<Ledger>);

impl Observer for Counted {
    fn begun(&self, method: &'static str) {
        self.0.metrics().rpc_begun(method);
    }

    fn ended(&self, method: &'static str, code: Code, seconds: f64) {
        self.0.metrics().rpc_ended(method, word(code), seconds);
    }
}

/// Says of services, and of the whole, that they serve while this coordinator is ready, until `shutdown`.
pub(super) async fn tell_health(
    reporter: HealthReporter,
    services: &[&'static str],
    health: Arc<Health>,
    shutdown: CancellationToken,
) {
    let telling = async {
        loop {
            let status = if health.report().await.ready {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            set(&reporter, services, status).await;
            tokio::time::sleep(FRESH_FOR).await;
        }
    };
    shutdown.run_until_cancelled(telling).await;
    set(&reporter, services, ServingStatus::NotServing).await;
}

async fn set(reporter: &HealthReporter, services: &[&'static str], status: ServingStatus) {
    for service in services.iter().copied().chain([""]) {
        reporter.set_service_status(service, status).await;
    }
}

/// The name of a service, as health and reflection have it.
pub(super) const fn name_of<S: NamedService>() -> &'static str {
    S::NAME
}
