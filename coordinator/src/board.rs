//! The live board: grids and nodes as they stand, in a browser, and the galleries of the bucket, growing while they are
//! rendered. Whoever has its key can act there, too; where everybody says who they are, people log in, and each sees and does what
//! their role lets them.
//!
//! [`status`] is what is shown of all, [`live`] of one grid; a page keeps it up to date by server-sent events, and comes back by
//! itself when the coordinator does. A gallery is the page that lies in the bucket, with the files beside it ([`objects`]).
//! [`acts`] is what people do, [`access`] who may, [`session`] how they log in.

mod access;
mod acts;
mod live;
mod objects;
mod session;
mod status;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use atelier_gallery::bucket::Bucket;
use atelier_gallery::page::PALETTE;
use atelier_proto::clock::Stopwatch;
use atelier_proto::ids::GridId;
use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::{Stream, StreamExt as _};
use hyper::body::Incoming;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

pub use self::access::{Key, KeyError};
pub(crate) use self::acts::UPLOAD_IDLE_MAX;
use self::live::Live;
use self::session::Visitor;
pub(crate) use self::session::refuse_saying;
use self::status::Status;
use crate::identity::Identities;
use crate::identity::audit::Audit;
use crate::ledger::Ledger;
use crate::limits::Limit;
use crate::limits::callers::{Callers, Watching};
use crate::listen::{Listener, http};
use crate::monitoring::{self, Monitoring};
use crate::scope;
use crate::store::StoreError;
use crate::submissions::Submissions;

/// Least time between two events of one page: what changes more often is shown later.
const EVENT_INTERVAL: Duration = Duration::from_secs(1);
/// Without a change, what only time changes is shown anew: how long a grid will take, and who was not heard of.
const EVENT_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// How long the head of a request may take, and how long a connection may be idle before it.
pub(crate) const HEAD_READ_MAX: Duration = Duration::from_mins(1);
/// Pages that are kept up to date at once; further ones are told to come back later.
pub(crate) const PAGES_MAX: usize = 1_000;
/// Pictures that are taken in at once; each is in memory, and decoded there.
pub(crate) const UPLOADS_MAX: usize = 3;
/// Bytes of what people ask for, pictures aside: a grid of 10,000 pictures has some 2 MiB.
pub(crate) const ASKED_BYTES_MAX: usize = 8 << 20;

/// What a page may load: its own files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Why the board cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
enum BoardError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The board's own files, by their paths.
const FILES: [(&str, &str, &str); 11] = [
    ("/", HTML, include_str!("board/page/index.html")),
    ("/board.js", SCRIPT, include_str!("board/page/board.js")),
    ("/dom.js", SCRIPT, include_str!("board/page/dom.js")),
    ("/feed.js", SCRIPT, include_str!("board/page/feed.js")),
    ("/session.js", SCRIPT, include_str!("board/page/session.js")),
    ("/login", HTML, include_str!("board/page/login.html")),
    ("/login.js", SCRIPT, include_str!("board/page/login.js")),
    ("/live.js", SCRIPT, include_str!("board/page/live.js")),
    ("/submit", HTML, include_str!("board/page/submit.html")),
    ("/submit.js", SCRIPT, include_str!("board/page/submit.js")),
    ("/inputs.js", SCRIPT, include_str!("board/page/inputs.js")),
];

/// In the colours of galleries.
static STYLE: LazyLock<String> =
    LazyLock::new(|| format!("{PALETTE}{}", include_str!("board/page/board.css")));

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
    pages: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    sizes: acts::Sizes,
    last: Arc<Mutex<HashMap<Option<String>, Last>>>,
}

