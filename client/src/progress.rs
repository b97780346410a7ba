//! A grid while it renders: bars on a terminal, a line now and then elsewhere, on standard error only.

mod bars;
mod board;
mod lines;
#[cfg(test)]
mod tests;

use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use atelier_proto::ids::{CellId, GridId};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use self::bars::Bars;
pub use self::board::Board;
use self::lines::Lines;
use crate::context::Context;
use crate::coordinator::view::{CellCounts, CellNames, CellState, Change, GridState};
use crate::error::Error;
use crate::exit::Exit;
use crate::printer::{Printer, Tone};
use crate::text::{counted, printable, shortened};

/// How long a coordinator may be away, as for a restart, before a watch gives up.
const LOST_DURATION_MAX: Duration = Duration::from_mins(1);
/// Between two tries to take a watch up again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// A stream that held for so long was no failed try.
const STEADY_DURATION: Duration = Duration::from_secs(10);
/// Failed cells that are told one by one.
const FAILURES_TOLD_MAX: usize = 10;

/// How a grid ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ended {
    /// The grid.
    pub grid_id: GridId,
    /// Its name.
    pub name: String,
    /// Finished or cancelled.
    pub state: GridState,
    /// How its cells ended.
    #[serde(rename = "cells")]
    pub counts: CellCounts,
    /// Cells without a picture, and why.
    pub failures: Vec<Failure>,
}

/// A cell that was given up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    /// The cell.
    pub cell_id: CellId,
    /// The name of its photo; none if it is of an artist alone.
    pub photo: Option<String>,
    /// The name of its artist; none if it is of a photo alone.
    pub artist: Option<String>,
    /// The name of its variant; empty for the only one.
    pub variant: String,
    /// Why its last attempt failed.
    pub reason: String,
}

impl Failure {
    /// What the cell is called.
    pub fn names(&self) -> CellNames<'_> {
        CellNames {
            photo: self.photo.as_deref(),
            artist: self.artist.as_deref(),
            variant: &self.variant,
        }
    }
}

impl Ended {
    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self.state {
            GridState::Cancelled => Exit::GridCancelled,
            _ if self.counts.failed > 0 => Exit::CellsFailed,
            _ => Exit::Ok,
        }
    }

    /// Says how it ended: each failed cell, then the whole.
    pub fn tell(&self, printer: &Printer) {
        for failure in self.failures.iter().take(FAILURES_TOLD_MAX) {
            let label = printable(&failure.names().to_string());
            printer.warn(&format!("{label} failed: {}", printable(&failure.reason)));
        }
        let untold = self.failures.len().saturating_sub(FAILURES_TOLD_MAX);
        if untold > 0 {
            printer.warn(&format!("{} more failed", counted(untold, "cell")));
        }
        let tone = match self.exit() {
            Exit::Ok => Tone::Good,
            _ => Tone::Bad,
        };
        let name = printable(&shortened(&self.name, 80));
        let state = printer.tint(tone, &self.state.to_string());
        printer.say(&format!("{name} {state}: {}", self.counts));
    }
}

/// Draws progress until the grid has ended and its gallery is complete.
///
/// # Errors
/// `Interrupted` on Ctrl-C, while the grid goes on; a coordinator that stays away.
pub async fn follow(context: &Context, grid: GridId) -> Result<Ended, Error> {
    follow_each(context, grid, |_, _| Ok(())).await
}

/// As [`follow`], and `each` gets every change.
pub async fn follow_each(
    context: &Context,
    grid: GridId,
    mut each: impl FnMut(&Board, &Change) -> Result<(), Error>,
) -> Result<Ended, Error> {
    let words = format!("interrupted; the grid goes on, and `atelier watch {grid}` shows it again");
    let following = async {
        let mut board = Board::new(context.coordinator.get(grid).await?);
        let mut display = Display::new(&context.printer, &board);
        let mut lost: Option<Stopwatch> = None;
        while !board.summary().is_over() {
            let since = Stopwatch::start();
            let broken = watch_once(context, &mut board, &mut display, &mut each).await;
            if since.elapsed() >= STEADY_DURATION {
                lost = None;
            }
            match broken {
                Ok(()) => {}
                Err(Error::Rpc(error)) if error.is_passing() => match lost {
                    None => {
                        lost = Some(Stopwatch::start());
                        context.printer.warn(&format!(
                            "lost the coordinator at {}; trying for a minute to find it again",
                            context.coordinator.url()
                        ));
                    }
                    Some(lost) if lost.elapsed() < LOST_DURATION_MAX => {}
                    Some(_) => return Err(error.into()),
                },
                Err(error) => return Err(error),
            }
            if !board.summary().is_over() {
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
        }
        drop(display);
        Ok(board.ended())
    };
    context.unless_interrupted(&words, following).await
}

/// Watches until the coordinator has no more to say or the connection breaks.
async fn watch_once(
    context: &Context,
    board: &mut Board,
    display: &mut Display,
    each: &mut impl FnMut(&Board, &Change) -> Result<(), Error>,
) -> Result<(), Error> {
    let summary = board.summary();
    let (grid, sequence) = (summary.grid_id, board.sequence());
    let mut changes = context.coordinator.watch(grid, sequence).await?;
    while let Some(change) = changes.next().await? {
        let news = board.apply(&change);
        display.update(board, &news);
        each(board, &change)?;
    }
    Ok(())
}

/// A cell that has just come to a picture or lost an attempt.
#[derive(Debug, Clone, PartialEq)]
struct News {
    label: String,
    state: CellState,
    /// Seconds of optimisation of a cell that is done.
    seconds: Option<f64>,
    /// Why the attempt failed, of one that is not.
    failure: Option<String>,
}

/// How progress is shown: the one or the other, for the whole of a run.
enum Display {
    Bars(Bars),
    Lines(Lines),
}

impl Display {
    fn new(printer: &Printer, board: &Board) -> Self {
        match printer.bars() {
            Some(bars) => Self::Bars(Bars::new(printer.clone(), bars.clone(), board)),
            None => Self::Lines(Lines::new(printer.clone(), board)),
        }
    }

    fn update(&mut self, board: &Board, news: &[News]) {
        match self {
            Self::Bars(bars) => bars.update(board, news),
            Self::Lines(lines) => lines.update(board, news),
        }
    }
}

/// A bar that counts `length` steps of what is said; invisible where there are no bars. Clear it with
/// [`ProgressBar::finish_and_clear`].
pub fn counter(printer: &Printer, what: &str, length: u64) -> ProgressBar {
    let Some(bars) = printer.bars() else {
        return ProgressBar::hidden();
    };
    let bar = bars.add(ProgressBar::new(length));
    bar.set_style(style("{prefix}  {bar:24}  {pos} of {len}  {msg}", printer));
    bar.set_prefix(what.to_owned());
    bar
}

/// A template, which is ours and so parses; with the strokes that all bars here have.
fn style(template: &str, printer: &Printer) -> ProgressStyle {
    let template = if printer.colour() {
        template.replace("{bar:24}", "{bar:24.cyan/dim}")
    } else {
        template.to_owned()
    };
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}
