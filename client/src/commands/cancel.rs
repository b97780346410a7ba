//! `atelier cancel`: ends every cell of a grid that has not ended.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::grid_ref;
use crate::text::counted;

/// `atelier cancel`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier cancel \"Sunday ride\"

Pictures that are done stay in the gallery. To cancel twice does no harm.")]
pub struct CancelArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "GRID")]
    pub grid: String,
}

#[derive(Serialize)]
struct Cancelled {
    cancelled: u32,
}

/// Cancels the grid.
pub async fn run(context: &Context, args: CancelArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let grid = grid_ref::resolve(&context.coordinator, &args.grid).await?;
    let cancelled = context.coordinator.cancel(grid).await?;
    if printer.json_wanted() {
        printer.json(&Cancelled { cancelled })?;
    }
    let cells = counted(cancelled as usize, "cell");
    printer.say(&format!("cancelled {cells}"));
    Ok(Exit::Ok)
}
