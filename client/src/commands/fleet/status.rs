//! `atelier fleet status`: the backlog, the nodes, and what they cost.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::coordinator::GridFilter;
use crate::coordinator::view::{FleetView, GridState, ScaleMode, Summary};
use crate::error::Error;
use crate::exit::Exit;
use crate::table::{facts, plain_table};
use crate::text::{counted, dollars, printable, printable_lines, rough_duration, shortened};

/// Grids that are told with what they cost.
const GRIDS_MAX: usize = 50;

/// `atelier fleet status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier fleet status
  atelier fleet status --json | jq .nodes_wanted

Costs are estimates: of nodes by what they say that an hour of them costs, of machines by the coordinator's table of prices.")]
pub struct StatusArgs {}

/// The fleet, as `--json` has it.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    fleet: &'a FleetView,
    grids: Vec<Cost<'a>>,
}

/// A grid that has not ended, as `--json` has it.
#[derive(Serialize)]
struct Cost<'a> {
    grid_id: String,
    name: &'a str,
    dollars_spent: Option<f64>,
    dollars_expected: Option<f64>,
    time_left_seconds: Option<f64>,
}

/// Shows it.
pub async fn run(context: &Context, _: StatusArgs) -> Result<Exit, Error> {
    let fleet = context.coordinator.fleet().await?;
    let filter = GridFilter {
        states: vec![GridState::Active, GridState::Paused],
        ..GridFilter::default()
    };
    let (grids, has_more) = context.coordinator.list(&filter, GRIDS_MAX).await?;
    let printer = &context.printer;
    if printer.json_wanted() {
        printer.json(&Told {
            fleet: &fleet,
            grids: grids.iter().map(cost).collect(),
        })?;
        return Ok(Exit::Ok);
    }
    printer.data(&head(&fleet))?;
    if !grids.is_empty() {
        printer.data(&format!("\n{}", table(&grids)))?;
    }
    if has_more {
        printer.say("there are more grids; see them with `atelier list`");
    }
    Ok(Exit::Ok)
}

fn cost(grid: &Summary) -> Cost<'_> {
    Cost {
        grid_id: grid.grid_id.to_string(),
        name: &grid.name,
        dollars_spent: grid.dollars_spent,
        dollars_expected: grid.dollars_expected,
        time_left_seconds: grid.time_left.map(|left| left.as_secs_f64()),
    }
}

/// The fleet in some lines, those that say nothing left out.
fn head(fleet: &FleetView) -> String {
    let bounds = fleet.bounds;
    let follows = match bounds.mode {
        ScaleMode::Automatic => format!(
            "{} by the backlog, from {} to {}",
            fleet.nodes_wanted, bounds.nodes_min, bounds.nodes_max
        ),
        ScaleMode::Off => format!("{} by the backlog; scaling is off", fleet.nodes_wanted),
    };
    let backlog = format!(
        "{} queued, {} running",
        counted(fleet.cells_queued as usize, "cell"),
        fleet.cells_running
    );
    let done_in = fleet.drain_time.map(rough_duration);
    let states = [
        (fleet.nodes_active, "active"),
        (fleet.nodes_draining, "draining"),
        (fleet.nodes_quarantined, "quarantined"),
    ];
    let machines = fleet.machines.map(|machines| {
        let states = [
            (machines.starting, "starting"),
            (machines.busy, "busy"),
            (machines.idle, "idle"),
            (machines.leaving, "leaving"),
        ];
        format!("{} asked for: {}", machines.desired, in_states(&states))
    });
    let per_hour = fleet.dollars_per_hour.map(|hour| {
        let most = fleet.dollars_per_hour_max.map(dollars);
        let most = most.map(|most| format!(" of at most {most}"));
        format!(
            "about {} an hour{}",
            dollars(hour),
            most.unwrap_or_default()
        )
    });
    let taken_back = Some(fleet.machines_taken_back).filter(|count| *count > 0);
    let taken_back = taken_back.map(|count| {
        format!(
            "{} of which no node was heard",
            counted(count as usize, "machine")
        )
    });
    let reasons: Vec<String> = fleet.reasons.iter().map(|it| printable(it)).collect();
    facts([
        ("backlog", Some(backlog)),
        ("done in", done_in),
        ("nodes", Some(in_states(&states))),
        ("wanted", Some(follows)),
        ("machines", machines),
        ("taken back", taken_back),
        ("boot time", fleet.boot_time.map(rough_duration)),
        ("cost", per_hour),
        ("because", Some(reasons.join("\n"))),
        ("trouble", Some(printable_lines(&fleet.trouble))),
    ])
}

fn in_states(states: &[(u32, &str)]) -> String {
    let some = states.iter().filter(|(count, _)| *count > 0);
    let some: Vec<String> = some
        .map(|(count, state)| format!("{count} {state}"))
        .collect();
    if some.is_empty() {
        "none".to_owned()
    } else {
        some.join(", ")
    }
}

fn table(grids: &[Summary]) -> String {
    let mut table = plain_table(&["GRID", "STATE", "CELLS", "TIME LEFT", "COST"]);
    for grid in grids {
        table.add_row([
            printable(&shortened(&grid.name, 40)),
            grid.state.to_string(),
            grid.cells.to_string(),
            grid.time_left.map(rough_duration).unwrap_or_default(),
            grid.cost().unwrap_or_default(),
        ]);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::coordinator::view::{FleetBounds, MachineCounts};

    #[test]
    fn the_fleet_is_told_in_lines_of_which_none_is_empty() {
        let quiet = FleetView {
            nodes_active: 2,
            reasons: vec!["there is nothing to do".to_owned()],
            driver: "none".to_owned(),
            ..FleetView::default()
        };
        let busy = FleetView {
            cells_queued: 812,
            cells_running: 48,
            nodes_active: 6,
            nodes_draining: 1,
            drain_time: Some(Duration::from_secs(754)),
            dollars_per_hour: Some(3.15),
            dollars_per_hour_max: Some(4.0),
            driver: "asg".to_owned(),
            bounds: FleetBounds {
                mode: ScaleMode::Automatic,
                nodes_min: 0,
                nodes_max: 20,
            },
            nodes_wanted: 11,
            machines: Some(MachineCounts {
                desired: 8,
                starting: 1,
                busy: 6,
                idle: 0,
                leaving: 1,
            }),
            boot_time: Some(Duration::from_secs(95)),
            machines_taken_back: 1,
            reasons: vec![
                "growing from 8 to 9 machines".to_owned(),
                "no growth: the machines cost $3.15 an hour, and one more would be above $4.00"
                    .to_owned(),
            ],
            trouble: "AWS refuses SetDesiredCapacity: no\nhint: the coordinator's role".to_owned(),
            ..FleetView::default()
        };
        insta::assert_snapshot!("fleet", format!("{}\n\n{}", head(&quiet), head(&busy)));
    }
}
