//! Multipart uploads under way: begin, put a part, abort.

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::backend::Backend;
use super::checksum::{self, Algorithm, Kind, checksum_fields, echo_checksum};
use super::fault::{Fault, detached};
use super::index::{Part, PartOutcome, Properties, Upload};
use super::intake::{self, Demands, Received};
use super::objects::{properties_of, refuse_unsupported};

/// The most parts of an upload, as S3 has it.
pub(super) const PARTS_MAX: i32 = 10_000;

impl Backend {
    pub(super) async fn begin_upload(
        &self,
        mut input: CreateMultipartUploadInput,
    ) -> S3Result<CreateMultipartUploadOutput> {
        self.check_bucket(&input.bucket)?;
        refuse_unsupported!(
            input,
            server_side_encryption,
            sse_customer_algorithm,
            ssekms_key_id,
            object_lock_mode,
            object_lock_legal_hold_status,
            tagging,
            website_redirect_location
        );
        let properties = properties_of!(input);
        let algorithm = input
            .checksum_algorithm
            .as_ref()
            .map(|name| Algorithm::parse(name.as_str()));
        let kind = input
            .checksum_type
            .as_ref()
            .map(|name| Kind::parse(name.as_str()));
        let kind = kind.transpose()?;
        let checksum = algorithm
            .transpose()?
            .map(|algorithm| (algorithm, kind.unwrap_or_else(|| algorithm.usual_kind())));
        let upload = Upload {
            id: uuid::Uuid::new_v4().simple().to_string(),
            key: input.key,
            initiated: self.clock.now(),
            properties,
            checksum,
        };
        self.index.add_upload(&upload).await.map_err(Fault::from)?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(upload.key),
            upload_id: Some(upload.id),
            checksum_algorithm: checksum
                .map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
            checksum_type: checksum.map(|(_, kind)| ChecksumType::from_static(kind.name())),
            ..CreateMultipartUploadOutput::default()
        })
    }

    pub(super) async fn put_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<UploadPartOutput> {
        let S3Request {
            mut input,
            headers,
            trailing_headers,
            ..
        } = request;
        self.check_bucket(&input.bucket)?;
        refuse_unsupported!(input, sse_customer_algorithm);
        check_number(input.part_number)?;
        let upload = self.upload(&input.upload_id, &input.key).await?;
        let declared = checksum::declared(checksum_fields!(input))?;
        let demands = Demands {
            content_length: input.content_length,
            content_md5: input.content_md5.take(),
            checksum: checksum::expected(
                &headers,
                declared,
                input.checksum_algorithm.as_ref(),
                upload.checksum.map(|(algorithm, _)| algorithm),
            )?,
            trailers: trailing_headers,
        };
        let received = intake::receive(&self.files, input.body.take(), demands).await?;
        let mut output = UploadPartOutput {
            e_tag: Some(ETag::Strong(received.md5.clone())),
            ..UploadPartOutput::default()
        };
        echo_checksum!(output, received.checksum.as_ref());
        self.add_part(upload, input.part_number, received).await?;
        Ok(output)
    }

    pub(super) async fn add_part(
        &self,
        upload: Upload,
        number: i32,
        received: Received,
    ) -> S3Result<()> {
        let part = Part {
            number,
            file: received.file.name().clone(),
            bytes: received.bytes,
            etag: received.md5,
            modified: self.clock.now(),
            checksum: received.checksum,
        };
        let (backend, file) = (self.clone(), received.file);
        detached(async move {
            match backend.index.put_part(&upload.id, &part).await {
                Ok(PartOutcome::Done { replaced }) => {
                    file.keep();
                    backend.files.remove(replaced).await;
                    Ok(())
                }
                Ok(PartOutcome::NoUpload) => Err(no_such_upload()),
                Err(error) => {
                    backend.keep_if_named(file).await;
                    Err(Fault::from(error).into())
                }
            }
        })
        .await
    }

    pub(super) async fn abort_upload(
        &self,
        input: AbortMultipartUploadInput,
    ) -> S3Result<AbortMultipartUploadOutput> {
        self.check_bucket(&input.bucket)?;
        let backend = self.clone();
        detached(async move {
            let freed = backend.index.abort(&input.upload_id, &input.key).await;
            let freed = freed.map_err(Fault::from)?.ok_or_else(no_such_upload)?;
            backend.files.remove(freed).await;
            Ok(AbortMultipartUploadOutput::default())
        })
        .await
    }

    pub(super) async fn upload(&self, id: &str, key: &str) -> S3Result<Upload> {
        let upload = self.index.upload(id, key).await.map_err(Fault::from)?;
        upload.ok_or_else(no_such_upload)
    }
}

pub(super) fn check_number(part: i32) -> S3Result<()> {
    if (1..=PARTS_MAX).contains(&part) {
        return Ok(());
    }
    Err(s3_error!(
        InvalidArgument,
        "a part has a number from 1 to {PARTS_MAX}"
    ))
}

pub(super) fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "there is no such upload; it may have been completed or aborted"
    )
}
