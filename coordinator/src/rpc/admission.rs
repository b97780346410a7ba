//! The one door of all gRPC services: finds out who calls, looks up whether the call is for them, and writes down what changes
//! something and what is refused.
//!
//! Before anything else is done for a caller it is looked at what it may have ([`crate::limits::callers`]), so that who floods a
//! coordinator is refused for next to nothing. Services find an [`Admitted`] and its [`Caller`](crate::domain::access::Caller) in the request's extensions, and leave there
//! what the call was about. A call that lasts ends when what its caller showed is good no more.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use atelier_proto::retry;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use http_body::Body as _;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::MESSAGE_BYTES_MAX;
use super::intake::{Intake, REQUEST_READ_MAX};
use super::kept::Kept;
use crate::domain::access::{self, Admitted, Who};
use crate::identity::audit::{About, Act, Audit, DONE};
use crate::identity::{Identities, Refused};
use crate::ledger::Ledger;
use crate::limits::Exceeded;
use crate::limits::callers::Callers;
use crate::listen::Peer;

/// What the paths of our own calls begin with.
const PACKAGE: &str = "/atelier.v1.";
/// Of which each call is for everybody: what watches coordinators has no identity.
const HEALTH: &str = "/grpc.health.v1.";
/// Of ours, the one whose answer lasts for as long as somebody wants.
const WATCHING: &str = "Grids.Watch";
/// The one that brings long messages.
const SUBMITTING: &str = "Grids.Submit";
/// What gRPC has before each message.
const MESSAGE_HEAD_BYTES: usize = 5;
/// Of other packages, the one whose answer does not last.
const HEALTH_ONCE: &str = "/grpc.health.v1.Health/Check";

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
        let call = name_of(request.uri().path());
        let peer = peer_of(&request);
        let from = peer.address.ip();
        let token = bearer(request.headers()).map(str::to_owned);
        // Nobody behind the door needs it, and so nobody can tell it.
        request.headers_mut().remove(AUTHORIZATION);
        let path = request.uri().path();
        let (who, lasts) = (who_may(&call, path), lasts(&call, path));
        let shown = self.identities.admit(token.as_deref(), &peer).await;
        drop(token);
        let turn = match self.callers.begin(shown.as_ref().ok(), from, &call, 1.0) {
            Ok(turn) => turn,
            // It is written down nowhere else: a flood of calls is none of lines.
            Err(exceeded) => {
                self.callers.hold(&exceeded).await;
                return self.refuse(&exceeded).into_http();
            }
        };
        let admitted = match shown {
            Ok(admitted) => admitted,
            Err(_) if who == Who::Everybody => Admitted::ANYONE,
            Err(refused) => {
                let status = status_of(&refused);
                self.tell(None, from, &call, "", &status);
                return status.into_http();
            }
        };
        if let Err(denied) = access::check_role(&admitted.caller, &call, who) {
            let status = Status::permission_denied(denied.to_string());
            self.tell(Some(&admitted), from, &call, "", &status);
            return status.into_http();
        }
        let watching = match lasts.then(|| turn.watch()).transpose() {
            Ok(watching) => watching,
            Err(exceeded) => return self.refuse(&exceeded).into_http(),
        };
        let running = turn.run().await;
        let taken_in = if call == SUBMITTING {
            match turn.take_in().await {
                Ok(taken_in) => Some(taken_in),
                Err(exceeded) => return self.refuse(&exceeded).into_http(),
            }
        } else {
            None
        };
        let mut request = self.bounded(request, &call, lasts);
        let about = About::default();
        let extensions = request.extensions_mut();
        extensions.insert(admitted.caller.clone());
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
        self.tell_answer(&admitted, from, &call, &about, &answer);
        if answer.body().is_end_stream() {
            return answer;
        }
        let until_over = self.until_over(admitted);
        answer.map(|body| match watching {
            // It waits more than it works.
            Some(watching) => Body::new(Kept::new(body, until_over, watching)),
            None => Body::new(Kept::new(body, until_over, (turn, running))),
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
    fn bounded(&self, request: Request<Body>, call: &str, lasts: bool) -> Request<Body> {
        let bytes_max = if call == SUBMITTING {
            self.submission_bytes_max
        } else {
            MESSAGE_BYTES_MAX
        };
        // Whoever asks for reflection goes on asking for as long as they like, and is counted among those who watch.
        if request.body().is_end_stream() || (lasts && call != WATCHING) {
            return request;
        }
        request.map(|body| {
            Body::new(Intake::new(
                body,
                bytes_max + MESSAGE_HEAD_BYTES,
                REQUEST_READ_MAX,
            ))
        })
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
        call: &str,
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
        if is_refused || access::rule(call).is_some_and(|rule| rule.is_audited) {
            self.tell(Some(admitted), from, call, about.text(), &status);
        }
    }

    fn tell(&self, who: Option<&Admitted>, from: IpAddr, call: &str, on: &str, status: &Status) {
        let outcome = match status.code() {
            Code::Ok => DONE.to_owned(),
            code => format!("{code:?}"),
        };
        self.audit.record(&Act {
            who,
            from,
            call,
            on,
            outcome: &outcome,
            reason: status.message().lines().next().unwrap_or_default(),
        });
    }
}

/// A call by its name: `Grids.Submit` of `/atelier.v1.Grids/Submit`. It is somebody else's text until it is in the table.
fn name_of(path: &str) -> String {
    let name = path.strip_prefix(PACKAGE).unwrap_or(path);
    let name = name.trim_start_matches('/').replacen('/', ".", 1);
    name.chars().take(100).collect()
}

fn who_may(call: &str, path: &str) -> Who {
    if path.starts_with(HEALTH) {
        return Who::Everybody;
    }
    // Of calls that there are not, and of those of the reflection service, whoever is known may learn what becomes of them.
    access::rule(call).map_or(access::REFLECTION, |rule| rule.who)
}

/// Whether the answer of a call lasts for as long as somebody wants.
fn lasts(call: &str, path: &str) -> bool {
    call == WATCHING || !(path.starts_with(PACKAGE) || path == HEALTH_ONCE)
}

/// The token of a request, if it has one.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn peer_of(request: &Request<Body>) -> Peer {
    // Our listeners tell it of every request.
    let peer = request.extensions().get().cloned();
    peer.unwrap_or(Peer::UNKNOWN)
}

