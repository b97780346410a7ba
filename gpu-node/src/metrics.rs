//! What a node tells Prometheus: every name, its help and its unit, and the endpoint that serves them.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::device_time::DeviceMeter;

/// Scrapes that are answered at once; further ones wait.
const CONNECTIONS_MAX: usize = 8;
/// How long a scraper may take to say what it wants, and to take it.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when the system has no connection to give, as when files have run out.
const ACCEPT_RETRY_WAIT: Duration = Duration::from_millis(200);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What became of a leased cell at this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its picture is in the bucket.
    Done,
    /// It brought no picture.
    Failed,
    /// It was given back because the node leaves.
    Released,
    /// The coordinator took it back.
    Dropped,
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Released => "released",
            Self::Dropped => "dropped",
        }
    }
}

/// Name and value of the one label that a metric has.
type Label = [(&'static str, &'static str); 1];
type Seconds = Counter<f64, AtomicU64>;
type SecondsOnce = Gauge<f64, AtomicU64>;

/// The node's metrics; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    all: Arc<Inner>,
    device: DeviceMeter,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    /// Of every node of this process.
    devices: Mutex<Vec<DeviceMeter>>,
    device_seconds: Family<Label, Seconds>,
    cells: Family<Label, Counter>,
    evaluations: Counter,
    batch_cells: Histogram,
    start_seconds: Family<Label, SecondsOnce>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("atelier_node");
        let device_seconds = Family::<Label, Seconds>::default();
        registry.register_with_unit(
            "device",
            "Time that the device rendered, and that it waited between blocks although there were cells to be had",
            Unit::Seconds,
            device_seconds.clone(),
        );
        let cells = Family::<Label, Counter>::default();
        registry.register(
            "cells",
            "Leased cells by what became of them",
            cells.clone(),
        );
        let evaluations = Counter::default();
        registry.register(
            "evaluations",
            "Evaluations of the loss, each picture of a batch counted",
            evaluations.clone(),
        );
        let batch_cells = Histogram::new(exponential_buckets(1.0, 2.0, 8));
        registry.register_with_unit(
            "batch",
            "Cells that were given to the renderer at once",
            Unit::Other("cells".to_owned()),
            batch_cells.clone(),
        );
        let start_seconds = Family::<Label, SecondsOnce>::default();
        registry.register_with_unit(
            "start",
            "How long each phase of the start took: boot of the machine, metadata, weights and device, which overlap, \
             register, first_lease",
            Unit::Seconds,
            start_seconds.clone(),
        );
        let device = DeviceMeter::default();
        let all = Inner {
            registry,
            devices: Mutex::new(vec![device.clone()]),
            device_seconds,
            cells,
            evaluations,
            batch_cells,
            start_seconds,
        };
        Self {
            all: Arc::new(all),
            device,
        }
    }
}

impl Metrics {
    /// The metrics of one more node of this process: what is counted is told in sum.
    #[must_use]
    pub fn of_another_node(&self) -> Self {
        let device = DeviceMeter::default();
        self.devices().push(device.clone());
        Self {
            all: self.all.clone(),
            device,
        }
    }

    /// The account of the device's time.
    pub fn device(&self) -> &DeviceMeter {
        &self.device
    }

    /// A cell's work at this node has ended.
    pub fn cell_ended(&self, outcome: Outcome) {
        let label = [("outcome", outcome.label())];
        self.all.cells.get_or_create(&label).inc();
    }

    /// The losses of so many pictures, or of one so many times, were evaluated.
    pub fn evaluated(&self, evaluations: u64) {
        self.all.evaluations.inc_by(evaluations);
    }

    /// The renderer was given a block.
    pub fn block_begun(&self, cells: usize) {
        self.all.batch_cells.observe(cells as f64);
    }

    /// A phase of the start has ended.
    pub fn phase_took(&self, phase: &'static str, seconds: f64) {
        let gauge = self.all.start_seconds.get_or_create(&[("phase", phase)]);
        gauge.set(seconds);
    }

