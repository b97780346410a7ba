//! The end of a multipart upload: its parts become one object.

use std::collections::BTreeMap;
use std::sync::Arc;

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, ETag,
};
use s3s::{S3Error, S3Result, s3_error};

use super::backend::Backend;
use super::checksum::{self, Algorithm, Checksum, Hasher, Kind, checksum_fields, echo_checksum};
use super::conditions::WriteConditions;
use super::fault::{Fault, detached};
use super::file_name::FileName;
use super::files::NewFile;
use super::index::{Completion, Object, Part};
use super::intake::OBJECT_BYTES_MAX;
use super::multipart::{PARTS_MAX, no_such_upload};
use super::objects::refuse_unsupported;

/// The least size of every part but the last, as S3 has it.
const PART_BYTES_MIN: u64 = 5 << 20;

impl Backend {
    pub(super) async fn complete_upload(
        &self,
        mut input: CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        self.check_bucket(&input.bucket)?;
        refuse_unsupported!(input, sse_customer_algorithm);
        let conditions = WriteConditions::new(input.if_none_match.as_ref(), input.if_match.take())?;
        let upload = self.upload(&input.upload_id, &input.key).await?;
        let there = self
            .index
            .parts(&upload.id, 0, PARTS_MAX as u32)
            .await
            .map_err(Fault::from)?;
        let listed = input
            .multipart_upload
            .take()
            .and_then(|upload| upload.parts);
        let parts = choose(&listed.unwrap_or_default(), there)?;
        let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
        if bytes > OBJECT_BYTES_MAX {
            return Err(s3_error!(
                EntityTooLarge,
                "an object has at most {OBJECT_BYTES_MAX} bytes"
            ));
        }
        if input
            .mpu_object_size
            .is_some_and(|size| size as u64 != bytes)
        {
            return Err(s3_error!(
                InvalidRequest,
                "the parts have {bytes} bytes together"
            ));
        }

        let declared = checksum::declared(checksum_fields!(input))?;
        let kind = input
            .checksum_type
            .as_ref()
            .map(|name| Kind::parse(name.as_str()));
        let wanted = wanted_checksum(upload.checksum, declared.as_ref(), kind.transpose()?)?;
        let (file, checksum) = self.join(&parts, wanted).await?;
        if let (Some((_, value)), Some(found)) = (&declared, &checksum)
            && *value != found.value
        {
            return Err(s3_error!(
                BadDigest,
                "the object does not have the checksum that was sent"
            ));
        }
        let object = Object {
            key: upload.key,
            file: file.name().clone(),
            bytes,
            etag: etag(&parts)?,
            modified: self.clock.now(),
            properties: upload.properties,
            checksum,
        };
        let mut output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(object.etag.clone())),
            checksum_type: object
                .checksum
                .as_ref()
                .map(|checksum| ChecksumType::from_static(checksum.kind.name())),
            ..CompleteMultipartUploadOutput::default()
        };
        echo_checksum!(output, object.checksum.as_ref());

        let backend = self.clone();
        detached(async move {
            match backend
                .index
                .complete(&upload.id, &object, &conditions)
                .await
            {
                Ok(Completion::Done { freed }) => {
                    file.keep();
                    backend.files.remove(freed).await;
                    Ok(())
                }
                Ok(Completion::Refused(refusal)) => Err(refusal.into()),
                Ok(Completion::NoUpload) => Err(no_such_upload()),
                Err(error) => {
                    backend.keep_if_named(file).await;
                    Err(Fault::from(error).into())
                }
            }
        })
        .await?;
        Ok(output)
    }

    /// Writes the parts one after the other into a new file.
    async fn join(
        &self,
        parts: &[Part],
        wanted: Option<(Algorithm, Kind)>,
    ) -> S3Result<(NewFile, Option<Checksum>)> {
        let (mut hasher, mut checksum) = (None, None);
        match wanted {
            Some((algorithm, Kind::FullObject)) => hasher = Some(Hasher::new(algorithm)),
            Some((algorithm, Kind::Composite)) => {
                let sums: Vec<_> = parts.iter().map(|part| part.checksum.clone()).collect();
                checksum = Some(checksum::composite(algorithm, &sums)?);
            }
            None => {}
        }
        let bytes = parts.iter().map(|part| part.bytes).sum();
        let (new, mut file) = self.files.create(bytes).await?;
        let names: Vec<FileName> = parts.iter().map(|part| part.file.clone()).collect();
        let files = Arc::clone(&self.files);
        let joined = tokio::task::spawn_blocking(move || {
            for name in &names {
                files.append(name, &mut file, |bytes| {
                    if let Some(hasher) = &mut hasher {
                        hasher.update(bytes);
                    }
                })?;
            }
            Ok((file, hasher))
        });
        let (file, hasher) = match joined.await.map_err(Fault::from)? {
            Ok(joined) => joined,
            // A part was replaced, or the upload aborted, while it was being completed.
            Err(error) if std::io::Error::kind(&error) == std::io::ErrorKind::NotFound => {
                return Err(s3_error!(InvalidPart, "a part was replaced meanwhile"));
            }
            Err(error) => return Err(new.write_fault(error).into()),
        };
        new.sync(file).await?;
        Ok((new, hasher.map(Hasher::finish).or(checksum)))
    }
}

