//! The one door of all gRPC services: finds out who calls, looks up whether the call is for them, and writes down what changes
//! something and what is refused.
//!
//! Before anything else is done for a caller it is looked at what it may have ([`crate::limits::callers`]), so that who floods a
//! coordinator is refused for next to nothing. Services find an [`Admitted`] in the request's extensions, and leave there what the
//! call was about ([`About`]). A call that lasts ends when what its caller showed is good no more.

mod called;

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use atelier_proto::retry;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use hyper::body::Body as _;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use self::called::Called;
use super::MESSAGE_BYTES_MAX;
use super::intake::{self, REQUEST_READ_MAX};
use super::kept::kept;
use crate::domain::access::{self, Admitted, Who};
use crate::identity::audit::{About, Act, Audit, DONE};
use crate::identity::http::bearer;
use crate::identity::oidc::OidcError;
use crate::identity::{Identities, Refused};
use crate::ledger::Ledger;
use crate::limits::Exceeded;
use crate::limits::callers::{Callers, REFUSAL_HELD};
use crate::listen::Peer;

/// Lets calls in to the services behind it.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    pub(super) identities: Identities,
    pub(super) audit: Arc<Audit>,
    pub(super) callers: Callers,
    /// With the metrics, which count refusals.
    pub(super) ledger: Arc<Ledger>,
    pub(super) submission_bytes_max: usize,
}

impl<S> Layer<S> for Admission {
    type Service = Admitting<S>;

    fn layer(&self, inner: S) -> Admitting<S> {
        Admitting {
            admission: self.clone(),
            inner,
        }
    }
}

/// Services behind the door.
#[derive(Debug, Clone)]
pub(super) struct Admitting<S> {
    admission: Admission,
    inner: S,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Admitting<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        // The one that is ready is this one; its copy may not be.
        let fresh = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, fresh);
        let admission = self.admission.clone();
        Box::pin(async move { Ok(admission.answer(request, inner).await) })
    }
}

