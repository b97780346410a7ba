//! `atelier fleet drain`: has a node finish what it holds and leave.

use atelier_proto::ids::NodeId;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::coordinator::view::NodeState;
use crate::error::Error;
use crate::exit::Exit;
use crate::node_ref;

/// `atelier fleet drain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier fleet drain studio-1 --reason \"moves to the other rack\"
  atelier fleet undrain studio-1  # as long as it has not left

The node gets no more cells, finishes those that it holds, and ends.")]
pub struct DrainArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "NODE")]
    pub node: String,
    /// Why, for whoever sees it in `atelier nodes`
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub reason: String,
}

/// What a node was made, as `--json` has it.
#[derive(Serialize)]
pub(super) struct Turned {
    pub(super) node_id: NodeId,
    pub(super) state: NodeState,
}

/// Drains the node.
pub async fn run(context: &Context, args: DrainArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let node_id = node_ref::resolve(&context.coordinator, &args.node).await?;
    context.coordinator.drain(node_id, &args.reason).await?;
    if printer.json_wanted() {
        let state = NodeState::Draining;
        printer.json(&Turned { node_id, state })?;
    }
    printer.say("draining: it finishes what it holds and leaves");
    Ok(Exit::Ok)
}
