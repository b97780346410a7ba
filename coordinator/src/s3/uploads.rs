//! Listings of multipart uploads under way and of their parts.

use s3s::S3Result;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, ETag, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListPartsInput, ListPartsOutput, MultipartUpload, Part as WirePart,
};
use s3s::s3_error;

use super::backend::{Backend, wire_time};
use super::checksum::{Algorithm, echo_checksum};
use super::fault::Fault;
use super::index::Part;
use super::listing::{Names, beyond, page_entries};
use super::objects::refuse_unsupported;

impl Backend {
    pub(super) async fn list_parts_of(&self, input: ListPartsInput) -> S3Result<ListPartsOutput> {
        self.check_bucket(&input.bucket)?;
        let parts_max = page_entries(input.max_parts)?;
        let marker = input.part_number_marker.unwrap_or(0);
        let upload = self.upload(&input.upload_id, &input.key).await?;
        let parts = self
            .index
            .parts(&upload.id, marker, parts_max as u32 + 1)
            .await;
        let mut parts = parts.map_err(Fault::from)?;
        let truncated = parts.len() > parts_max as usize;
        parts.truncate(parts_max as usize);
        let checksum = upload.checksum;
        Ok(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            max_parts: Some(parts_max),
            part_number_marker: Some(marker),
            next_part_number_marker: parts.last().map(|part| part.number),
            is_truncated: Some(truncated),
            checksum_algorithm: checksum
                .map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
            checksum_type: checksum.map(|(_, kind)| ChecksumType::from_static(kind.name())),
            parts: Some(parts.into_iter().map(wire_part).collect()),
            ..ListPartsOutput::default()
        })
    }

    pub(super) async fn list_uploads(
        &self,
        input: ListMultipartUploadsInput,
    ) -> S3Result<ListMultipartUploadsOutput> {
        self.check_bucket(&input.bucket)?;
        refuse_unsupported!(input, delimiter);
        let names = Names::new(input.encoding_type.as_ref())?;
        let uploads_max = page_entries(input.max_uploads)?;
        let prefix = input.prefix.unwrap_or_default();
        let key_marker = input.key_marker.unwrap_or_default();
        let id_marker = input.upload_id_marker.unwrap_or_default();
        // Without an id, a key as marker means that no upload of that key comes.
        let mut after = (key_marker.clone().into_bytes(), id_marker.clone());
        if !key_marker.is_empty() && id_marker.is_empty() {
            after.0.push(0);
        }
        if after.0.as_slice() < prefix.as_bytes() {
            after = (prefix.clone().into_bytes(), String::new());
        }
        let uploads = self
            .index
            .uploads(
                (&after.0, &after.1),
                beyond(&prefix).as_deref(),
                uploads_max as u32 + 1,
            )
            .await;
        let mut uploads = uploads.map_err(Fault::from)?;
        let truncated = uploads.len() > uploads_max as usize;
        uploads.truncate(uploads_max as usize);
        let next = uploads.last().filter(|_| truncated);
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(names.write(prefix)),
            key_marker: Some(names.write(key_marker)),
            upload_id_marker: Some(id_marker),
            next_key_marker: next.map(|upload| names.write(upload.key.clone())),
            next_upload_id_marker: next.map(|upload| upload.id.clone()),
            max_uploads: Some(uploads_max),
            is_truncated: Some(truncated),
            encoding_type: input.encoding_type,
            uploads: Some(
                uploads
                    .into_iter()
                    .map(|upload| MultipartUpload {
                        key: Some(names.write(upload.key)),
                        upload_id: Some(upload.id),
                        initiated: Some(wire_time(upload.initiated)),
                        ..MultipartUpload::default()
                    })
                    .collect(),
            ),
            ..ListMultipartUploadsOutput::default()
        })
    }
}

fn wire_part(part: Part) -> WirePart {
    let mut wire = WirePart {
        part_number: Some(part.number),
        size: Some(part.bytes as i64),
        e_tag: Some(ETag::Strong(part.etag)),
        last_modified: Some(wire_time(part.modified)),
        ..WirePart::default()
    };
    echo_checksum!(wire, part.checksum.as_ref());
    wire
}
