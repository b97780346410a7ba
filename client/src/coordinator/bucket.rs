//! The way to the bucket, to which the coordinator has the keys.

use std::collections::HashMap;
use std::sync::Arc;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::signed::{Http, Sign, SignError, Signatures, SignedBucket, Wanted};
use atelier_proto::connect::Route;
use atelier_proto::ids::GridId;
use atelier_proto::v1;
use atelier_proto::v1::bucket_client::BucketClient;

use super::{ANSWER_BYTES_MAX, Coordinator, RpcError};

fn client(route: Route) -> BucketClient<Route> {
    BucketClient::new(route).max_decoding_message_size(ANSWER_BYTES_MAX)
}

impl Coordinator {
    /// The bucket, by requests that this coordinator signs.
    ///
    /// # Errors
    /// When the file of authorities to trust cannot be used, or no HTTP client can be made.
    pub fn bucket(&self) -> Result<SignedBucket, BucketError> {
        Ok(SignedBucket::new(
            Http::trusting(self.access.authorities())?,
            Arc::new(self.clone()),
        ))
    }

    /// Lengths of what the bucket has of a grid, by path relative to the grid's place.
    pub async fn sizes(&self, grid: GridId) -> Result<HashMap<String, u64>, RpcError> {
        let mut sizes = HashMap::new();
        let mut page_token = String::new();
        loop {
            let message = v1::ListObjectsRequest {
                grid_id: grid.to_string(),
                page_size: 0,
                page_token,
            };
            let answer = self
                .call(message, async |route, request| {
                    client(route).list_objects(request).await
                })
                .await?;
            let objects = answer.objects.into_iter();
            sizes.extend(objects.map(|object| (object.path, object.bytes)));
            if answer.next_page_token.is_empty() {
                return Ok(sizes);
            }
            page_token = answer.next_page_token;
        }
    }
}

#[tonic::async_trait]
impl Sign for Coordinator {
    async fn sign(&self, wanted: &[Wanted]) -> Result<Signatures, SignError> {
        let message = v1::SignRequest {
            node_id: String::new(),
            wanted: wanted.iter().map(v1::Wanted::from).collect(),
        };
        let answer = self
            .call(message, async |route, request| {
                client(route).sign(request).await
            })
            .await;
        // What passes was waited for already.
        let answer = answer.map_err(|error| SignError::new(error, false))?;
        Signatures::try_from(answer).map_err(|error| SignError::new(error, false))
    }
}
