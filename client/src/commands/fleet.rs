//! `atelier fleet …`: how many nodes there are and should be, and what is done with one of them.

pub mod drain;
pub mod quarantine;
pub mod scale;
pub mod status;
pub mod undrain;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// What is done with the nodes.
#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Show the backlog, how many nodes it asks for, and what all of it costs
    Status(status::StatusArgs),
    /// Set between what bounds the fleet follows the backlog
    Scale(scale::ScaleArgs),
    /// Have a node finish what it holds and leave
    Drain(drain::DrainArgs),
    /// Undo a drain
    Undrain(undrain::UndrainArgs),
    /// Give a node no work until somebody has looked at it
    Quarantine(quarantine::QuarantineArgs),
}

/// Does it.
pub async fn run(context: &Context, command: FleetCommand) -> Result<Exit, Error> {
    match command {
        FleetCommand::Status(args) => status::run(context, args).await,
        FleetCommand::Scale(args) => scale::run(context, args).await,
        FleetCommand::Drain(args) => drain::run(context, args).await,
        FleetCommand::Undrain(args) => undrain::run(context, args).await,
        FleetCommand::Quarantine(args) => quarantine::run(context, args).await,
    }
}
