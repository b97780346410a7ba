//! What a coordinator tells Prometheus: what it did itself, and the fleet and the webhooks, of which every coordinator of a
//! database says the same. Names, help and labels are in `metrics.toml` of `proto`.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use atelier_proto::metrics::{
    Counters, Gauge, Gauges, Histograms, Program, Registrar, text as encoded,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::domain::cell::Cell;
use crate::domain::fleet::Overview;
use crate::limits::Limit;
use crate::store::Applied;
use crate::store::outbox::Tally;

const NODE_STATES: [&str; 3] = ["active", "draining", "quarantined"];
const MACHINE_STATES: [&str; 4] = ["starting", "busy", "idle", "leaving"];

/// The metrics of one coordinator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    fleet: Fleet,
    webhooks: Webhooks,
    rpcs: Counters,
    rpcs_running: Gauges,
    rpc_seconds: Histograms,
    refusals: Counters,
    commit_seconds: Histogram,
    leases: Counter,
    attempts: Counters,
    cells_failed: Counter,
    identities_refused: Counters,
    /// Connections that are open, by listener.
    pub connections: Gauges,
    /// TLS handshakes that came to nothing, by listener.
    pub handshakes_refused: Counters,
    /// When what TLS goes by expires, by what it is.
    pub tls_expires: Gauges,
    /// Pages of the board.
    pub board_pages: Gauge,
    /// Whether this coordinator leads.
    pub leads: Gauge,
    /// Whether the database answered.
    pub database_up: Gauge,
    /// Whether the bucket answered.
    pub bucket_up: Gauge,
    /// Seconds; unknown where another coordinator writes the galleries.
    pub publisher_lag: Gauge,
}

#[derive(Debug)]
struct Fleet {
    cells_queued: Gauge,
    cells_running: Gauge,
    nodes: Gauges,
    nodes_wanted: Gauge,
    machines: Gauges,
    machines_taken_back: Gauge,
    trouble: Gauge,
    drain_seconds: Gauge,
    dollars_per_hour: Gauge,
}

#[derive(Debug)]
struct Webhooks {
    /// Those of which something was told.
    named: Mutex<BTreeSet<String>>,
    pending: Gauges,
    delivered: Counters,
    failed: Counters,
    given_up: Counters,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registrar = Registrar::of(Program::Coordinator);
        let to = &mut registrar;
        let build = to.gauges("atelier_coordinator_build_info", 1);
        build.of([env!("CARGO_PKG_VERSION")]).set(1.0);
        let leads = to.gauge("atelier_coordinator_leads");
        leads.set(0.0);
        let board_pages = to.gauge("atelier_coordinator_board_pages");
        board_pages.set(0.0);
        Self {
            fleet: Fleet {
                cells_queued: to.gauge("atelier_fleet_cells_queued"),
                cells_running: to.gauge("atelier_fleet_cells_running"),
                nodes: to.gauges("atelier_fleet_nodes", 1),
                nodes_wanted: to.gauge("atelier_fleet_nodes_wanted"),
                machines: to.gauges("atelier_fleet_machines", 1),
                machines_taken_back: to.gauge("atelier_fleet_machines_taken_back"),
                trouble: to.gauge("atelier_fleet_trouble"),
                drain_seconds: to.gauge("atelier_fleet_drain_seconds"),
                dollars_per_hour: to.gauge("atelier_fleet_dollars_per_hour"),
            },
            webhooks: Webhooks {
                named: Mutex::default(),
                pending: to.gauges("atelier_webhook_deliveries_pending", 1),
                delivered: to.counters("atelier_webhook_deliveries", 1),
                failed: to.counters("atelier_webhook_failures", 1),
                given_up: to.counters("atelier_webhook_given_up", 1),
            },
            rpcs: to.counters("atelier_coordinator_rpcs", 2),
            rpcs_running: to.gauges("atelier_coordinator_rpcs_running", 1),
            rpc_seconds: to.histograms("atelier_coordinator_rpc_seconds", 1),
            refusals: to.counters("atelier_coordinator_refusals", 1),
            identities_refused: to.counters("atelier_coordinator_identities_refused", 1),
            connections: to.gauges("atelier_coordinator_connections", 1),
            handshakes_refused: to.counters("atelier_coordinator_handshakes_refused", 1),
            tls_expires: to.gauges("atelier_coordinator_tls_expires_timestamp_seconds", 1),
            commit_seconds: to.histogram("atelier_coordinator_commit_seconds"),
            leases: to.counter("atelier_coordinator_leases"),
            attempts: to.counters("atelier_coordinator_attempts", 1),
            cells_failed: to.counter("atelier_coordinator_cells_failed"),
            board_pages,
            leads,
            database_up: to.gauge("atelier_coordinator_database_up"),
            bucket_up: to.gauge("atelier_coordinator_bucket_up"),
            publisher_lag: to.gauge("atelier_coordinator_publisher_lag_seconds"),
            registry: registrar.finish(),
        }
    }
}

impl Metrics {
    /// A call has come.
    pub fn rpc_begun(&self, method: &'static str) {
        self.rpcs_running.of([method]).add(1.0);
    }

