//! The command line: what can be asked for, and the words that explain it.

mod access;

use std::ffi::OsString;

use atelier_proto::manual::ManualCommand;
use atelier_proto::telemetry::LogFormat;
use atelier_proto::version;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use self::access::AccessArgs;
use crate::commands::audit::AuditArgs;
use crate::commands::cancel::CancelArgs;
use crate::commands::certs::CertsCommand;
use crate::commands::cloud::CloudCommand;
use crate::commands::delete::DeleteArgs;
use crate::commands::demo::DemoArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::fetch::FetchArgs;
use crate::commands::fleet::FleetCommand;
use crate::commands::list::ListArgs;
use crate::commands::local::LocalArgs;
use crate::commands::logs::LogsArgs;
use crate::commands::nodes::NodesArgs;
use crate::commands::open::OpenArgs;
use crate::commands::pause::PauseArgs;
use crate::commands::priority::PriorityArgs;
use crate::commands::resume::ResumeArgs;
use crate::commands::retry::RetryArgs;
use crate::commands::share::ShareArgs;
use crate::commands::show::ShowArgs;
use crate::commands::submit::SubmitArgs;
use crate::commands::tokens::TokensCommand;
use crate::commands::watch::WatchArgs;
use crate::commands::whoami::WhoamiArgs;
use crate::coordinator::Coordinator;
use crate::error::Error;
use crate::exit::Exit;
use crate::profiles::Profiles;

/// Paints every photo in the style of every artist
///
/// Atelier takes a grid, every photo × every artist, and has its cells rendered by the nodes of a coordinator. `atelier`
/// is its client: it submits grids, shows how they get on, and fetches their galleries.
#[derive(Debug, Parser)]
#[command(
    name = "atelier",
    version = version::short(),
    long_version = version::long(&[]),
    propagate_version = true,
    after_help = after_help()
)]
pub struct Cli {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The command as it was called, without its arguments, as in `atelier fleet drain`.
    #[arg(skip)]
    pub called: String,
}

/// What every command knows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct GlobalArgs {
    /// URL of the coordinator, or URLs with commas between of several over one database; one that does not answer is
    /// passed over for the next
    #[arg(
        long = "coordinator",
        global = true,
        env = "ATELIER_COORDINATOR",
        default_value = "http://127.0.0.1:7878",
        value_delimiter = ',',
        value_name = "URL"
    )]
    pub coordinators: Vec<String>,
    /// Instead of --coordinator, the name of a profile: of a stack that `atelier cloud up` made, or one of your own in
    /// `atelier/profiles.toml` in your folder for configuration
    #[arg(long, global = true, env = "ATELIER_PROFILE", value_name = "NAME")]
    pub profile: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub access: AccessArgs,
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
    /// How it is logged
    #[arg(
        long,
        global = true,
        env = "ATELIER_LOG_FORMAT",
        default_value = "text",
        value_name = "text|json",
        hide_short_help = true
    )]
    pub log_format: LogFormat,
    /// URL of the OTLP collector that traces go to by gRPC, as in `http://127.0.0.1:4317` [default: nowhere]
    #[arg(
        long,
        global = true,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub otlp_endpoint: Option<String>,
}

impl Cli {
    /// What these arguments and the environment ask for. Of a profile and a coordinator, the one on the command line
    /// counts more than one of the environment.
    ///
    /// # Errors
    /// When they make no sense, or when help was asked for: its text.
    pub fn read<A>(arguments: impl IntoIterator<Item = A>) -> Result<Self, clap::Error>
    where
        A: Into<OsString> + Clone,
    {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        let read = Self::from_arg_matches(&matches);
        let mut cli = read.map_err(|error| error.format(&mut command))?;
        cli.called = called(&matches);
        // A variable that is set to nothing is as good as none.
        cli.global.profile.take_if(|name| name.is_empty());
        let profile = cli.global.profile.as_ref();
        let profile = profile.and_then(|_| matches.value_source("profile"));
        match (profile, matches.value_source("coordinators")) {
            (Some(ValueSource::EnvVariable), Some(ValueSource::CommandLine)) => {
                cli.global.profile = None;
            }
            (Some(one), Some(other)) if one == other => {
                let both = "--profile and --coordinator both say who is asked: leave one out";
                return Err(command.error(ErrorKind::ArgumentConflict, both));
            }
            _ => {}
        }
        Ok(cli)
    }
}

