//! `atelier cloud down`: removes an atelier from AWS.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Desk, StackArgs};
use crate::cli::AccessArgs;
use crate::cloud::CloudError;
use crate::cloud::asked::{self, Work};
use crate::cloud::stack::{BUCKET, COORDINATOR_GROUP, NODE_GROUP, Resource, Stack, Standing};
use crate::cloud::wait::Doing;
use crate::confirm;
use crate::error::Error;
use crate::exit::Exit;
use crate::printer::{Printer, Tone};
use crate::text::{counted, first_line};

const NOTHING_DONE: &str = "nothing was removed";
/// How long machines may take to end. They have 2 minutes to leave, and AWS some more to take them down.
const MACHINES_PATIENCE: Duration = Duration::from_mins(10);

/// `atelier cloud down`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier cloud down studio
  atelier cloud down studio --delete-bucket --yes

Ends all nodes, then removes the stack and the profile of its name. A snapshot of the database stays, and so does the bucket \
with its galleries, unless --delete-bucket is said. Asks on a terminal; elsewhere it only tells, unless --yes is said. A removal that failed, or \
that nobody waited for, goes on when the same is said again.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub struct DownArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub stack: StackArgs,
    /// Remove the bucket, too, with all inputs and galleries in it
    #[arg(long, conflicts_with = "keep_bucket")]
    pub delete_bucket: bool,
    /// Keep the bucket, which is what happens anyway
    #[arg(long)]
    pub keep_bucket: bool,
    /// Remove it although grids have not ended, or nobody can say whether they have: what they lack is lost
    #[arg(long)]
    pub even_if_grids_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// What became of it, as `--json` has it.
#[derive(Serialize)]
struct Down<'a> {
    stack: &'a str,
    region: &'a str,
    removed: bool,
    bucket: Option<&'a str>,
    bucket_removed: bool,
}

/// What there is to remove.
struct Remains {
    stack: Stack,
    bucket: Option<String>,
    node_group: Option<String>,
    has_coordinator: bool,
}

/// Removes it, once that is certain.
pub async fn run(
    printer: &Printer,
    shutdown: &CancellationToken,
    access: &AccessArgs,
    args: DownArgs,
) -> Result<Exit, Error> {
    let desk = Desk::open(printer, shutdown, access, args.stack).await?;
    let looking = look(&desk, args.delete_bucket);
    let remains = desk.unless_interrupted(NOTHING_DONE, looking).await?;
    if remains.has_coordinator {
        let asking = check_grids(&desk, &remains.stack, args.even_if_grids_run);
        desk.unless_interrupted(NOTHING_DONE, asking).await?;
    }
    printer.say(&what_goes(&remains, args.delete_bucket));
    if !args.yes {
        confirm::check_somebody_is_there("cloud down")?;
        let question = format!("Remove {}?", desk.name);
        confirm::confirm(printer, shutdown, &question, NOTHING_DONE).await?;
    }
    remove(&desk, &remains).await?;
    let bucket = remains.bucket.as_deref();
    if let (Some(bucket), true) = (bucket, args.delete_bucket) {
        remove_bucket(&desk, bucket).await?;
    }
    desk.profiles.remove(&desk.name)?;
    tell(&desk, bucket, args.delete_bucket)?;
    Ok(Exit::Ok)
}

async fn look(desk: &Desk<'_>, delete_bucket: bool) -> Result<Remains, Error> {
    let stack = match desk.cloud.atelier(&desk.name).await {
        // A removal that nobody waited for leaves the profile, and a bucket that was to go, too.
        Err(none @ CloudError::NoStack { .. }) if delete_bucket || has_profile(desk) => {
            desk.cloud.removed(&desk.name).await?.ok_or(none)?
        }
        stack => stack?,
    };
    let is_going = stack.status.starts_with("DELETE_") && stack.standing() != Standing::Stuck;
    if stack.standing() == Standing::Busy && !is_going {
        let (name, status) = (stack.name, stack.status);
        return Err(CloudError::Busy { name, status }.into());
    }
    let resources = desk.cloud.resources(&stack.id).await?;
    let found = |name: &str| {
        let is_it = |it: &&Resource| it.name == name && it.is_there();
        resources.iter().find(is_it).map(|it| it.id.clone())
    };
    Ok(Remains {
        bucket: found(BUCKET),
        node_group: found(NODE_GROUP),
        // One that never came about, or is gone by now, has no grids.
        has_coordinator: found(COORDINATOR_GROUP).is_some()
            && stack.standing() != Standing::Unfinished
            && !is_going,
        stack,
    })
}

/// Whether a profile leads to a stack of this name, in this region.
fn has_profile(desk: &Desk<'_>) -> bool {
    let region = desk.profile.as_ref().and_then(|it| it.region.as_deref());
    region == Some(desk.cloud.region())
}

