//! `atelier fleet undrain`: undoes a drain.

use clap::Args;

use super::drain::Turned;
use crate::context::Context;
use crate::coordinator::view::NodeState;
use crate::error::Error;
use crate::exit::Exit;
use crate::node_ref;

/// `atelier fleet undrain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier fleet undrain studio-1

A node that has left already does not come back.")]
pub struct UndrainArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "NODE")]
    pub node: String,
}

/// Gives the node work again.
pub async fn run(context: &Context, args: UndrainArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let node_id = node_ref::resolve(&context.coordinator, &args.node).await?;
    context.coordinator.undrain(node_id).await?;
    if printer.json_wanted() {
        let state = NodeState::Active;
        printer.json(&Turned { node_id, state })?;
    }
    printer.say("it gets work again");
    Ok(Exit::Ok)
}
