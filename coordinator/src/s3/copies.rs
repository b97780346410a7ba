//! Copies within the bucket: of an object, and of a range of one as a part.

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, ETag,
    MetadataDirective, Range, StreamingBlob, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Error, S3Result, s3_error};

use super::backend::{Backend, wire_time};
use super::checksum::{Algorithm, Expected, ExpectedValue, echo_checksum};
use super::conditions::{ReadConditions, ReadVerdict, WriteConditions};
use super::fault::Fault;
use super::files::NewFile;
use super::index::{Object, Properties};
use super::intake::{self, Demands};
use super::multipart::check_number;
use super::objects::{
    OPEN_TRIES_MAX, check_version, no_such_key, properties_of, refuse_unsupported, satisfiable,
};
use super::payload::Payload;

/// The conditions of an input on what it copies.
macro_rules! source_conditions {
    ($input:expr) => {
        ReadConditions {
            if_match: $input.copy_source_if_match.take(),
            if_none_match: $input.copy_source_if_none_match.take(),
            if_modified_since: $input.copy_source_if_modified_since.take(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.take(),
        }
    };
}

impl Backend {
    pub(super) async fn copy(&self, mut input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
        self.check_bucket(&input.bucket)?;
        refuse_unsupported!(
            input,
            server_side_encryption,
            sse_customer_algorithm,
            copy_source_sse_customer_algorithm,
            ssekms_key_id,
            object_lock_mode,
            object_lock_legal_hold_status,
            tagging,
            website_redirect_location
        );
        let from = self.source_key(&input.copy_source)?.to_owned();
        let replace = match input
            .metadata_directive
            .as_ref()
            .map(MetadataDirective::as_str)
        {
            None | Some(MetadataDirective::COPY) => false,
            Some(MetadataDirective::REPLACE) => true,
            Some(_) => {
                return Err(s3_error!(
                    InvalidArgument,
                    "the metadata directive is unknown"
                ));
            }
        };
        if !replace && from == input.key {
            return Err(s3_error!(
                InvalidRequest,
                "a copy to itself has to change the metadata"
            ));
        }
        let conditions = source_conditions!(input);
        let (source, file) = self.duplicate(&from, &conditions).await?;
        let object = Object {
            file: file.name().clone(),
            modified: self.clock.now(),
            properties: if replace {
                properties_of!(input)
            } else {
                source.properties
            },
            key: input.key,
            ..source
        };
        let mut result = CopyObjectResult {
            e_tag: Some(ETag::Strong(object.etag.clone())),
            last_modified: Some(wire_time(object.modified)),
            ..CopyObjectResult::default()
        };
        echo_checksum!(result, object.checksum.as_ref());
        self.make_visible(file, object, WriteConditions::default())
            .await?;
        Ok(CopyObjectOutput {
            copy_object_result: Some(result),
            ..CopyObjectOutput::default()
        })
    }

    /// The key that a copy is made from.
    ///
    /// # Errors
    /// When it is in another bucket, or is an old version.
    pub(super) fn source_key<'a>(&self, source: &'a CopySource) -> S3Result<&'a str> {
        let CopySource::Bucket {
            bucket,
            key,
            version_id,
        } = source
        else {
            return Err(s3_error!(
                NotImplemented,
                "the source of a copy has to be in this bucket"
            ));
        };
        self.check_bucket(bucket)?;
        check_version(version_id.as_deref())?;
        Ok(key)
    }

    async fn duplicate(
        &self,
        key: &str,
        conditions: &ReadConditions,
    ) -> S3Result<(Object, NewFile)> {
        for _ in 0..OPEN_TRIES_MAX {
            let source = self.index.object(key).await.map_err(Fault::from)?;
            let source = source.ok_or_else(|| no_such_key(key))?;
            if conditions.verdict(&source.etag, source.modified) != ReadVerdict::Proceed {
                return Err(s3_error!(
                    PreconditionFailed,
                    "the source of the copy is another"
                ));
            }
            if let Some(file) = self.files.duplicate(&source.file).await? {
                return Ok((source, file));
            }
        }
        tracing::error!(key, "the file of an object is missing");
        Err(s3_error!(
            InternalError,
            "the bytes of the object are missing"
        ))
    }

    pub(super) async fn copy_part(
        &self,
        mut input: UploadPartCopyInput,
    ) -> S3Result<UploadPartCopyOutput> {
        self.check_bucket(&input.bucket)?;
        refuse_unsupported!(
            input,
            sse_customer_algorithm,
            copy_source_sse_customer_algorithm
        );
        check_number(input.part_number)?;
        let upload = self.upload(&input.upload_id, &input.key).await?;
        let conditions = source_conditions!(input);
        let (source, file) = self.open(self.source_key(&input.copy_source)?).await?;
        if conditions.verdict(&source.etag, source.modified) != ReadVerdict::Proceed {
            return Err(s3_error!(
                PreconditionFailed,
                "the source of the copy is another"
            ));
        }
        let range = match input.copy_source_range.as_deref().map(Range::parse) {
            None => 0..source.bytes,
            Some(Ok(range)) => satisfiable(range, source.bytes)?,
            Some(Err(error)) => {
                return Err(s3_error!(
                    error,
                    InvalidArgument,
                    "the range of the source is no range"
                ));
            }
        };
        let body = Payload::new(file, &range).map_err(S3Error::internal_error)?;
        let demands = Demands {
            checksum: upload.checksum.map(|(algorithm, _)| Expected {
                algorithm,
                value: ExpectedValue::Nothing,
            }),
            ..Demands::default()
        };
        let received =
            intake::receive(&self.files, Some(StreamingBlob::new(body)), demands).await?;
        let mut result = CopyPartResult {
            e_tag: Some(ETag::Strong(received.md5.clone())),
            last_modified: Some(wire_time(self.clock.now())),
            ..CopyPartResult::default()
        };
        echo_checksum!(result, received.checksum.as_ref());
        self.add_part(upload, input.part_number, received).await?;
        Ok(UploadPartCopyOutput {
            copy_part_result: Some(result),
            ..UploadPartCopyOutput::default()
        })
    }
}
