//! `atelier list`: grids in short, newest first.

use clap::Args;
use comfy_table::{CellAlignment, Table, TableStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::context::Context;
use crate::coordinator::view::Summary;
use crate::error::Error;
use crate::exit::Exit;
use crate::text::{printable, shortened};

/// Grids that are listed unless more are asked for.
const GRIDS_DEFAULT: usize = 50;

/// `atelier list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier list
  atelier list --limit 1000 --json")]
pub struct ListArgs {
    /// How many grids at most
    #[arg(short = 'n', long, default_value_t = GRIDS_DEFAULT, value_name = "GRIDS")]
    pub limit: usize,
}

/// Lists grids.
pub async fn run(context: &Context, args: ListArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let (grids, has_more) = context.coordinator.list(args.limit).await?;
    if printer.json_wanted() {
        printer.json(&grids)?;
        return Ok(Exit::Ok);
    }
    if grids.is_empty() {
        printer.say("there is no grid yet; `atelier submit --help` says how to submit one");
        return Ok(Exit::Ok);
    }
    printer.data(&table(&grids, &TimeZone::system()))?;
    if has_more {
        printer.say("there are more; see them with --limit");
    }
    Ok(Exit::Ok)
}

fn table(grids: &[Summary], zone: &TimeZone) -> String {
    let mut table = plain_table(&["ID", "NAME", "STATE", "CELLS", "SUBMITTED"]);
    for grid in grids {
        table.add_row([
            grid.grid_id.to_string(),
            printable(&shortened(&grid.name, 60)),
            grid.state.to_string(),
            grid.cells.to_string(),
            grid.submitted_at
                .map(|time| local_time(time, zone))
                .unwrap_or_default(),
        ]);
    }
    table.trim_fmt()
}

/// A table without lines, as terminals and `awk` like it.
pub(super) fn plain_table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(headings);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        column.set_cell_alignment(CellAlignment::Left);
    }
    table
}

pub(super) fn local_time(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned_datetime(zone.clone())
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}
