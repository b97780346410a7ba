//! A node's life with a coordinator: register, lease, renew, leave.
//!
//! It knows gRPC and no torch, nor whether the node renders or simulates.
//!
//! - [`link`] is the way to the coordinator and the bucket, to which the coordinator signs ([`signing`]), much of it [`ahead`]
//! - [`blocks`] keeps the device supplied: one block is rendered, the next one prepared, those before it are stored
//! - [`attempt`] carries one leased cell from its inputs to its picture, or to an [`error`]; [`leased`] is what it is told
//! - [`store`] puts pictures into the bucket, as [`files`], and the [`headers`] of their gallery; [`checkpoints`] keeps what is
//!   half done there; [`outage`] waits for it
//! - [`losses`] keeps how the loss went, [`previews`] shows how the picture does
//! - [`verdicts`] tells the coordinator what became of a cell, [`releases`] that it is given back; [`held`] knows which
//!   cells this node holds
//! - [`renewals`] keep the leases alive; [`leaving`] is how it ends

mod ahead;
mod attempt;
mod blocks;
mod checkpoints;
mod error;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod headers;
mod held;
mod leased;
mod leaving;
mod link;
mod losses;
mod outage;
mod previews;
mod releases;
mod renewals;
mod signing;
mod store;
mod verdicts;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::signed::SignedBucket;
use atelier_proto::clock::Stopwatch;
use atelier_proto::connect::{AccessError, Route, TlsFault, is_broken_off};
use atelier_proto::ids::NodeId;
use atelier_proto::telemetry::context;
use atelier_proto::v1::nodes_client::NodesClient;
use atelier_proto::{retry, v1, version};
use backon::{ExponentialBuilder, Retryable as _};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Code, Status};

use self::checkpoints::CHECKPOINT_PUTS_MAX;
use self::headers::KnownKeys;
use self::held::HeldCells;
pub use self::link::Link;
use self::outage::Outage;
use self::releases::Releases;
use self::renewals::RenewalPace;
use crate::cell_log::Logs;
use crate::departure::Departure;
use crate::executor::Executor;
use crate::inputs::Inputs;
use crate::metrics::Metrics;
use crate::start_up::StartUp;

/// How long a call may take, but for a lease, which waits for work.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What a session needs to know.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// What people call this node.
    pub name: String,
    /// The cloud's id of this machine, if it has one.
    pub instance_id: Option<String>,
    /// What grids may ask of their nodes.
    pub labels: HashMap<String, String>,
    /// US dollars that an hour of this node costs, if somebody knows.
    pub dollars_per_hour: Option<f64>,
    /// How long to try to reach the coordinator and the bucket at the start; machines of one fleet boot in any order.
    pub connect_timeout: Duration,
    /// How often what a cell has become is put where the coordinator wants its checkpoints.
    pub checkpoint_interval: Duration,
    /// How often what a cell looks like is put where people can see it; zero: never.
    pub preview_interval: Duration,
    /// How long a cell waits for a bucket that is away before it is given back.
    pub bucket_patience: Duration,
    /// How long cells may take to stop and be given back when the node leaves at once.
    pub leave_timeout: Duration,
}

/// What a node works with.
#[derive(Debug)]
pub struct Equipment {
    /// What renders.
    pub executor: Executor,
    /// Photos and paintings.
    pub inputs: Inputs,
    /// What is counted.
    pub metrics: Metrics,
    /// What is kept of the log.
    pub logs: Logs,
    /// How long the start took.
    pub start_up: StartUp,
}

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The URL is none.
    #[error(
        "{url:?} is not the URL of a coordinator\nhint: write it as in http://127.0.0.1:7878 or https://atelier.example.com"
    )]
    BadUrl {
        /// What was given.
        url: String,
    },
    /// What this node was told of whom to trust and who it is cannot be used.
    #[error(transparent)]
    Access(AccessError),
    /// There is no secure way to the coordinator.
    #[error("there is no secure connection to the coordinator at {url}: {fault}\nhint: {}", fault.hint)]
    Insecure {
        /// Where it should be.
        url: String,
        /// What TLS says, and what to do.
        fault: TlsFault,
    },
    /// Nobody answered in time.
    #[error(
        "cannot reach the coordinator at {url}: {}\n\
         hint: is atelier-coordinator running there? name another with --coordinator",
        status.message()
    )]
    Unreachable {
        /// Where it should be.
        url: String,
        /// The last answer.
        status: Status,
    },
    /// The coordinator does not want this node.
    #[error("the coordinator refused this node: {}", .0.message())]
    Refused(Status),
    /// The bucket does not work for this node.
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

/// What every task of a session shares.
struct Session {
    node: NodeId,
    nodes: NodesClient<Route>,
    bucket: SignedBucket,
    /// Turns of cells at the bucket.
    at_bucket: Arc<Semaphore>,
    executor: Executor,
    inputs: Inputs,
    metrics: Metrics,
    logs: Logs,
    start_up: StartUp,
    held: HeldCells,
    releases: Releases,
    /// The coordinator has taken a picture from this node, and so knows how long its cells take.
    is_measured: AtomicBool,
    /// Header pictures that are in the bucket already.
    headers: KnownKeys,
    outage: Outage,
    bucket_patience: Duration,
    leave_timeout: Duration,
    departure: Departure,
    checkpoint_interval: Duration,
    preview_interval: Duration,
    /// Checkpoints that are being put.
    checkpoint_puts: Arc<Semaphore>,
    registration: v1::RegisterRequest,
}

