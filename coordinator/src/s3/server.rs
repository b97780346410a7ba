//! The HTTP side: what `s3s` leaves to its surroundings.
//!
//! Refuses what a presigned URL does not speak of, as AWS does: whoever got one to put a picture is not to copy another object with
//! it. Lets pages of other origins read (galleries in a browser, by presigned URLs), and refuses what would let a client
//! sidestep a bound: forms, which are collected in memory, and the old signature, which never ages.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{self, HeaderName};
use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Error, s3_error};
use tokio_util::sync::CancellationToken;

use super::backend::Backend;
use super::chunks::{Chunked, Framing};
use crate::listen::{Listener, http};

/// Longer than clients keep idle connections, so that it is they who close them and no request meets a closed door.
const HEAD_READ_MAX: Duration = Duration::from_mins(2);
/// Room for the largest list of keys or parts that S3 allows.
const XML_BYTES_MAX: usize = 16 << 20;
/// How long a browser may remember the answer to a preflight.
const PREFLIGHT_AGE_S: &str = "3600";

/// Serves at all listeners until shutdown, then waits for what is under way.
pub(super) async fn serve(
    backend: Backend,
    auth: SimpleAuth,
    listeners: Vec<Listener>,
    shutdown: CancellationToken,
) {
    let service = service(backend, auth);
    let serving = listeners.into_iter().map(|listener| {
        let service = service.clone();
        let answers = move |request| answer(service.clone(), request);
        http::serve(listener, HEAD_READ_MAX, answers, shutdown.clone())
    });
    futures::future::join_all(serving).await;
}

fn service(backend: Backend, auth: SimpleAuth) -> S3Service {
    let mut config = S3Config::default();
    config.xml_max_body_size = XML_BYTES_MAX;
    let mut builder = S3ServiceBuilder::new(backend);
    builder.set_auth(auth);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.build()
}

async fn answer(
    service: S3Service,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let method = request.method().clone();
    if method == Method::OPTIONS {
        return Ok(preflight(request.headers()));
    }
    let mut response = match unsupported(&request) {
        Some(refusal) => refused(refusal),
        None => match service.call(framed(request)).await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(?error, "an S3 request could not be answered");
                refused(s3_error!(InternalError))
            }
        },
    };
    if response.status() == StatusCode::NOT_MODIFIED {
        // s3s writes the error as XML, and a 304 has no body.
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    if method == Method::GET || method == Method::HEAD {
        let headers = response.headers_mut();
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("ETag, Content-Length, Content-Range, Last-Modified"),
        );
    }
    Ok(response)
}

fn refused(error: S3Error) -> Response<Body> {
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// Every origin may read what it has a signed URL for; none may write.
fn preflight(asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: HeaderValue| headers.insert(name, value);
    set(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    set(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD"),
    );
    set(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static(PREFLIGHT_AGE_S),
    );
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        set(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        set(
            header::VARY,
            HeaderValue::from_static("Access-Control-Request-Headers"),
        );
    }
    response
}

fn unsupported<B>(request: &Request<B>) -> Option<S3Error> {
    let text = |name: HeaderName| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let form = text(header::CONTENT_TYPE).is_some_and(|kind| {
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("multipart/")
    });
    if request.method() == Method::POST && form {
        return Some(s3_error!(
            NotImplemented,
            "uploads by form are not implemented"
        ));
    }
    let signed_old = text(header::AUTHORIZATION).is_some_and(|value| value.starts_with("AWS "));
    let mut parameters = request.uri().query().unwrap_or_default().split('&');
    let presigned_old = parameters.any(|parameter| {
        parameter
            .split('=')
            .next()
            .is_some_and(|name| name == "Signature")
    });
    if signed_old || presigned_old {
        return Some(s3_error!(
            InvalidRequest,
            "this signature is not supported: use AWS4-HMAC-SHA256 (`s3v4`)"
        ));
    }
    unsigned_header(request).map(|name| {
        s3_error!(
            AccessDenied,
            "There were headers present in the request which were not signed: {name}"
        )
    })
}

/// A header that changes what a presigned request does, and that whoever signed it did not sign.
fn unsigned_header<B>(request: &Request<B>) -> Option<&str> {
    let query = request.uri().query()?;
    let signed = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name.eq_ignore_ascii_case("X-Amz-SignedHeaders"))?;
    let signed: Vec<&str> = signed.1.split(';').collect();
    let mut names = request.headers().keys().map(HeaderName::as_str);
    names.find(|name| name.starts_with("x-amz-") && !signed.contains(name))
}

/// The request with a body that `s3s` can take without holding all of it in memory, and with what a signed URL says in its
/// query and `s3s` looks for among the headers.
fn framed(mut request: Request<Incoming>) -> Request<Body> {
    let query = request.uri().query().unwrap_or_default();
    if query
        .split('&')
        .any(|part| part == "x-amz-checksum-mode=ENABLED")
    {
        let enabled = HeaderValue::from_static("ENABLED");
        request.headers_mut().insert("x-amz-checksum-mode", enabled);
    }
    let kind = request
        .headers()
        .get("x-amz-content-sha256")
        .map(HeaderValue::as_bytes);
    let framing = match kind {
        Some(b"STREAMING-UNSIGNED-PAYLOAD-TRAILER") => Some(Framing::Split),
        Some(kind) if kind.starts_with(b"STREAMING-") => Some(Framing::Bounded),
        _ => None,
    };
    request.map(|body| match framing {
        Some(framing) => Body::http_body_unsync(Chunked::new(body, framing)),
        None => Body::from(body),
    })
}