/// The parts that a completion names, out of those that are there.
///
/// # Errors
/// When the list is empty or out of order, names a part that is not there or is another, or when a part before the
/// last is too small.
fn choose(listed: &[CompletedPart], there: Vec<Part>) -> S3Result<Vec<Part>> {
    if listed.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "a completion has to name at least one part"
        ));
    }
    let mut there: BTreeMap<i32, Part> =
        there.into_iter().map(|part| (part.number, part)).collect();
    let mut chosen: Vec<Part> = Vec::with_capacity(listed.len());
    for wanted in listed {
        let number = wanted.part_number.unwrap_or_default();
        if chosen.last().is_some_and(|last| last.number >= number) {
            return Err(s3_error!(InvalidPartOrder, "part {number} is out of order"));
        }
        let part = there.remove(&number);
        let part = part.ok_or_else(|| s3_error!(InvalidPart, "there is no part {number}"))?;
        if wanted
            .e_tag
            .as_ref()
            .is_none_or(|etag| etag.value() != part.etag)
        {
            return Err(s3_error!(InvalidPart, "part {number} has another ETag"));
        }
        if let Some((algorithm, value)) = checksum::declared(checksum_fields!(wanted))?
            && part
                .checksum
                .as_ref()
                .is_none_or(|found| (found.algorithm, &found.value) != (algorithm, &value))
        {
            return Err(s3_error!(InvalidPart, "part {number} has another checksum"));
        }
        chosen.push(part);
    }
    let full = chosen.split_last().map_or(&[][..], |(_, full)| full);
    if let Some(part) = full.iter().find(|part| part.bytes < PART_BYTES_MIN) {
        let number = part.number;
        return Err(s3_error!(
            EntityTooSmall,
            "part {number} has less than {PART_BYTES_MIN} bytes and is not the last"
        ));
    }
    Ok(chosen)
}

/// Which checksum a completed object gets.
fn wanted_checksum(
    of_upload: Option<(Algorithm, Kind)>,
    declared: Option<&(Algorithm, String)>,
    kind: Option<Kind>,
) -> S3Result<Option<(Algorithm, Kind)>> {
    let wanted = match (of_upload, declared) {
        (Some((begun, _)), Some((algorithm, _))) if begun != *algorithm => {
            let (begun, sent) = (begun.name(), algorithm.name());
            return Err(s3_error!(
                InvalidRequest,
                "the upload began with {begun}, not {sent}"
            ));
        }
        (Some(begun), _) => Some(begun),
        (None, Some((algorithm, value))) if value.contains('-') => {
            Some((*algorithm, Kind::Composite))
        }
        (None, Some((algorithm, _))) => Some((*algorithm, Kind::FullObject)),
        (None, None) => None,
    };
    match (wanted, kind) {
        (Some((_, begun)), Some(kind)) if begun != kind => Err(s3_error!(
            InvalidRequest,
            "the upload began with another checksum type"
        )),
        _ => Ok(wanted),
    }
}

/// MD5 of the MD5s of the parts, and how many they are: what S3 makes of it.
fn etag(parts: &[Part]) -> S3Result<String> {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(&hex::decode(&part.etag).map_err(S3Error::internal_error)?);
    }
    Ok(format!("{}-{}", hex::encode(md5.finalize()), parts.len()))
}
