//! The bucket of a stack: weights put into it, and at the end it and all that is in it removed.

use std::path::Path;
use std::time::Duration;

use atelier_gallery::keys::weights_key;
use atelier_proto::ids::Digest;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::weights::WeightsError;
use super::{Cloud, CloudError};

/// How long an upload of weights may take.
const UPLOAD_TIMEOUT: Duration = Duration::from_hours(2);

impl Cloud {
    /// Whether the bucket has weights with this digest.
    pub async fn has_weights(&self, bucket: &str, digest: Digest) -> Result<bool, CloudError> {
        let call = self.s3.head_object().bucket(bucket);
        match call.key(weights_key(&digest)).send().await {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(CloudError::of("HeadObject", &error)),
        }
    }

    /// Puts a file of weights into the bucket, unless it is there. S3 refuses it if it is not what its digest says.
    pub async fn put_weights(
        &self,
        bucket: &str,
        path: &Path,
        digest: Digest,
    ) -> Result<(), CloudError> {
        if self.has_weights(bucket, digest).await? {
            return Ok(());
        }
        let unreadable = |error: aws_sdk_s3::primitives::ByteStreamError| {
            CloudError::from(WeightsError::Read {
                path: path.to_owned(),
                source: std::io::Error::other(error),
            })
        };
        let body = ByteStream::from_path(path).await.map_err(unreadable)?;
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(UPLOAD_TIMEOUT);
        let config = aws_sdk_s3::config::Builder::new().timeout_config(timeouts.build());
        let call = self
            .s3
            .put_object()
            .bucket(bucket)
            .key(weights_key(&digest))
            .checksum_sha256(BASE64_STANDARD.encode(digest.as_bytes()))
            .body(body);
        let put = call.customize().config_override(config).send().await;
        put.map_err(|error| CloudError::of("PutObject", &error))?;
        Ok(())
    }

    /// Removes all that is in the bucket, with every version and what was put half, and the bucket. `tell` is told how many
    /// objects have gone. One that is not there is as good as removed.
    pub async fn remove_bucket(
        &self,
        bucket: &str,
        tell: impl Fn(usize),
    ) -> Result<(), CloudError> {
        if !self.empty_bucket(bucket, tell).await? {
            return Ok(());
        }
        let deleted = self.s3.delete_bucket().bucket(bucket).send().await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if is_no_bucket(&error) => Ok(()),
            Err(error) => Err(CloudError::of("DeleteBucket", &error)),
        }
    }

    /// Empties it; whether there is such a bucket.
    async fn empty_bucket(&self, bucket: &str, tell: impl Fn(usize)) -> Result<bool, CloudError> {
        // Always the first page: the one before it is gone.
        loop {
            let page = self.s3.list_multipart_uploads().bucket(bucket).send().await;
            let page = match page {
                Err(error) if is_no_bucket(&error) => return Ok(false),
                page => page.map_err(|error| CloudError::of("ListMultipartUploads", &error))?,
            };
            if page.uploads().is_empty() {
                break;
            }
            for upload in page.uploads() {
                let call = self.s3.abort_multipart_upload().bucket(bucket);
                let call = call.set_key(upload.key.clone());
                let call = call.set_upload_id(upload.upload_id.clone());
                let aborted = call.send().await;
                aborted.map_err(|error| CloudError::of("AbortMultipartUpload", &error))?;
            }
        }
        let mut gone = 0;
        loop {
            let page = self.s3.list_object_versions().bucket(bucket).send().await;
            let page = page.map_err(|error| CloudError::of("ListObjectVersions", &error))?;
            let versions = page.versions().iter();
            let versions = versions.map(|it| (it.key.clone(), it.version_id.clone()));
            let markers = page.delete_markers().iter();
            let markers = markers.map(|it| (it.key.clone(), it.version_id.clone()));
            let objects: Vec<ObjectIdentifier> = versions
                .chain(markers)
                .filter_map(|(key, version)| identifier(key?, version))
                .collect();
            if objects.is_empty() {
                return Ok(true);
            }
            gone += objects.len();
            self.delete_objects(bucket, objects).await?;
            tell(gone);
        }
    }

    async fn delete_objects(
        &self,
        bucket: &str,
        objects: Vec<ObjectIdentifier>,
    ) -> Result<(), CloudError> {
        let call = "DeleteObjects";
        let failed = |problem: String| CloudError::Failed { call, problem };
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true);
        let delete = delete.build().map_err(|error| failed(error.to_string()))?;
        let deleted = self.s3.delete_objects().bucket(bucket).delete(delete);
        let deleted = deleted.send().await;
        let deleted = deleted.map_err(|error| CloudError::of(call, &error))?;
        match deleted.errors().first() {
            Some(error) => Err(failed(format!(
                "{}: {}",
                error.key().unwrap_or_default(),
                error.message().or(error.code()).unwrap_or_default()
            ))),
            None => Ok(()),
        }
    }
}

fn identifier(key: String, version: Option<String>) -> Option<ObjectIdentifier> {
    let object = ObjectIdentifier::builder().key(key);
    object.set_version_id(version).build().ok()
}

fn status<E>(error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>) -> Option<u16> {
    error.raw_response().map(|answer| answer.status().as_u16())
}

fn is_no_bucket<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    let code = error.as_service_error().and_then(|error| error.code());
    code == Some("NoSuchBucket")
}
