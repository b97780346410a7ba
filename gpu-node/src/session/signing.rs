//! The coordinator signs what this node sends to the bucket.

use std::fmt;

use atelier_gallery::signed::{Sign, SignError, Signatures, Wanted};
use atelier_proto::connect::Route;
use atelier_proto::ids::NodeId;
use atelier_proto::retry;
use atelier_proto::v1;
use atelier_proto::v1::bucket_client::BucketClient;
use backon::{ExponentialBuilder, Retryable as _};
use tonic::Status;

use super::{CALL_TIMEOUT, is_passing, timed};

/// Further tries at a call that a coordinator did not take.
const RETRIES_MAX: usize = 2;

/// The way to whoever signs.
#[derive(Clone)]
pub(super) struct Signing {
    client: BucketClient<Route>,
    /// None before it is registered, when it may have weights alone.
    node: Option<NodeId>,
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signing").field(&self.node).finish()
    }
}

/// The coordinator did not sign.
#[derive(Debug, thiserror::Error)]
#[error("the coordinator does not sign for the bucket: {}", .0.message())]
pub(super) struct NotSigned(pub(super) Status);

impl Signing {
    pub(super) fn new(client: BucketClient<Route>, node: Option<NodeId>) -> Self {
        Self { client, node }
    }
}

#[tonic::async_trait]
impl Sign for Signing {
    async fn sign(&self, wanted: &[Wanted]) -> Result<Signatures, SignError> {
        let request = v1::SignRequest {
            node_id: self.node.map(|node| node.to_string()).unwrap_or_default(),
            wanted: wanted.iter().map(v1::Wanted::from).collect(),
        };
        let call = || async {
            let request = timed(request.clone(), CALL_TIMEOUT);
            self.client.clone().sign(request).await
        };
        let backoff = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(std::time::Duration::from_millis(200))
            .with_max_times(RETRIES_MAX);
        let answer = call
            .retry(backoff)
            .when(is_passing)
            .adjust(retry::hinted)
            .await;
        let answer = answer.map_err(|status| {
            let is_passing = is_passing(&status);
            SignError::new(NotSigned(status), is_passing)
        })?;
        Signatures::try_from(answer.into_inner()).map_err(|error| SignError::new(error, false))
    }
}
