//! A span of each call that a program serves, and what is counted of it: one layer around all services.
//!
//! A call begins when its request has come and ends with its last byte, so that a stream is told as long as it lasts. Its
//! handler fills in what the call is about: `Span::current().record("grid", …)`.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::BodyExt as _;
use prost::Message as _;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::{Code, Status};
use tower::Layer;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};

use super::context;
use super::traces::is_tracing;
use crate::clock::Stopwatch;
use crate::v1;

/// What is told of calls. A method is named as in `Grids.Submit`.
pub trait Observer: Send + Sync {
    /// A call has come.
    fn begun(&self, method: &'static str);
    /// It has ended, after so many seconds.
    fn ended(&self, method: &'static str, code: Code, seconds: f64);
}

/// A span of each call to a service of `atelier.v1`; others, health and reflection, have none.
#[derive(Clone)]
pub struct Calls {
    /// Names by paths.
    methods: Arc<HashMap<String, &'static str>>,
    observer: Arc<dyn Observer>,
}

impl fmt::Debug for Calls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Calls").finish_non_exhaustive()
    }
}

impl Calls {
    /// Tells the observer of every call.
    pub fn told_to(observer: Arc<dyn Observer>) -> Self {
        Self {
            methods: Arc::new(methods()),
            observer,
        }
    }
}

impl<S> Layer<S> for Calls {
    type Service = Told<S>;

    fn layer(&self, service: S) -> Told<S> {
        Told {
            service,
            calls: self.clone(),
        }
    }
}

/// The names of all methods by the paths at which they are called.
///
/// Names live as long as the process: they are a few dozen, made once.
fn methods() -> HashMap<String, &'static str> {
    // What is compiled in was encoded by the same build.
    let files = prost_types::FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET);
    let mut methods = HashMap::new();
    for file in files.unwrap_or_default().file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let name = format!("{}.{}", service.name(), method.name());
                methods.insert(path, &*Box::leak(name.into_boxed_str()));
            }
        }
    }
    methods
}

/// A service whose calls are told of.
#[derive(Debug, Clone)]
pub struct Told<S> {
    service: S,
    calls: Calls,
}

impl<S> Service<Request<Body>> for Told<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that is ready is taken.
        let ready = self.service.clone();
        let mut service = std::mem::replace(&mut self.service, ready);
        let Some(method) = self.calls.methods.get(request.uri().path()) else {
            return Box::pin(service.call(request));
        };
        let span = span(method, request.headers());
        let call = Call::begin(method, span.clone(), self.calls.observer.clone());
        Box::pin(async move {
            let response = service.call(request).instrument(span).await;
            let mut call = call;
            match response {
                Ok(response) => match code_in(response.headers()) {
                    // It ended before it had anything to say.
                    Some(code) => {
                        call.end(code);
                        Ok(response)
                    }
                    None => Ok(response.map(|body| call.follow(body))),
                },
                Err(error) => {
                    call.end(Code::Internal);
                    Err(error)
                }
            }
        })
    }
}

fn span(method: &'static str, headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(
        "rpc",
        method = %method,
        grid = Empty,
        cell = Empty,
        attempt = Empty,
        node = Empty,
        code = Empty,
        otel.name = Empty,
        otel.kind = Empty,
        otel.status_code = Empty,
    );
    // Logs have no use for them.
    if is_tracing() {
        span.record("otel.name", method);
        span.record("otel.kind", "server");
        let told = headers.get(context::TRACE_PARENT);
        context::set_parent(
            &span,
            told.and_then(|it| it.to_str().ok()).unwrap_or_default(),
        );
    }
    span
}

fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers
        .get(Status::GRPC_STATUS)
        .map(|code| Code::from_bytes(code.as_bytes()))
}

/// A call that is served. One that is dropped before it ended was given up by its caller.
struct Call {
    method: &'static str,
    span: Span,
    begun: Stopwatch,
    observer: Arc<dyn Observer>,
    has_ended: bool,
}

impl Call {
    fn begin(method: &'static str, span: Span, observer: Arc<dyn Observer>) -> Self {
        observer.begun(method);
        Self {
            method,
            span,
            begun: Stopwatch::start(),
            observer,
            has_ended: false,
        }
    }

    /// Ends with the trailers of the answer.
    fn follow(mut self, body: Body) -> Body {
        Body::new(body.map_frame(move |frame| {
            if let Some(code) = frame.trailers_ref().and_then(code_in) {
                self.end(code);
            }
            frame
        }))
    }

    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        self.span.record("code", display(word(code)));
        if is_tracing() && is_our_fault(code) {
            self.span.record("otel.status_code", "ERROR");
        }
        let seconds = self.begun.seconds();
        self.observer.ended(self.method, code, seconds);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The word for a code, as the standard writes it.
pub fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Whether the server did not do what it was asked for, by the conventions of OpenTelemetry for gRPC servers.
fn is_our_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<Vec<(&'static str, Option<Code>)>>);

    impl Observer for Seen {
        fn begun(&self, method: &'static str) {
            self.0.lock().unwrap().push((method, None));
        }
        fn ended(&self, method: &'static str, code: Code, seconds: f64) {
            assert!(seconds >= 0.0);
            self.0.lock().unwrap().push((method, Some(code)));
        }
    }

    /// Answers with trailers of this code after a frame, or at once in the headers.
    #[derive(Clone)]
    struct Answering(Code, bool);

    impl Service<Request<Body>> for Answering {
        type Response = Response<Body>;
        type Error = std::convert::Infallible;
        type Future = std::future::Ready<Result<Response<Body>, Self::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            let Self(code, is_at_once) = *self;
            let mut headers = HeaderMap::new();
            headers.insert(Status::GRPC_STATUS, (code as i32).into());
            let mut response = Response::new(Body::empty());
            if is_at_once {
                response.headers_mut().extend(headers);
            } else {
                let trailers = std::future::ready(Some(Ok(headers)));
                *response.body_mut() = Body::new(Body::empty().with_trailers(trailers));
            }
            std::future::ready(Ok(response))
        }
    }

    async fn seen(
        path: &str,
        answering: Answering,
        is_read: bool,
    ) -> Vec<(&'static str, Option<Code>)> {
        let seen = Arc::new(Seen::default());
        let mut service = Calls::told_to(seen.clone()).layer(answering);
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = service.call(request).await.unwrap();
        if is_read {
            response.into_body().collect().await.unwrap();
        } else {
            drop(response);
        }
        drop(service);
        Arc::into_inner(seen).unwrap().0.into_inner().unwrap()
    }

    #[tokio::test]
    async fn each_call_is_told_with_its_code_when_its_answer_has_ended() {
        let submit = "/atelier.v1.Grids/Submit";
        for is_at_once in [true, false] {
            let told = seen(submit, Answering(Code::NotFound, is_at_once), true).await;
            assert_eq!(
                told,
                [
                    ("Grids.Submit", None),
                    ("Grids.Submit", Some(Code::NotFound))
                ]
            );
        }
        let given_up = seen(submit, Answering(Code::Ok, false), false).await;
        assert_eq!(given_up[1], ("Grids.Submit", Some(Code::Cancelled)));
    }

    #[tokio::test]
    async fn what_is_not_ours_is_not_told() {
        for path in [
            "/grpc.health.v1.Health/Check",
            "/atelier.v1.Grids/Guess",
            "/",
        ] {
            assert_eq!(seen(path, Answering(Code::Ok, false), true).await, []);
        }
    }
}
