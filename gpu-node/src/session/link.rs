//! The way from a node to its coordinator and to the bucket. Nodes of one process share it.

use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::bucket::{Bucket, BucketError};
use atelier_proto::connect::{Access, AccessError, Route, TlsFault};
use atelier_proto::storage::Storage;
use atelier_proto::v1;
use atelier_proto::v1::grids_client::GridsClient;
use atelier_proto::v1::nodes_client::NodesClient;
use backon::Retryable as _;
use tokio::sync::{OnceCell, Semaphore};
use tonic::Status;
use tonic::transport::Endpoint;

use super::{
    CALL_TIMEOUT, SessionConfig, SessionError, at_start, connect, is_passing, is_passing_at_start,
    timed,
};

/// Cells that ask the bucket for something at once, inputs and checkpoints aside; further ones wait. Each takes a
/// connection.
const CELLS_AT_BUCKET_MAX: usize = 64;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a connection without traffic is tried.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// One connection to the coordinator and the bucket that it named; clones share both.
#[derive(Debug, Clone)]
pub struct Link {
    pub(super) url: String,
    access: Access,
    pub(super) nodes: NodesClient<Route>,
    grids: GridsClient<Route>,
    pub(super) at_bucket: Arc<Semaphore>,
    bucket: Arc<OnceCell<Bucket>>,
}

impl Link {
    /// A link to the coordinator at this URL, or to those at these, separated by commas: calls are spread over them, and one
    /// that is away is passed over when a call is tried again. Nobody is asked yet.
    pub fn new(url: &str, access: Access) -> Result<Self, SessionError> {
        let route = route(&access, url)?;
        Ok(Self {
            url: url.to_owned(),
            access,
            nodes: NodesClient::new(route.clone()),
            grids: GridsClient::new(route),
            at_bucket: Arc::new(Semaphore::new(CELLS_AT_BUCKET_MAX)),
            bucket: Arc::default(),
        })
    }

    /// The same with a connection to the coordinator of its own: one carries a bounded number of calls at once.
    pub fn with_own_connection(&self) -> Result<Self, SessionError> {
        Ok(Self {
            nodes: NodesClient::new(route(&self.access, &self.url)?),
            ..self.clone()
        })
    }

    /// The bucket, for who needs it before a node is registered; waits for a coordinator that starts at the same time.
    pub async fn bucket_at_start(&self, config: &SessionConfig) -> Result<Bucket, SessionError> {
        let call = || async {
            let request = timed(v1::StorageRequest {}, CALL_TIMEOUT);
            self.grids.clone().storage(request).await
        };
        let response = call
            .retry(at_start(config))
            .when(is_passing_at_start)
            .notify(|status, after| self.not_there_yet(status, after))
            .await
            .map_err(|status| self.unanswered(status))?;
        let storage = response.into_inner().storage.unwrap_or_default();
        let storage = Storage::try_from(storage)?;
        Ok(connect(config, self, &storage, true).await?)
    }

    /// The bucket, connected to when it is first asked for; then it is checked too, if it is `used`.
    pub(super) async fn bucket(
        &self,
        storage: &Storage,
        used: bool,
    ) -> Result<Bucket, BucketError> {
        let connect = || async {
            let bucket = Bucket::connect_trusting(storage, self.access.authorities()).await?;
            if used {
                bucket.check().await?;
            }
            Ok(bucket)
        };
        self.bucket.get_or_try_init(connect).await.cloned()
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
