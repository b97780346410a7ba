//! The S3 operations that there are; all others are refused as not implemented.
//!
//! Thin: each operation is a method in the module of its noun.

use std::sync::Arc;

use async_trait::async_trait;
use atelier_proto::clock::Clock;
use jiff::Timestamp;
use s3s::dto;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::REGION;
use super::files::Files;
use super::index::Index;

/// One bucket.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    bucket: Arc<str>,
    pub(super) index: Index,
    pub(super) files: Arc<Files>,
    pub(super) clock: Clock,
}

impl Backend {
    pub(super) fn new(bucket: &str, index: Index, files: Arc<Files>, clock: Clock) -> Self {
        Self {
            bucket: bucket.into(),
            index,
            files,
            clock,
        }
    }

    pub(super) async fn close(&self) {
        self.index.close().await;
    }

    /// # Errors
    /// When the request is for another bucket than ours.
    pub(super) fn check_bucket(&self, bucket: &str) -> S3Result<()> {
        if bucket == &*self.bucket {
            Ok(())
        } else {
            Err(s3_error!(
                NoSuchBucket,
                "there is no bucket `{bucket}` here"
            ))
        }
    }
}

/// A time as `s3s` has it.
pub(super) fn wire_time(time: Timestamp) -> dto::Timestamp {
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(time.as_nanosecond());
    time.unwrap_or(time::OffsetDateTime::UNIX_EPOCH).into()
}

#[async_trait]
impl S3 for Backend {
    async fn list_buckets(
        &self,
        _: S3Request<dto::ListBucketsInput>,
    ) -> S3Result<S3Response<dto::ListBucketsOutput>> {
        let bucket = dto::Bucket {
            name: Some(self.bucket.to_string()),
            // Nobody keeps it, and clients want to have one.
            creation_date: Some(wire_time(Timestamp::UNIX_EPOCH)),
            ..dto::Bucket::default()
        };
        let output = dto::ListBucketsOutput {
            buckets: Some(vec![bucket]),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn head_bucket(
        &self,
        request: S3Request<dto::HeadBucketInput>,
    ) -> S3Result<S3Response<dto::HeadBucketOutput>> {
        self.check_bucket(&request.input.bucket)?;
        let output = dto::HeadBucketOutput {
            bucket_region: Some(REGION.to_owned()),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<dto::GetBucketLocationInput>,
    ) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
        self.check_bucket(&request.input.bucket)?;
        // No constraint is how S3 says us-east-1.
        Ok(S3Response::new(dto::GetBucketLocationOutput::default()))
    }

    async fn create_bucket(
        &self,
        request: S3Request<dto::CreateBucketInput>,
    ) -> S3Result<S3Response<dto::CreateBucketOutput>> {
        let (bucket, ours) = (&request.input.bucket, &self.bucket);
        if bucket == &**ours {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "the bucket `{bucket}` is already there"
            ));
        }
        Err(s3_error!(
            AccessDenied,
            "this endpoint has one bucket, `{ours}`, and makes no other"
        ))
    }

    async fn put_object(
        &self,
        request: S3Request<dto::PutObjectInput>,
    ) -> S3Result<S3Response<dto::PutObjectOutput>> {
        self.put(request).await.map(S3Response::new)
    }

    async fn get_object(
        &self,
        request: S3Request<dto::GetObjectInput>,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        self.get(request.input).await.map(S3Response::new)
    }

    async fn head_object(
        &self,
        request: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        self.head(request.input).await.map(S3Response::new)
    }

    async fn delete_object(
        &self,
        request: S3Request<dto::DeleteObjectInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        self.delete(request.input).await.map(S3Response::new)
    }

    async fn delete_objects(
        &self,
        request: S3Request<dto::DeleteObjectsInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
        self.delete_many(request.input).await.map(S3Response::new)
    }

    async fn copy_object(
        &self,
        request: S3Request<dto::CopyObjectInput>,
    ) -> S3Result<S3Response<dto::CopyObjectOutput>> {
        self.copy(request.input).await.map(S3Response::new)
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        self.list_v2(request.input).await.map(S3Response::new)
    }

    async fn list_objects(
        &self,
        request: S3Request<dto::ListObjectsInput>,
    ) -> S3Result<S3Response<dto::ListObjectsOutput>> {
        self.list_v1(request.input).await.map(S3Response::new)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<dto::CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
        self.begin_upload(request.input).await.map(S3Response::new)
    }

    async fn upload_part(
        &self,
        request: S3Request<dto::UploadPartInput>,
    ) -> S3Result<S3Response<dto::UploadPartOutput>> {
        self.put_part(request).await.map(S3Response::new)
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<dto::UploadPartCopyInput>,
    ) -> S3Result<S3Response<dto::UploadPartCopyOutput>> {
        self.copy_part(request.input).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<dto::CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
        self.complete_upload(request.input)
            .await
            .map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<dto::AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
        self.abort_upload(request.input).await.map(S3Response::new)
    }

    async fn list_parts(
        &self,
        request: S3Request<dto::ListPartsInput>,
    ) -> S3Result<S3Response<dto::ListPartsOutput>> {
        self.list_parts_of(request.input).await.map(S3Response::new)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<dto::ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<dto::ListMultipartUploadsOutput>> {
        self.list_uploads(request.input).await.map(S3Response::new)
    }
}
