//! Carries calls to one coordinator, or to several in turn, with the token if there is one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, StdError};
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use super::connector::Connector;
use super::fault::{Fault, TlsFault};
use super::token::Token;
use super::trust::Trust;
use super::{AccessError, Place};
use crate::clock::Stopwatch;

/// One that did not answer is passed over for so long, if there is another, and for twice as long each time that it does not
/// answer again: what is tried there is lost.
const PASSED_OVER_FIRST: Duration = Duration::from_secs(1);
/// However often it did not.
const PASSED_OVER_MAX: Duration = Duration::from_secs(30);

/// A way to one or more coordinators over one database; what the clients of `atelier.v1` call by. Clones share
/// connections, which are made at the first call. Calls go to one after the other, and pass over those that did not answer
/// just now.
#[derive(Debug, Clone)]
pub struct Route {
    ways: Arc<[Way]>,
    next: Arc<AtomicUsize>,
    token: Token,
}

/// A way to one coordinator.
#[derive(Debug)]
pub(super) struct Way {
    channel: Channel,
    fault: Fault,
    failure: Mutex<Option<Failure>>,
}

/// That one did not answer, and for how long it is not asked again.
#[derive(Debug, Clone, Copy)]
struct Failure {
    since: Stopwatch,
    passed_over: Duration,
}

impl Failure {
    fn lasts(&self) -> bool {
        self.since.elapsed() < self.passed_over
    }

    /// One more, after those before.
    fn after(before: Option<Self>) -> Self {
        match before {
            // A call that was on its way meanwhile says nothing new.
            Some(before) if before.lasts() => before,
            _ => Self {
                since: Stopwatch::start(),
                passed_over: longer(before.map(|it| it.passed_over)),
            },
        }
    }
}

/// For how long it is passed over next.
fn longer(before: Option<Duration>) -> Duration {
    before.map_or(PASSED_OVER_FIRST, |before| {
        (before * 2).min(PASSED_OVER_MAX)
    })
}

impl Way {
    pub(super) fn new(
        place: &Place,
        trust: &Arc<Trust>,
        tune: &impl Fn(Endpoint) -> Endpoint,
    ) -> Result<Self, AccessError> {
        let bad = |_| AccessError::BadUrl(place.url.clone());
        let fault = Fault::default();
        let connector = Connector::new(place, trust, fault.clone())?;
        // TLS is the connector's business: tonic's own would be in its way. What is called keeps its true name.
        let authority = place.uri.authority().map_or("", |it| it.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, it)| it);
        let address = match place.uri.port_u16() {
            Some(_) => format!("http://{host}"),
            None => format!("http://{host}:{}", place.port),
        };
        let endpoint = Endpoint::from_shared(address).map_err(bad)?;
        let endpoint = tune(endpoint.origin(place.uri.clone()));
        Ok(Self {
            channel: endpoint.connect_with_connector_lazy(connector),
            fault,
            failure: Mutex::default(),
        })
    }

    fn failure(&self) -> MutexGuard<'_, Option<Failure>> {
        // Each change is one assignment, so a panic elsewhere leaves it whole.
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_passed_over(&self) -> bool {
        self.failure().is_some_and(|failure| failure.lasts())
    }

    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, StdError> {
        let mut channel = self.channel.clone();
        let answered = async {
            std::future::poll_fn(|context| channel.poll_ready(context)).await?;
            channel.call(request).await
        };
        match answered.await {
            Ok(answer) => {
                *self.failure() = None;
                Ok(answer)
            }
            Err(error) => {
                let mut failure = self.failure();
                *failure = Some(Failure::after(*failure));
                drop(failure);
                match self.fault.get() {
                    Some(fault) => Err(refused(fault).into()),
                    None => Err(error.into()),
                }
            }
        }
    }
}

/// A connection that TLS does not let be is one that cannot be had, and may be had later.
fn refused(fault: TlsFault) -> Status {
    let mut status = Status::unavailable(format!("{}\nhint: {}", fault.problem, fault.hint));
    status.set_source(Arc::new(fault));
    status
}

impl Route {
    pub(super) fn new(ways: Arc<[Way]>, token: Token) -> Self {
        Self {
            ways,
            next: Arc::default(),
            token,
        }
    }

    /// The position of the one that has its turn.
    fn choose(&self) -> usize {
        let count = self.ways.len();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let mut in_turn = (0..count).map(|further| turn.wrapping_add(further) % count);
        in_turn
            .find(|&position| !self.ways[position].is_passed_over())
            .unwrap_or(turn % count)
    }
}

impl Service<Request<Body>> for Route {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<Response<Body>, StdError>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        // Whether the one is ready that has its turn is asked when that is known.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(token) = self.token.header() {
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        let ways = self.ways.clone();
        let chosen = self.choose();
        Box::pin(async move { ways[chosen].call(request).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_answer_is_asked_ever_more_seldom() {
        let times = std::iter::successors(Some(longer(None)), |&before| Some(longer(Some(before))));
        let seconds: Vec<u64> = times.take(7).map(|it| it.as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn calls_that_fail_together_count_once() {
        let first = Failure::after(None);
        assert!(first.lasts());
        let together = Failure::after(Some(first));
        assert_eq!(together.passed_over, PASSED_OVER_FIRST);
        let over = Failure {
            passed_over: Duration::from_nanos(1),
            ..first
        };
        assert!(!over.lasts());
        assert_eq!(Failure::after(Some(over)).passed_over.as_nanos(), 2);
    }
}
