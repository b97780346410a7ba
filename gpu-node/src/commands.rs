//! What the program does when asked: one module per command.

mod bench;
mod devices;
mod error;
mod render;
mod run;
mod weights;

use std::io::{ErrorKind, Write as _};

use clap::CommandFactory as _;

pub use self::error::CommandError;
use crate::cell_log::Logs;
use crate::cli::{Cli, Command};
use crate::weights::{ChooseError, Chosen, Source, WeightsChoice, choose};

/// Does what the command line asks for. `logs` are what coordinators are told of cells.
pub async fn run(command: Command, logs: Logs) -> Result<(), CommandError> {
    match command {
        Command::Run(args) => run::run(*args, logs).await,
        Command::Render(args) => render::render(args).await,
        Command::Weights(command) => weights::weights(command).await,
        Command::Bench(args) => bench::bench(args).await,
        Command::Devices { json } => devices::devices(json).await,
        Command::Manual(command) => say(&command.run(Cli::command())?),
    }
}

/// One answer on standard output.
fn say(answer: &str) -> Result<(), CommandError> {
    match writeln!(std::io::stdout(), "{answer}") {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// The network that `--weights` means, unless it lies in a coordinator's bucket; warns where it is not the one that people
/// expect.
async fn chosen(choice: &WeightsChoice) -> Result<Chosen, ChooseError> {
    let chosen = choose(choice, &Source::keras_vgg16()).await?;
    if let Some(notice) = &chosen.notice {
        tracing::warn!("{notice}");
    }
    Ok(chosen)
}
