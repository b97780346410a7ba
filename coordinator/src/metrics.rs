//! What a coordinator tells Prometheus of the fleet: every name, its help and its unit.
//!
//! All of it is gauges of how things stand, read when somebody asks, so that every coordinator of a database says the same.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use std::sync::atomic::AtomicU64;

use crate::scaler::Overview;

/// Of the answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Label = [(&'static str, &'static str); 1];

/// Everything in the text format of `OpenMetrics`, which Prometheus reads.
pub fn text(overview: &Overview) -> String {
    let mut registry = Registry::with_prefix("atelier_fleet");
    let whole = |registry: &mut Registry, name, help, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    whole(
        &mut registry,
        "cells_queued",
        "Cells that no node holds",
        overview.cells_queued,
    );
    whole(
        &mut registry,
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
        &mut registry,
        "dollars_per_hour",
        "What nodes and machines cost in an hour, US dollars, as far as prices are known",
        overview.dollars_per_hour,
    );
    if let Some(standing) = &overview.standing {
        whole(
            &mut registry,
            "nodes_wanted",
            "Nodes that the backlog asks for, within bounds",
            u64::from(standing.wanted),
        );
        real(
            &mut registry,
            "drain_seconds",
            "Until the backlog is done by the nodes that are there, as far as was measured",
            standing.drain_seconds,
        );
        whole(
            &mut registry,
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
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = encode(&mut text, &registry);
    text
}