fn status_of(refused: &Refused) -> Status {
    match refused {
        Refused::Store(error) => {
            tracing::error!(%error, "it cannot be looked up who calls");
            Status::unavailable("the coordinator's database does not answer; its log says why")
        }
        Refused::TooMany => Status::resource_exhausted(refused.to_string()),
        Refused::Oidc(crate::identity::oidc::OidcError::Keys { .. }) => {
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_call_is_named_as_the_table_has_it() {
        assert_eq!(name_of("/atelier.v1.Grids/Submit"), "Grids.Submit");
        let other = name_of("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
        assert_eq!(
            other,
            "grpc.reflection.v1.ServerReflection.ServerReflectionInfo"
        );
        assert_eq!(name_of(&"/x".repeat(200)).len(), 100);
        assert_eq!(
            who_may("Health.Check", "/grpc.health.v1.Health/Check"),
            Who::Everybody
        );
        let own = "/atelier.v1.Health/Check";
        assert_eq!(who_may(&name_of(own), own), Who::Identified);
        for (path, expected) in [
            ("/atelier.v1.Grids/Watch", true),
            ("/atelier.v1.Grids/Get", false),
            ("/grpc.health.v1.Health/Check", false),
            ("/grpc.health.v1.Health/Watch", true),
            (
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                true,
            ),
        ] {
            assert_eq!(lasts(&name_of(path), path), expected, "{path}");
        }
    }

    #[test]
    fn a_token_comes_in_the_header_that_is_for_it() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(text));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("Basic abc"), None);
        assert_eq!(of("abc"), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
