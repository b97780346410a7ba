//! `atelier cloud status`: how an atelier on AWS stands.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Desk, StackArgs, Told, prices};
use crate::cli::AccessArgs;
use crate::cloud::CloudError;
use crate::cloud::asked::{self, Work};
use crate::cloud::costs::Costs;
use crate::cloud::events::Progress;
use crate::cloud::group::Group;
use crate::cloud::stack::{NODE_GROUP, Stack, Standing};
use crate::error::Error;
use crate::exit::Exit;
use crate::printer::Printer;
use crate::table::facts;
use crate::text::{dollars, first_line, printable};

/// `atelier cloud status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier cloud status studio
  atelier cloud status studio --json | jq .dollars_per_hour

Costs are estimates by a table of prices. What the coordinator says is left out where it cannot be reached from here.")]
pub struct StatusArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub stack: StackArgs,
    /// Prices for the estimates [default: a table that is shipped]
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
}

/// How it stands, as `--json` has it.
#[derive(Serialize)]
struct Status<'a> {
    #[serde(flatten)]
    told: Told<'a>,
    reason: Option<String>,
    machines: Option<BTreeMap<String, usize>>,
    machines_wanted: Option<i32>,
    machines_max: Option<i32>,
    dollars_per_hour: f64,
    dollars_per_hour_standing_by: f64,
    prices: String,
    coordinator: Option<Work>,
    coordinator_problem: Option<String>,
}

/// Shows it.
pub async fn run(
    printer: &Printer,
    shutdown: &CancellationToken,
    access: &AccessArgs,
    args: StatusArgs,
) -> Result<Exit, Error> {
    let prices = prices(args.prices.as_deref())?;
    let desk = Desk::open(printer, shutdown, access, args.stack).await?;
    let looking = async {
        let stack = desk.cloud.atelier(&desk.name).await?;
        let group = group(&desk, &stack).await?;
        let reason = reason(&desk, &stack).await?;
        let work = match asked::coordinators(&stack, desk.profile.as_ref()) {
            urls if urls.is_empty() => None,
            urls => Some(asked::work(&urls, desk.access.clone()).await),
        };
        Ok((stack, group, reason, work))
    };
    let looked = desk
        .unless_interrupted("nothing was changed", looking)
        .await?;
    let (stack, group, reason, work) = &looked;
    let costs = Costs::of(&stack.parameters, &prices);
    let nodes = group.as_ref().map(|group| group.dollars_per_hour(&prices));
    let (coordinator, problem) = match work {
        Some(Ok(work)) => (Some(work.clone()), None),
        Some(Err(error)) => (None, Some(first_line(error))),
        None => (None, None),
    };
    let status = Status {
        told: Told::of(stack, &desk.cloud),
        reason: reason.clone(),
        machines: group.as_ref().map(Group::by_state),
        machines_wanted: group.as_ref().map(|group| group.desired),
        machines_max: group.as_ref().map(|group| group.most),
        dollars_per_hour: costs.standing_by() + nodes.unwrap_or_default(),
        dollars_per_hour_standing_by: costs.standing_by(),
        prices: costs.source.clone(),
        coordinator,
        coordinator_problem: problem,
    };
    if printer.json_wanted() {
        printer.json(&status)?;
    } else {
        printer.data(&lines(&status))?;
    }
    Ok(Exit::Ok)
}

async fn group(desk: &Desk<'_>, stack: &Stack) -> Result<Option<Group>, CloudError> {
    match desk.cloud.resource(&stack.id, NODE_GROUP).await? {
        Some(name) => desk.cloud.group(&name).await,
        None => Ok(None),
    }
}

/// Why a stack is not as it should be.
async fn reason(desk: &Desk<'_>, stack: &Stack) -> Result<Option<String>, CloudError> {
    if matches!(stack.standing(), Standing::Ready | Standing::Busy) {
        return Ok(None);
    }
    let mut progress = Progress::default();
    progress.take(desk.cloud.events(&stack.id, None).await?);
    let first = progress.first_failure().map(ToString::to_string);
    Ok(first.or_else(|| Some(stack.reason.clone()).filter(|reason| !reason.is_empty())))
}

fn lines(status: &Status<'_>) -> String {
    let told = &status.told;
    let machines = status.machines.as_ref().map(|machines| {
        let mut words: Vec<String> = machines
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        if words.is_empty() {
            words.push("none".to_owned());
        }
        format!(
            "{}; {} asked for, {} at most",
            words.join(", "),
            status.machines_wanted.unwrap_or_default(),
            status.machines_max.unwrap_or_default()
        )
    });
    let cost = format!(
        "about {} an hour, {} of it standing by ({})",
        dollars(status.dollars_per_hour),
        dollars(status.dollars_per_hour_standing_by),
        status.prices
    );
    let work = status.coordinator.as_ref().map(|work| {
        format!(
            "answers: {} not ended, {}",
            work.grids_words(),
            work.cells_words()
        )
    });
    let problem = status.coordinator_problem.as_deref();
    let problem = problem.map(|problem| format!("does not answer: {}", printable(problem)));
    facts([
        (
            "stack",
            Some(format!(
                "{} in {}: {}",
                told.stack, told.region, told.status
            )),
        ),
        ("because", status.reason.as_deref().map(printable)),
        ("endpoint", told.endpoint.map(str::to_owned)),
        ("board", told.board.map(str::to_owned)),
        ("bucket", told.bucket.map(str::to_owned)),
        ("machines", machines),
        ("cost", Some(cost)),
        ("coordinator", work.or(problem)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::view::FleetView;

    fn told<'a>(status: &'a str, endpoint: Option<&'a str>) -> Told<'a> {
        Told {
            stack: "studio",
            region: "eu-central-1",
            status,
            endpoint,
            board: None,
            bucket: Some("studio-bucket-0a"),
            node_group: None,
            load_balancer: None,
            operator_token_secret: None,
            coordinator_logs: None,
            node_logs: None,
        }
    }

    fn status(told: Told<'_>) -> Status<'_> {
        Status {
            told,
            reason: None,
            machines: None,
            machines_wanted: None,
            machines_max: None,
            dollars_per_hour: 0.07,
            dollars_per_hour_standing_by: 0.07,
            prices: "prices of 2025-06 in us-east-1".to_owned(),
            coordinator: None,
            coordinator_problem: None,
        }
    }

    #[test]
    fn it_is_told_in_lines_of_which_none_is_empty() {
        let fleet = FleetView {
            cells_queued: 812,
            cells_running: 48,
            ..FleetView::default()
        };
        let coordinator = "https://atelier.example.com".to_owned();
        let well = Status {
            machines: Some([("running".to_owned(), 2), ("starting".to_owned(), 1)].into()),
            machines_wanted: Some(3),
            machines_max: Some(10),
            dollars_per_hour: 0.702,
            coordinator: Some(Work {
                coordinator,
                grids: 1,
                fleet,
            }),
            ..status(told("UPDATE_COMPLETE", Some("https://atelier.example.com")))
        };
        let away = Status {
            machines: Some(BTreeMap::new()),
            machines_wanted: Some(0),
            machines_max: Some(10),
            coordinator_problem: Some("cannot reach the coordinator at http://a".to_owned()),
            ..status(told("CREATE_COMPLETE", Some("http://a:7878")))
        };
        let failed = Status {
            reason: Some("Volume (AWS::EC2::Volume): no such zone".to_owned()),
            ..status(told("ROLLBACK_COMPLETE", None))
        };
        let all = [well, away, failed].map(|status| lines(&status));
        insta::assert_snapshot!("status", all.join("\n\n"));
    }
}
