//! Whether a node can do its work, as probes ask: weights loaded, device usable, coordinator reachable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atelier_proto::metrics::Gauge;
use serde::Serialize;

/// What is known of it; clones know the same.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<Known>);

#[derive(Debug)]
struct Known {
    weights_loaded: AtomicBool,
    device_usable: AtomicBool,
    /// 1 while the coordinator takes what this node tells, and a metric, too.
    coordinator_up: Gauge,
}

/// One thing that a node needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Check {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
}

/// Everything that a node needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether it has all of it.
    pub ready: bool,
    weights: Check,
    device: Check,
    coordinator: Check,
}

impl Readiness {
    /// Of a node that has nothing yet.
    pub(crate) fn told_by(coordinator_up: Gauge) -> Self {
        Self(Arc::new(Known {
            weights_loaded: AtomicBool::new(false),
            device_usable: AtomicBool::new(false),
            coordinator_up,
        }))
    }

    /// The network is there.
    pub fn weights_are_loaded(&self) {
        self.0.weights_loaded.store(true, Ordering::Relaxed);
    }

    /// The device renders, or does not any more.
    pub fn device_is_usable(&self, is_usable: bool) {
        self.0.device_usable.store(is_usable, Ordering::Relaxed);
    }

    /// The coordinator took what it was told, or not.
    pub fn coordinator_answers(&self, answers: bool) {
        self.0.coordinator_up.set_whether(answers);
    }

    /// How the node is.
    pub fn report(&self) -> Report {
        let check = |ok, problem| Check {
            ok,
            problem: (!ok).then_some(problem),
        };
        let weights = self.0.weights_loaded.load(Ordering::Relaxed);
        let device = self.0.device_usable.load(Ordering::Relaxed);
        let coordinator = self.0.coordinator_up.get() == Some(1.0);
        Report {
            ready: weights && device && coordinator,
            weights: check(weights, "the network is not loaded"),
            device: check(device, "the device renders nothing"),
            coordinator: check(coordinator, "the coordinator does not answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_ready_with_everything_and_says_what_it_lacks() {
        let readiness = Readiness::told_by(Gauge::default());
        readiness.weights_are_loaded();
        readiness.device_is_usable(true);
        let report = readiness.report();
        assert!(!report.ready && report.device.ok);
        let told = serde_json::to_value(report).unwrap();
        assert_eq!(
            told["coordinator"]["problem"],
            "the coordinator does not answer"
        );
        readiness.coordinator_answers(true);
        assert!(readiness.report().ready);
        readiness.device_is_usable(false);
        assert!(!readiness.report().ready);
    }
}
