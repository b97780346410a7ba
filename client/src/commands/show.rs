//! `atelier show`: a grid with all that was submitted, its cells, and the attempts that brought no picture.

mod shown;
mod tables;

use atelier_proto::settings::{LayerWeights, RenderSettings, SettingsPatch};
use clap::Args;
use jiff::tz::TimeZone;
use serde::Deserialize as _;

use self::shown::ShownGrid;
pub(super) use self::shown::{ShownAttempt, ShownCell};
use crate::context::Context;
use crate::coordinator::view::GridView;
use crate::error::Error;
use crate::exit::Exit;
use crate::grid_ref;
use crate::table::facts;
use crate::text::{local_time, printable, rough_duration};

/// `atelier show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier show \"Sunday ride\"
  atelier show \"Sunday ride\" --logs  # why attempts failed
  atelier show 01930c5e --json | jq '.cells[] | select(.state == \"failed\")'

Below the cells it shows the attempts that brought no picture, if there were some.")]
pub struct ShowArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "GRID")]
    pub grid: String,
    /// Also the end of each failed attempt's log
    #[arg(long)]
    pub logs: bool,
}

/// Shows the grid.
pub async fn run(context: &Context, args: ShowArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let id = grid_ref::resolve(&context.coordinator, &args.grid).await?;
    let grid = context.coordinator.get(id).await?;
    if printer.json_wanted() {
        printer.json(&ShownGrid::new(&grid))?;
    } else {
        printer.data(&text(&grid, &TimeZone::system(), args.logs))?;
    }
    Ok(Exit::Ok)
}

fn text(grid: &GridView, zone: &TimeZone, with_logs: bool) -> String {
    let mut lines = vec![
        printable(&grid.summary.name),
        head(grid, zone),
        String::new(),
        tables::cells(grid),
    ];
    if !grid.failed_attempts.is_empty() {
        lines.push("\nattempts that brought no picture".to_owned());
        lines.push(tables::failed_attempts(grid, zone));
        if with_logs {
            lines.push(tables::logs(grid));
        }
    }
    lines.join("\n")
}

fn head(grid: &GridView, zone: &TimeZone) -> String {
    let summary = &grid.summary;
    let time = |time| local_time(time, zone);
    let priority = Some(summary.priority).filter(|priority| *priority != 0);
    let time_left = summary.time_left.filter(|_| !summary.state.has_ended());
    let labels = grid.labels.iter();
    let labels = labels.map(|(name, value)| printable(&format!("{name}={value}")));
    let settings = Some(changed_settings(&grid.settings)).filter(|it| !it.is_empty());
    let of_artists = grid.artists.iter().filter_map(|artist| {
        let own = Some(changed_settings(&artist.settings)).filter(|it| !it.is_empty())?;
        Some(format!("{}: {own}", printable(&artist.name)))
    });
    let settings: Vec<String> = settings.into_iter().chain(of_artists).collect();
    facts([
        ("id", Some(summary.grid_id.to_string())),
        (
            "state",
            Some(format!("{}: {}", summary.state, summary.cells)),
        ),
        ("submitted", summary.submitted_at.map(time)),
        ("ended", summary.finished_at.map(time)),
        ("submitter", Some(printable(&summary.submitter))),
        ("priority", priority.map(|it| it.to_string())),
        ("time left", time_left.map(rough_duration)),
        ("cost", summary.cost()),
        ("labels", Some(labels.collect::<Vec<_>>().join(" "))),
        ("settings", Some(settings.join("\n"))),
    ])
}

/// Settings that are not as they would be anyway, as `--set` takes them: `size=512 content_layers=conv4_2:0.5`.
fn changed_settings(settings: &SettingsPatch) -> String {
    let fields = |patch: &SettingsPatch| match serde_json::to_value(patch) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let defaults = fields(&RenderSettings::default().into());
    let changed = fields(settings).into_iter();
    let changed = changed.filter(|(key, value)| defaults.get(key) != Some(value));
    let written: Vec<String> = changed
        .map(|(key, value)| format!("{key}={}", written(value)))
        .collect();
    written.join(" ")
}

fn written(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(word) => word,
        value => match LayerWeights::deserialize(&value) {
            Ok(layers) => layers.to_string(),
            Err(_) => value.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::coordinator::tests::grid;
    use crate::coordinator::view::{Attempt, AttemptOutcome, CellCounts, CellState};

    #[test]
    fn only_settings_that_say_something_are_shown() {
        let mut settings = SettingsPatch::from(RenderSettings::default());
        assert_eq!(changed_settings(&settings), "");
        for assignment in ["start=noise", "size=64", "content_layers=conv4_2:0.5"] {
            settings.set(assignment).unwrap();
        }
        let changed = changed_settings(&settings);
        let mut words: Vec<&str> = changed.split(' ').collect();
        words.sort_unstable();
        assert_eq!(
            words,
            ["content_layers=conv4_2:0.5", "size=64", "start=noise"]
        );
    }

    /// A grid of which one cell failed twice, once with a log.
    fn troubled() -> GridView {
        let mut grid = grid(&[CellState::Done, CellState::Failed, CellState::Rendering]);
        let summary = &mut grid.summary;
        summary.name = "Sunday ride".to_owned();
        summary.priority = 20;
        summary.submitted_at = Some("2026-06-01T10:00:00Z".parse().unwrap());
        summary.time_left = Some(Duration::from_secs(250));
        (summary.dollars_spent, summary.dollars_expected) = (Some(0.12), Some(0.4));
        summary.cells = CellCounts {
            done: 1,
            failed: 1,
            rendering: 1,
            ..CellCounts::default()
        };
        grid.labels = [("zone", "eu"), ("gpu", "h100")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        grid.cells[1].failure = Some("out of memory".to_owned());
        grid.cells[2].artist = None;
        (grid.cells[2].evaluations, grid.cells[2].evaluations_planned) = (30, 60);
        let attempt = |attempt, outcome, reason: &str, log: Option<&str>| Attempt {
            cell_id: grid.cells[1].cell_id,
            attempt,
            node: "02890a5d-ac96-774b-bcce-b302099a8059".parse().unwrap(),
            node_name: "studio-1".to_owned(),
            ended_at: Some("2026-06-01T10:05:00Z".parse().unwrap()),
            outcome,
            reason: reason.to_owned(),
            log: log.map(str::to_owned),
        };
        grid.failed_attempts = vec![
            attempt(1, AttemptOutcome::Lost, "the node was lost", None),
            attempt(
                2,
                AttemptOutcome::Failed,
                "out of memory",
                Some("INFO begun\n\tat scale 2\nERROR \u{1b}[31mout of memory\n"),
            ),
        ];
        grid
    }

    #[test]
    fn a_grid_is_told_with_its_failed_attempts_and_their_logs() {
        let grid = troubled();
        insta::assert_snapshot!("show", text(&grid, &TimeZone::UTC, true));
        let without = text(&grid, &TimeZone::UTC, false);
        assert!(!without.contains("INFO begun"), "{without}");
        let json = serde_json::to_string_pretty(&ShownGrid::new(&grid)).unwrap();
        insta::assert_snapshot!("show_json", json);
    }

    #[test]
    fn a_grid_without_trouble_has_no_word_of_it() {
        let told = text(&grid(&[CellState::Done]), &TimeZone::UTC, true);
        assert!(!told.contains("attempts that"), "{told}");
        assert!(!told.contains("log"), "{told}");
    }
}