impl GlobalArgs {
    /// Who is asked, and how this client comes to them.
    ///
    /// # Errors
    /// When there is no such profile, or a file of certificates, keys or tokens cannot be used.
    pub fn coordinator(&self) -> Result<Coordinator, Error> {
        let (urls, access) = match self.profile.as_deref() {
            None => (self.coordinators.clone(), self.access.access(None)?),
            Some(name) => {
                let profiles = Profiles::of_user()?;
                let profile = profiles.named(name)?;
                let access = self.access.access(Some((&profiles, &profile)))?;
                (profile.coordinators, access)
            }
        };
        Ok(Coordinator::with_access(&urls, access)?)
    }
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
    /// Show what nodes logged of the attempts at a cell
    Logs(LogsArgs),
    /// Hand out no more cells of a grid
    Pause(PauseArgs),
    /// Undo a pause
    Resume(ResumeArgs),
    /// Change a grid's share of the nodes
    Priority(PriorityArgs),
    /// Queue failed cells of a grid again
    Retry(RetryArgs),
    /// Cancel a grid: every cell that has not ended
    Cancel(CancelArgs),
    /// Forget an ended grid, and its pictures in the bucket
    Delete(DeleteArgs),
    /// Fetch the gallery of a grid to this machine
    Fetch(FetchArgs),
    /// Fetch the gallery of a grid, and show it in a browser
    Open(OpenArgs),
    /// Write a page that shows the gallery of a grid to whoever has it, for a day or up to a week
    Share(ShareArgs),
    /// Check that a grid's cells, pictures and gallery are as they are told
    Audit(AuditArgs),
    /// Find out what is the matter, and what to do
    Doctor(DoctorArgs),
    /// List nodes, newest first
    Nodes(NodesArgs),
    /// Say how many nodes there should be, and have one leave
    #[command(subcommand)]
    Fleet(FleetCommand),
    /// Make tokens for those who call a coordinator that asks who they are, list them, and end them
    #[command(subcommand)]
    Tokens(TokensCommand),
    /// Tell who the coordinator takes you for
    Whoami(WhoamiArgs),
    /// Make an atelier on AWS, look at it, and remove it
    #[command(subcommand)]
    Cloud(CloudCommand),
    /// Make the certificates of a private authority, for coordinators, nodes and people
    #[command(subcommand)]
    Certs(CertsCommand),
    /// Run a whole atelier on this machine: a coordinator and nodes
    Local(LocalArgs),
    /// Render a sample grid on this machine, with nothing set up before
    Demo(DemoArgs),
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    Manual(ManualCommand),
}

fn called(matches: &ArgMatches) -> String {
    let mut words = vec!["atelier"];
    let mut matches = matches;
    while let Some((word, further)) = matches.subcommand() {
        words.push(word);
        matches = further;
    }
    words.join(" ")
}

