//! The tables of a study, and their place in a document.

use std::path::Path;

use anyhow::Context as _;

use super::outcome::{Outcome, quantile};
use super::study::{Entry, Study};
use crate::markdown::table;

const BEGIN: &str = "<!-- begin: make scaling-study -->";
const END: &str = "<!-- end: make scaling-study -->";

/// Mean and standard deviation over seeds.
fn spread(entry: &Entry, of: impl Fn(&Outcome) -> f64) -> (f64, f64) {
    let numbers: Vec<f64> = entry.outcomes.iter().map(of).collect();
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let squares = numbers.iter().map(|number| (number - mean).powi(2));
    let deviation = (squares.sum::<f64>() / (count - 1.0).max(1.0)).sqrt();
    (mean, deviation)
}

/// The mean over seeds.
pub fn mean(entry: &Entry, of: impl Fn(&Outcome) -> f64) -> f64 {
    spread(entry, of).0
}

/// Minutes until the slowest grid of a day ended.
pub fn slowest(outcome: &Outcome) -> f64 {
    quantile(&outcome.waits, 1.0)
}

type Column = (&'static str, usize, fn(&Outcome) -> f64);

const COLUMNS: [Column; 11] = [
    ("dollars", 0, |outcome| outcome.dollars),
    ("node hours", 0, |outcome| outcome.machine_hours),
    ("booting, %", 1, |outcome| outcome.booting() * 100.0),
    ("idle, %", 1, |outcome| outcome.idle() * 100.0),
    ("work lost, node min", 1, |outcome| {
        outcome.lost_hours * 60.0
    }),
    ("wait, mean", 1, Outcome::mean_wait),
    ("p50", 1, |outcome| quantile(&outcome.waits, 0.5)),
    ("p95", 1, |outcome| quantile(&outcome.waits, 0.95)),
    ("slowest grid", 0, slowest),
    ("first picture, mean", 1, Outcome::mean_first),
    ("largest fleet", 0, |outcome| f64::from(outcome.largest)),
];

fn compared(entries: &[Entry]) -> String {
    let headings: Vec<&str> = [""]
        .into_iter()
        .chain(COLUMNS.map(|(heading, ..)| heading))
        .collect();
    let rows = entries.iter().map(|entry| {
        let cells = COLUMNS.iter().map(|(_, digits, of)| {
            let (mean, deviation) = spread(entry, of);
            format!("{mean:.digits$} ± {deviation:.digits$}")
        });
        [entry.plan.name.clone()].into_iter().chain(cells).collect()
    });
    table(&headings, rows.collect()).unwrap_or_default()
}

/// The part of the document that is written anew.
pub fn section(study: &Study) -> String {
    let days = study.days.iter().map(|day| {
        let hours = day.work() / 3_600_000.0;
        format!(
            "{}: {} grids, {} cells, {hours:.0} node hours",
            day.seed,
            day.grids.len(),
            day.cells()
        )
    });
    let all = study.entries.iter().chain(&study.larger);
    let outcomes = all.flat_map(|entry| &entry.outcomes);
    let undone: usize = outcomes.map(|outcome| outcome.undone).sum();
    let done = match undone {
        0 => "Every cell was done exactly once, each time.".to_owned(),
        some => format!("{some} cells were not done: the days were given up after 72 h."),
    };
    format!(
        "Days by their seeds: {}. {done}\n\n\
         Mean ± standard deviation over the seeds; waits are in minutes, from a grid's submission to its end or to its first picture.\n\n\
         {}\n\n\
         The same days with larger pictures: the same work in a third of the cells. The rules by the queue know nothing of it.\n\n\
         {}\n",
        days.collect::<Vec<_>>().join("; "),
        compared(&study.entries),
        compared(&study.larger)
    )
}

/// Puts the section into a document, between its marks.
///
/// # Errors
/// When the document has no such marks, or cannot be read or written.
pub fn put(path: &Path, section: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let missing = |mark| format!("{} has no {mark}", path.display());
    let (before, rest) = text.split_once(BEGIN).with_context(|| missing(BEGIN))?;
    let (_, after) = rest.split_once(END).with_context(|| missing(END))?;
    let text = format!("{before}{BEGIN}\n{section}{END}{after}");
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
