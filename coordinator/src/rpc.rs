//! The gRPC services: each call is parsed into the domain's types, answered, and put into the wire's types again.
//!
//! Only this folder names tonic. [`admission`] is the one door, [`convert`] holds both directions, [`status`] the one mapping
//! of errors.

mod admission;
mod bucket;
mod convert;
mod fleet;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod grids;
pub(crate) mod intake;
mod kept;
mod nodes;
mod observed;
mod status;
#[cfg(test)]
mod tests;
mod tokens;
mod versions;
mod watch;

#[cfg(test)]
pub(crate) use self::convert::{HELD_CELLS_MAX, LEASE_WAIT_MAX, LOG_CHARS_MAX, PAGE_ENTRIES_MAX};
pub(crate) use self::watch::Pulses;
#[cfg(test)]
pub(crate) use self::watch::READ_MAX as WATCH_READ_MAX;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::bucket::Bucket;
use atelier_gallery::signed::signer::Signer;
use atelier_proto::storage::Storage;
use atelier_proto::telemetry::calls::Calls;
use atelier_proto::v1;
use atelier_proto::v1::bucket_server::BucketServer;
use atelier_proto::v1::fleet_server::FleetServer;
use atelier_proto::v1::grids_server::GridsServer;
use atelier_proto::v1::nodes_server::NodesServer;
use atelier_proto::v1::tokens_server::TokensServer;
use futures::Stream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Request;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use self::admission::Admission;
use self::status::RpcError;
use crate::dispatch::Dispatcher;
use crate::domain::access::Admitted;
use crate::health::Health;
use crate::identity::Identities;
use crate::identity::audit::{About, Audit};
use crate::ledger::Ledger;
use crate::limits::callers::{Callers, Turn};
use crate::listen::{Connection, Listener, Peer};
use crate::scaler::Scaling;
use crate::submissions::Submissions;

/// What a submission may have for each cell of its grid, and beside: each cell may bring a photo whose names are as long as they
/// may be.
pub(crate) const SUBMISSION_CELL_BYTES_MAX: usize = 1400;
pub(crate) const SUBMISSION_OTHER_BYTES_MAX: usize = 2 << 20;
/// Largest submission, however many cells a grid may have.
pub(crate) const SUBMISSION_BYTES_MAX: usize = 64 << 20;
/// Largest message of all other calls: a renewal of 1024 cells has less than 100 KiB.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Calls of one connection at once.
pub(crate) const CALLS_PER_CONNECTION_MAX: u32 = 256;
/// Of the headers of one call; a token of an issuer may have 16 KiB.
pub(crate) const HEADER_BYTES_MAX: u32 = 32 << 10;
/// Streams that somebody has begun and reset before anybody looked at them, after which the connection is closed: a flood of
/// those costs this side more than the other (CVE-2023-44487).
pub(crate) const RESET_STREAMS_MAX: usize = 64;
/// The same of streams that are reset here because of what came on them.
pub(crate) const FAULTY_STREAMS_MAX: usize = 256;
/// Of what comes on a stream and was not taken yet, and on all streams of a connection.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// A peer that is silent for so long is asked whether it still lives, and is given as long to answer.
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// Largest submission of a coordinator whose grids have so many cells.
fn submission_bytes_max(cells_max: u32) -> usize {
    let of_cells = (cells_max as usize).saturating_mul(SUBMISSION_CELL_BYTES_MAX);
    of_cells
        .saturating_add(SUBMISSION_OTHER_BYTES_MAX)
        .min(SUBMISSION_BYTES_MAX)
}

/// What every service needs.
#[derive(Debug, Clone)]
pub struct Context {
    /// The truth.
    pub ledger: Arc<Ledger>,
    /// The bucket, as this process reaches it.
    pub bucket: Bucket,
    /// The bucket, as clients and nodes reach it.
    pub storage: Storage,
    /// Who signs requests to it for them.
    pub signer: Arc<Signer>,
    /// How long such a request holds.
    pub url_duration: Duration,
    /// Who takes in grids.
    pub submissions: Submissions,
    /// Who gives cells to nodes.
    pub dispatcher: Dispatcher,
    /// How the fleet follows the backlog.
    pub scaling: Arc<Scaling>,
    /// Who calls.
    pub identities: Identities,
    /// Where it is written down what they do.
    pub audit: Arc<Audit>,
    /// What each of them may have.
    pub callers: Callers,
    /// Whether this coordinator can do its work.
    pub health: Arc<Health>,
    /// Ends whatever waits.
    pub shutdown: CancellationToken,
    /// The tasks that outlive their call.
    pub tasks: TaskTracker,
    /// What is seen of the grids that are watched.
    pub(crate) pulses: Pulses,
}