/// Sees to it that nobody loses work unasked.
async fn check_grids(desk: &Desk<'_>, stack: &Stack, even_so: bool) -> Result<(), Error> {
    let urls = asked::coordinators(stack, desk.profile.as_ref());
    let work = match urls.as_slice() {
        [] => Err("the stack names no endpoint".to_owned()),
        urls => asked::work(urls, desk.access.clone())
            .await
            .map_err(|error| first_line(&error)),
    };
    let refusal = match work {
        Ok(Work { grids: 0, .. }) => return Ok(()),
        Ok(work) => CloudError::GridsRun {
            grids: work.grids_words(),
            cells: work.cells_words(),
            coordinator: work.coordinator,
        },
        Err(problem) => CloudError::CannotTell { problem },
    };
    if even_so {
        desk.printer.warn(&first_line(&refusal));
        return Ok(());
    }
    Err(refusal.into())
}

fn what_goes(remains: &Remains, delete_bucket: bool) -> String {
    let database = match remains.stack.parameters.get("Database").map(String::as_str) {
        Some("postgres") => "the database",
        _ => "the volume with the database",
    };
    let bucket = remains.bucket.as_deref().unwrap_or_default();
    let goes = match remains.stack.standing() {
        Standing::Gone => "gone already: the stack",
        _ => {
            "goes: nodes, coordinators, load balancer, network of its own, logs, alarms, the key of the board"
        }
    };
    let (goes_too, stays_too) = match (bucket.is_empty(), delete_bucket) {
        (true, _) => (String::new(), String::new()),
        (false, true) => (
            format!("; the bucket {bucket} goes with all that is in it"),
            String::new(),
        ),
        (false, false) => (
            String::new(),
            format!(", and the bucket {bucket} with its galleries"),
        ),
    };
    format!("{goes}{goes_too}\nstays: a snapshot of {database}{stays_too}")
}

/// Has all nodes end before the stack is removed, which takes coordinators away first.
async fn end_machines(desk: &Desk<'_>, group: Option<&str>) -> Result<(), Error> {
    let Some(group) = group else {
        return Ok(());
    };
    let last = std::cell::Cell::new(0);
    let tell = |count| {
        if last.replace(count) != count {
            desk.printer
                .say(&format!("waiting for {} to end", counted(count, "node")));
        }
    };
    let ending = async {
        let patience = MACHINES_PATIENCE;
        let poll_interval = desk.poll_interval;
        Ok(desk
            .cloud
            .empty(group, patience, poll_interval, tell)
            .await?)
    };
    let words = format!(
        "nodes end, and the stack stays: `atelier cloud up {}` lets them come again",
        desk.name
    );
    if !desk.unless_interrupted(&words, ending).await? {
        desk.printer
            .warn("some nodes take long to end; the stack is removed nonetheless");
    }
    Ok(())
}

async fn remove(desk: &Desk<'_>, remains: &Remains) -> Result<(), Error> {
    let id = &remains.stack.id;
    let standing = remains.stack.standing();
    if standing == Standing::Gone {
        return Ok(());
    }
    let after = desk.cloud.last_event(id).await?;
    if standing != Standing::Busy {
        end_machines(desk, remains.node_group.as_deref()).await?;
        desk.cloud.delete(id).await?;
    }
    let waiting = desk.waiting();
    waiting
        .until_done(id, after.as_deref(), Doing::Removing)
        .await?;
    Ok(())
}

async fn remove_bucket(desk: &Desk<'_>, bucket: &str) -> Result<(), Error> {
    let tell = |count: usize| {
        desk.printer.say(&format!(
            "{} removed from the bucket",
            counted(count, "object")
        ));
    };
    let removing = async { Ok(desk.cloud.remove_bucket(bucket, tell).await?) };
    let words = format!(
        "the stack is gone, and the bucket is not: `aws s3 rb --force s3://{bucket}` removes it"
    );
    desk.unless_interrupted(&words, removing).await
}

fn tell(desk: &Desk<'_>, bucket: Option<&str>, bucket_removed: bool) -> Result<(), Error> {
    let printer = desk.printer;
    if printer.json_wanted() {
        return printer.json(&Down {
            stack: &desk.name,
            region: desk.cloud.region(),
            removed: true,
            bucket,
            bucket_removed: bucket.is_some() && bucket_removed,
        });
    }
    let name = printer.tint(Tone::Bold, &desk.name);
    let kept = bucket.filter(|_| !bucket_removed);
    printer.say(&match kept {
        Some(bucket) => format!("{name} is gone; its galleries are in s3://{bucket}"),
        None => format!("{name} is gone"),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_what_goes_and_what_stays() {
        let remains = |database: &str, bucket: Option<&str>| Remains {
            stack: Stack {
                parameters: [("Database".to_owned(), database.to_owned())].into(),
                ..Stack::default()
            },
            bucket: bucket.map(str::to_owned),
            node_group: None,
            has_coordinator: true,
        };
        let told = [
            what_goes(&remains("sqlite", Some("studio-bucket-0a")), false),
            what_goes(&remains("postgres", Some("studio-bucket-0a")), true),
            what_goes(&remains("sqlite", None), true),
        ];
        insta::assert_snapshot!("down", told.join("\n\n"));
    }
}