    /// A call has ended with a code of gRPC.
    pub fn rpc_ended(&self, method: &'static str, code: &'static str, seconds: f64) {
        self.rpcs_running.of([method]).add(-1.0);
        self.rpcs.of([method, code]).inc();
        self.rpc_seconds.of([method]).observe(seconds);
    }

    /// Something was refused.
    pub fn refused(&self, limit: Limit) {
        self.refusals.of([limit.word()]).inc();
    }

    /// Somebody was not let in.
    pub fn identity_refused(&self, reason: &'static str) {
        self.identities_refused.of([reason]).inc();
    }

    /// A commit of events of cells has ended, well or not.
    pub fn committed(&self, seconds: f64) {
        self.commit_seconds.observe(seconds);
    }

    /// An event of a cell was kept.
    pub fn applied(&self, applied: &Applied) {
        if let Some(outcome) = applied.ended {
            self.attempts.of([outcome.word()]).inc();
        }
        match applied.cell {
            Cell::Leased { .. } if applied.changed => drop(self.leases.inc()),
            Cell::Failed { .. } if applied.changed => drop(self.cells_failed.inc()),
            _ => {}
        }
    }

    /// Everything in the text format of `OpenMetrics`, with the fleet as it stands and how webhooks get on.
    pub fn text(&self, overview: &Overview, tallies: &[Tally]) -> String {
        self.fleet.set(overview);
        self.webhooks.set(tallies);
        encoded(&self.registry)
    }

    /// The same without how fleet and webhooks stand, of which nothing is known now.
    pub fn text_of_this_one(&self) -> String {
        self.fleet.forget();
        self.webhooks.set(&[]);
        encoded(&self.registry)
    }
}

impl Fleet {
    fn forget(&self) {
        for gauge in [
            &self.cells_queued,
            &self.cells_running,
            &self.nodes_wanted,
            &self.machines_taken_back,
            &self.trouble,
            &self.drain_seconds,
            &self.dollars_per_hour,
        ] {
            gauge.set_known(None);
        }
        for state in NODE_STATES {
            self.nodes.of([state]).set_known(None);
        }
        for state in MACHINE_STATES {
            self.machines.of([state]).set_known(None);
        }
    }

    fn set(&self, overview: &Overview) {
        self.cells_queued.set(overview.cells_queued as f64);
        self.cells_running.set(overview.cells_running as f64);
        let nodes = overview.nodes;
        let counts = [nodes.active, nodes.draining, nodes.quarantined];
        for (state, count) in NODE_STATES.into_iter().zip(counts) {
            self.nodes.of([state]).set(f64::from(count));
        }
        self.dollars_per_hour.set_known(overview.dollars_per_hour);
        let standing = overview.standing.as_ref();
        self.nodes_wanted
            .set_known(standing.map(|it| f64::from(it.wanted)));
        self.drain_seconds
            .set_known(standing.and_then(|it| it.drain_seconds));
        self.machines_taken_back
            .set_known(standing.map(|it| f64::from(it.memory.taken_back)));
        let trouble = standing.map(|it| f64::from(u8::from(it.trouble.is_some())));
        self.trouble.set_known(trouble);
        let machines = standing.and_then(|it| it.machines);
        let counts = machines.map(|it| [it.starting, it.busy, it.idle, it.leaving]);
        for (index, state) in MACHINE_STATES.into_iter().enumerate() {
            let count = counts.map(|counts| f64::from(counts[index]));
            self.machines.of([state]).set_known(count);
        }
    }
}

impl Webhooks {
    /// What they count is kept in the store, so that every coordinator of a database counts alike, and goes on after a restart.
    fn set(&self, tallies: &[Tally]) {
        for tally in tallies {
            for (counters, count) in [
                (&self.delivered, tally.delivered),
                (&self.failed, tally.failed),
                (&self.given_up, tally.given_up),
            ] {
                let counter = counters.of([tally.webhook.clone()]);
                // Two scrapes at once may overtake each other; a counter must not fall.
                counter.inner().fetch_max(count, Ordering::Relaxed);
            }
        }
        // Insertions are all that it sees, so a panic elsewhere leaves it whole.
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.extend(tallies.iter().map(|tally| tally.webhook.clone()));
        for name in &*named {
            let tally = tallies.iter().find(|tally| tally.webhook == *name);
            let pending = tally.map(|tally| tally.pending as f64);
            self.pending.of([name.clone()]).set_known(pending);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_told_as_the_store_counts_them_and_what_is_unknown_is_not() {
        let metrics = Metrics::default();
        let tally = |pending, delivered| Tally {
            webhook: "all".to_owned(),
            pending,
            delivered,
            failed: 2,
            given_up: 1,
        };
        metrics.webhooks.set(&[tally(3, 7)]);
        metrics.webhooks.set(&[tally(4, 6)]);
        let text = encoded(&metrics.registry);
        for line in [
            "atelier_webhook_deliveries_pending{webhook=\"all\"} 4\n",
            "atelier_webhook_deliveries_total{webhook=\"all\"} 7\n",
            "atelier_webhook_failures_total{webhook=\"all\"} 2\n",
            "atelier_webhook_given_up_total{webhook=\"all\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
        let text = metrics.text_of_this_one();
        assert!(!text.contains("pending{"), "{text}");
        assert!(text.contains("atelier_webhook_deliveries_total{webhook=\"all\"} 7\n"));
    }
}
