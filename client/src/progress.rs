//! A grid while it renders: bars on a terminal, a line now and then elsewhere, on standard error only.

mod absence;
mod bars;
mod board;
mod counter;
mod lines;
#[cfg(test)]
mod tests;

use atelier_proto::clock::Stopwatch;
use atelier_proto::ids::{CellId, GridId};
use serde::Serialize;

use self::absence::Absence;
use self::bars::Bars;
pub use self::board::Board;
pub use self::counter::{byte_counter, counter};
use self::lines::Lines;
use crate::context::Context;
use crate::coordinator::view::{CellCounts, CellNames, CellState, Change, GridState, Summary};
use crate::error::Error;
use crate::exit::Exit;
use crate::printer::{Printer, Tone};
use crate::text::{counted, printable, rough_duration, shortened};

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
            GridState::Deleted => Exit::NotFound,
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
    let detail = if context.printer.quiet() {
        Detail::Counts
    } else {
        Detail::Cells
    };
    let display = Display::wanted(&context.printer);
    follow_with(context, grid, detail, display, |_, _| Ok(())).await
}

/// As [`follow`], and `each` gets every change with its cells, each once.
pub async fn follow_each(
    context: &Context,
    grid: GridId,
    each: impl FnMut(&Board, &Change) -> Result<(), Error>,
) -> Result<Ended, Error> {
    let display = Display::wanted(&context.printer);
    follow_with(context, grid, Detail::Cells, display, each).await
}

/// The same without a word of its own: `each` shows what there is to be seen.
pub async fn follow_unseen(
    context: &Context,
    grid: GridId,
    each: impl FnMut(&Board, &Change) -> Result<(), Error>,
) -> Result<Ended, Error> {
    let display = |_: &Board| Display::Nothing;
    follow_with(context, grid, Detail::Cells, display, each).await
}

/// How closely a grid is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    Cells,
    /// Nobody sees the cells before the end.
    Counts,
}

async fn follow_with(
    context: &Context,
    grid: GridId,
    detail: Detail,
    display: impl FnOnce(&Board) -> Display,
    each: impl FnMut(&Board, &Change) -> Result<(), Error>,
) -> Result<Ended, Error> {
    let words = format!("the grid goes on, and `atelier watch {grid}` shows it again");
    let following = async {
        let board = Board::new(context.coordinator.get(grid).await?);
        let display = display(&board);
        let mut watch = Watch {
            context,
            detail,
            board,
            display,
            each,
            has_told: false,
            open: None,
            has_old_cells: false,
        };
        let mut absence = Absence::default();
        loop {
            let error = match watch.go_on().await {
                Ok(ended) => return Ok(ended),
                Err(Error::Rpc(error)) if error.is_passing() => error,
                Err(error) => return Err(error),
            };
            let held = watch.open.take().map(|since| since.elapsed());
            let Some(pause) = absence.broken_after(held.unwrap_or_default()) else {
                return Err(error.into());
            };
            if absence.is_new() {
                context.printer.warn(&format!(
                    "lost the coordinator at {}; trying for a minute to go on",
                    context.coordinator.url()
                ));
            }
            context.coordinator.pass_on();
            tokio::time::sleep(pause).await;
        }
    };
    context.unless_interrupted(&words, following).await
}

/// A watch that outlives its streams.
struct Watch<'a, Each> {
    context: &'a Context,
    detail: Detail,
    board: Board,
    display: Display,
    each: Each,
    /// Whether `each` has had a change already.
    has_told: bool,
    /// Since when there is a stream.
    open: Option<Stopwatch>,
    /// Whether the cells are as they once were, since only counts were asked for.
    has_old_cells: bool,
}

impl<Each: FnMut(&Board, &Change) -> Result<(), Error>> Watch<'_, Each> {
    /// Goes on after the last change that is known, to the end of the grid.
    async fn go_on(&mut self) -> Result<Ended, Error> {
        let coordinator = &self.context.coordinator;
        let grid = self.board.summary().grid_id;
        let summary_only = self.detail == Detail::Counts;
        while !self.board.is_over() || self.lacks_failures() {
            if self.board.is_over() {
                // It is not over if somebody had cells tried again meanwhile.
                self.board = Board::new(coordinator.get(grid).await?);
                self.has_old_cells = false;
                continue;
            }
            let sequence = self.board.sequence();
            let mut changes = coordinator.watch(grid, sequence, summary_only).await?;
            self.open = Some(Stopwatch::start());
            self.has_old_cells |= summary_only;
            while let Some(change) = changes.next().await? {
                self.take(change)?;
            }
            if !self.board.is_over() {
                return Err(changes.ended_early().into());
            }
        }
        Ok(self.board.ended())
    }

    /// Whether cells failed of which it is not known why, which is told at the end.
    fn lacks_failures(&self) -> bool {
        self.has_old_cells && self.board.summary().cells.failed > 0
    }

    fn take(&mut self, mut change: Change) -> Result<(), Error> {
        let known = self.board.sequence();
        let news = self.board.apply(&mut change);
        self.display.update(&self.board, &news);
        // Every stream begins with how the grid stands, whether or not that is new.
        let is_new = change.sequence > known || !change.cells.is_empty();
        if is_new || !self.has_told {
            self.has_told = true;
            (self.each)(&self.board, &change)?;
        }
        Ok(())
    }
}

/// What is to be expected of a grid: `4 min 10 s left`, `$0.12 of about $0.40`.
pub(crate) fn outlook(summary: &Summary) -> impl Iterator<Item = String> {
    let time_left = summary.time_left.filter(|_| !summary.state.has_ended());
    let time_left = time_left.map(|time| format!("{} left", rough_duration(time)));
    time_left.into_iter().chain(summary.cost())
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

/// How progress is shown, for the whole of a run.
enum Display {
    Bars(Bars),
    Lines(Lines),
    Nothing,
}

impl Display {
    /// Bars where they can be drawn, lines elsewhere.
    fn wanted(printer: &Printer) -> impl FnOnce(&Board) -> Self {
        |board| match printer.bars() {
            Some(bars) => Self::Bars(Bars::new(printer.clone(), bars.clone(), board)),
            None => Self::Lines(Lines::new(printer.clone(), board)),
        }
    }

    fn update(&mut self, board: &Board, news: &[News]) {
        match self {
            Self::Bars(bars) => bars.update(board, news),
            Self::Lines(lines) => lines.update(board, news),
            Self::Nothing => {}
        }
    }
}
