//! `atelier logs`: what nodes logged of the attempts at a cell.

use atelier_proto::ids::CellId;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::show::ShownAttempt;
use crate::cell_ref::{self, CellError};
use crate::context::Context;
use crate::coordinator::view::{Attempt, AttemptOutcome, CellLogs, CellNames, CellState, GridView};
use crate::error::Error;
use crate::exit::Exit;
use crate::grid_ref;
use crate::text::{local_time, log_lines, printable};

/// `atelier logs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier logs \"Sunday ride\" hill/Monet
  atelier logs \"Sunday ride\" 17 --attempt 2
  atelier logs 01930c5e-8f0a-7a43-a1d2-5a5d1f0c3b7e/17  # a cell by its id
  atelier logs \"Sunday ride\" 17 --json | jq -r '.attempts[-1].log'

Of an attempt that brought the picture it is what its node logged of that alone, of one that failed the end of all that the \
node logged. A node that was lost, or gave the cell back, has sent nothing.")]
pub struct LogsArgs {
    /// Id, beginning of an id, or name; or the id of a cell
    #[arg(value_name = "GRID")]
    pub grid: String,
    /// The cell: its number, PHOTO/ARTIST or PHOTO/ARTIST/VARIANT as `atelier show` lists them
    #[arg(value_name = "CELL")]
    pub cell: Option<String>,
    /// One attempt alone, from 1
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub attempt: Option<u32>,
}

/// Shows the logs.
pub async fn run(context: &Context, args: LogsArgs) -> Result<Exit, Error> {
    let coordinator = &context.coordinator;
    let (grid, wanted) = match (&args.cell, args.grid.parse::<CellId>()) {
        (Some(cell), _) => {
            let grid = grid_ref::resolve(coordinator, &args.grid).await?;
            (coordinator.get(grid).await?, cell.clone())
        }
        (None, Ok(cell)) => (coordinator.get(cell.grid).await?, cell.to_string()),
        (None, Err(_)) => return Err(CellError::Unsaid.into()),
    };
    let cell = cell_ref::one(&grid, &wanted)?;
    let mut logs = coordinator.logs(cell).await?;
    if let Some(number) = args.attempt {
        check_attempt(&logs, number)?;
        logs.attempts.retain(|attempt| attempt.attempt == number);
    }
    let printer = &context.printer;
    if printer.json_wanted() {
        printer.json(&Shown::new(&grid, &logs))?;
    } else {
        printer.data(&text(&grid, &logs, args.attempt, &TimeZone::system()))?;
    }
    Ok(Exit::Ok)
}

/// Refuses an attempt that was never made.
fn check_attempt(logs: &CellLogs, number: u32) -> Result<(), CellError> {
    if number <= logs.cell.attempts {
        return Ok(());
    }
    Err(CellError::NoAttempt {
        attempt: number,
        cell: logs.cell.cell_id,
        attempts: logs.cell.attempts,
    })
}

fn text(grid: &GridView, logs: &CellLogs, only: Option<u32>, zone: &TimeZone) -> String {
    let cell = &logs.cell;
    let names = printable(&grid.names(cell).to_string());
    let mut lines = vec![format!("cell {} ({names})", cell.cell_id.place)];
    let mut told = 0;
    for attempt in &logs.attempts {
        told = attempt.attempt;
        lines.push(format!("\n{}", head(attempt, zone)));
        match &attempt.log {
            Some(log) => lines.extend(log_lines(log)),
            None => lines.push("  (its node sent no log)".to_owned()),
        }
    }
    let last = cell.attempts;
    if last > told && only.is_none_or(|only| only == last) {
        lines.extend(now(logs, zone));
    } else if logs.attempts.is_empty() {
        lines.push(match only {
            Some(number) => format!("\nnothing is known any more of attempt {number}"),
            None => "\nno attempt was made yet".to_owned(),
        });
    }
    lines.join("\n")
}

fn head(attempt: &Attempt, zone: &TimeZone) -> String {
    let number = attempt.attempt;
    let node = printable(&attempt.node_name);
    let when = attempt
        .ended_at
        .map(|time| format!(", {}", local_time(time, zone)));
    let why = match attempt.outcome {
        AttemptOutcome::Done => String::new(),
        _ => format!(": {}", printable(&attempt.reason)),
    };
    format!(
        "attempt {number}, {} on {node}{}{why}",
        attempt.outcome,
        when.unwrap_or_default()
    )
}

