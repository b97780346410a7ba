//! `atelier retry`: queues failed cells of a grid again, or chosen ones.

use clap::Args;
use serde::Serialize;

use crate::cell_ref;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::grid_ref;
use crate::text::counted;

/// `atelier retry`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier retry \"Sunday ride\"  # every failed cell
  atelier retry \"Sunday ride\" --cell 17 --cell hill/Monet
  atelier retry \"Sunday ride\" --cell 'hill/Monet/seed=2'

They have all their attempts before them again, and the grid is active until they have ended. Cells that were cancelled \
are queued only if named.")]
pub struct RetryArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "GRID")]
    pub grid: String,
    /// A failed or cancelled cell: its number, PHOTO/ARTIST or PHOTO/ARTIST/VARIANT as `atelier show` lists them, or its
    /// id; may be said several times [default: every failed cell]
    #[arg(long = "cell", value_name = "CELL")]
    pub cells: Vec<String>,
}

#[derive(Serialize)]
struct Queued {
    queued: u32,
}

/// Queues the cells.
pub async fn run(context: &Context, args: RetryArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let coordinator = &context.coordinator;
    let grid = grid_ref::resolve(coordinator, &args.grid).await?;
    let cells = if args.cells.is_empty() {
        Vec::new()
    } else {
        let cells = cell_ref::resolve(&coordinator.get(grid).await?, &args.cells)?;
        cells.into_iter().collect()
    };
    let queued = coordinator.retry(grid, &cells).await?;
    if printer.json_wanted() {
        printer.json(&Queued { queued })?;
    }
    printer.say(&match queued {
        0 => "nothing to queue: none has failed".to_owned(),
        some => format!("queued {} again", counted(some as usize, "cell")),
    });
    Ok(Exit::Ok)
}
