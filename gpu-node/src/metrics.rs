//! What a node tells Prometheus and probes, and the endpoint that serves it. Names, help and labels are in `metrics.toml` of
//! `proto`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_proto::metrics::{
    CONTENT_TYPE, Counters, Gauge, Gauges, Program, Registrar, SecondsCounters, text as encoded,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::device_time::DeviceMeter;
use crate::readiness::Readiness;

/// Scrapes that are answered at once; further ones wait.
const CONNECTIONS_MAX: usize = 8;
/// How long a scraper may take to say what it wants, and to take it.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when the system has no connection to give, as when files have run out.
const ACCEPT_RETRY_WAIT: Duration = Duration::from_millis(200);

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
    /// As metrics and traces have it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Released => "released",
            Self::Dropped => "dropped",
        }
    }
}

/// The node's metrics; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    all: Arc<Inner>,
    device: DeviceMeter,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    readiness: Readiness,
    /// Of every node of this process.
    devices: Mutex<Vec<DeviceMeter>>,
    device_seconds: SecondsCounters,
    device_memory: Gauge,
    device_errors: Counter,
    cells: Counters,
    evaluations: Counter,
    batch_cells: Histogram,
    batch_capacity: Gauge,
    start_seconds: Gauges,
    bucket_up: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registrar = Registrar::of(Program::Node);
        let to = &mut registrar;
        let build = to.gauges("atelier_node_build_info", 1);
        build.of([env!("CARGO_PKG_VERSION")]).set(1.0);
        let bucket_up = to.gauge("atelier_node_bucket_up");
        bucket_up.set(1.0);
        let coordinator_up = to.gauge("atelier_node_coordinator_up");
        coordinator_up.set(0.0);
        let device = DeviceMeter::default();
        let all = Inner {
            readiness: Readiness::told_by(coordinator_up),
            devices: Mutex::new(vec![device.clone()]),
            device_seconds: to.seconds("atelier_node_device_seconds", 1),
            device_memory: to.gauge("atelier_node_device_memory_bytes"),
            device_errors: to.counter("atelier_node_device_errors"),
            cells: to.counters("atelier_node_cells", 1),
            evaluations: to.counter("atelier_node_evaluations"),
            batch_cells: to.histogram("atelier_node_batch_cells"),
            batch_capacity: to.gauge("atelier_node_batch_capacity_cells"),
            start_seconds: to.gauges("atelier_node_start_seconds", 1),
            bucket_up,
            registry: registrar.finish(),
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
        self.all.cells.of([outcome.label()]).inc();
    }

    /// The losses of so many pictures, or of one so many times, were evaluated.
    pub fn evaluated(&self, evaluations: u64) {
        self.all.evaluations.inc_by(evaluations);
    }

    /// Whether the node can do its work.
    pub fn readiness(&self) -> &Readiness {
        &self.all.readiness
    }

    /// What the device can give, and what it does at once as far as was measured.
    pub fn device_is(&self, memory_bytes: u64, batch_capacity: u32) {
        self.all.device_memory.set(memory_bytes as f64);
        self.all.batch_capacity.set(f64::from(batch_capacity));
    }

    /// A render ended with a fault of the device or the library.
    pub fn device_failed(&self) {
        self.all.device_errors.inc();
    }

    /// The bucket takes and gives, or cells wait for it.
    pub fn bucket_answers(&self, answers: bool) {
        self.all.bucket_up.set_whether(answers);
    }

    /// The device begins with so many cells at once.
    pub fn batch_begun(&self, cells: usize) {
        self.all.batch_cells.observe(cells as f64);
    }

    /// A phase of the start has ended.
    pub fn phase_took(&self, phase: &'static str, seconds: f64) {
        self.all.start_seconds.of([phase]).set(seconds);
    }

    /// Everything in the text format of `OpenMetrics`, which Prometheus reads.
    pub fn text(&self) -> String {
        let times: Vec<_> = self.devices().iter().map(DeviceMeter::read).collect();
        let rendering: Duration = times.iter().map(|time| time.rendering).sum();
        let idle: Duration = times.iter().map(|time| time.idle).sum();
        for (state, total) in [("rendering", rendering), ("idle", idle)] {
            let seconds = self.all.device_seconds.of([state]);
            // Two scrapes at once may overtake each other; a counter must not fall.
            seconds.inc_by((total.as_secs_f64() - seconds.get()).max(0.0));
        }
        encoded(&self.all.registry)
    }

    fn devices(&self) -> MutexGuard<'_, Vec<DeviceMeter>> {
        // Every change is one push, so a panic elsewhere leaves the list whole.
        let devices = self.all.devices.lock();
        devices.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves `GET /metrics`, `/healthz` and `/readyz` until `shutdown`.
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
            .header(header::CONTENT_TYPE, CONTENT_TYPE)
            .body(Full::new(Bytes::from(metrics.text()))),
        // Whoever answers is alive.
        (&Method::GET, "/healthz") => Response::builder()
            .header(header::CONTENT_TYPE, "text/plain")
            .body(Full::new(Bytes::from_static(b"ok\n"))),
        (&Method::GET, "/readyz") => {
            let report = metrics.readiness().report();
            let status = if report.ready {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            Response::builder()
                .status(status)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(json!(report).to_string().into()))
        }
        _ => Response::builder()
            .status(StatusCode::NOT_FOUND)
            .body(Full::new(Bytes::from_static(
                b"see /metrics, /healthz and /readyz\n",
            ))),
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
        metrics.batch_begun(3);
        metrics.device().begin_batch();
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
        assert!(ask("/healthz").await.starts_with("HTTP/1.1 200"));
        let answer = ask("/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(
            answer.ends_with('}') && answer.contains("the network is not loaded"),
            "{answer}"
        );
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
            node.device().begin_batch();
        }
        std::thread::sleep(Duration::from_millis(20));
        for node in [&first, &second] {
            node.device().end_batch();
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