/// Works for a coordinator until the `departure` is asked for, or until it drains this node; then finishes or gives back
/// what it holds.
pub async fn run(
    config: &SessionConfig,
    link: &Link,
    equipment: Equipment,
    departure: Departure,
) -> Result<(), SessionError> {
    let Equipment {
        executor,
        inputs,
        metrics,
        logs,
        start_up,
    } = equipment;
    let begun = Stopwatch::start();
    let node = NodeId::generate();
    let about = executor.about();
    let registration = v1::RegisterRequest {
        node_id: node.to_string(),
        name: config.name.clone(),
        device: about.device.clone(),
        memory_bytes: about.memory_bytes,
        batch_capacity: executor.batch_wanted(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance_id: config.instance_id.clone().unwrap_or_default(),
        labels: config.labels.clone(),
        dollars_per_hour: config.dollars_per_hour,
    };
    let at_once = departure.at_once().clone();
    let register = register(config, link, &registration);
    let Some(registered) = at_once.run_until_cancelled(register).await.transpose()? else {
        return Ok(());
    };
    let pace = RenewalPace::of(&registered);
    let bucket = link.bucket(Some(node));
    if executor.leaves().pictures {
        let checked = Box::pin(link.check(config, &bucket));
        if at_once
            .run_until_cancelled(checked)
            .await
            .transpose()?
            .is_none()
        {
            return Ok(());
        }
    }
    start_up.registered(begun);
    metrics.readiness().coordinator_answers(true);
    metrics.device_is(about.memory_bytes, executor.batch_wanted());
    tracing::info!(%node, name = config.name, coordinator = link.url, "registered");

    let session = Arc::new(Session {
        node,
        nodes: link.nodes.clone(),
        bucket,
        at_bucket: link.at_bucket.clone(),
        executor,
        inputs,
        metrics,
        logs,
        start_up,
        held: HeldCells::default(),
        releases: Releases::default(),
        is_measured: AtomicBool::new(false),
        headers: KnownKeys::default(),
        outage: Outage::default(),
        bucket_patience: config.bucket_patience,
        leave_timeout: config.leave_timeout,
        departure,
        checkpoint_interval: config.checkpoint_interval,
        preview_interval: config.preview_interval,
        checkpoint_puts: Arc::new(Semaphore::new(CHECKPOINT_PUTS_MAX)),
        registration,
    });
    session.work(pace).await;
    Ok(())
}

/// Whether the same call may succeed later, at the start, where whom we do not trust now we do not trust in a second
/// either. Later on what is wrong may be mended while the node lives.
fn is_passing_at_start(status: &Status) -> bool {
    TlsFault::of(status).is_none() && is_passing(status)
}

/// Whether the same call may succeed later. All are idempotent, so one that was taken before its connection broke may come
/// again.
fn is_passing(status: &Status) -> bool {
    is_broken_off(status)
        || matches!(
            status.code(),
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled
        )
}

/// A request with a deadline of its own, which belongs to the current span.
fn timed<T>(message: T, timeout: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(timeout);
    version::tell(request.metadata_mut());
    context::inject(request.metadata_mut());
    request
}

/// How long between two tries to reach whom a node needs.
fn at_start(config: &SessionConfig) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(5))
        .with_total_delay(Some(config.connect_timeout))
        .without_max_times()
}

async fn register(
    config: &SessionConfig,
    link: &Link,
    registration: &v1::RegisterRequest,
) -> Result<v1::RegisterResponse, SessionError> {
    let call = || async {
        let request = timed(registration.clone(), CALL_TIMEOUT);
        link.nodes.clone().register(request).await
    };
    let answer = call
        .retry(at_start(config))
        .when(is_passing_at_start)
        .adjust(retry::hinted)
        .notify(|status, after| link.not_there_yet(status, after))
        .await
        .map_err(|status| link.unanswered(status))?;
    if let Some(doubt) = version::doubt(answer.metadata()) {
        tracing::warn!("{doubt}");
    }
    Ok(answer.into_inner())
}

impl Session {
    /// A coordinator that lost its memory, or was replaced, learns of this node anew.
    async fn register_again(&self) {
        self.is_measured.store(false, Ordering::Relaxed);
        let request = timed(self.registration.clone(), CALL_TIMEOUT);
        match self.nodes.clone().register(request).await {
            Ok(_) => tracing::info!("registered again"),
            Err(status) => tracing::warn!(error = status.message(), "cannot register again"),
        }
    }

    /// Takes cells and carries them out until the node leaves.
    async fn work(self: Arc<Self>, pace: RenewalPace) {
        // Ends the supply of new cells; cells in hand go on until `leave`.
        let drain = CancellationToken::new();
        let renewing = tokio::spawn(self.clone().keep_renewing(pace, drain.clone()));
        let announcing = tokio::spawn(self.clone().announce(drain.clone()));
        let at_once = self.departure.at_once();
        let attempts = TaskTracker::new();
        tokio::select! {
            () = self.clone().keep_leasing(&attempts, drain) => {
                tracing::info!("drained: finishing the cells in hand");
                attempts.close();
                at_once.run_until_cancelled(attempts.wait()).await;
            }
            () = at_once.cancelled() => {}
        }
        attempts.close();
        let saying = async {
            let Some(reason) = self.departure.reason() else {
                return announcing.abort();
            };
            // It may have finished what it held for one reason when a better one came.
            if announcing.await.ok().flatten() != Some(reason) {
                self.say_leaving().await;
            }
        };
        tokio::join!(self.leave(&attempts), saying);
        renewing.abort();
    }
}

#[cfg(test)]
mod tests;
