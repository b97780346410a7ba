//! The cells of a grid and its failed attempts as people read them.

use std::collections::HashMap;

use atelier_gallery::keys::GridKeys;
use atelier_proto::ids::CellId;
use jiff::tz::TimeZone;

use crate::cell_ref::{NO_ARTIST, NO_PHOTO};
use crate::coordinator::view::{Attempt, CellState, CellView, GridView};
use crate::table::plain_table;
use crate::text::{local_time, log_lines, printable, shortened};

/// Every cell in a line.
pub(super) fn cells(grid: &GridView) -> String {
    let has_variants = grid.variants.iter().any(|variant| !variant.name.is_empty());
    let mut headings = vec!["CELL", "PHOTO", "ARTIST"];
    if has_variants {
        headings.push("VARIANT");
    }
    headings.extend(["STATE", "ATTEMPTS", "LOSS", "SECONDS", "PICTURE"]);
    let mut table = plain_table(&headings);
    // What all keys begin with says nothing, and is half of a line.
    let prefix = GridKeys::new(grid.summary.grid_id).prefix();
    for cell in &grid.cells {
        let names = grid.names(cell);
        let name = |name: &str| printable(&shortened(name, 40));
        let mut row = vec![
            cell.cell_id.place.to_string(),
            names.photo.map_or_else(|| NO_PHOTO.to_owned(), name),
            names.artist.map_or_else(|| NO_ARTIST.to_owned(), name),
        ];
        if has_variants {
            row.push(printable(names.variant));
        }
        let picture = cell.picture.as_ref();
        row.extend([
            state(cell),
            cell.attempts.to_string(),
            picture.map_or_else(String::new, |it| format!("{:.4}", it.loss)),
            picture.map_or_else(String::new, |it| format!("{:.1}", it.seconds)),
            match (picture, &cell.failure) {
                (Some(picture), _) => {
                    let key = &picture.key;
                    printable(key.strip_prefix(&prefix).unwrap_or(key))
                }
                (None, Some(reason)) => printable(&shortened(reason, 200)),
                (None, None) => String::new(),
            },
        ]);
        table.add_row(row);
    }
    table.trim_fmt()
}

fn state(cell: &CellView) -> String {
    if cell.state == CellState::Rendering && cell.evaluations_planned > 0 {
        format!("{} {:.0} %", cell.state, 100.0 * cell.fraction())
    } else {
        cell.state.to_string()
    }
}

/// Every attempt that brought no picture in a line.
pub(super) fn failed_attempts(grid: &GridView, zone: &TimeZone) -> String {
    let labels = labels(grid);
    let headings = [
        "CELL",
        "PHOTO × ARTIST",
        "ATTEMPT",
        "NODE",
        "OUTCOME",
        "WHEN",
        "REASON",
    ];
    let mut table = plain_table(&headings);
    for attempt in &grid.failed_attempts {
        let ended_at = attempt.ended_at.map(|time| local_time(time, zone));
        table.add_row([
            attempt.cell_id.place.to_string(),
            shortened(label(&labels, attempt), 60),
            attempt.attempt.to_string(),
            printable(&shortened(&attempt.node_name, 40)),
            attempt.outcome.to_string(),
            ended_at.unwrap_or_default(),
            printable(&shortened(&attempt.reason, 200)),
        ]);
    }
    table.trim_fmt()
}

/// The end of the log of each attempt that has one, indented below a line that says which.
pub(super) fn logs(grid: &GridView) -> String {
    let labels = labels(grid);
    let mut lines = Vec::new();
    for attempt in &grid.failed_attempts {
        let Some(log) = &attempt.log else {
            continue;
        };
        lines.push(format!(
            "\nlog of cell {} ({}), attempt {}, on {}",
            attempt.cell_id.place,
            label(&labels, attempt),
            attempt.attempt,
            printable(&attempt.node_name)
        ));
        lines.extend(log_lines(log));
    }
    if lines.is_empty() {
        lines.push("\nno node sent the end of a log".to_owned());
    }
    lines.join("\n")
}

/// What each cell is called, safe to show.
fn labels(grid: &GridView) -> HashMap<CellId, String> {
    let cells = grid.cells.iter();
    cells
        .map(|cell| (cell.cell_id, printable(&grid.names(cell).to_string())))
        .collect()
}

fn label<'a>(labels: &'a HashMap<CellId, String>, attempt: &Attempt) -> &'a str {
    labels.get(&attempt.cell_id).map_or("", String::as_str)
}
