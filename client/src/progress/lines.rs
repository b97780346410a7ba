//! Lines now and then, for logs and whatever else is no terminal.

use std::time::Duration;

use atelier_proto::clock::Stopwatch;

use super::News;
use super::board::Board;
use crate::coordinator::view::CellState;
use crate::printer::Printer;
use crate::text::{printable, shortened};

/// The grid is told of again after so long at the latest, if anything changed.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

pub(super) struct Lines {
    printer: Printer,
    since: Stopwatch,
    /// Tenths of the cells that had ended when the last line was written.
    tenth: u32,
}

impl Lines {
    pub(super) fn new(printer: Printer, board: &Board) -> Self {
        let lines = Self {
            printer,
            since: Stopwatch::start(),
            tenth: tenth(board),
        };
        lines.tell(board);
        lines
    }

    pub(super) fn update(&mut self, board: &Board, news: &[News]) {
        for item in news {
            // What failed for good is told at the end.
            if item.state == CellState::Queued
                && let Some(reason) = &item.failure
            {
                let reason = printable(reason);
                self.printer
                    .say(&format!("{} goes again: {reason}", item.label));
            }
        }
        let tenth = tenth(board);
        if tenth != self.tenth || self.since.elapsed() >= LINE_INTERVAL {
            self.tenth = tenth;
            self.since = Stopwatch::start();
            self.tell(board);
        }
    }

    fn tell(&self, board: &Board) {
        let summary = board.summary();
        // How it ended is told once, by the command.
        if !summary.state.has_ended() {
            let name = printable(&shortened(&summary.name, 80));
            self.printer.say(&format!("{name}: {}", summary.cells));
        }
    }
}

fn tenth(board: &Board) -> u32 {
    let cells = board.summary().cells;
    cells.ended() * 10 / cells.total().max(1)
}