impl std::ops::Deref for Board {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// Submitters for whom it is remembered what was shown last.
const LAST_MAX: usize = 200;

/// What was shown last, for the pages that ask at the same time.
#[derive(Debug, Clone)]
struct Last {
    read: Stopwatch,
    text: Arc<str>,
}

/// A page that is kept up to date, counted for as long as it is.
#[derive(Debug)]
struct OpenPage {
    ledger: Arc<Ledger>,
    _turn: OwnedSemaphorePermit,
    _watching: Watching,
}

impl OpenPage {
    fn new(ledger: Arc<Ledger>, turn: OwnedSemaphorePermit, watching: Watching) -> Self {
        ledger.metrics().board_pages.add(1.0);
        Self {
            ledger,
            _turn: turn,
            _watching: watching,
        }
    }
}

impl Drop for OpenPage {
    fn drop(&mut self) {
        self.ledger.metrics().board_pages.add(-1.0);
    }
}

/// What a page follows.
#[derive(Debug, Clone, Copy)]
enum Followed {
    All,
    Grid(GridId),
}

impl Board {
    /// A board of these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            pages: Arc::new(Semaphore::new(PAGES_MAX)),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            sizes: acts::Sizes::default(),
            last: Arc::default(),
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
            .layer(before(access::STEERING));
        let submitting = Router::new()
            .route("/api/estimate", post(acts::estimate))
            .route("/api/grids", post(acts::submit))
            .layer(DefaultBodyLimit::max(ASKED_BYTES_MAX));
        let submitting = submitting.layer(before(access::SUBMITTING));
        let inputs = Router::new()
            .route("/api/inputs", post(acts::keep_input))
            .layer(before(access::UPLOADING));
        let metrics = Router::new()
            .route("/metrics", get(tell_metrics))
            .layer(before(access::METRICS));
        let looking = Router::new()
            .route("/events", get(events))
            .route("/grids/{grid}/live", get(live_page))
            .route("/grids/{grid}/live/events", get(live_events))
            .route("/grids/{grid}/", get(objects::gallery))
            .layer(before(access::LOOKING));
        let pictures = Router::new()
            .route("/grids/{grid}/{*path}", get(objects::object))
            .layer(before(access::PICTURES));
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
    authority.is_ok_and(|authority| {
        let name = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let address = name.parse::<IpAddr>();
        name == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

/// A file of the board itself.
fn page(content_type: &'static str, text: &'static str) -> Response {
    let mut headers = HeaderMap::new();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_TYPE, content_type);
    set(CACHE_CONTROL, "no-cache");
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(REFERRER_POLICY, "no-referrer");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    (headers, text).into_response()
}

/// The fleet for Prometheus, and for what scales by it.
async fn tell_metrics(State(board): State<Board>) -> Response {
    board.monitoring.tell_metrics().await
}

/// Whether this coordinator can do its work.
async fn tell_ready(State(board): State<Board>, query: RawQuery) -> Response {
    board.monitoring.tell_ready(query).await
}

fn unavailable(error: &StoreError) -> Response {
    tracing::warn!(%error, "the store does not answer");
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "the database does not answer\n",
    )
        .into_response()
}

/// How everything stands, now and whenever it changes.
async fn events(State(board): State<Board>, Extension(visitor): Extension<Visitor>) -> Response {
    board.follow(Followed::All, &visitor)
}

/// One grid as it is painted.
async fn live_page(
    State(board): State<Board>,
    Extension(visitor): Extension<Visitor>,
    Path(grid): Path<String>,
) -> Response {
    match board.known(&grid, &visitor).await {
        Some(_) => page(HTML, include_str!("board/page/live.html")),
        None => no_such_grid(),
    }
}

/// How it stands, now and whenever it changes.
async fn live_events(
    State(board): State<Board>,
    Extension(visitor): Extension<Visitor>,
    Path(grid): Path<String>,
) -> Response {
    match board.known(&grid, &visitor).await {
        Some(grid) => board.follow(Followed::Grid(grid), &visitor),
        None => no_such_grid(),
    }
}

fn no_such_grid() -> Response {
    (StatusCode::NOT_FOUND, "there is no such grid").into_response()
}

impl Board {
    /// A grid, if it is one of this coordinator, and there for this visitor.
    async fn known(&self, grid: &str, visitor: &Visitor) -> Option<GridId> {
        let grid = grid.parse().ok()?;
        let caller = &visitor.admitted.caller;
        scope::own(&self.ledger, grid, caller).await.ok()?;
        self.ledger.store().summary(grid).await.ok()?;
        Some(grid)
    }

