//! `atelier delete`: forgets an ended grid, and its pictures in the bucket.

use atelier_proto::ids::GridId;
use clap::Args;
use serde::Serialize;

use crate::confirm;
use crate::context::Context;
use crate::coordinator::view::Summary;
use crate::error::Error;
use crate::exit::Exit;
use crate::grid_ref;
use crate::text::{counted, printable, shortened};

/// `atelier delete`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier delete \"Sunday ride\"
  atelier delete 01930c5e --yes

Its pictures and its page in the bucket go with it; galleries that were fetched, and the inputs, which other grids may \
share, stay. One that has not ended has to be cancelled before, with `atelier cancel`. Asks on a terminal; elsewhere it \
needs --yes.")]
pub struct DeleteArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "GRID")]
    pub grid: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Serialize)]
struct Deleted {
    grid_id: GridId,
    deleted: bool,
}

/// Deletes the grid, once that is certain.
pub async fn run(context: &Context, args: DeleteArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    if !args.yes {
        confirm::check_somebody_is_there("delete")?;
    }
    let grid_id = grid_ref::resolve(&context.coordinator, &args.grid).await?;
    if !args.yes {
        let grid = context.coordinator.get(grid_id).await?;
        let question = question(&grid.summary);
        confirm::confirm(printer, &context.shutdown, &question, "nothing was deleted").await?;
    }
    context.coordinator.delete(grid_id).await?;
    if printer.json_wanted() {
        let deleted = true;
        printer.json(&Deleted { grid_id, deleted })?;
    }
    printer.say("deleted, with its pictures in the bucket; its inputs stay");
    Ok(Exit::Ok)
}

fn question(grid: &Summary) -> String {
    let name = printable(&shortened(&grid.name, 80));
    let pictures = counted(grid.cells.done as usize, "picture");
    format!(
        "Delete the grid {name} ({}), and its {pictures} in the bucket? Inputs stay.",
        grid.state
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::summary;
    use crate::coordinator::view::{CellCounts, GridState};

    #[test]
    fn the_question_says_what_goes_and_what_stays() {
        let grid = Summary {
            name: "Sunday\x1b[2J".to_owned(),
            state: GridState::Finished,
            cells: CellCounts {
                done: 1,
                failed: 2,
                ..CellCounts::default()
            },
            ..summary()
        };
        assert_eq!(
            question(&grid),
            "Delete the grid Sunday\u{fffd}[2J (finished), and its 1 picture in the bucket? Inputs stay."
        );
    }
}
