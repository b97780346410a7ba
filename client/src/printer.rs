//! What reaches the person: data on standard output, everything else on standard error.
//!
//! One [`Printer`] decides about colour, quiet, JSON and progress; nothing else in this library writes.

use std::error::Error as _;
use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use crate::error::Error;
use crate::text::printable_lines;

/// Writes for one run of the program.
#[derive(Debug, Clone)]
pub struct Printer {
    quiet: bool,
    json: bool,
    colour: bool,
    /// Bars are drawn only here, so that lines and bars do not write over one another.
    bars: Option<MultiProgress>,
}

/// How a word is made to stand out.
#[derive(Debug, Clone, Copy)]
pub enum Tone {
    /// It went well.
    Good,
    /// It did not.
    Bad,
    /// Worth a look.
    Warning,
    /// Less important than its neighbours.
    Dim,
    /// More important than its neighbours.
    Bold,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Warning => "1;33",
            Self::Dim => "2",
            Self::Bold => "1",
        }
    }
}

impl Printer {
    /// A printer for this terminal, or for what stands in its place.
    pub fn new(quiet: bool, json: bool, no_color: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let no_color = no_color || std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
        let bars = (terminal && !dumb && !quiet)
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8)));
        Self {
            quiet,
            json,
            colour: terminal && !dumb && !no_color,
            bars,
        }
    }

    /// Whether only data, warnings and errors are wanted.
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// Whether data is wanted as JSON.
    pub fn json_wanted(&self) -> bool {
        self.json
    }

    /// Where bars are drawn; `None`: they are not.
    pub fn bars(&self) -> Option<&MultiProgress> {
        self.bars.as_ref()
    }

    /// Whether escape codes are understood.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// One line of data.
    pub fn data(&self, line: &str) -> Result<(), Error> {
        let write = || {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{line}")?;
            stdout.flush()
        };
        let written = match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        };
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::OutputClosed,
            _ => Error::Output(error),
        })
    }

    /// One line of JSON data.
    pub fn json(&self, data: &impl Serialize) -> Result<(), Error> {
        let line =
            serde_json::to_string(data).map_err(|error| Error::Output(io::Error::other(error)))?;
        self.data(&line)
    }

    /// One line of prose, left out when quiet.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            self.write_prose(line);
        }
    }

    /// One line that matters though the command goes on.
    pub fn warn(&self, line: &str) {
        self.write_prose(&format!("{} {line}", self.tint(Tone::Warning, "warning:")));
    }

    /// Why the command ends; said even when quiet.
    pub fn error(&self, error: &Error) {
        if matches!(error, Error::OutputClosed) {
            return;
        }
        if matches!(error, Error::Interrupted(_)) {
            self.write_prose(&error.to_string());
            return;
        }
        self.write_prose(&format!(
            "{} {}",
            self.tint(Tone::Bad, "error:"),
            self.tint_hint(&full_text(error))
        ));
    }

    /// A question, after which a person may write on the same line; asked even when quiet.
    pub fn question(&self, text: &str) {
        // Nobody is there to answer when standard error cannot be written.
        let write = || {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "{text} ");
            let _ = stderr.flush();
        };
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    /// A picture on a terminal, with the codes that put it in the place of the one before. Whoever draws has no bars.
    pub fn draw(&self, picture: &str) {
        let mut stderr = io::stderr().lock();
        // Nobody is left to tell when standard error cannot be written.
        if stderr.write_all(picture.as_bytes()).is_ok() {
            let _ = stderr.flush();
        }
    }

    /// A word made to stand out, where the terminal can.
    pub fn tint(&self, tone: Tone, word: &str) -> String {
        if self.colour {
            format!("\x1b[{}m{word}\x1b[0m", tone.code())
        } else {
            word.to_owned()
        }
    }

    fn tint_hint(&self, text: &str) -> String {
        let hint = format!("\n{}", self.tint(Tone::Warning, "hint:"));
        text.replace("\nhint:", &hint)
    }

    fn write_prose(&self, line: &str) {
        // Nobody is left to tell when standard error cannot be written.
        let write = || drop(writeln!(io::stderr().lock(), "{line}"));
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}

/// The text of an error with those causes that it does not name itself; the outermost hint comes last. Errors quote what
/// others wrote: what could move the cursor is left out here, for all of them.
pub fn full_text(error: &Error) -> String {
    let text = error.to_string();
    let (told, hint) = without_hint(&text);
    let mut told = told.to_owned();
    let mut hint = hint.map(str::to_owned);
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        let (words, own_hint) = without_hint(&text);
        if !told.contains(words) {
            told.push_str("\n  caused by: ");
            told.push_str(words);
        }
        hint = hint.or_else(|| own_hint.map(str::to_owned));
        cause = error.source();
    }
    if let Some(hint) = hint {
        told.push_str("\nhint:");
        told.push_str(&hint);
    }
    printable_lines(&told)
}

fn without_hint(text: &str) -> (&str, Option<&str>) {
    match text.split_once("\nhint:") {
        Some((words, hint)) => (words, Some(hint)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use atelier_gallery::picture::PictureError;

    use super::*;
    use crate::inputs::InputError;

    #[test]
    fn a_cause_and_a_hint_are_told_once() {
        let error = Error::from(InputError::Picture {
            path: "cut.png".into(),
            source: PictureError::NotAPicture,
        });
        let text = full_text(&error);
        assert_eq!(text.matches("it is not").count(), 1, "{text}");
        assert_eq!(text.matches("hint:").count(), 1, "{text}");

        let error = Error::System {
            what: "a thread",
            cause: io::Error::other("none left\nhint: close something"),
        };
        let text = full_text(&error);
        assert!(text.ends_with("none left\nhint: close something"), "{text}");
    }
}
