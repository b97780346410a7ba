//! The way from a node to its coordinator and to the bucket. Nodes of one process share it.

use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::signed::{Http, SignedBucket};
use atelier_proto::connect::{Access, AccessError, Route, TlsFault};
use atelier_proto::ids::NodeId;
use atelier_proto::v1::bucket_client::BucketClient;
use atelier_proto::v1::nodes_client::NodesClient;
use backon::Retryable as _;
use tokio::sync::{OnceCell, Semaphore};
use tonic::Status;
use tonic::transport::Endpoint;

use super::signing::{NotSigned, Signing};
use super::{SessionConfig, SessionError, at_start, is_passing};

/// Cells that ask the bucket for something at once, inputs and checkpoints aside; further ones wait. Each takes a
/// connection.
const CELLS_AT_BUCKET_MAX: usize = 64;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a connection without traffic is tried.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// One connection to the coordinator, and those to the bucket; clones share them.
#[derive(Debug, Clone)]
pub struct Link {
    pub(super) url: String,
    access: Access,
    pub(super) nodes: NodesClient<Route>,
    signs: BucketClient<Route>,
    http: Http,
    pub(super) at_bucket: Arc<Semaphore>,
    /// Whether the bucket has answered.
    is_checked: Arc<OnceCell<()>>,
}

impl Link {
    /// A link to the coordinator at this URL, or to those at these, separated by commas: calls are spread over them, and one
    /// that is away is passed over when a call is tried again. Nobody is asked yet.
    pub fn new(url: &str, access: Access) -> Result<Self, SessionError> {
        let route = route(&access, url)?;
        Ok(Self {
            url: url.to_owned(),
            nodes: NodesClient::new(route.clone()),
            signs: BucketClient::new(route),
            http: Http::trusting(access.authorities())?,
            access,
            at_bucket: Arc::new(Semaphore::new(CELLS_AT_BUCKET_MAX)),
            is_checked: Arc::default(),
        })
    }

    /// The same with a connection to the coordinator of its own: one carries a bounded number of calls at once.
    pub fn with_own_connection(&self) -> Result<Self, SessionError> {
        let route = route(&self.access, &self.url)?;
        Ok(Self {
            nodes: NodesClient::new(route.clone()),
            signs: BucketClient::new(route),
            ..self.clone()
        })
    }

    /// The bucket, as a node has it, or whoever is none yet and wants weights.
    pub(super) fn bucket(&self, node: Option<NodeId>) -> SignedBucket {
        let signing = Signing::new(self.signs.clone(), node);
        SignedBucket::new(self.http.clone(), Arc::new(signing))
    }

    /// The bucket, for who needs it before a node is registered; waits for a coordinator that starts at the same time.
    pub async fn bucket_at_start(
        &self,
        config: &SessionConfig,
    ) -> Result<SignedBucket, SessionError> {
        let bucket = self.bucket(None);
        self.check(config, &bucket).await?;
        Ok(bucket)
    }

    /// Asks for the bucket until it answers, once for all who share this link.
    pub(super) async fn check(
        &self,
        config: &SessionConfig,
        bucket: &SignedBucket,
    ) -> Result<(), SessionError> {
        let check = || bucket.check();
        let checking = || {
            check
                .retry(at_start(config))
                .when(BucketError::is_passing)
                .notify(|error, after| {
                    tracing::info!(%error, ?after, "the bucket cannot be reached yet");
                })
        };
        let checked = self.is_checked.get_or_try_init(checking).await;
        let failed = |error| match error {
            BucketError::NotSigned(error) => match error.cause().downcast_ref() {
                Some(NotSigned(status)) => self.unanswered(status.clone()),
                None => BucketError::NotSigned(error).into(),
            },
            error => error.into(),
        };
        match checked {
            Ok(()) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Told while a call at the start is tried again.
    pub(super) fn not_there_yet(&self, status: &Status, after: Duration) {
        tracing::info!(
            coordinator = self.url,
            error = status.message(),
            ?after,
            "the coordinator cannot be reached yet"
        );
    }

    /// Why a call at the start has no answer.
    pub(super) fn unanswered(&self, status: Status) -> SessionError {
        let url = self.url.clone();
        if let Some(fault) = TlsFault::of(&status) {
            let fault = fault.clone();
            SessionError::Insecure { url, fault }
        } else if is_passing(&status) {
            SessionError::Unreachable { url, status }
        } else {
            SessionError::Refused(status)
        }
    }
}

fn route(access: &Access, urls: &str) -> Result<Route, SessionError> {
    let urls: Vec<&str> = urls.split(',').map(str::trim).collect();
    let tune = |endpoint: Endpoint| {
        endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_while_idle(true)
    };
    access.route(&urls, tune).map_err(|error| match error {
        AccessError::BadUrl(url) => SessionError::BadUrl { url },
        other => SessionError::Access(other),
    })
}
