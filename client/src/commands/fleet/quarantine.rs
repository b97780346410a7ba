//! `atelier fleet quarantine`: gives a node no work until somebody has looked at it.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::drain::Turned;
use crate::context::Context;
use crate::coordinator::view::NodeState;
use crate::error::Error;
use crate::exit::Exit;
use crate::node_ref;

/// `atelier fleet quarantine`.
#[derive(Debug, Args)]
#[command(override_usage = "\
atelier fleet quarantine [OPTIONS] <NODE> --reason <TEXT>
       atelier fleet quarantine [OPTIONS] <NODE> --lift")]
#[command(after_help = "\
Examples:
  atelier fleet quarantine studio-1 --reason \"its pictures have stripes\"
  atelier fleet quarantine studio-1 --lift

The node stays and gets no more cells. A node on which cells of several grids failed in a row is put into quarantine by \
itself.")]
pub struct QuarantineArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "NODE")]
    pub node: String,
    /// Why, for whoever sees it in `atelier nodes`
    #[arg(
        long,
        value_name = "TEXT",
        value_parser = NonEmptyStringValueParser::new(),
        required_unless_present = "lift",
        conflicts_with = "lift"
    )]
    pub reason: Option<String>,
    /// End the quarantine
    #[arg(long)]
    pub lift: bool,
}

/// Begins or ends the quarantine.
pub async fn run(context: &Context, args: QuarantineArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let coordinator = &context.coordinator;
    let node_id = node_ref::resolve(coordinator, &args.node).await?;
    let (state, words) = if let Some(reason) = &args.reason {
        coordinator.quarantine(node_id, reason).await?;
        let words = "in quarantine: it gets no more cells";
        (NodeState::Quarantined, words)
    } else {
        coordinator.lift_quarantine(node_id).await?;
        (NodeState::Active, "it gets work again")
    };
    if printer.json_wanted() {
        printer.json(&Turned { node_id, state })?;
    }
    printer.say(words);
    Ok(Exit::Ok)
}
