//! The command line: what can be asked for, and the words that explain it.

use clap::{Args, Parser, Subcommand};

use crate::commands::cancel::CancelArgs;
use crate::commands::demo::DemoArgs;
use crate::commands::fetch::FetchArgs;
use crate::commands::list::ListArgs;
use crate::commands::local::LocalArgs;
use crate::commands::show::ShowArgs;
use crate::commands::submit::SubmitArgs;
use crate::commands::watch::WatchArgs;
use crate::exit::Exit;

/// Paints every photo in the style of every artist
///
/// Atelier takes a grid, every photo × every artist, and has its cells rendered by the nodes of a coordinator. `atelier`
/// is its client: it submits grids, shows how they get on, and fetches their galleries.
#[derive(Debug, Parser)]
#[command(name = "atelier", version, propagate_version = true, after_help = after_help())]
pub struct Cli {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command knows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct GlobalArgs {
    /// URL of the coordinator
    #[arg(
        long,
        global = true,
        env = "ATELIER_COORDINATOR",
        default_value = "http://127.0.0.1:7878",
        value_name = "URL"
    )]
    pub coordinator: String,
    /// Print data as JSON, one value a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but data, warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print no colours (so does the variable `NO_COLOR`)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// What is logged on standard error, for finding faults, as in `debug` or `info,atelier=debug`
    #[arg(
        long,
        global = true,
        env = "ATELIER_LOG",
        default_value = "off",
        value_name = "FILTER",
        hide_short_help = true
    )]
    pub log: String,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Submit a grid: a grid file, or photos and artists
    Submit(SubmitArgs),
    /// Show how a grid gets on until it has ended
    Watch(WatchArgs),
    /// List grids, newest first
    List(ListArgs),
    /// Show a grid with its cells
    Show(ShowArgs),
    /// Cancel a grid: every cell that has not ended
    Cancel(CancelArgs),
    /// Fetch the gallery of a grid to this machine
    Fetch(FetchArgs),
    /// Run a whole atelier on this machine: a coordinator and nodes
    Local(LocalArgs),
    /// Render a sample grid on this machine, with nothing set up before
    Demo(DemoArgs),
}

fn after_help() -> String {
    format!(
        "\
Examples:
  atelier demo                                   # see it work
  atelier local                                  # an atelier on this machine, until Ctrl-C
  atelier submit --photos 'photos/*.jpg' --artists artists/ --name ride --wait
  atelier fetch ride                             # its gallery, into ./ride/

Exit codes:
{}",
        Exit::table()
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_its_help_is_as_it_was() {
        let mut command = Cli::command()
            .term_width(100)
            // The environment of whoever runs this test would show in the help otherwise.
            .mut_args(|arg| arg.hide_env_values(true));
        command.build();
        command.clone().debug_assert();
        insta::assert_snapshot!("help", command.render_help());
        let submit = command.find_subcommand_mut("submit");
        let help = submit.map(|submit| submit.render_help().to_string());
        insta::assert_snapshot!("submit_help", help.unwrap_or_default());
    }
}
