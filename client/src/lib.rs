//! `atelier`: the client, as a library that its `main` and its tests share.
//!
//! From the outside in:
//! - [`cli`]: what can be asked for; [`commands`]: one module a command; [`context`]: what they share
//! - [`sources`] and [`grid_file`]: what a person names, as files and settings; [`plan`]: the grid that it makes
//! - [`like`]: favourites as grids; [`submission`]: a plan becomes a grid, with its [`inputs`] in the bucket
//! - [`coordinator`]: the only code that knows gRPC
//! - [`grid_ref`], [`gallery_url`], [`cell_ref`], [`node_ref`], [`meant`]: GRID, CELL and NODE on the command line
//! - [`submitter`]: who this is
//! - [`progress`]: a grid while it renders; [`preview`]: its pictures by then, as [`terminal_picture`] writes them
//! - [`confirm`]: a yes before what cannot be undone
//! - [`fetch`]: a gallery brought here, from wherever it is read; [`share`]: a page of it for others; [`audit`]: whether all is as it is told
//! - [`local`]: a whole atelier on this machine; [`demo`] and [`samples`]; [`cloud`]: one on AWS; [`profiles`]: names for ateliers
//! - [`certs`]: a private authority, and what it issues; [`doctor`]: what is the matter with an atelier
//! - [`printer`], [`text`], [`table`], [`error`], [`exit`], [`interrupt`]: what a person and a script get to see
//!
//! Nothing here renders or names torch.

pub mod audit;
pub mod cell_ref;
pub mod certs;
pub mod cli;
pub mod cloud;
pub mod commands;
pub mod confirm;
pub mod context;
pub mod coordinator;
pub mod demo;
pub mod doctor;
pub mod error;
pub mod exit;
pub mod fetch;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gallery_url;
pub mod grid_file;
pub mod grid_ref;
pub mod inputs;
pub mod interrupt;
pub mod like;
pub mod local;
pub mod meant;
pub mod node_ref;
pub mod plan;
pub mod preview;
pub mod printer;
pub mod profiles;
pub mod progress;
pub mod samples;
pub mod share;
pub mod sources;
pub mod submission;
pub mod submitter;
pub mod table;
pub mod terminal_picture;
pub mod text;

use tracing::Instrument as _;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::printer::Printer;

/// Does what the command line asks for; what goes wrong has been told when it returns.
pub async fn run(cli: Cli) -> Exit {
    // Calls belong to the command that makes them.
    let span = tracing::info_span!("command", otel.name = cli.called);
    let printer = Printer::new(cli.global.quiet, cli.global.json, cli.global.no_color);
    let exit = Box::pin(commands::run(cli, &printer).instrument(span)).await;
    exit.unwrap_or_else(|error| {
        printer.error(&error);
        error.exit()
    })
}
