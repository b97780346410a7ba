//! Takes the body of a request into a file: bounded, hashed on the way, checked and durable before it has a name.
//!
//! Owns the checks of length, MD5 and checksum. Knows no keys and no index.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use futures::StreamExt as _;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::stream::ByteStream as _;
use s3s::{S3Error, S3ErrorCode, S3Result, StdError, TrailingHeaders, s3_error};

use super::checksum::{Checksum, Expected, ExpectedValue, Hasher};
use super::fault::Fault;
use super::files::{Files, NewFile};

/// The largest object, and the largest part of one: 5 GiB.
pub(crate) const OBJECT_BYTES_MAX: u64 = 5 << 30;
/// What is held in memory of one body before it is written.
const BATCH_BYTES: usize = 1 << 20;
/// A body of many tiny pieces is written as often.
const BATCH_PIECES: usize = 256;
/// A body that brings nothing for so long is given up.
pub(crate) const BODY_IDLE_MAX: Duration = Duration::from_mins(1);

/// What a body has to be like.
#[derive(Debug, Default)]
pub(super) struct Demands {
    pub(super) content_length: Option<i64>,
    /// Base64, as the header has it.
    pub(super) content_md5: Option<String>,
    pub(super) checksum: Option<Expected>,
    pub(super) trailers: Option<TrailingHeaders>,
}

/// A body that is on the disk and is what was demanded.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) file: NewFile,
    pub(super) bytes: u64,
    /// In hexadecimal.
    pub(super) md5: String,
    pub(super) checksum: Option<Checksum>,
}

/// Receives a body into a new file.
///
/// # Errors
/// When the body is too large, breaks off, or is not what was demanded; no file stays behind.
pub(super) async fn receive(
    files: &Arc<Files>,
    body: Option<StreamingBlob>,
    demands: Demands,
) -> S3Result<Received> {
    let length = demands.content_length.map(u64::try_from).transpose();
    let length = length.map_err(|_| s3_error!(InvalidArgument, "Content-Length is negative"))?;
    let announced = length.or_else(|| {
        body.as_ref()
            .and_then(|b| b.remaining_length().exact())
            .map(|n| n as u64)
    });
    if announced.is_some_and(|bytes| bytes > OBJECT_BYTES_MAX) {
        return Err(too_large());
    }
    let md5_demanded = demands.content_md5.as_deref().map(parse_md5).transpose()?;

    let (new, file) = files.create(announced.unwrap_or(0)).await?;
    let mut sink = Sink {
        file,
        bytes: 0,
        md5: Md5::new(),
        checksum: demands
            .checksum
            .as_ref()
            .map(|expected| Hasher::new(expected.algorithm)),
    };
    let mut batch: Vec<Bytes> = Vec::new();
    let (mut batch_bytes, mut received) = (0_usize, 0_u64);
    if let Some(mut body) = body {
        while let Some(piece) = next_piece(&mut body).await? {
            received += piece.len() as u64;
            if received > OBJECT_BYTES_MAX {
                return Err(too_large());
            }
            batch_bytes += piece.len();
            batch.push(piece);
            if batch_bytes >= BATCH_BYTES || batch.len() >= BATCH_PIECES {
                sink = sink.write(&new, std::mem::take(&mut batch)).await?;
                batch_bytes = 0;
            }
        }
    }
    sink = sink.write(&new, batch).await?;

    let Sink {
        file,
        bytes,
        md5,
        checksum,
    } = sink;
    if length.is_some_and(|length| length != bytes) {
        return Err(s3_error!(
            IncompleteBody,
            "the body has {bytes} bytes, not as many as announced"
        ));
    }
    let md5 = md5.finalize();
    if md5_demanded.is_some_and(|demanded| demanded.as_slice() != AsRef::<[u8]>::as_ref(&md5)) {
        return Err(s3_error!(
            BadDigest,
            "the body does not have the Content-MD5 that was sent"
        ));
    }
    let checksum = checksum.map(Hasher::finish);
    if let (Some(expected), Some(found)) = (&demands.checksum, &checksum) {
        check(expected, found, demands.trailers.as_ref())?;
    }
    new.sync(file).await?;
    Ok(Received {
        file: new,
        bytes,
        md5: hex::encode(md5),
        checksum,
    })
}

/// The file under way, and what is known of its bytes.
struct Sink {
    file: File,
    bytes: u64,
    md5: Md5,
    checksum: Option<Hasher>,
}

impl Sink {
    /// Hashes and writes pieces on a thread that may block.
    async fn write(mut self, new: &NewFile, pieces: Vec<Bytes>) -> Result<Self, Fault> {
        let written = tokio::task::spawn_blocking(move || {
            for piece in &pieces {
                self.md5.update(piece);
                if let Some(checksum) = &mut self.checksum {
                    checksum.update(piece);
                }
                self.file.write_all(piece)?;
                self.bytes += piece.len() as u64;
            }
            Ok(self)
        });
        written.await?.map_err(|source| new.write_fault(source))
    }
}

async fn next_piece(body: &mut StreamingBlob) -> S3Result<Option<Bytes>> {
    match tokio::time::timeout(BODY_IDLE_MAX, body.next()).await {
        Err(_) => Err(s3_error!(RequestTimeout, "the body did not go on in time")),
        Ok(None) => Ok(None),
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(Some(Err(error))) => Err(broken_body(error)),
    }
}

/// What a body's own failure means to the client.
///
/// s3s checks the signed digest and the signatures of chunks while the body is read, and its error types are private,
/// so they are told apart by name.
fn broken_body(error: StdError) -> S3Error {
    let text = format!("{error} {error:?}");
    let mut refusal = if text.contains("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let mut refusal = S3Error::with_message(code, "the body is not the one that was signed");
        refusal.set_status_code(http::StatusCode::BAD_REQUEST);
        refusal
    } else if text.contains("SignatureMismatch") {
        s3_error!(
            SignatureDoesNotMatch,
            "a chunk of the body has a wrong signature"
        )
    } else {
        s3_error!(IncompleteBody, "the body broke off")
    };
    refusal.set_source(error);
    refusal
}

fn check(
    expected: &Expected,
    found: &Checksum,
    trailers: Option<&TrailingHeaders>,
) -> S3Result<()> {
    let name = expected.algorithm.header();
    let wanted = match &expected.value {
        ExpectedValue::Nothing => return Ok(()),
        ExpectedValue::Given(value) => Some(value.clone()),
        ExpectedValue::Trailer => trailers
            .and_then(|trailers| {
                trailers.read(|headers| Some(headers.get(&name)?.to_str().ok()?.to_owned()))
            })
            .flatten(),
    };
    let Some(wanted) = wanted else {
        return Err(s3_error!(
            InvalidRequest,
            "the announced trailer {name} did not come"
        ));
    };
    if wanted.trim() != found.value {
        return Err(s3_error!(
            BadDigest,
            "the body does not have the {name} that was sent"
        ));
    }
    Ok(())
}

fn parse_md5(header: &str) -> S3Result<Vec<u8>> {
    let digest = base64::engine::general_purpose::STANDARD.decode(header.trim());
    let digest = digest.ok().filter(|digest| digest.len() == 16);
    digest.ok_or_else(|| s3_error!(InvalidDigest, "Content-MD5 is not the base64 of 16 bytes"))
}

fn too_large() -> S3Error {
    s3_error!(
        EntityTooLarge,
        "an object or part has at most {OBJECT_BYTES_MAX} bytes"
    )
}