    fn follow(self, followed: Followed, visitor: &Visitor) -> Response {
        let watching = match visitor.turn.watch() {
            Ok(watching) => watching,
            Err(exceeded) => return access::beyond(&self, &exceeded),
        };
        let Ok(turn) = self.pages.clone().try_acquire_owned() else {
            self.ledger.metrics().refused(Limit::BoardPages);
            let text = "too many pages are open; try again later";
            return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
        };
        let identities = self.identities.clone();
        let over = visitor.admitted.clone();
        // Whoever is not let in any more sees nothing more.
        let until_over = async move { identities.until_over(&over).await };
        let scope = visitor.admitted.caller.confined_to().map(str::to_owned);
        let page = OpenPage::new(self.ledger.clone(), turn, watching);
        let changes = self.changes(followed, scope, page);
        Sse::new(changes.take_until(Box::pin(until_over)))
            .keep_alive(KeepAlive::default())
            .into_response()
    }

    async fn text(&self, followed: Followed, scope: Option<&str>) -> Result<Arc<str>, BoardError> {
        match followed {
            Followed::All => self.text_of_all(scope).await,
            Followed::Grid(grid) => {
                let live = Live::read(&self.ledger, grid).await?;
                Ok(serde_json::to_string(&live)?.into())
            }
        }
    }

    /// How everything stands, or what is there for one submitter, as JSON, at most some moments old.
    async fn text_of_all(&self, scope: Option<&str>) -> Result<Arc<str>, BoardError> {
        let scope = scope.map(str::to_owned);
        let mut last = self.last.lock().await;
        if let Some(last) = last
            .get(&scope)
            .filter(|last| last.read.elapsed() < EVENT_INTERVAL / 2)
        {
            return Ok(last.text.clone());
        }
        let scaling = &self.monitoring.scaling;
        let status = Status::read(&self.ledger, scaling, scope.as_deref()).await?;
        let text: Arc<str> = serde_json::to_string(&status)?.into();
        if last.len() >= LAST_MAX {
            last.clear();
        }
        let shown = Last {
            read: Stopwatch::start(),
            text: text.clone(),
        };
        last.insert(scope, shown);
        Ok(text)
    }

    /// Ends with the coordinator; a page then asks again until there is one.
    fn changes(
        self,
        followed: Followed,
        scope: Option<String>,
        page: OpenPage,
    ) -> impl Stream<Item = Result<Event, Infallible>> {
        let bell = self.ledger.changed_bell();
        let begin = (self, scope, page, bell, None::<Arc<str>>);
        futures::stream::unfold(
            begin,
            move |(board, scope, page, mut bell, before)| async move {
                loop {
                    if before.is_some() {
                        let waited = async {
                            tokio::time::sleep(EVENT_INTERVAL).await;
                            // Over when it rings, and when it has not for a while.
                            let _ = tokio::time::timeout(EVENT_INTERVAL_MAX, bell.changed()).await;
                        };
                        board.shutdown.run_until_cancelled(waited).await?;
                    }
                    bell.mark_unchanged();
                    let text = match board.text(followed, scope.as_deref()).await {
                        Ok(text) => text,
                        // It was deleted meanwhile.
                        Err(BoardError::Store(StoreError::UnknownGrid(_))) => return None,
                        Err(error) => {
                            tracing::warn!(%error, "the board cannot be brought up to date; trying again");
                            let wait = tokio::time::sleep(EVENT_INTERVAL_MAX);
                            board.shutdown.run_until_cancelled(wait).await?;
                            continue;
                        }
                    };
                    if before.as_ref() != Some(&text) {
                        let name = match followed {
                            Followed::All => "status",
                            Followed::Grid(_) => "grid",
                        };
                        let event = Event::default().event(name).data(&*text);
                        return Some((Ok(event), (board, scope, page, bell, Some(text))));
                    }
                }
            },
        )
    }
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
