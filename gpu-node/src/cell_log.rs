//! What was logged of each attempt, from its lease on: the lines at `info` and above that were written in its span, for people
//! who ask later how a picture came about. What the process logs besides is in [`crate::log_tail`].

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atelier_proto::clock::Clock;
use tracing::span::Id;
use tracing::{Event, Level, Span, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::FormatFields as _;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::log_tail::LogTail;

/// What is kept of the log.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// The end of what this process logged.
    pub process: LogTail,
    /// What it logged of each attempt.
    pub cells: CellLogs,
}

/// The logs of the attempts in hand; clones share them.
#[derive(Debug, Clone, Default)]
pub struct CellLogs(Arc<Mutex<HashMap<Id, LogTail>>>);

/// The log of one attempt, which is kept until this is dropped.
#[derive(Debug)]
pub struct CellLog {
    logs: CellLogs,
    span: Option<Id>,
    tail: LogTail,
}

impl CellLogs {
    /// Keeps what is logged in a span from now on. Where nobody listens to the span, that is nothing.
    pub fn follow(&self, span: &Span) -> CellLog {
        let tail = LogTail::default();
        let span = span.id();
        if let Some(span) = &span {
            self.lock().insert(span.clone(), tail.clone());
        }
        CellLog {
            logs: self.clone(),
            span,
            tail,
        }
    }

    /// What puts lines there.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        // What else the log is to have, or lack, is not asked: it is read elsewhere and by others.
        Lines(self.clone()).with_filter(
            Targets::new()
                .with_target("atelier", LevelFilter::INFO)
                .with_default(LevelFilter::WARN),
        )
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, LogTail>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CellLog {
    /// The last lines, oldest first; no more of them than have `chars_max` characters together.
    pub fn text(&self, chars_max: usize) -> String {
        self.tail.text(chars_max)
    }
}

impl Drop for CellLog {
    fn drop(&mut self) {
        if let Some(span) = &self.span {
            self.logs.lock().remove(span);
        }
    }
}

struct Lines(CellLogs);

impl<S> Layer<S> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(scope) = context.event_scope(event) else {
            return;
        };
        let tail = {
            let followed = self.0.lock();
            if followed.is_empty() {
                return;
            }
            scope
                .map(|span| span.id())
                .find_map(|id| followed.get(&id).cloned())
        };
        if let Some(tail) = tail {
            tail.push(&line(event));
        }
    }
}

/// As in `2026-11-26T12:00:00.123Z  INFO inputs at hand paintings=2`. The spans are left out: whoever reads it knows of which
/// attempt it is.
fn line(event: &Event<'_>) -> String {
    let now = Clock::system().now();
    let level = *event.metadata().level();
    let mut line = format!("{now:.3} {level:>5} ");
    // Writing to a string cannot fail.
    let _ = DefaultFields::new().format_fields(Writer::new(&mut line), event);
    if level <= Level::WARN && !event.metadata().target().starts_with("atelier") {
        let _ = write!(line, " ({})", event.metadata().target());
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn each_attempt_has_what_was_logged_in_its_span_and_nothing_else() {
        let logs = CellLogs::default();
        let subscriber = tracing_subscriber::registry().with(logs.layer());
        tracing::subscriber::with_default(subscriber, || {
            let attempt = |cell| tracing::info_span!("attempt", cell);
            let (first, second) = (attempt(1), attempt(2));
            let (one, two) = (logs.follow(&first), logs.follow(&second));
            tracing::info!("of nobody");
            first.in_scope(|| {
                tracing::info!("before");
                let part = tracing::info_span!("put");
                part.in_scope(|| tracing::warn!(key = "a/b", "a second try"));
                tracing::debug!("not asked for");
            });
            second.in_scope(|| tracing::info!("elsewhere"));
            let text = one.text(1000);
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines.len(), 2, "{text}");
            assert!(lines[0].ends_with("Z  INFO before"), "{text}");
            assert!(
                lines[1].contains(" WARN a second try key=\"a/b\""),
                "{text}"
            );
            assert!(two.text(1000).ends_with("elsewhere\n"));
            drop((one, two));
            assert!(logs.lock().is_empty(), "nothing is kept of what has ended");
        });
    }

    #[test]
    fn where_nobody_listens_there_is_no_log() {
        let logs = CellLogs::default();
        let log = logs.follow(&Span::none());
        assert_eq!(log.text(1000), "");
    }
}
