//! What keeps pages up to date: how everything stands, or one grid, as server-sent events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use atelier_proto::ids::GridId;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::files::{HTML, page};
use super::live::Live;
use super::session::Visitor;
use super::status::Status;
use super::{Board, beyond};
use crate::ledger::Ledger;
use crate::limits::Limit;
use crate::limits::callers::Watching;
use crate::scope;
use crate::store::StoreError;

/// Least time between two events of one page: what changes more often is shown later.
const EVENT_INTERVAL: Duration = Duration::from_secs(1);
/// Without a change, what only time changes is shown anew: how long a grid will take, and who was not heard of.
const EVENT_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// Pages that are kept up to date at once; further ones are told to come back later.
pub(crate) const PAGES_MAX: usize = 1_000;
/// Submitters for whom it is remembered what was shown last.
const LAST_MAX: usize = 200;

/// Why the board cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
enum BoardError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The pages that are kept up to date.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    pages: Arc<Semaphore>,
    /// What was shown last, of all or of a submitter.
    last: Arc<Mutex<HashMap<Option<String>, Last>>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            pages: Arc::new(Semaphore::new(PAGES_MAX)),
            last: Arc::default(),
        }
    }
}

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

/// How everything stands, now and whenever it changes.
pub(super) async fn events(
    State(board): State<Board>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    board.follow(Followed::All, &visitor)
}

/// One grid as it is painted.
pub(super) async fn live_page(
    State(board): State<Board>,
    Extension(visitor): Extension<Visitor>,
    Path(grid): Path<String>,
) -> Response {
    match board.known(&grid, &visitor).await {
        Some(_) => page(HTML, include_str!("page/live.html")),
        None => no_such_grid(),
    }
}

/// How it stands, now and whenever it changes.
pub(super) async fn live_events(
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
            Err(exceeded) => return beyond(&self, &exceeded),
        };
        let Ok(turn) = self.feed.pages.clone().try_acquire_owned() else {
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
        let mut last = self.feed.last.lock().await;
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
