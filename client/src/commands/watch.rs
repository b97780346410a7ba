//! `atelier watch`: progress until a grid has ended and its gallery is complete.

use clap::Args;
use serde::Serialize;

use crate::commands::show::ShownCell;
use crate::context::Context;
use crate::coordinator::view::Summary;
use crate::error::Error;
use crate::exit::Exit;
use crate::grid_ref;
use crate::preview::{self, How};
use crate::progress::{follow, follow_each};

/// `atelier watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier watch \"Sunday ride\"
  atelier watch \"Sunday ride\" --preview
  atelier watch 01930c5e && atelier fetch 01930c5e

Ctrl-C ends the watch, not the grid. A coordinator that restarts is waited for, and another is asked if several are \
named. With --json, each change is a line with the grid in short and the cells that \
changed, and the last line tells how the grid ended.")]
pub struct WatchArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "GRID")]
    pub grid: String,
    /// Draw in the terminal what is being painted: by the protocol of kitty, iTerm2 or sixels where the terminal surely has
    /// it, in coloured blocks elsewhere; or by the one that is named
    #[arg(long, value_name = "auto|kitty|iterm2|sixel|blocks", num_args = 0..=1, require_equals = true,
          default_missing_value = "auto")]
    pub preview: Option<How>,
}

/// A change as `--json` has it.
#[derive(Serialize)]
struct ShownChange<'a> {
    sequence: u64,
    grid: &'a Summary,
    cells: Vec<ShownCell<'a>>,
}

/// Watches the grid to its end.
pub async fn run(context: &Context, args: WatchArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let grid = grid_ref::resolve(&context.coordinator, &args.grid).await?;
    let ended = if let Some(how) = args.preview {
        Box::pin(preview::follow(context, grid, how)).await?
    } else if printer.json_wanted() {
        follow_each(context, grid, |board, change| {
            let cells = change.cells.iter();
            printer.json(&ShownChange {
                sequence: change.sequence,
                grid: &change.summary,
                cells: cells
                    .map(|cell| ShownCell::new(cell, board.names(cell)))
                    .collect(),
            })
        })
        .await?
    } else {
        follow(context, grid).await?
    };
    ended.tell(printer);
    if printer.json_wanted() {
        printer.json(&ended)?;
    }
    Ok(ended.exit())
}
