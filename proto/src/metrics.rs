//! The metrics of the programs: one list (`metrics.toml`), and the registry that takes what is in it.
//!
//! A program asks a [`Registrar`] for each of its metrics by name. What is not in the list, or is of another type or with other
//! labels there, cannot be had; and a program that leaves one out does not start, which no test gets past.

mod kinds;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric as Registered, Registry, Unit};
use serde::Deserialize;

pub use self::kinds::{Counters, Gauge, Gauges, Histograms, SecondsCounters};

/// Of what [`text`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A program with metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `atelier-coordinator`.
    Coordinator,
    /// `atelier-node`.
    Node,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is as it is now.
    Gauge,
    /// How many were how large.
    Histogram,
}

/// One metric of the list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// As Prometheus has it, with its unit and without the `_total` of counters.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Of its values; the end of the name.
    pub unit: Option<String>,
    /// Its labels, in their order.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Of a histogram, upper bounds.
    #[serde(default)]
    pub buckets: Vec<f64>,
    /// What it counts, without a full stop.
    pub help: String,
    /// Where the dashboard shows it.
    pub panel: String,
    /// What the dashboard draws there, where it does not follow from the rest.
    pub query: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    coordinator: Vec<Listed>,
    node: Vec<Listed>,
}

static LIST: LazyLock<List> = LazyLock::new(|| {
    // It is compiled in, and a test reads it.
    toml::from_str(include_str!("metrics.toml"))
        .unwrap_or_else(|error| panic!("metrics.toml cannot be read: {error}"))
});

/// The metrics of a program.
pub fn list(program: Program) -> &'static [Listed] {
    match program {
        Program::Coordinator => &LIST.coordinator,
        Program::Node => &LIST.node,
    }
}

/// Registers the metrics of a program, each once.
///
/// # Panics
/// Every method does where the program and the list disagree. That is a fault of the build: it shows as soon as a program, or
/// any test with metrics, starts.
#[derive(Debug)]
pub struct Registrar {
    registry: Registry,
    left: BTreeMap<&'static str, &'static Listed>,
}

impl Registrar {
    /// For all metrics of a program.
    pub fn of(program: Program) -> Self {
        let listed = list(program).iter();
        Self {
            registry: Registry::default(),
            left: listed
                .map(|listed| (listed.name.as_str(), listed))
                .collect(),
        }
    }

    /// A counter without labels.
    pub fn counter(&mut self, name: &str) -> Counter {
        let listed = self.take(name, Kind::Counter, 0);
        self.register(listed, Counter::default())
    }

    /// A counter with so many labels.
    pub fn counters(&mut self, name: &str, labels: usize) -> Counters {
        let listed = self.take(name, Kind::Counter, labels);
        self.register(listed, Counters::new(listed))
    }

    /// A counter of seconds with so many labels.
    pub fn seconds(&mut self, name: &str, labels: usize) -> SecondsCounters {
        let listed = self.take(name, Kind::Counter, labels);
        self.register(listed, SecondsCounters::new(listed))
    }

    /// A gauge without labels.
    pub fn gauge(&mut self, name: &str) -> Gauge {
        let listed = self.take(name, Kind::Gauge, 0);
        self.register(listed, Gauge::default())
    }

    /// A gauge with so many labels.
    pub fn gauges(&mut self, name: &str, labels: usize) -> Gauges {
        let listed = self.take(name, Kind::Gauge, labels);
        self.register(listed, Gauges::new(listed))
    }

    /// A histogram without labels.
    pub fn histogram(&mut self, name: &str) -> Histogram {
        let listed = self.take(name, Kind::Histogram, 0);
        self.register(listed, Histogram::new(listed.buckets.iter().copied()))
    }

    /// A histogram with so many labels.
    pub fn histograms(&mut self, name: &str, labels: usize) -> Histograms {
        let listed = self.take(name, Kind::Histogram, labels);
        self.register(listed, Histograms::new(listed))
    }

    /// The registry with every metric of the list.
    ///
    /// # Panics
    /// Where the list has one that was not registered.
    pub fn finish(self) -> Registry {
        let left: Vec<_> = self.left.keys().collect();
        assert!(
            left.is_empty(),
            "metrics.toml lists what the program does not register: {left:?}"
        );
        self.registry
    }

    fn take(&mut self, name: &str, kind: Kind, labels: usize) -> &'static Listed {
        let listed = self.left.remove(name);
        let fits = listed.filter(|listed| listed.kind == kind && listed.labels.len() == labels);
        fits.unwrap_or_else(|| {
            panic!("metrics.toml lists no further {kind:?} {name} with {labels} labels")
        })
    }

    fn register<M: Registered + Clone>(&mut self, listed: &Listed, metric: M) -> M {
        let help = listed.help.as_str();
        let registry = &mut self.registry;
        // The registry adds the unit to the name.
        let named = listed.unit.as_deref().and_then(|unit| {
            let name = listed.name.strip_suffix(unit)?.strip_suffix('_')?;
            Some((name, Unit::Other(unit.to_owned())))
        });
        match named {
            Some((name, unit)) => registry.register_with_unit(name, help, unit, metric.clone()),
            None => registry.register(listed.name.as_str(), help, metric.clone()),
        }
        metric
    }
}

/// Everything in the text format of `OpenMetrics`, which Prometheus reads.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, registry);
    text
}

#[cfg(test)]
mod tests;
