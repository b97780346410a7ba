//! `atelier cloud …`: an atelier on AWS, made, looked at and removed.

pub mod arguments;
pub mod down;
pub mod status;
pub mod up;

use std::path::Path;
use std::time::Duration;

use atelier_proto::connect::Access;
use atelier_proto::prices::Prices;
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::cli::AccessArgs;
use crate::cloud::stack::Stack;
use crate::cloud::wait::Waiting;
use crate::cloud::{Cloud, CloudError};
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt;
use crate::printer::Printer;
use crate::profiles::{Profile, Profiles};
use crate::table::facts;

/// Longest name of a stack: what AWS makes of it has bounds, too.
const NAME_CHARACTERS_MAX: usize = 64;

/// What is done with an atelier on AWS.
#[derive(Debug, Subcommand)]
pub enum CloudCommand {
    /// Make an atelier, or change one: coordinators, a bucket, and as many nodes as the backlog asks for
    Up(Box<up::UpArgs>),
    /// Show how an atelier stands, its machines and what they cost
    Status(status::StatusArgs),
    /// Remove an atelier; its bucket stays unless you say otherwise
    Down(down::DownArgs),
}

/// Which stack is meant, and how it is looked at.
#[derive(Debug, Args)]
pub struct StackArgs {
    /// Name of the stack, and of the profile that leads to it
    #[arg(value_name = "NAME", value_parser = stack_name)]
    pub name: String,
    /// AWS region [default: that of the profile of this name, or else as your AWS configuration says]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// How often AWS is asked how it gets on.
    #[arg(long, hide = true, default_value = "5s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub poll_interval: Duration,
}

/// As CloudFormation takes names.
fn stack_name(text: &str) -> Result<String, String> {
    let is_known = |character: char| character.is_ascii_alphanumeric() || character == '-';
    let is_well = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(is_known)
        && text.len() <= NAME_CHARACTERS_MAX;
    if is_well {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a name has letters, digits and hyphens, begins with a letter, and is at most {NAME_CHARACTERS_MAX} long"
        ))
    }
}

/// Does it.
pub async fn run(
    printer: Printer,
    shutdown: CancellationToken,
    access: &AccessArgs,
    command: CloudCommand,
) -> Result<Exit, Error> {
    match command {
        CloudCommand::Up(args) => Box::pin(up::run(&printer, &shutdown, access, *args)).await,
        CloudCommand::Status(args) => {
            Box::pin(status::run(&printer, &shutdown, access, args)).await
        }
        CloudCommand::Down(args) => Box::pin(down::run(&printer, &shutdown, access, args)).await,
    }
}

/// What a command works with.
#[derive(Debug)]
struct Desk<'a> {
    printer: &'a Printer,
    shutdown: &'a CancellationToken,
    name: String,
    cloud: Cloud,
    profiles: Profiles,
    /// The one of the stack's name.
    profile: Option<Profile>,
    /// How one comes to its coordinators.
    access: Access,
    poll_interval: Duration,
}

impl<'a> Desk<'a> {
    async fn open(
        printer: &'a Printer,
        shutdown: &'a CancellationToken,
        access: &AccessArgs,
        stack: StackArgs,
    ) -> Result<Self, Error> {
        // A file that cannot be read is told before anything is done.
        let profiles = Profiles::of_user()?;
        let profile = profiles.all()?.remove(&stack.name);
        let remembered = profile.as_ref().and_then(|profile| profile.region.clone());
        // Who has not fetched the token of a new stack yet can still change it.
        let shown = profile.clone().map(|mut profile| {
            let token = profile.token_file.take();
            profile.token_file = token.filter(|file| profiles.file(file).exists());
            profile
        });
        let access = access.access(shown.as_ref().map(|profile| (&profiles, profile)))?;
        Ok(Self {
            printer,
            shutdown,
            cloud: Cloud::connect(stack.region.or(remembered)).await?,
            name: stack.name,
            profiles,
            profile,
            access,
            poll_interval: stack.poll_interval,
        })
    }

    fn waiting(&self) -> Waiting<'_> {
        Waiting {
            cloud: &self.cloud,
            printer: self.printer,
            shutdown: self.shutdown,
            poll_interval: self.poll_interval,
        }
    }

    /// Does `work` unless Ctrl-C comes first; then the command ends, saying what became of it.
    async fn unless_interrupted<T>(
        &self,
        otherwise: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        interrupt::unless_interrupted(self.shutdown, otherwise, Box::pin(work)).await
    }
}

/// The prices in a file, or else those that are shipped.
fn prices(path: Option<&Path>) -> Result<Prices, CloudError> {
    match path {
        Some(path) => Ok(Prices::load(path)?),
        None => Ok(Prices::shipped()),
    }
}

/// Where a stack is, as `--json` has it.
#[derive(Debug, Serialize)]
struct Told<'a> {
    stack: &'a str,
    region: &'a str,
    status: &'a str,
    endpoint: Option<&'a str>,
    board: Option<&'a str>,
    bucket: Option<&'a str>,
    node_group: Option<&'a str>,
    load_balancer: Option<&'a str>,
    operator_token_secret: Option<&'a str>,
    coordinator_logs: Option<&'a str>,
    node_logs: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn of(stack: &'a Stack, cloud: &'a Cloud) -> Self {
        Self {
            stack: &stack.name,
            region: cloud.region(),
            status: &stack.status,
            endpoint: stack.output("Endpoint"),
            board: stack.output("BoardEndpoint"),
            bucket: stack.output("BucketName"),
            node_group: stack.output("NodeGroup"),
            load_balancer: stack.output("LoadBalancer"),
            operator_token_secret: stack.output("OperatorTokenSecret"),
            coordinator_logs: stack.output("CoordinatorLogs"),
            node_logs: stack.output("NodeLogs"),
        }
    }

    /// In lines, for people.
    fn lines(&self) -> String {
        let places = [
            ("endpoint", self.endpoint),
            ("board", self.board),
            ("bucket", self.bucket),
        ];
        facts(places.map(|(what, place)| (what, place.map(str::to_owned))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_has_a_name_that_aws_takes() {
        for well in ["studio", "Studio-2", "a"] {
            assert_eq!(stack_name(well).as_deref(), Ok(well));
        }
        for wrong in ["", "2nd", "-a", "a_b", "a b", "ä", &"a".repeat(65)] {
            assert!(stack_name(wrong).is_err(), "{wrong}");
        }
    }
}
