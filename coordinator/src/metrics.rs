//! What a coordinator tells Prometheus of the fleet and of webhooks: every name, its help and its unit.
//!
//! All of it is how things stand in the store, read when somebody asks, so that every coordinator of a database says the same.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use std::sync::atomic::AtomicU64;

use crate::scaler::Overview;
use crate::store::outbox::Tally;

/// Of the answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Label = [(&'static str, &'static str); 1];

/// Everything in the text format of `OpenMetrics`, which Prometheus reads.
pub fn text(overview: &Overview, tallies: &[Tally]) -> String {
    let mut registry = Registry::default();
    fleet(registry.sub_registry_with_prefix("atelier_fleet"), overview);
    webhooks(
        registry.sub_registry_with_prefix("atelier_webhook"),
        tallies,
    );
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

fn webhooks(registry: &mut Registry, tallies: &[Tally]) {
    type Webhook = [(&'static str, String); 1];
    let pending = Family::<Webhook, Gauge>::default();
    let delivered = Family::<Webhook, Counter>::default();
    let failed = Family::<Webhook, Counter>::default();
    let given_up = Family::<Webhook, Counter>::default();
    registry.register(
        "deliveries_pending",
        "Deliveries to a webhook that wait for their first or next attempt",
        pending.clone(),
    );
    registry.register(
        "deliveries",
        "Deliveries that a webhook has taken",
        delivered.clone(),
    );
    registry.register(
        "failures",
        "Attempts to deliver that a webhook has not taken",
        failed.clone(),
    );
    registry.register(
        "given_up",
        "Deliveries that a webhook is told no more",
        given_up.clone(),
    );
    for tally in tallies {
        let webhook = [("webhook", tally.webhook.clone())];
        let waiting = i64::try_from(tally.pending).unwrap_or(i64::MAX);
        pending.get_or_create(&webhook).set(waiting);
        delivered.get_or_create(&webhook).inc_by(tally.delivered);
        failed.get_or_create(&webhook).inc_by(tally.failed);
        given_up.get_or_create(&webhook).inc_by(tally.given_up);
    }
}

fn fleet(registry: &mut Registry, overview: &Overview) {
    let whole = |registry: &mut Registry, name, help, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    whole(
        registry,
        "cells_queued",
        "Cells that no node holds",
        overview.cells_queued,
    );
    whole(
        registry,
        "cells_running",
        "Cells that a node holds",
        overview.cells_running,
    );
    let nodes = Family::<Label, Gauge>::default();
    registry.register("nodes", "Nodes that are heard of, by state", nodes.clone());
    let counted = overview.nodes;
    for (state, count) in [
        ("active", counted.active),
        ("draining", counted.draining),
        ("quarantined", counted.quarantined),
    ] {
        nodes
            .get_or_create(&[("state", state)])
            .set(i64::from(count));
    }
    let real = |registry: &mut Registry, name, help, value: Option<f64>| {
        if let Some(value) = value {
            let gauge = Gauge::<f64, AtomicU64>::default();
            gauge.set(value);
            registry.register(name, help, gauge);
        }
    };
    real(
        registry,
        "dollars_per_hour",
        "What nodes and machines cost in an hour, US dollars, as far as prices are known",
        overview.dollars_per_hour,
    );
    if let Some(standing) = &overview.standing {
        whole(
            registry,
            "nodes_wanted",
            "Nodes that the backlog asks for, within bounds",
            u64::from(standing.wanted),
        );
        real(
            registry,
            "drain_seconds",
            "Until the backlog is done by the nodes that are there, as far as was measured",
            standing.drain_seconds,
        );
        whole(
            registry,
            "machines_taken_back",
            "Machines that were taken back because no node was heard of there",
            u64::from(standing.memory.taken_back),
        );
        let machines = Family::<Label, Gauge>::default();
        if let Some(counted) = standing.machines {
            registry.register(
                "machines",
                "Machines of the group, by state",
                machines.clone(),
            );
            for (state, count) in [
                ("starting", counted.starting),
                ("busy", counted.busy),
                ("idle", counted.idle),
                ("leaving", counted.leaving),
            ] {
                machines
                    .get_or_create(&[("state", state)])
                    .set(i64::from(count));
            }
        }
    }
}
