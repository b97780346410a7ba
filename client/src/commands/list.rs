//! `atelier list`: grids in short, newest first.

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::context::Context;
use crate::coordinator::GridFilter;
use crate::coordinator::view::{GridState, Summary};
use crate::error::Error;
use crate::exit::Exit;
use crate::submitter::Submitter;
use crate::table::plain_table;
use crate::text::{local_time, printable, shortened};

/// Grids that are listed unless more are asked for.
const GRIDS_DEFAULT: usize = 50;

/// `atelier list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier list
  atelier list --mine --state active --state paused
  atelier list --name ride --limit 1000 --json")]
pub struct ListArgs {
    /// Grids in this state; may be said several times
    #[arg(long = "state", value_name = "STATE")]
    pub states: Vec<WantedState>,
    /// Grids that you submitted: by `ATELIER_SUBMITTER`, or else by the name by which the coordinator knows you, or
    /// your user's
    #[arg(long, conflicts_with = "submitter")]
    pub mine: bool,
    /// Grids of this submitter
    #[arg(long, value_name = "NAME")]
    pub submitter: Option<String>,
    /// Grids whose name has this text in it, whatever its case
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// How many grids at most
    #[arg(short = 'n', long, default_value_t = GRIDS_DEFAULT, value_name = "GRIDS",
          value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub limit: usize,
}

/// A state that grids are listed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "each is the state of its name")]
pub enum WantedState {
    Active,
    Paused,
    Finished,
    Cancelled,
}

impl From<WantedState> for GridState {
    fn from(wanted: WantedState) -> Self {
        match wanted {
            WantedState::Active => Self::Active,
            WantedState::Paused => Self::Paused,
            WantedState::Finished => Self::Finished,
            WantedState::Cancelled => Self::Cancelled,
        }
    }
}

/// Lists grids.
pub async fn run(context: &Context, args: ListArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let limit = args.limit;
    let filter = filter(args, || Submitter::own(None));
    let (grids, has_more) = context.coordinator.list(&filter, limit).await?;
    if printer.json_wanted() {
        printer.json(&grids)?;
        return Ok(Exit::Ok);
    }
    if grids.is_empty() {
        printer.say(if filter == GridFilter::default() {
            "there is no grid yet; `atelier submit --help` says how to submit one"
        } else {
            "there is no such grid; `atelier list` without more shows all"
        });
        return Ok(Exit::Ok);
    }
    printer.data(&table(&grids, &TimeZone::system()))?;
    if has_more {
        printer.say("there are more; see them with --limit");
    }
    Ok(Exit::Ok)
}

fn filter(args: ListArgs, own: impl FnOnce() -> Submitter) -> GridFilter {
    let (submitter, mine) = match args.mine.then(own) {
        None => (args.submitter, None),
        Some(Submitter {
            named: Some(named), ..
        }) => (Some(named), None),
        Some(Submitter { named: None, user }) => (None, Some(user)),
    };
    GridFilter {
        states: args.states.into_iter().map(GridState::from).collect(),
        submitter,
        mine,
        name: args.name.unwrap_or_default(),
    }
}

fn table(grids: &[Summary], zone: &TimeZone) -> String {
    let headings = ["ID", "NAME", "STATE", "CELLS", "SUBMITTER", "SUBMITTED"];
    let mut table = plain_table(&headings);
    for grid in grids {
        table.add_row([
            grid.grid_id.to_string(),
            printable(&shortened(&grid.name, 60)),
            grid.state.to_string(),
            grid.cells.to_string(),
            printable(&shortened(&grid.submitter, 30)),
            grid.submitted_at
                .map(|time| local_time(time, zone))
                .unwrap_or_default(),
        ]);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::summary;
    use crate::coordinator::view::CellCounts;

    #[test]
    fn what_is_asked_for_becomes_the_filter() {
        let args = || ListArgs {
            states: Vec::new(),
            mine: false,
            submitter: None,
            name: None,
            limit: 1,
        };
        let own = || Submitter {
            named: None,
            user: "ann".to_owned(),
        };
        assert_eq!(filter(args(), own), GridFilter::default());
        let mine = ListArgs {
            states: vec![WantedState::Active, WantedState::Paused],
            mine: true,
            name: Some("ride".to_owned()),
            ..args()
        };
        let wanted = GridFilter {
            states: vec![GridState::Active, GridState::Paused],
            mine: Some("ann".to_owned()),
            name: "ride".to_owned(),
            ..GridFilter::default()
        };
        assert_eq!(filter(mine, own), wanted);
        let mine = ListArgs {
            mine: true,
            ..args()
        };
        let lab = || Submitter {
            named: Some("lab".to_owned()),
            ..own()
        };
        let filtered = filter(mine, lab);
        assert_eq!(
            (filtered.submitter.as_deref(), filtered.mine),
            (Some("lab"), None)
        );
        let nobodys = ListArgs {
            submitter: Some(String::new()),
            ..args()
        };
        assert_eq!(filter(nobodys, own).submitter.as_deref(), Some(""));
    }

    #[test]
    fn grids_are_told_in_a_line_each() {
        let first = Summary {
            name: "Sunday ride".to_owned(),
            cells: CellCounts {
                done: 3,
                queued: 1,
                ..CellCounts::default()
            },
            submitted_at: Some("2026-06-01T10:00:00Z".parse().unwrap()),
            ..summary()
        };
        let second = Summary {
            state: GridState::Paused,
            submitter: "b\u{1b}ob".to_owned(),
            ..summary()
        };
        insta::assert_snapshot!("list", table(&[first, second], &TimeZone::UTC));
    }
}
