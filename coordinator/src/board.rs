//! The live board: grids and nodes as they stand, in a browser, and the galleries of the bucket, growing while they are
//! rendered. Whoever has its key can act there, too; where everybody says who they are, people log in, and each sees and does what
//! their role lets them.
//!
//! [`status`] is what is shown of all, [`live`] of one grid; a page ([`files`]) keeps it up to date by server-sent events
//! ([`feed`]), and comes back by itself when the coordinator does. A gallery is the page that lies in the bucket, with the files
//! beside it ([`objects`]). [`acts`] is what people do, [`doors`] who may. [`access`] lets them, unless a page from
//! elsewhere has them act ([`origin`]); [`session`] is how they log in, or show the [`key`].

mod access;
mod acts;
mod doors;
mod feed;
mod files;
mod key;
mod live;
mod objects;
mod origin;
mod session;
mod status;

use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::bucket::Bucket;
use atelier_proto::listen::is_this_machine;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

#[cfg(test)]
pub(crate) use self::acts::UPLOAD_IDLE_MAX;
use self::feed::Feed;
#[cfg(test)]
pub(crate) use self::feed::PAGES_MAX;
use self::files::{FILES, STYLE, page};
pub use self::key::{Key, KeyError};
use crate::identity::audit::Audit;
use crate::identity::{self, Identities};
use crate::ledger::Ledger;
use crate::limits::Exceeded;
use crate::limits::callers::Callers;
use crate::listen::{Listener, http};
use crate::monitoring::{self, Monitoring};
use crate::submissions::Submissions;

/// How long the head of a request may take, and how long a connection may be idle before it.
pub(crate) const HEAD_READ_MAX: Duration = Duration::from_mins(1);
/// Pictures that are taken in at once; each is in memory, and decoded there.
pub(crate) const UPLOADS_MAX: usize = 3;
/// Bytes of what people ask for, pictures aside: a grid of 10,000 pictures has some 2 MiB.
pub(crate) const ASKED_BYTES_MAX: usize = 8 << 20;

/// What a board is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The truth.
    pub ledger: Arc<Ledger>,
    /// Where galleries lie.
    pub bucket: Bucket,
    /// Who takes in grids.
    pub submissions: Submissions,
    /// What watches the coordinator sees.
    pub monitoring: Monitoring,
    /// Who calls.
    pub identities: Identities,
    /// Where it is written down what they do.
    pub audit: Arc<Audit>,
    /// What each of them may have.
    pub callers: Callers,
    /// What lets people act where nobody is asked who they are.
    pub key: Key,
    /// Whether it is served by TLS.
    pub tls: bool,
    /// Until when it serves.
    pub shutdown: CancellationToken,
}

/// What the board shows.
#[derive(Debug, Clone)]
pub struct Board {
    parts: Parts,
    feed: Feed,
    uploads: Arc<Semaphore>,
    sizes: acts::Sizes,
}

impl std::ops::Deref for Board {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Board {
    /// A board of these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            feed: Feed::default(),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            sizes: acts::Sizes::default(),
        }
    }

    /// Serves until shutdown.
    ///
    /// # Errors
    /// When the system does not let it.
    pub async fn serve(self, listener: Listener) -> std::io::Result<()> {
        let shutdown = self.shutdown.clone();
        let is_local = listener.local_addr()?.ip().is_loopback();
        let mut router = self.router();
        if is_local {
            router = router.layer(middleware::from_fn(from_here));
        }
        let answer = move |request: Request<Incoming>| router.clone().call(request.map(Body::new));
        http::serve(listener, HEAD_READ_MAX, answer, shutdown).await;
        Ok(())
    }

    fn router(self) -> Router {
        // What stands before whatever is for some only.
        let before = |door| middleware::from_fn_with_state((self.clone(), door), access::enter);
        let steering = Router::new()
            .route("/api/nodes/{node}", post(acts::order_node))
            .layer(DefaultBodyLimit::max(ASKED_BYTES_MAX))
            .layer(before(doors::STEERING));
        let submitting = Router::new()
            .route("/api/estimate", post(acts::estimate))
            .route("/api/grids", post(acts::submit))
            .layer(DefaultBodyLimit::max(ASKED_BYTES_MAX));
        let submitting = submitting.layer(before(doors::SUBMITTING));
        let inputs = Router::new()
            .route("/api/inputs", post(acts::keep_input))
            .layer(before(doors::UPLOADING));
        let metrics = Router::new()
            .route("/metrics", get(tell_metrics))
            .layer(before(doors::METRICS));
        let looking = Router::new()
            .route("/events", get(feed::events))
            .route("/grids/{grid}/live", get(feed::live_page))
            .route("/grids/{grid}/live/events", get(feed::live_events))
            .route("/grids/{grid}/", get(objects::gallery))
            .layer(before(doors::LOOKING));
        let pictures = Router::new()
            .route("/grids/{grid}/{*path}", get(objects::object))
            .layer(before(doors::PICTURES));
        let session = Router::new()
            .route(
                "/api/session",
                get(session::tell).post(session::begin).delete(session::end),
            )
            .layer(DefaultBodyLimit::max(session::BYTES_MAX));
        let mut router = steering
            .merge(submitting)
            .merge(inputs)
            .merge(metrics)
            .merge(looking)
            .merge(pictures)
            .merge(session);
        for (path, content_type, text) in FILES {
            router = router.route(path, get(async move || page(content_type, text)));
        }
        router
            .route("/board.css", get(async || page("text/css", STYLE.as_str())))
            .route("/healthz", get(monitoring::alive))
            .route("/readyz", get(tell_ready))
            .fallback(async || (StatusCode::NOT_FOUND, "there is no such page"))
            .with_state(self)
    }
}

/// Whoever asks for a board of this machine must name it so: a page from elsewhere whose name was made to lead here, which
/// browsers take to be of one origin with the board, does not.
async fn from_here(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    if host.is_some_and(is_local) {
        return next.run(request).await;
    }
    let text = "this board is for its own machine: name it localhost or 127.0.0.1";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

/// Whether a host, with or without a port, is this machine by its name.
fn is_local(host: &str) -> bool {
    let authority = host.parse::<Authority>();
    authority.is_ok_and(|authority| is_this_machine(authority.host()))
}

/// The fleet for Prometheus, and for what scales by it.
async fn tell_metrics(State(board): State<Board>) -> Response {
    board.monitoring.tell_metrics().await
}

/// Whether this coordinator can do its work.
async fn tell_ready(State(board): State<Board>, query: RawQuery) -> Response {
    board.monitoring.tell_ready(query).await
}

/// What is told to whoever is beyond a limit.
fn beyond(board: &Board, exceeded: &Exceeded) -> Response {
    identity::http::beyond(board.ledger.metrics(), exceeded, one_sentence(exceeded))
}

/// What is told in a sentence for a page, where a terminal has a line for the hint.
fn one_sentence(told: &impl ToString) -> String {
    told.to_string().replace("\nhint: ", "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for host in [
            "localhost",
            "localhost:7880",
            "127.0.0.1:1",
            "[::1]:80",
            "127.1.2.3",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "evil.example:7880",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "a b",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
