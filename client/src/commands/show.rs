//! `atelier show`: a grid with all that was submitted, its cells, and the attempts that brought no picture.

mod shown;
mod tables;

use atelier_proto::settings::{RenderSettings, SettingsPatch};
use clap::Args;
use jiff::tz::TimeZone;

pub(super) use self::shown::ShownCell;
use self::shown::ShownGrid;
use super::list::local_time;
use crate::context::Context;
use crate::coordinator::view::{GridView, Summary};
use crate::error::Error;
use crate::exit::Exit;
use crate::grid_ref;
use crate::text::{printable, rough_duration};

/// `atelier show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier show \"Sunday ride\"
  atelier show \"Sunday ride\" --logs              # why attempts failed
  atelier show 01930c5e --json | jq -r '.cells[] | select(.state == \"failed\") | .failure'

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
    let mut lines = head(&grid.summary, zone);
    if !grid.labels.is_empty() {
        let labels = grid.labels.iter();
        let labels: Vec<String> = labels
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        lines.push(format!("labels     {}", printable(&labels.join(" "))));
    }
    let changed = changed_settings(&grid.settings);
    if !changed.is_empty() {
        lines.push(format!("settings   {changed}"));
    }
    for artist in &grid.artists {
        let own = changed_settings(&artist.settings);
        if !own.is_empty() {
            lines.push(format!("           {}: {own}", printable(&artist.name)));
        }
    }
    lines.push(String::new());
    lines.push(tables::cells(grid));
    if !grid.failed_attempts.is_empty() {
        lines.push("\nattempts that brought no picture".to_owned());
        lines.push(tables::failed_attempts(grid, zone));
        if with_logs {
            lines.push(tables::logs(grid));
        }
    }
    lines.join("\n")
}

fn head(summary: &Summary, zone: &TimeZone) -> Vec<String> {
    let time = |time| local_time(time, zone);
    let submitter = Some(&summary.submitter).filter(|name| !name.is_empty());
    let priority = Some(summary.priority).filter(|priority| *priority != 0);
    let time_left = summary.time_left.filter(|_| !summary.state.has_ended());
    let lines = [
        ("submitted", summary.submitted_at.map(time)),
        ("ended", summary.finished_at.map(time)),
        ("submitter", submitter.map(|name| printable(name))),
        ("priority", priority.map(|it| it.to_string())),
        ("time left", time_left.map(rough_duration)),
        ("cost", summary.cost()),
    ];
    let lines = lines.into_iter();
    let known = lines.filter_map(|(what, value)| Some(format!("{what:<9}  {}", value?)));
    [
        printable(&summary.name),
        format!("id         {}", summary.grid_id),
        format!("state      {}: {}", summary.state, summary.cells),
    ]
    .into_iter()
    .chain(known)
    .collect()
}

/// Settings that are not as they would be anyway: `size=512 start=noise`.
fn changed_settings(settings: &SettingsPatch) -> String {
    let fields = |patch: &SettingsPatch| match serde_json::to_value(patch) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let defaults = fields(&RenderSettings::default().into());
    let changed = fields(settings).into_iter();
    let changed = changed.filter(|(key, value)| defaults.get(key) != Some(value));
    let written: Vec<String> = changed
        .map(|(key, value)| match value {
            serde_json::Value::String(word) => format!("{key}={word}"),
            other => format!("{key}={other}"),
        })
        .collect();
    written.join(" ")
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
            ["content_layers={\"conv4_2\":0.5}", "size=64", "start=noise"]
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