    /// Everything in the text format of `OpenMetrics`, which Prometheus reads.
    pub fn text(&self) -> String {
        let times: Vec<_> = self.devices().iter().map(DeviceMeter::read).collect();
        let rendering: Duration = times.iter().map(|time| time.rendering).sum();
        let idle: Duration = times.iter().map(|time| time.idle).sum();
        for (state, total) in [("rendering", rendering), ("idle", idle)] {
            let seconds = self.all.device_seconds.get_or_create(&[("state", state)]);
            // Two scrapes at once may overtake each other; a counter must not fall.
            seconds.inc_by((total.as_secs_f64() - seconds.get()).max(0.0));
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.all.registry);
        text
    }

    fn devices(&self) -> MutexGuard<'_, Vec<DeviceMeter>> {
        // Every change is one push, so a panic elsewhere leaves the list whole.
        let devices = self.all.devices.lock();
        devices.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves `GET /metrics` until `shutdown`.
pub async fn serve(listener: TcpListener, metrics: Metrics, shutdown: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = async {
            let permit = room.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let Some((permit, accepted)) = shutdown.run_until_cancelled(accepted).await else {
            return;
        };
        match accepted {
            Ok((stream, peer)) => {
                let metrics = metrics.clone();
                tokio::spawn(async move {
                    answer(stream, peer, metrics).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection for metrics");
                tokio::time::sleep(ACCEPT_RETRY_WAIT).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, peer: SocketAddr, metrics: Metrics) {
    let service = service_fn(|request| {
        let answer = respond(&request, &metrics);
        async { answer }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_TIMEOUT)
        // Each scrape is one connection, so that no scraper keeps others out.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a scrape broke off"),
        Err(_) => tracing::debug!(%peer, "a scrape took too long"),
    }
}

fn respond(
    request: &Request<Incoming>,
    metrics: &Metrics,
) -> Result<Response<Full<Bytes>>, hyper::http::Error> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => Response::builder()
            .header(CONTENT_TYPE, OPEN_METRICS)
            .body(Full::new(Bytes::from(metrics.text()))),
        _ => Response::builder()
            .status(StatusCode::NOT_FOUND)
            .body(Full::new(Bytes::from_static(b"see /metrics\n"))),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_scrape_tells_what_the_node_did() {
        let metrics = Metrics::default();
        metrics.cell_ended(Outcome::Done);
        metrics.cell_ended(Outcome::Done);
        metrics.cell_ended(Outcome::Failed);
        metrics.evaluated(1);
        metrics.block_begun(3);
        metrics.device().begin_block();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, metrics, shutdown.clone()));
        let ask = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = ask("/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        for line in [
            "atelier_node_cells_total{outcome=\"done\"} 2\n",
            "atelier_node_cells_total{outcome=\"failed\"} 1\n",
            "atelier_node_evaluations_total 1\n",
            "atelier_node_batch_cells_bucket{le=\"2.0\"} 0\n",
            "atelier_node_batch_cells_bucket{le=\"4.0\"} 1\n",
            "# UNIT atelier_node_device_seconds seconds\n",
            "atelier_node_device_seconds_total{state=\"idle\"} 0.0\n",
            "atelier_node_device_seconds_total{state=\"rendering\"} ",
        ] {
            assert!(answer.contains(line), "{line} is missing in {answer}");
        }
        assert!(answer.ends_with("# EOF\n"));
        assert!(ask("/").await.starts_with("HTTP/1.1 404"));
        shutdown.cancel();
        serving.await.unwrap();
    }

    #[test]
    fn nodes_of_one_process_are_told_in_sum() {
        let first = Metrics::default();
        let second = first.of_another_node();
        first.evaluated(2);
        second.evaluated(3);
        for node in [&first, &second] {
            node.device().begin_block();
        }
        std::thread::sleep(Duration::from_millis(20));
        for node in [&first, &second] {
            node.device().end_block();
            assert!(node.device().read().rendering >= Duration::from_millis(20));
        }
        let text = first.text();
        assert!(
            text.contains("atelier_node_evaluations_total 5\n"),
            "{text}"
        );
        let rendering = "atelier_node_device_seconds_total{state=\"rendering\"} ";
        let seconds = text.split(rendering).nth(1).unwrap().lines().next();
        assert!(seconds.unwrap().parse::<f64>().unwrap() >= 0.04, "{text}");
    }
}
