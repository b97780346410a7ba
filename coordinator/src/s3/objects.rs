//! Objects: put, get, head, delete.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::Range;

use atelier_proto::fault;
use s3s::dto::{
    ChecksumMode, ChecksumType, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, DeletedObject, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput,
    HeadObjectOutput, PutObjectInput, PutObjectOutput, StreamingBlob,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::backend::{Backend, wire_time};
use super::checksum::{self, Algorithm, checksum_fields, echo_checksum};
use super::conditions::{ReadConditions, ReadVerdict, WriteConditions};
use super::fault::{Fault, detached};
use super::files::NewFile;
use super::index::{Object, Properties, Written};
use super::intake::{self, Demands};
use super::payload::Payload;

/// What S3 calls a body of which nobody said what it is.
const CONTENT_TYPE_USUAL: &str = "binary/octet-stream";
/// The most bytes of names and values of user metadata, as S3 has it.
const METADATA_BYTES_MAX: usize = 2 << 10;
/// The most keys of one `DeleteObjects`, as S3 has it.
const DELETE_KEYS_MAX: usize = 1000;
/// An object may be replaced between the look into the index and the opening of its file; not this often.
pub(super) const OPEN_TRIES_MAX: u32 = 5;

/// The header fields that an input carries for an object, as its properties.
macro_rules! properties_of {
    ($input:expr) => {
        Properties {
            content_type: $input.content_type.take().map(|kind| kind.to_string()),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $crate::s3::objects::stored_encoding($input.content_encoding.take()),
            content_language: $input.content_language.take(),
            metadata: $crate::s3::objects::checked_metadata($input.metadata.take())?,
        }
    };
}
pub(super) use properties_of;

/// The conditions of an input that reads.
macro_rules! read_conditions {
    ($input:expr) => {
        ReadConditions {
            if_match: $input.if_match,
            if_none_match: $input.if_none_match,
            if_modified_since: $input.if_modified_since,
            if_unmodified_since: $input.if_unmodified_since,
        }
    };
}

/// An output that says of an object all but its bytes and its checksum.
macro_rules! described {
    ($output:ident, $object:expr) => {
        $output {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some($object.bytes as i64),
            e_tag: Some(ETag::Strong($object.etag)),
            last_modified: Some(wire_time($object.modified)),
            content_type: Some(content_type($object.properties.content_type)),
            cache_control: $object.properties.cache_control,
            content_disposition: $object.properties.content_disposition,
            content_encoding: $object.properties.content_encoding,
            content_language: $object.properties.content_language,
            metadata: wire_metadata($object.properties.metadata),
            ..$output::default()
        }
    };
}

/// Refuses what would be a promise that this endpoint does not keep.
macro_rules! refuse_unsupported {
    ($input:expr, $($field:ident),+) => {
        $(if $input.$field.is_some() {
            return Err(s3_error!(NotImplemented, "{} is not implemented", stringify!($field)));
        })+
    };
}
pub(super) use refuse_unsupported;

impl Backend {
    pub(super) async fn put(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<PutObjectOutput> {
        let S3Request {
            mut input,
            headers,
            trailing_headers,
            ..
        } = request;
        self.check_bucket(&input.bucket)?;
        refuse_unsupported!(
            input,
            server_side_encryption,
            sse_customer_algorithm,
            ssekms_key_id,
            object_lock_mode,
            object_lock_legal_hold_status,
            tagging,
            website_redirect_location,
            write_offset_bytes
        );
        let conditions = WriteConditions::new(input.if_none_match.as_ref(), input.if_match.take())?;
        let properties = properties_of!(input);
        let declared = checksum::declared(checksum_fields!(input))?;
        let demands = Demands {
            content_length: input.content_length,
            content_md5: input.content_md5.take(),
            checksum: checksum::expected(
                &headers,
                declared,
                input.checksum_algorithm.as_ref(),
                None,
            )?,
            trailers: trailing_headers,
        };
        let received = intake::receive(&self.files, input.body.take(), demands).await?;
        let object = Object {
            key: input.key,
            file: received.file.name().clone(),
            bytes: received.bytes,
            etag: received.md5,
            modified: self.clock.now(),
            properties,
            checksum: received.checksum,
        };
        let mut output = PutObjectOutput {
            e_tag: Some(ETag::Strong(object.etag.clone())),
            ..PutObjectOutput::default()
        };
        echo_checksum!(output, object.checksum.as_ref());
        self.make_visible(received.file, object, conditions).await?;
        Ok(output)
    }

    /// Makes a durable file an object, if the conditions hold.
    pub(super) async fn make_visible(
        &self,
        file: NewFile,
        object: Object,
        conditions: WriteConditions,
    ) -> S3Result<()> {
        let backend = self.clone();
        detached(async move {
            fault::OBJECT_WRITTEN.pass();
            match backend.index.put(&object, &conditions).await {
                Ok(Written::Done { replaced }) => {
                    fault::OBJECT_PUT.pass();
                    file.keep();
                    backend.files.remove(replaced).await;
                    Ok(())
                }
                Ok(Written::Refused(refusal)) => Err(refusal.into()),
                Err(error) => {
                    backend.keep_if_named(file).await;
                    Err(Fault::from(error).into())
                }
            }
        })
        .await
    }

    /// After a failed commit: drops the file only when it is certain that the index does not name it.
    pub(super) async fn keep_if_named(&self, file: NewFile) {
        if !matches!(self.index.names(file.name()).await, Ok(false)) {
            file.keep();
        }
    }

    pub(super) async fn get(&self, input: GetObjectInput) -> S3Result<GetObjectOutput> {
        self.check_bucket(&input.bucket)?;
        refuse_unsupported!(input, part_number, sse_customer_algorithm);
        check_version(input.version_id.as_deref())?;
        let (object, file) = self.open(&input.key).await?;
        check_read(&read_conditions!(input), &object)?;
        let range = input
            .range
            .map(|range| satisfiable(range, object.bytes))
            .transpose()?;
        let bytes = range.clone().unwrap_or(0..object.bytes);
        let payload = Payload::new(file, &bytes).map_err(S3Error::internal_error)?;
        let mut output = GetObjectOutput {
            body: Some(StreamingBlob::new(payload)),
            content_length: Some((bytes.end - bytes.start) as i64),
            content_range: range
                .map(|range| format!("bytes {}-{}/{}", range.start, range.end - 1, object.bytes)),
            ..described!(GetObjectOutput, object)
        };
        // The checksum is of the whole, and a client would compare it with what it got.
        if is_checksum_asked(input.checksum_mode.as_ref()) && output.content_range.is_none() {
            echo_checksum!(output, object.checksum.as_ref());
            output.checksum_type = object
                .checksum
                .map(|checksum| ChecksumType::from_static(checksum.kind.name()));
        }
        Ok(output)
    }

    pub(super) async fn head(&self, input: HeadObjectInput) -> S3Result<HeadObjectOutput> {
        self.check_bucket(&input.bucket)?;
        refuse_unsupported!(input, part_number, sse_customer_algorithm);
        check_version(input.version_id.as_deref())?;
        let object = self.index.object(&input.key).await.map_err(Fault::from)?;
        let object = object.ok_or_else(|| no_such_key(&input.key))?;
        check_read(&read_conditions!(input), &object)?;
        let mut output = described!(HeadObjectOutput, object);
        if is_checksum_asked(input.checksum_mode.as_ref()) {
            echo_checksum!(output, object.checksum.as_ref());
            output.checksum_type = object
                .checksum
                .map(|checksum| ChecksumType::from_static(checksum.kind.name()));
        }
        Ok(output)
    }

    /// An object and its opened file, which stays readable whatever happens to the object.
    pub(super) async fn open(&self, key: &str) -> S3Result<(Object, File)> {
        for _ in 0..OPEN_TRIES_MAX {
            let object = self.index.object(key).await.map_err(Fault::from)?;
            let object = object.ok_or_else(|| no_such_key(key))?;
            if let Some(file) = self.files.read(&object.file).await? {
                return Ok((object, file));
            }
        }
        tracing::error!(key, "the file of an object is missing");
        Err(s3_error!(
            InternalError,
            "the bytes of the object are missing"
        ))
    }

    pub(super) async fn delete(&self, input: DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
        self.check_bucket(&input.bucket)?;
        refuse_unsupported!(input, if_match_last_modified_time, if_match_size);
        check_version(input.version_id.as_deref())?;
        let conditions = WriteConditions::new(None, input.if_match)?;
        self.delete_keys(vec![input.key], conditions).await?;
        Ok(DeleteObjectOutput::default())
    }

    pub(super) async fn delete_many(
        &self,
        input: DeleteObjectsInput,
    ) -> S3Result<DeleteObjectsOutput> {
        self.check_bucket(&input.bucket)?;
        let objects = input.delete.objects;
        if objects.is_empty() || objects.len() > DELETE_KEYS_MAX {
            return Err(s3_error!(
                MalformedXML,
                "1 to {DELETE_KEYS_MAX} keys can be deleted at once"
            ));
        }
        for object in &objects {
            refuse_unsupported!(object, e_tag, last_modified_time, size);
            check_version(object.version_id.as_deref())?;
        }
        let keys: Vec<String> = objects.into_iter().map(|object| object.key).collect();
        self.delete_keys(keys.clone(), WriteConditions::default())
            .await?;
        let deleted = |key| DeletedObject {
            key: Some(key),
            ..DeletedObject::default()
        };
        let quiet = input.delete.quiet.unwrap_or(false);
        Ok(DeleteObjectsOutput {
            deleted: (!quiet).then(|| keys.into_iter().map(deleted).collect()),
            ..DeleteObjectsOutput::default()
        })
    }

    async fn delete_keys(&self, keys: Vec<String>, conditions: WriteConditions) -> S3Result<()> {
        let backend = self.clone();
        detached(async move {
            let freed = backend
                .index
                .delete(&keys, &conditions)
                .await
                .map_err(Fault::from)?;
            backend.files.remove(freed?).await;
            Ok(())
        })
        .await
    }
}

/// # Errors
/// 304 and 412, with the headers that a cache wants to see.
fn check_read(conditions: &ReadConditions, object: &Object) -> S3Result<()> {
    let code = match conditions.verdict(&object.etag, object.modified) {
        ReadVerdict::Proceed => return Ok(()),
        ReadVerdict::NotModified => S3ErrorCode::NotModified,
        ReadVerdict::Failed => S3ErrorCode::PreconditionFailed,
    };
    let mut error = S3Error::with_message(code, "a condition of the request did not hold");
    let mut headers = http::HeaderMap::new();
    if let Ok(etag) = ETag::Strong(object.etag.clone()).to_http_header() {
        headers.insert(http::header::ETAG, etag);
    }
    error.set_headers(headers);
    Err(error)
}

pub(super) fn satisfiable(range: s3s::dto::Range, bytes: u64) -> S3Result<Range<u64>> {
    range.check(bytes).map_err(|_| {
        let mut error = s3_error!(InvalidRange, "the object has {bytes} bytes");
        let mut headers = http::HeaderMap::new();
        if let Ok(value) = http::HeaderValue::try_from(format!("bytes */{bytes}")) {
            headers.insert(http::header::CONTENT_RANGE, value);
        }
        error.set_headers(headers);
        error
    })
}

pub(super) fn check_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(NoSuchVersion, "this endpoint keeps no versions")),
    }
}

pub(super) fn no_such_key(key: &str) -> S3Error {
    s3_error!(NoSuchKey, "there is no object `{key}`")
}

fn is_checksum_asked(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

fn content_type(stored: Option<String>) -> String {
    stored.unwrap_or_else(|| CONTENT_TYPE_USUAL.to_owned())
}

fn wire_metadata(stored: BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!stored.is_empty()).then(|| stored.into_iter().collect())
}

/// `aws-chunked` is about the way here, not about the object.
pub(super) fn stored_encoding(header: Option<String>) -> Option<String> {
    let header = header?;
    let codings = header.split(',').map(str::trim);
    let stored: Vec<&str> = codings
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!stored.is_empty()).then(|| stored.join(","))
}

pub(super) fn checked_metadata(
    metadata: Option<HashMap<String, String>>,
) -> S3Result<BTreeMap<String, String>> {
    let metadata: BTreeMap<String, String> = metadata.unwrap_or_default().into_iter().collect();
    let bytes: usize = metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > METADATA_BYTES_MAX {
        return Err(s3_error!(
            MetadataTooLarge,
            "metadata has at most {METADATA_BYTES_MAX} bytes"
        ));
    }
    Ok(metadata)
}
