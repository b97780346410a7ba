//! What the program does when asked: one module per command.

mod bench;
mod devices;
mod error;
mod render;
mod run;
mod weights;

pub use self::error::CommandError;
use clap::CommandFactory as _;

use crate::cell_log::Logs;
use crate::cli::{Cli, Command};

/// Does what the command line asks for. `logs` are what coordinators are told of cells.
pub async fn run(command: Command, logs: Logs) -> Result<(), CommandError> {
    match command {
        Command::Run(args) => run::run(*args, logs).await,
        Command::Render(args) => render::render(args).await,
        Command::Weights(command) => weights::weights(command).await,
        Command::Bench(args) => bench::bench(args).await,
        Command::Devices { json } => devices::devices(json).await,
        Command::Manual(command) => weights::say(&command.run(Cli::command())?),
    }
}
