//! Requests to the bucket, between the wire and what is signed.

use std::time::Duration;

use atelier_gallery::bucket::Object;
use atelier_gallery::signed::signer::VALID_FOR_MAX;
use atelier_gallery::signed::{Content, Method, Right, Signatures, SignedRequest, Wanted};
use atelier_proto::v1;
use secrecy::ExposeSecret as _;

use super::fields::{Parsed, check_bytes, id, in_range, out_of_range, required};
use super::to_wire::timestamp;
use crate::domain::field::{InvalidField, Problem};

/// The longest key of S3, bytes.
const KEY_BYTES_MAX: usize = 1024;
/// The most objects of a page.
const PAGE_OBJECTS_MAX: u32 = 1000;

/// What somebody would like to have signed.
pub(crate) fn wanted(wire: Vec<v1::Wanted>) -> Parsed<Vec<Wanted>> {
    let wanted = wire.into_iter().enumerate().map(|(index, wire)| {
        one_wanted(wire).map_err(|error| error.within(&format!("wanted[{index}]")))
    });
    wanted.collect()
}

fn one_wanted(wire: v1::Wanted) -> Parsed<Wanted> {
    let unknown = |value| InvalidField::new("method", Problem::UnknownValue { value });
    let method = match v1::Method::try_from(wire.method) {
        Ok(v1::Method::Get) => Method::Get,
        Ok(v1::Method::Head) => Method::Head,
        Ok(v1::Method::Put) => Method::Put,
        Ok(v1::Method::Delete) => Method::Delete,
        Ok(v1::Method::Unspecified) | Err(_) => return Err(unknown(wire.method)),
    };
    check_bytes("key", &wire.key, KEY_BYTES_MAX)?;
    let right = match wire.right {
        None => Right::Own,
        Some(v1::wanted::Right::Cell(held)) => Right::Cell {
            cell: id("cell.cell_id", &held.cell_id)?,
            attempt: held.attempt,
        },
        Some(v1::wanted::Right::GridId(grid)) => Right::Grid(id("grid_id", &grid)?),
    };
    let content = match (method, wire.content) {
        (Method::Put, content) => Some(required("content", content)?),
        (_, None) => None,
        (_, Some(_)) => {
            return Err(out_of_range("content", "set", "unset where nothing is put"));
        }
    };
    Ok(Wanted {
        method,
        key: wire.key,
        right,
        content: content.map(parsed_content).transpose()?,
        valid_for: wire.valid_for.map(valid_for).transpose()?,
    })
}

fn parsed_content(wire: v1::Content) -> Parsed<Content> {
    let sha256 = match wire.sha256.as_str() {
        "" => None,
        text => Some(id("content.sha256", text)?),
    };
    Ok(Content {
        content_type: wire.content_type,
        if_absent: wire.if_absent,
        sha256,
        bytes: wire.bytes,
        metadata: wire.metadata.into_iter().collect(),
        cache_control: Some(wire.cache_control).filter(|it| !it.is_empty()),
    })
}

fn valid_for(wire: prost_types::Duration) -> Parsed<Duration> {
    let duration = Duration::try_from(wire).unwrap_or_default();
    let allowed = (Duration::from_secs(1)..=VALID_FOR_MAX).contains(&duration);
    let told = format!("{} s", duration.as_secs_f64());
    in_range("valid_for", allowed, told.as_str(), "from 1 s to 7 days")?;
    Ok(duration)
}

/// What was signed.
pub(crate) fn signatures(signatures: Signatures) -> v1::SignResponse {
    v1::SignResponse {
        requests: signatures.requests.into_iter().map(request).collect(),
        now: Some(timestamp(signatures.now)),
        bucket: signatures.bucket,
        region: signatures.region,
        may_end_earlier: signatures.may_end_earlier,
    }
}

fn request(request: SignedRequest) -> v1::SignedRequest {
    v1::SignedRequest {
        method: v1::Method::from(request.method).into(),
        url: request.url.expose_secret().to_owned(),
        headers: request.headers.into_iter().collect(),
        expires_at: Some(timestamp(request.expires_at)),
    }
}

/// How many objects of a grid are wanted, and the path that they come after.
pub(crate) fn objects_page(request: &v1::ListObjectsRequest) -> Parsed<(u32, &str)> {
    let objects = match request.page_size {
        0 => PAGE_OBJECTS_MAX,
        objects => objects,
    };
    let allowed = objects <= PAGE_OBJECTS_MAX;
    in_range(
        "page_size",
        allowed,
        objects,
        "from 1 to 1000, or 0 for 1000",
    )?;
    check_bytes("page_token", &request.page_token, KEY_BYTES_MAX)?;
    Ok((objects, request.page_token.as_str()))
}

/// What lies in a grid's place.
pub(crate) fn objects(
    prefix: &str,
    objects: Vec<Object>,
    has_more: bool,
) -> v1::ListObjectsResponse {
    let objects = objects.into_iter().filter_map(|object| {
        Some(v1::StoredObject {
            path: object.key.strip_prefix(prefix)?.to_owned(),
            bytes: object.bytes,
        })
    });
    let objects: Vec<v1::StoredObject> = objects.collect();
    let last = objects.last().filter(|_| has_more);
    v1::ListObjectsResponse {
        next_page_token: last.map(|last| last.path.clone()).unwrap_or_default(),
        objects,
    }
}