/// Who makes a call, and how they showed it. The door has put it there; without the door nobody is let in.
fn admitted<T>(request: &Request<T>) -> Result<Admitted, RpcError> {
    let admitted = request.extensions().get::<Admitted>();
    admitted.cloned().ok_or(RpcError::NotAdmitted)
}

/// Where a call says what it is about.
fn about<T>(request: &Request<T>) -> About {
    let about = request.extensions().get::<About>();
    about.cloned().unwrap_or_default()
}

/// Cells, grids or objects that one call may carry for the price of one.
pub(crate) const CARRIED_FREE: usize = 100;

/// What a call costs its caller beside itself, by what it carries.
fn charge(turn: Option<&Turn>, carried: usize) {
    if let Some(turn) = turn {
        turn.charge((carried / CARRIED_FREE) as f64);
    }
}

/// The place of a call among those of its caller, which it has if it came by the door.
fn turn<T>(request: &Request<T>) -> Option<Turn> {
    request.extensions().get().cloned()
}

/// Why the services ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The server itself.
    #[error("gRPC cannot be served: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The compiled descriptors are unreadable, which is a fault of the build.
    #[error("the reflection service cannot be built: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves until shutdown; calls in hand are then finished.
pub async fn serve(context: Context, listener: Listener) -> Result<(), ServeError> {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let services = [
        observed::name_of::<GridsServer<grids::GridsService>>(),
        observed::name_of::<NodesServer<nodes::NodesService>>(),
        observed::name_of::<FleetServer<fleet::FleetService>>(),
        observed::name_of::<TokensServer<tokens::TokensService>>(),
        observed::name_of::<BucketServer<bucket::BucketService>>(),
    ];
    let (health, ending) = (context.health.clone(), context.shutdown.clone());
    let telling = async move { observed::tell_health(reporter, &services, health, ending).await };
    context.tasks.spawn(telling);
    let calls = Calls::told_to(Arc::new(observed::Counted(context.ledger.clone())));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let shutdown = context.shutdown.clone();
    let submission_bytes_max = submission_bytes_max(context.submissions.cells_max());
    let admission = Admission {
        identities: context.identities.clone(),
        audit: context.audit.clone(),
        callers: context.callers.clone(),
        ledger: context.ledger.clone(),
        submission_bytes_max,
    };
    let grids = GridsServer::new(grids::GridsService::new(context.clone()))
        .max_decoding_message_size(submission_bytes_max);
    let nodes = NodesServer::new(nodes::NodesService::new(context.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let fleet = FleetServer::new(fleet::FleetService::new(context.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let bucket = BucketServer::new(bucket::BucketService::new(context.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let tokens = TokensServer::new(tokens::TokensService::new(context))
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    Server::builder()
        .max_concurrent_streams(CALLS_PER_CONNECTION_MAX)
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION_MAX as usize)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
        .http2_max_local_error_reset_streams(Some(FAULTY_STREAMS_MAX))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_INTERVAL))
        .layer(versions::Versions::default())
        // Before the door, so that who is refused there is counted and traced, too.
        .layer(calls)
        .layer(admission)
        .add_service(grids)
        .add_service(nodes)
        .add_service(fleet)
        .add_service(tokens)
        .add_service(bucket)
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(incoming(listener), shutdown.cancelled_owned())
        .await?;
    Ok(())
}

/// What is accepted, as tonic takes it.
fn incoming(listener: Listener) -> impl Stream<Item = Result<Connection, Infallible>> {
    futures::stream::unfold(listener, async |mut listener| {
        let connection = listener.accept().await;
        Some((Ok(connection), listener))
    })
}

/// Each request has the [`Peer`] of its connection among its extensions.
impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer().clone()
    }
}
