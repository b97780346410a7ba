//! `atelier pause`: hands out no more cells of a grid.

use atelier_proto::ids::GridId;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::coordinator::view::GridState;
use crate::error::Error;
use crate::exit::Exit;
use crate::grid_ref;

/// `atelier pause`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier pause \"Sunday ride\"
  atelier resume \"Sunday ride\"

Cells that nodes hold already are finished. To pause twice does no harm.")]
pub struct PauseArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "GRID")]
    pub grid: String,
}

/// What a grid was made, as `--json` has it.
#[derive(Serialize)]
pub(super) struct Turned {
    pub(super) grid_id: GridId,
    pub(super) state: GridState,
}

/// Pauses the grid.
pub async fn run(context: &Context, args: PauseArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let grid_id = grid_ref::resolve(&context.coordinator, &args.grid).await?;
    context.coordinator.pause(grid_id).await?;
    if printer.json_wanted() {
        let state = GridState::Paused;
        printer.json(&Turned { grid_id, state })?;
    }
    printer.say("paused: cells that nodes hold are finished, and no others begun");
    Ok(Exit::Ok)
}