impl Admission {
    async fn answer<S>(&self, mut request: Request<Body>, mut inner: S) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let called = Called::at(request.uri().path());
        let peer = Peer::of(request.extensions());
        let from = peer.address.ip();
        let token = bearer(request.headers()).map(str::to_owned);
        // Nobody behind the door needs it, and so nobody can tell it.
        request.headers_mut().remove(AUTHORIZATION);
        let shown = self.identities.admit(token.as_deref(), &peer).await;
        drop(token);
        let known = shown.as_ref().ok();
        let turn = match self.callers.begin(known, from, &called.name, 1.0) {
            Ok(turn) => turn,
            // It is written down nowhere else: a flood of calls is none of lines.
            Err(exceeded) => {
                let status = self.refuse(&exceeded);
                let awaiting = Awaiting(exceeded.is_flood.then_some(peer));
                self.callers.hold(&exceeded).await;
                awaiting.told();
                return status.into_http();
            }
        };
        let admitted = match shown {
            Ok(admitted) => admitted,
            Err(_) if called.who == Who::Everybody => Admitted::ANYONE,
            Err(refused) => {
                let status = status_of(&refused);
                self.tell(None, from, &called, "", &status);
                return status.into_http();
            }
        };
        if let Err(denied) = access::check_role(&admitted.caller, &called.name, called.who) {
            let status = Status::permission_denied(denied.to_string());
            self.tell(Some(&admitted), from, &called, "", &status);
            return status.into_http();
        }
        let watching = match called.lasts.then(|| turn.watch()).transpose() {
            Ok(watching) => watching,
            Err(exceeded) => return self.refuse(&exceeded).into_http(),
        };
        let running = turn.run().await;
        let taken_in = if called.is_submission() {
            match turn.take_in().await {
                Ok(taken_in) => Some(taken_in),
                Err(exceeded) => return self.refuse(&exceeded).into_http(),
            }
        } else {
            None
        };
        let mut request = self.bounded(request, &called);
        let about = About::default();
        let extensions = request.extensions_mut();
        extensions.insert(admitted.clone());
        extensions.insert(about.clone());
        extensions.insert(turn.clone());
        let answer = if self.identities.asks() {
            tokio::select! {
                answer = inner.call(request) => {
                    let Ok(answer) = answer;
                    answer
                }
                refused = self.identities.until_over(&admitted) => status_of(&refused).into_http(),
            }
        } else {
            let Ok(answer) = inner.call(request).await;
            answer
        };
        drop(taken_in);
        self.tell_answer(&admitted, from, &called, &about, &answer);
        if answer.body().is_end_stream() {
            return answer;
        }
        let until_over = self.until_over(admitted);
        answer.map(|body| match watching {
            // It waits more than it works.
            Some(watching) => kept(body, until_over, watching),
            None => kept(body, until_over, (turn, running)),
        })
    }

    /// Ends with a refusal when what a caller showed is good no more.
    fn until_over(
        &self,
        admitted: Admitted,
    ) -> Option<impl Future<Output = Status> + Send + 'static> {
        let identities = self.identities.clone();
        let until_over = async move { status_of(&identities.until_over(&admitted).await) };
        self.identities.asks().then_some(until_over)
    }

    /// A request that comes in time and is no longer than such a call may be.
    fn bounded(&self, request: Request<Body>, called: &Called) -> Request<Body> {
        if request.body().is_end_stream() || called.is_talk() {
            return request;
        }
        let (bytes_max, hint) = if called.is_submission() {
            let hint = "submit several smaller grids, or have an operator raise --cells-max";
            (self.submission_bytes_max, hint)
        } else {
            (MESSAGE_BYTES_MAX, "make several calls of it")
        };
        request.map(|body| intake::bounded(body, bytes_max, hint, REQUEST_READ_MAX))
    }

    /// What is answered to somebody who is beyond a limit.
    fn refuse(&self, exceeded: &Exceeded) -> Status {
        self.ledger.metrics().refused(exceeded.limit);
        retry::later(exceeded.to_string(), exceeded.after)
    }

    fn tell_answer(
        &self,
        admitted: &Admitted,
        from: IpAddr,
        called: &Called,
        about: &About,
        answer: &Response<Body>,
    ) {
        // A call that failed has its status at its head; one that succeeds has it at its end.
        let status = Status::from_header_map(answer.headers());
        let status = status.unwrap_or_else(|| Status::new(Code::Ok, ""));
        let is_refused = matches!(
            status.code(),
            Code::PermissionDenied | Code::Unauthenticated
        );
        if is_refused || called.is_audited() {
            self.tell(Some(admitted), from, called, about.text(), &status);
        }
    }

    fn tell(
        &self,
        who: Option<&Admitted>,
        from: IpAddr,
        called: &Called,
        on: &str,
        status: &Status,
    ) {
        let outcome = match status.code() {
            Code::Ok => DONE.to_owned(),
            code => format!("{code:?}"),
        };
        self.audit.record(&Act {
            who,
            from,
            call: &called.name,
            on,
            outcome: &outcome,
            reason: status.message().lines().next().unwrap_or_default(),
        });
    }
}

/// A refusal that is held back. Who takes back the call instead of waiting for it would make the next one at once: its
/// connection is paused for as long.
struct Awaiting(Option<Peer>);

impl Awaiting {
    fn told(mut self) {
        self.0 = None;
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        if let Some(peer) = &self.0 {
            peer.pause(REFUSAL_HELD);
        }
    }
}

fn status_of(refused: &Refused) -> Status {
    match refused {
        Refused::Store(error) => {
            tracing::error!(%error, "it cannot be looked up who calls");
            Status::unavailable("the coordinator's database does not answer; its log says why")
        }
        Refused::TooMany => Status::resource_exhausted(refused.to_string()),
        Refused::Oidc(OidcError::Keys { .. }) => {
            tracing::warn!(error = %refused, "a login cannot be verified");
            Status::unavailable(refused.to_string())
        }
        Refused::Nobody
        | Refused::Unknown
        | Refused::Over(_)
        | Refused::Oidc(_)
        | Refused::Certificate(_) => Status::unauthenticated(refused.to_string()),
    }
}
