//! Tells programs of other versions from our own: before anything else, so that they hear that and no odder error.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use atelier_proto::version::{METADATA_KEY, Peering, VERSION, difference, peering_with};
use futures::TryFutureExt as _;
use futures::future::{Either, MapOk, Ready, ready};
use http::{HeaderValue, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// Different versions of which the log tells; whoever makes up more of them is told of no more.
const VERSIONS_TOLD_MAX: usize = 32;

/// Checks the versions of callers, and tells them ours with each answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Versions {
    /// Those that the log has told of.
    told: Arc<Mutex<BTreeSet<String>>>,
}

impl Versions {
    /// Why a caller that tells this version is turned away, if it is.
    fn turned_away(&self, told: Option<&str>) -> Option<Status> {
        match peering_with(told) {
            Peering::Promised => None,
            Peering::Unpromised => {
                let told = told.unwrap_or_default();
                if self.is_new(told) {
                    tracing::warn!("{}", difference("a caller", told));
                }
                None
            }
            // Of all codes the one that clients take for another version, and never try again.
            Peering::Refused => Some(Status::unimplemented(difference(
                "the caller",
                told.unwrap_or_default(),
            ))),
        }
    }

    fn is_new(&self, version: &str) -> bool {
        // One insertion is the whole change, so a panic elsewhere leaves it whole.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < VERSIONS_TOLD_MAX && told.insert(version.chars().take(40).collect())
    }
}

impl<S> Layer<S> for Versions {
    type Service = Checking<S>;

    fn layer(&self, inner: S) -> Checking<S> {
        Checking {
            versions: self.clone(),
            inner,
        }
    }
}

/// Services whose callers are of versions that they understand.
#[derive(Debug, Clone)]
pub(super) struct Checking<S> {
    versions: Versions,
    inner: S,
}

type Answered = Result<Response<Body>, Infallible>;
type Telling = fn(Response<Body>) -> Response<Body>;

impl<S> Service<Request<Body>> for Checking<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Answered>, MapOk<S::Future, Telling>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let header = request.headers().get(METADATA_KEY);
        let told = header.map(|value| value.to_str().unwrap_or("no text"));
        match self.versions.turned_away(told) {
            Some(status) => Either::Left(ready(Ok(with_version(status.into_http())))),
            None => Either::Right(self.inner.call(request).map_ok(with_version as Telling)),
        }
    }
}

fn with_version(mut answer: Response<Body>) -> Response<Body> {
    let version = HeaderValue::from_static(VERSION);
    answer.headers_mut().insert(METADATA_KEY, version);
    answer
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    /// Finds nothing, whatever it is asked.
    struct Inner;

    impl Service<Request<Body>> for Inner {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Ready<Answered>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            ready(Ok(Status::not_found("reached").into_http()))
        }
    }

    /// What a service behind the check answers to a caller that tells this version.
    async fn answer(told: Option<&'static str>) -> Response<Body> {
        let mut request = Request::new(Body::empty());
        if let Some(told) = told {
            let told = HeaderValue::from_static(told);
            request.headers_mut().insert(METADATA_KEY, told);
        }
        let mut service = Versions::default().layer(Inner);
        let Ok(answer) = service.call(request).await;
        answer
    }

    #[tokio::test]
    async fn callers_of_another_major_version_are_told_so_and_all_hear_ours() {
        for (told, expected) in [
            (None, Code::NotFound),
            (Some(VERSION), Code::NotFound),
            (Some("some day"), Code::NotFound),
            (Some("99.0.0"), Code::Unimplemented),
        ] {
            let answer = answer(told).await;
            let status = Status::from_header_map(answer.headers()).unwrap();
            assert_eq!(status.code(), expected, "{told:?}");
            assert_eq!(answer.headers()[METADATA_KEY], VERSION);
            if expected == Code::Unimplemented {
                assert!(
                    status.message().contains("the caller is \"99.0.0\""),
                    "{status}"
                );
            }
        }
    }

    #[test]
    fn the_log_tells_of_a_version_once_and_of_no_more_than_a_few() {
        let versions = Versions::default();
        assert!(versions.is_new("1") && !versions.is_new("1"));
        let told = (0..1000).filter(|number| versions.is_new(&format!("v{number}")));
        assert_eq!(told.count(), VERSIONS_TOLD_MAX - 1);
    }
}
