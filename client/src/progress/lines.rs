//! Lines now and then, for logs and whatever else is no terminal.

use std::time::Duration;

use atelier_proto::clock::Stopwatch;

use super::board::Board;
use super::{News, outlook};
use crate::coordinator::view::{CellState, GridState, Summary};
use crate::printer::Printer;
use crate::text::{printable, shortened};

/// The grid is told of again after so long at the latest, if anything changed.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

pub(super) struct Lines {
    printer: Printer,
    since: Stopwatch,
    /// Tenths of the cells that had ended when the last line was written.
    tenth: u32,
    /// The grid's state then.
    state: GridState,
}

impl Lines {
    pub(super) fn new(printer: Printer, board: &Board) -> Self {
        let lines = Self {
            printer,
            since: Stopwatch::start(),
            tenth: tenth(board),
            state: board.summary().state,
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
        let (tenth, state) = (tenth(board), board.summary().state);
        let has_turned = tenth != self.tenth || state != self.state;
        if has_turned || self.since.elapsed() >= LINE_INTERVAL {
            (self.tenth, self.state) = (tenth, state);
            self.since = Stopwatch::start();
            self.tell(board);
        }
    }

    fn tell(&self, board: &Board) {
        let summary = board.summary();
        // How it ended is told once, by the command.
        if !summary.state.has_ended() {
            self.printer.say(&line(summary));
        }
    }
}

fn line(summary: &Summary) -> String {
    let name = printable(&shortened(&summary.name, 80));
    let paused = match summary.state {
        GridState::Paused => " (paused)",
        _ => "",
    };
    let told = std::iter::once(summary.cells.to_string()).chain(outlook(summary));
    let told: Vec<String> = told.collect();
    format!("{name}{paused}: {}", told.join(", "))
}

fn tenth(board: &Board) -> u32 {
    let cells = board.summary().cells;
    cells.ended() * 10 / cells.total().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::summary;
    use crate::coordinator::view::CellCounts;

    #[test]
    fn a_line_tells_counts_time_and_cost() {
        let mut summary = Summary {
            cells: CellCounts {
                done: 3,
                rendering: 1,
                ..CellCounts::default()
            },
            time_left: Some(Duration::from_secs(5)),
            dollars_spent: Some(0.004),
            ..summary()
        };
        assert_eq!(
            line(&summary),
            "Grid: 3 done, 1 rendering, 5 s left, <$0.01"
        );
        (summary.state, summary.time_left) = (GridState::Paused, None);
        assert_eq!(line(&summary), "Grid (paused): 3 done, 1 rendering, <$0.01");
    }
}
