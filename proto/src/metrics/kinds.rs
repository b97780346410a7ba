//! Metrics with labels, and gauges that may be unknown. Clones are the same metric.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};

use super::Listed;

type Labels = Vec<(&'static str, Cow<'static, str>)>;
/// The value of a label.
type Value = Cow<'static, str>;

fn labels<const N: usize>(listed: &'static Listed, values: [Value; N]) -> Labels {
    assert_eq!(listed.labels.len(), N, "labels of {}", listed.name);
    let names = listed.labels.iter().map(String::as_str);
    names.zip(values).collect()
}

/// What is not known of a gauge, in its bits: a NaN that no computation makes.
const UNKNOWN: u64 = u64::MAX;

/// A gauge that is not told until it is set, and no more when it is unknown again.
#[derive(Debug, Clone)]
pub struct Gauge(Arc<AtomicU64>);

impl Default for Gauge {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(UNKNOWN)))
    }
}

impl Gauge {
    /// Tells a value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Tells a value that may be unknown.
    pub fn set_known(&self, value: Option<f64>) {
        self.0
            .store(value.map_or(UNKNOWN, f64::to_bits), Ordering::Relaxed);
    }

    /// Tells 1 or 0.
    pub fn set_whether(&self, value: bool) {
        self.set(f64::from(u8::from(value)));
    }

    /// Adds to it; what is unknown is 0.
    pub fn add(&self, value: f64) {
        let add = |bits| {
            let before = if bits == UNKNOWN {
                0.0
            } else {
                f64::from_bits(bits)
            };
            Some((before + value).to_bits())
        };
        // It always has a next value.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// The value, if it is known.
    pub fn get(&self) -> Option<f64> {
        let bits = self.0.load(Ordering::Relaxed);
        (bits != UNKNOWN).then(|| f64::from_bits(bits))
    }
}

impl EncodeMetric for Gauge {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self.get() {
            None => Ok(()),
            // Counts look like counts.
            Some(value) if value.fract() == 0.0 && value.abs() < 1e15 => {
                encoder.encode_gauge(&(value as i64))
            }
            Some(value) => encoder.encode_gauge(&value),
        }
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }

    fn is_empty(&self) -> bool {
        self.get().is_none()
    }
}

impl TypedMetric for Gauge {
    const TYPE: MetricType = MetricType::Gauge;
}

/// Makes histograms with the buckets of the list.
#[derive(Debug, Clone)]
struct Buckets(&'static Listed);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.buckets.iter().copied())
    }
}

macro_rules! with_labels {
    ($(#[$doc:meta])* $name:ident, $metric:ty, $family:ty, $new:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            listed: &'static Listed,
            family: $family,
        }

        impl $name {
            pub(super) fn new(listed: &'static Listed) -> Self {
                let new: fn(&'static Listed) -> $family = $new;
                Self {
                    listed,
                    family: new(listed),
                }
            }

            /// The one with these values of its labels, in their order.
            ///
            /// # Panics
            /// When the list has another number of labels.
            pub fn of<const N: usize>(&self, values: [impl Into<Value>; N]) -> $metric {
                let labels = labels(self.listed, values.map(Into::into));
                self.family.get_or_create_owned(&labels)
            }
        }

        impl EncodeMetric for $name {
            fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
                self.family.encode(encoder)
            }

            fn metric_type(&self) -> MetricType {
                self.family.metric_type()
            }

            fn is_empty(&self) -> bool {
                EncodeMetric::is_empty(&self.family)
            }
        }
    };
}

with_labels!(
    /// Counters by their labels.
    Counters,
    Counter,
    Family<Labels, Counter>,
    |_| Family::default()
);
with_labels!(
    /// Counters of seconds by their labels.
    SecondsCounters,
    Counter<f64, AtomicU64>,
    Family<Labels, Counter<f64, AtomicU64>>,
    |_| Family::default()
);
with_labels!(
    /// Gauges by their labels.
    Gauges,
    Gauge,
    Family<Labels, Gauge>,
    |_| Family::default()
);
with_labels!(
    /// Histograms by their labels.
    Histograms,
    Histogram,
    Family<Labels, Histogram, Buckets>,
    |listed| Family::new_with_constructor(Buckets(listed))
);
