//! One module a command: its arguments, and what it does; [`gallery`] has what those share that read a gallery.

pub mod audit;
pub mod cancel;
pub mod certs;
pub mod cloud;
pub mod delete;
pub mod demo;
pub mod doctor;
pub mod fetch;
pub mod fleet;
pub mod gallery;
pub mod list;
pub mod local;
pub mod logs;
pub mod nodes;
pub mod open;
pub mod pause;
pub mod priority;
pub mod resume;
pub mod retry;
pub mod share;
pub mod show;
pub mod submit;
pub mod tokens;
pub mod watch;
pub mod whoami;

use clap::CommandFactory as _;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt;
use crate::printer::Printer;

/// Does what is asked for.
pub async fn run(cli: Cli, printer: &Printer) -> Result<Exit, Error> {
    let shutdown = interrupt::on_signals()?;
    let printer = printer.clone();
    let context = || -> Result<Context, Error> {
        Ok(Context {
            printer: printer.clone(),
            coordinator: cli.global.coordinator()?,
            shutdown: shutdown.clone(),
        })
    };
    match cli.command {
        Command::Submit(args) => Box::pin(submit::run(&context()?, args)).await,
        Command::Watch(args) => watch::run(&context()?, args).await,
        Command::List(args) => list::run(&context()?, args).await,
        Command::Show(args) => show::run(&context()?, args).await,
        Command::Logs(args) => logs::run(&context()?, args).await,
        Command::Pause(args) => pause::run(&context()?, args).await,
        Command::Resume(args) => resume::run(&context()?, args).await,
        Command::Priority(args) => priority::run(&context()?, args).await,
        Command::Retry(args) => retry::run(&context()?, args).await,
        Command::Cancel(args) => cancel::run(&context()?, args).await,
        Command::Delete(args) => delete::run(&context()?, args).await,
        Command::Fetch(args) => fetch::run(context()?, args).await,
        Command::Open(args) => open::run(context()?, args).await,
        Command::Share(args) => share::run(context()?, args).await,
        Command::Audit(args) => audit::run(&context()?, args).await,
        Command::Doctor(args) => doctor::run(&context()?, cli.global.profile.clone(), args).await,
        Command::Nodes(args) => nodes::run(&context()?, args).await,
        Command::Fleet(command) => fleet::run(&context()?, command).await,
        Command::Cloud(command) => cloud::run(printer, shutdown, &cli.global.access, command).await,
        Command::Certs(command) => certs::run(&printer, command),
        Command::Tokens(command) => tokens::run(&context()?, command).await,
        Command::Whoami(args) => whoami::run(&context()?, args).await,
        // These two bring a coordinator of their own.
        Command::Local(args) => local::run(printer, shutdown, args).await,
        Command::Demo(args) => demo::run(printer, shutdown, args).await,
        Command::Manual(command) => {
            printer.data(&command.run(Cli::command())?)?;
            Ok(Exit::Ok)
        }
    }
}
