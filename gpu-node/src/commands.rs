//! What the program does when asked: one module per command.

mod bench;
mod devices;
mod error;
mod render;
mod run;
mod weights;

pub use self::error::CommandError;
use clap::CommandFactory as _;

use crate::cli::{Cli, Command};
use crate::log_tail::LogTail;

/// Does what the command line asks for. `log` is what coordinators are told when a cell fails.
pub async fn run(command: Command, log: LogTail) -> Result<(), CommandError> {
    match command {
        Command::Run(args) => run::run(args, log).await,
        Command::Render(args) => render::render(args).await,
        Command::Weights(command) => weights::weights(command).await,
        Command::Bench(args) => bench::bench(args).await,
        Command::Devices { json } => devices::devices(json).await,
        Command::Manual(command) => weights::say(&command.run(Cli::command())?),
    }
}