/// The last attempt, of which nothing is kept yet, or nothing that the cell does not say.
fn now(logs: &CellLogs, zone: &TimeZone) -> Option<String> {
    let cell = &logs.cell;
    let number = cell.attempts;
    let node = printable(&logs.node_name);
    match cell.state {
        CellState::Rendering => {
            let since = logs.rendering_since.map(|time| local_time(time, zone));
            Some(format!(
                "\nattempt {number}, being rendered on {node} since {}: {} of {} evaluations; its log comes with its end",
                since.unwrap_or_default(),
                cell.evaluations,
                cell.evaluations_planned
            ))
        }
        CellState::Leased => Some(format!(
            "\nattempt {number}, waits at {node} to be rendered; its log comes with its end"
        )),
        CellState::Done => Some(format!(
            "\nattempt {number}, done on {node}\n  (its node sent no log)"
        )),
        CellState::Queued | CellState::Failed | CellState::Cancelled => None,
    }
}

/// As `--json` has it.
#[derive(Serialize)]
struct Shown<'a> {
    cell_id: CellId,
    #[serde(flatten)]
    names: CellNames<'a>,
    state: CellState,
    /// How many were begun.
    attempts_begun: u32,
    node_name: Option<&'a str>,
    rendering_since: Option<Timestamp>,
    attempts: Vec<ShownAttempt<'a>>,
}

impl<'a> Shown<'a> {
    fn new(grid: &'a GridView, logs: &'a CellLogs) -> Self {
        Self {
            cell_id: logs.cell.cell_id,
            names: grid.names(&logs.cell),
            state: logs.cell.state,
            attempts_begun: logs.cell.attempts,
            node_name: Some(logs.node_name.as_str()).filter(|name| !name.is_empty()),
            rendering_since: logs.rendering_since,
            attempts: logs.attempts.iter().map(ShownAttempt::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::grid;

    fn logs(state: CellState, attempts: u32, ended: Vec<Attempt>) -> (GridView, CellLogs) {
        let mut grid = grid(&[state]);
        grid.cells[0].attempts = attempts;
        (grid.cells[0].evaluations, grid.cells[0].evaluations_planned) = (30, 60);
        let logs = CellLogs {
            cell: grid.cells[0].clone(),
            node_name: "studio-2".to_owned(),
            rendering_since: (state == CellState::Rendering)
                .then(|| "2026-06-01T10:00:00Z".parse().unwrap()),
            attempts: ended,
        };
        (grid, logs)
    }

    fn attempt(number: u32, outcome: AttemptOutcome, reason: &str, log: Option<&str>) -> Attempt {
        Attempt {
            cell_id: grid(&[CellState::Done]).cells[0].cell_id,
            attempt: number,
            node: "02890a5d-ac96-774b-bcce-b302099a8059".parse().unwrap(),
            node_name: format!("studio-{number}"),
            ended_at: Some("2026-06-01T10:05:00Z".parse().unwrap()),
            outcome,
            reason: reason.to_owned(),
            log: log.map(str::to_owned),
        }
    }

    #[test]
    fn each_attempt_is_told_with_its_log_those_that_succeeded_too() {
        use AttemptOutcome::{Done, Failed, Lost};
        let ended = vec![
            attempt(1, Lost, "the node was lost", None),
            attempt(
                2,
                Failed,
                "out of memory",
                Some("INFO begun\nERROR \u{1b}[31mred\n"),
            ),
            attempt(
                3,
                Done,
                "",
                Some("INFO rendered seconds=2.5\nINFO stored\n"),
            ),
        ];
        let (grid, logs) = logs(CellState::Done, 3, ended);
        insta::assert_snapshot!("logs", text(&grid, &logs, None, &TimeZone::UTC));
        let json = serde_json::to_string_pretty(&Shown::new(&grid, &logs)).unwrap();
        insta::assert_snapshot!("logs_json", json);
    }

    #[test]
    fn a_cell_that_is_rendered_says_where_and_since_when() {
        let ended = vec![attempt(1, AttemptOutcome::Lost, "the node was lost", None)];
        let (grid, logs) = logs(CellState::Rendering, 2, ended);
        let told = text(&grid, &logs, None, &TimeZone::UTC);
        assert!(
            told.contains("attempt 2, being rendered on studio-2 since 2026-06-01 10:00: 30 of 60"),
            "{told}"
        );
        assert!(told.contains("attempt 1, lost on studio-1"), "{told}");
    }

    #[test]
    fn what_there_is_no_log_of_is_told_as_well() {
        let told = |state, attempts, only| {
            let (grid, logs) = logs(state, attempts, Vec::new());
            text(&grid, &logs, only, &TimeZone::UTC)
        };
        assert!(told(CellState::Queued, 0, None).ends_with("no attempt was made yet"));
        assert!(told(CellState::Done, 1, None).contains("its node sent no log"));
        assert!(told(CellState::Leased, 1, None).contains("waits at studio-2"));
        assert!(
            told(CellState::Done, 2, Some(1)).contains("nothing is known any more of attempt 1")
        );
        let (_, logs) = logs(CellState::Done, 2, Vec::new());
        assert!(check_attempt(&logs, 2).is_ok());
        let error = check_attempt(&logs, 3).unwrap_err();
        assert_eq!(error.exit(), Exit::NotFound);
    }
}
