//! `atelier priority`: changes a grid's share of the nodes.

use atelier_proto::ids::GridId;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::grid_ref;
use crate::plan::PRIORITIES;

/// `atelier priority`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier priority \"Sunday ride\" 20    # twice the share that it has at 0
  atelier priority \"Sunday ride\" -100  # a 32nd of it

Among the grids of one submitter, each 20 double a grid's share. What nodes hold already stays with them.")]
pub struct PriorityArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "GRID")]
    pub grid: String,
    /// From -100 to 100; grids have 0 unless told otherwise
    #[arg(
        value_name = "VALUE",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(PRIORITIES)
    )]
    pub priority: i32,
}

#[derive(Serialize)]
struct Prioritised {
    grid_id: GridId,
    priority: i32,
}

/// Changes the priority of the grid.
pub async fn run(context: &Context, args: PriorityArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let priority = args.priority;
    let grid_id = grid_ref::resolve(&context.coordinator, &args.grid).await?;
    context.coordinator.set_priority(grid_id, priority).await?;
    if printer.json_wanted() {
        printer.json(&Prioritised { grid_id, priority })?;
    }
    printer.say(&format!("its priority is {priority} now"));
    Ok(Exit::Ok)
}