fn after_help() -> String {
    format!(
        "\
Examples:
  atelier demo        # see it work
  atelier local       # an atelier on this machine, until Ctrl-C
  atelier submit --photos 'photos/*.jpg' --artists artists/ --name ride --wait
  atelier fetch ride  # its gallery, into ./ride/

Exit codes:
{}",
        Exit::table()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> clap::Command {
        let mut command = Cli::command()
            .term_width(100)
            // The environment of whoever runs this test would show in the help otherwise.
            .mut_args(|arg| arg.hide_env_values(true))
            .mut_subcommands(|command| {
                let command = command.mut_args(|arg| arg.hide_env_values(true));
                command.mut_subcommands(|command| command.mut_args(|arg| arg.hide_env_values(true)))
            });
        command.build();
        command
    }

    #[test]
    fn the_command_line_is_sound_and_its_help_is_as_it_was() {
        let mut command = command();
        command.clone().debug_assert();
        insta::assert_snapshot!("help", command.render_help());
        let submit = command.find_subcommand_mut("submit");
        let help = submit.map(|submit| submit.render_help().to_string());
        insta::assert_snapshot!("submit_help", help.unwrap_or_default());
    }

    #[test]
    fn each_command_explains_itself() {
        let mut command = command();
        let mut helps = Vec::new();
        for_each_command(&mut command, &mut |command| {
            let told_elsewhere = ["submit", "help"].contains(&command.get_name());
            let help = command.render_help().to_string();
            // What every command knows is in the snapshot of the whole.
            let parts = help.split_once("Options of every command:");
            let examples = parts.and_then(|(_, rest)| rest.split_once("Examples:"));
            if let (Some((own, _)), Some((_, examples)), false) = (parts, examples, told_elsewhere)
            {
                let name = command.get_bin_name().unwrap_or_default();
                let name = name.trim_start_matches("atelier ");
                helps.push(format!("=== {name}\n{own}Examples:{examples}"));
            }
        });
        insta::assert_snapshot!("commands_help", helps.join("\n"));
    }

    /// Those that do something: a group has no examples, but its commands have.
    fn for_each_command(command: &mut clap::Command, look: &mut impl FnMut(&mut clap::Command)) {
        for command in command.get_subcommands_mut() {
            if command.has_subcommands() && command.get_name() != "help" {
                for_each_command(command, look);
            } else {
                look(command);
            }
        }
    }

    fn parsed(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["atelier"], arguments].concat())
    }

    #[test]
    fn several_coordinators_are_named_with_commas_or_one_by_one() {
        let arguments = [
            "list",
            "--coordinator",
            "http://a:1,http://b:1",
            "--coordinator",
            "http://c:1",
        ];
        let urls = parsed(&arguments).unwrap().global.coordinators;
        assert_eq!(urls, ["http://a:1", "http://b:1", "http://c:1"]);
        let arguments = ["--coordinator", "http://a:1,http://b:1", "nodes"];
        let urls = parsed(&arguments).unwrap().global.coordinators;
        assert_eq!(urls, ["http://a:1", "http://b:1"]);
    }

    #[test]
    fn a_profile_stands_in_for_a_coordinator_and_not_beside_one() {
        let read = |arguments: &[&str]| Cli::read([&["atelier"], arguments].concat());
        let profile = |arguments| read(arguments).unwrap().global.profile;
        assert_eq!(profile(&["list", "--profile", "studio"]).unwrap(), "studio");
        assert_eq!(profile(&["--profile", "studio", "list"]).unwrap(), "studio");
        assert_eq!(profile(&["list", "--coordinator", "http://a:1"]), None);
        let coordinator = ["--coordinator", "http://a:1", "list"];
        let both = read(&[&coordinator[..], &["--profile", "studio"]].concat()).unwrap_err();
        assert_eq!(both.kind(), ErrorKind::ArgumentConflict);
        let none = [&coordinator[..], &["--profile", ""]].concat();
        assert_eq!(read(&none).unwrap().global.profile, None);
    }

    #[test]
    fn a_priority_may_be_below_0_and_has_bounds() {
        let priority = |value| match parsed(&["priority", "ride", value])?.command {
            Command::Priority(args) => Ok(args.priority),
            other => panic!("{other:?}"),
        };
        let well: Result<_, clap::Error> = priority("-100");
        assert_eq!(well.unwrap(), -100);
        for wrong in ["-101", "101", "high", "1.5"] {
            assert!(priority(wrong).is_err(), "{wrong}");
        }
        assert!(parsed(&["submit", "grid.toml", "--priority", "-20"]).is_ok());
    }

    #[test]
    fn a_quarantine_has_a_reason_or_is_lifted() {
        let quarantine =
            |rest: &[&str]| parsed(&[&["fleet", "quarantine", "studio-1"], rest].concat());
        assert!(quarantine(&["--reason", "stripes"]).is_ok());
        assert!(quarantine(&["--lift"]).is_ok());
        assert!(quarantine(&[]).is_err());
        assert!(quarantine(&["--reason", ""]).is_err());
        assert!(quarantine(&["--reason", "stripes", "--lift"]).is_err());
    }

    #[test]
    fn no_command_takes_an_option_from_those_of_every_command() {
        let root = command();
        let of_every = root.get_arguments().filter(|arg| arg.is_global_set());
        let of_every: Vec<&str> = of_every.filter_map(clap::Arg::get_long).collect();
        assert!(of_every.contains(&"log"));
        for_each_command(&mut command(), &mut |command| {
            let of_its_own = command.get_arguments().filter(|arg| !arg.is_global_set());
            for option in of_its_own.filter_map(clap::Arg::get_long) {
                let name = command.get_name();
                assert!(!of_every.contains(&option), "{name} --{option}");
            }
        });
    }

    #[test]
    fn a_list_is_of_one_submitter_or_of_another() {
        assert!(parsed(&["list", "--state", "active", "--state", "paused", "--mine"]).is_ok());
        assert!(parsed(&["list", "--state", "deleted"]).is_err());
        assert!(parsed(&["list", "--limit", "0"]).is_err());
        assert!(parsed(&["list", "--mine", "--submitter", "ann"]).is_err());
    }
}
