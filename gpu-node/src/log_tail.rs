//! The end of this process' log, kept in memory, so that a failed attempt tells what led to it.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::Subscriber;
use tracing_subscriber::field;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::{FormatFields, MakeWriter};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

/// Lines that are kept.
const LINES_MAX: usize = 200;
/// Bytes that they have together, at most.
const BYTES_MAX: usize = 64 << 10;
/// Bytes of one line; what is longer is cut.
const LINE_BYTES_MAX: usize = 4 << 10;

/// The last lines of the log; clones share them.
#[derive(Debug, Clone, Default)]
pub struct LogTail(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    /// Oldest first, each with its end of line.
    lines: VecDeque<String>,
    /// Of all lines.
    bytes: usize,
}

impl LogTail {
    /// The last lines, oldest first; no more of them than have `chars_max` characters together.
    pub fn text(&self, chars_max: usize) -> String {
        let lines = self.lock();
        let mut chars_left = chars_max;
        let fitting = lines.lines.iter().rev().take_while(|line| {
            let chars = line.chars().count();
            let fits = chars <= chars_left;
            chars_left = chars_left.saturating_sub(chars);
            fits
        });
        let first = lines.lines.len() - fitting.count();
        lines.lines.range(first..).map(String::as_str).collect()
    }

    /// What puts lines there: text as on standard error, without colours.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_subscriber::fmt::layer()
            .fmt_fields(PlainFields(DefaultFields::new()))
            .with_ansi(false)
            .with_writer(self.clone())
    }

    pub(crate) fn push(&self, text: &str) {
        let mut line = text[..text.floor_char_boundary(LINE_BYTES_MAX)].to_owned();
        if line.len() < text.len() {
            line.push('\n');
        }
        let mut lines = self.lock();
        lines.bytes += line.len();
        lines.lines.push_back(line);
        while lines.lines.len() > LINES_MAX || lines.bytes > BYTES_MAX {
            let Some(oldest) = lines.lines.pop_front() else {
                return;
            };
            lines.bytes -= oldest.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        // At worst a panic elsewhere leaves the bytes of one line uncounted.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for LogTail {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter(self)
    }
}

/// Takes one line, which comes as a whole.
#[derive(Debug)]
pub struct LineWriter<'a>(&'a LogTail);

impl io::Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The fields of spans, as a type of its own: layers whose fields are made by the same type share them, and those of
/// standard error may be coloured.
struct PlainFields(DefaultFields);

impl<'writer> FormatFields<'writer> for PlainFields {
    fn format_fields<R: field::RecordFields>(
        &self,
        writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn what_was_logged_is_kept_with_its_spans_and_without_colours() {
        let tail = LogTail::default();
        let coloured = tracing_subscriber::fmt::layer()
            .with_ansi(true)
            .with_writer(io::sink);
        let subscriber = tracing_subscriber::registry()
            .with(EnvFilter::new("info"))
            .with(coloured)
            .with(tail.layer());
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("attempt", cell = 17).entered();
            tracing::debug!("not asked for");
            tracing::warn!(reason = "no memory", "failed");
        });
        let text = tail.text(1000);
        assert!(text.ends_with('\n') && !text.contains('\u{1b}'), "{text:?}");
        assert!(
            text.contains("attempt{cell=17}") && text.contains("failed reason=\"no memory\""),
            "{text:?}"
        );
        assert!(!text.contains("not asked for"));
    }

    #[test]
    fn only_the_last_lines_are_kept_and_only_whole_ones_are_told() {
        let tail = LogTail::default();
        for number in 0..1000 {
            tail.push(&format!("line {number:03}\n"));
        }
        let text = tail.text(usize::MAX);
        assert_eq!(text.lines().count(), LINES_MAX);
        assert!(text.starts_with("line 800\n") && text.ends_with("line 999\n"));
        assert_eq!(tail.text(20), "line 998\nline 999\n");
        assert_eq!(tail.text(8), "");
    }

    #[test]
    fn long_lines_do_not_take_more_memory_than_is_theirs() {
        let tail = LogTail::default();
        for _ in 0..100 {
            tail.push(&"é".repeat(LINE_BYTES_MAX));
        }
        let text = tail.text(usize::MAX);
        assert!(text.len() <= BYTES_MAX, "{}", text.len());
        assert!(text.len() > BYTES_MAX - 2 * LINE_BYTES_MAX);
        let line = text.lines().next().unwrap();
        assert_eq!(line.len(), LINE_BYTES_MAX);
    }
}
