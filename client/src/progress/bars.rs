//! Bars on a terminal: one for the grid, above it one for each cell in hand; their lines fit 80 columns.

use std::collections::HashMap;
use std::time::Duration;

use atelier_proto::ids::CellId;
use indicatif::{MultiProgress, ProgressBar};

use super::board::Board;
use super::counter::style;
use super::{News, outlook};
use crate::coordinator::view::{CellState, CellView, GridState, Summary};
use crate::printer::{Printer, Tone};
use crate::text::{duration, printable, shortened};

/// Cells in hand that are drawn; more would not fit a terminal.
const CELL_BARS_MAX: usize = 16;
/// Grids with more cells tell only what went wrong.
const CELLS_TOLD_MAX: u32 = 200;
/// How often the elapsed time is drawn anew.
const TICK_INTERVAL: Duration = Duration::from_millis(500);
/// Steps of the grid's bar, which moves within cells too.
const STEPS: u64 = 10_000;

pub(super) struct Bars {
    printer: Printer,
    multi: MultiProgress,
    grid: ProgressBar,
    cells: HashMap<CellId, ProgressBar>,
}

impl Bars {
    pub(super) fn new(printer: Printer, multi: MultiProgress, board: &Board) -> Self {
        let grid = multi.add(ProgressBar::new(STEPS));
        grid.set_style(style(
            "{prefix:32!}  {bar:24}  {msg}{elapsed} gone",
            &printer,
        ));
        grid.set_prefix(printable(&shortened(&board.summary().name, 32)));
        let mut drawn = Self {
            printer,
            multi,
            grid,
            cells: HashMap::new(),
        };
        drawn.draw(board);
        drawn.grid.enable_steady_tick(TICK_INTERVAL);
        drawn
    }

    pub(super) fn update(&mut self, board: &Board, news: &[News]) {
        let tells_all = board.summary().cells.total() <= CELLS_TOLD_MAX;
        for item in news {
            if tells_all || item.failure.is_some() {
                self.tell(item);
            }
        }
        self.draw(board);
    }

    fn tell(&self, news: &News) {
        let took = news
            .seconds
            .map(|seconds| duration(Duration::try_from_secs_f64(seconds).unwrap_or_default()));
        let (tone, mark, rest) = match (news.state, &news.failure) {
            (CellState::Done, _) => (Tone::Good, "✓", took.unwrap_or_default()),
            (CellState::Cancelled, _) => (Tone::Dim, "–", "cancelled".to_owned()),
            (CellState::Failed, reason) => {
                let reason = printable(reason.as_deref().unwrap_or_default());
                (Tone::Bad, "✗", format!("failed: {reason}"))
            }
            (CellState::Queued | CellState::Leased | CellState::Rendering, reason) => {
                let reason = printable(reason.as_deref().unwrap_or_default());
                (Tone::Warning, "↻", format!("again: {reason}"))
            }
        };
        let mark = self.printer.tint(tone, mark);
        let rest = self.printer.tint(Tone::Dim, &rest);
        self.printer
            .say(&format!("{mark} {}  {rest}", shortened(&news.label, 60)));
    }

    fn draw(&mut self, board: &Board) {
        let in_hand: Vec<&CellView> = board.in_hand().take(CELL_BARS_MAX).collect();
        self.cells.retain(|cell, bar| {
            let stays = in_hand.iter().any(|other| other.cell_id == *cell);
            if !stays {
                bar.finish_and_clear();
            }
            stays
        });
        for cell in in_hand {
            let bar = self.cells.entry(cell.cell_id).or_insert_with(|| {
                let bar = ProgressBar::new(1);
                let bar = self.multi.insert_before(&self.grid, bar);
                bar.set_style(style("{prefix:32!}  {bar:24}  {msg}", &self.printer));
                bar.set_prefix(shortened(&board.label(cell), 32));
                bar
            });
            bar.set_length(u64::from(cell.evaluations_planned.max(1)));
            bar.set_position(u64::from(cell.evaluations));
            bar.set_message(message(cell));
        }
        self.grid
            .set_position((board.fraction() * STEPS as f64) as u64);
        self.grid.set_message(grid_message(board.summary()));
    }
}

/// How far the grid is, and on a line below what is to be expected of it, before the time that has gone.
fn grid_message(summary: &Summary) -> String {
    let counts = summary.cells;
    let state = match summary.state {
        GridState::Active => None,
        GridState::Paused => Some("paused".to_owned()),
        GridState::Finished | GridState::Cancelled | GridState::Deleted => {
            Some("completing the gallery".to_owned())
        }
    };
    let expected = state.into_iter().chain(outlook(summary));
    // The time that has gone stands behind it all.
    let expected: Vec<String> = expected.chain([String::new()]).collect();
    format!(
        "{} of {} cells\n{}",
        counts.ended(),
        counts.total(),
        expected.join(", ")
    )
}

fn message(cell: &CellView) -> String {
    match cell.state {
        CellState::Rendering if cell.evaluations_planned > 0 => {
            format!("{} of {}", cell.evaluations, cell.evaluations_planned)
        }
        // A node fetches what it needs for one cell while it renders another.
        _ => "up next".to_owned(),
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for bar in self.cells.values() {
            bar.finish_and_clear();
        }
        self.grid.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::summary;
    use crate::coordinator::view::CellCounts;

    #[test]
    fn the_bar_of_a_grid_tells_time_and_cost_where_they_are_known() {
        let mut summary = Summary {
            cells: CellCounts {
                done: 3,
                queued: 3,
                ..CellCounts::default()
            },
            ..summary()
        };
        assert_eq!(grid_message(&summary), "3 of 6 cells\n");
        summary.time_left = Some(Duration::from_secs(250));
        summary.dollars_spent = Some(0.12);
        summary.dollars_expected = Some(0.4);
        assert_eq!(
            grid_message(&summary),
            "3 of 6 cells\n4 min 10 s left, $0.12 of about $0.40, "
        );
        (summary.state, summary.time_left) = (GridState::Paused, None);
        assert_eq!(
            grid_message(&summary),
            "3 of 6 cells\npaused, $0.12 of about $0.40, "
        );
        summary.state = GridState::Finished;
        assert_eq!(
            grid_message(&summary),
            "3 of 6 cells\ncompleting the gallery, $0.12, "
        );
    }
}
