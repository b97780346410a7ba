//! `atelier resume`: undoes a pause.

use clap::Args;

use super::pause::Turned;
use crate::context::Context;
use crate::coordinator::view::GridState;
use crate::error::Error;
use crate::exit::Exit;
use crate::grid_ref;

/// `atelier resume`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier resume \"Sunday ride\"

To resume twice does no harm.")]
pub struct ResumeArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "GRID")]
    pub grid: String,
}

/// Resumes the grid.
pub async fn run(context: &Context, args: ResumeArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let grid_id = grid_ref::resolve(&context.coordinator, &args.grid).await?;
    context.coordinator.resume(grid_id).await?;
    if printer.json_wanted() {
        let state = GridState::Active;
        printer.json(&Turned { grid_id, state })?;
    }
    printer.say("resumed");
    Ok(Exit::Ok)
}
