//! The live board: grids and nodes as they stand, in a browser, and the galleries of the bucket, growing while they are
//! rendered. It reads and changes nothing.
//!
//! [`status`] is what is shown; a page keeps it up to date by server-sent events, and comes back by itself when the coordinator
//! does. A gallery is the page that lies in the bucket, with the files beside it.

mod objects;
mod status;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use atelier_gallery::bucket::Bucket;
use atelier_gallery::page::PALETTE;
use atelier_proto::clock::Stopwatch;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::Stream;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use self::status::Status;
use crate::ledger::Ledger;
use crate::store::StoreError;

/// Least time between two events of one page: what changes more often is shown later.
const EVENT_INTERVAL: Duration = Duration::from_secs(1);
/// Without a change, what only time changes is shown anew: how long a grid will take, and who was not heard of.
const EVENT_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// Pages that are kept up to date at once; further ones are told to come back later.
const PAGES_MAX: usize = 1_000;

/// What a page may load: its own files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Why the board cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
enum BoardError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// In the colours of galleries.
static STYLE: LazyLock<String> =
    LazyLock::new(|| format!("{PALETTE}{}", include_str!("board/page/board.css")));

/// What the board shows.
#[derive(Debug, Clone)]
pub struct Board {
    ledger: Arc<Ledger>,
    bucket: Bucket,
    shutdown: CancellationToken,
    pages: Arc<Semaphore>,
    last: Arc<Mutex<Option<Last>>>,
}

/// What was shown last, for the pages that ask at the same time.
#[derive(Debug, Clone)]
struct Last {
    read: Stopwatch,
    text: Arc<str>,
}

impl Board {
    /// A board of what this ledger and this bucket hold, until `shutdown`.
    pub fn new(ledger: Arc<Ledger>, bucket: Bucket, shutdown: CancellationToken) -> Self {
        Self {
            ledger,
            bucket,
            shutdown,
            pages: Arc::new(Semaphore::new(PAGES_MAX)),
            last: Arc::default(),
        }
    }

    /// Serves until shutdown.
    ///
    /// # Errors
    /// When the system does not let it.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        let shutdown = self.shutdown.clone();
        let is_local = listener.local_addr()?.ip().is_loopback();
        let mut router = self.router();
        if is_local {
            router = router.layer(middleware::from_fn(from_here));
        }
        axum::serve(listener, router)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
    }

    fn router(self) -> Router {
        Router::new()
            .route(
                "/",
                get(async || {
                    page(
                        "text/html; charset=utf-8",
                        include_str!("board/page/index.html"),
                    )
                }),
            )
            .route("/board.css", get(async || page("text/css", STYLE.as_str())))
            .route(
                "/board.js",
                get(async || page("text/javascript", include_str!("board/page/board.js"))),
            )
            .route("/events", get(events))
            .route("/grids/{grid}/", get(objects::gallery))
            .route("/grids/{grid}/{*path}", get(objects::object))
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

/// How everything stands, now and whenever it changes.
async fn events(State(board): State<Board>) -> Response {
    let Ok(turn) = board.pages.clone().try_acquire_owned() else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pages are open; try again later",
        )
            .into_response();
    };
    Sse::new(board.changes(turn))
        .keep_alive(KeepAlive::default())
        .into_response()
}

impl Board {
    /// How everything stands, as JSON, at most some moments old.
    async fn text(&self) -> Result<Arc<str>, BoardError> {
        let mut last = self.last.lock().await;
        if let Some(last) = last
            .as_ref()
            .filter(|last| last.read.elapsed() < EVENT_INTERVAL / 2)
        {
            return Ok(last.text.clone());
        }
        let status = Status::read(&self.ledger).await?;
        let text: Arc<str> = serde_json::to_string(&status)?.into();
        *last = Some(Last {
            read: Stopwatch::start(),
            text: text.clone(),
        });
        Ok(text)
    }

    /// Ends with the coordinator; a page then asks again until there is one.
    fn changes(self, turn: OwnedSemaphorePermit) -> impl Stream<Item = Result<Event, Infallible>> {
        let bell = self.ledger.changed_bell();
        let begin = (self, turn, bell, None::<Arc<str>>);
        futures::stream::unfold(begin, async |(board, turn, mut bell, before)| {
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
                let text = match board.text().await {
                    Ok(text) => text,
                    Err(error) => {
                        tracing::warn!(%error, "the board cannot be brought up to date; trying again");
                        let wait = tokio::time::sleep(EVENT_INTERVAL_MAX);
                        board.shutdown.run_until_cancelled(wait).await?;
                        continue;
                    }
                };
                if before.as_ref() != Some(&text) {
                    let event = Event::default().event("status").data(&*text);
                    return Some((Ok(event), (board, turn, bell, Some(text))));
                }
            }
        })
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
