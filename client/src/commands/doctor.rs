//! `atelier doctor`: what is the matter, and what to do.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::doctor::{Finding, Level, judge, look};
use crate::error::Error;
use crate::exit::Exit;
use crate::text::counted;

/// `atelier doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier doctor
  atelier doctor --profile studio
  atelier doctor --json | jq '.findings[] | select(.level == \"broken\")'

A line for each thing that was looked at: ✓ it is well, ! it is worth a look, ✗ grids suffer from it. Looked at are the \
coordinators with their certificates and clocks, the bucket (a few bytes are put there as an input, and looked for again), the nodes, \
and what this machine has for `atelier local`. The exit code is 12 if something is broken.")]
pub struct DoctorArgs {}

#[derive(Serialize)]
struct Report<'a> {
    healthy: bool,
    findings: &'a [Finding],
}

/// Looks, and tells what it found.
pub async fn run(
    context: &Context,
    profile: Option<String>,
    DoctorArgs {}: DoctorArgs,
) -> Result<Exit, Error> {
    let printer = &context.printer;
    let looking = Box::pin(async { Ok(look(&context.coordinator, profile).await?) });
    let facts = context
        .unless_interrupted("the rest was not looked at", looking)
        .await?;
    let findings = judge(&facts);
    let of_level = |level| findings.iter().filter(|it| it.level == level).count();
    let (broken, warnings) = (of_level(Level::Broken), of_level(Level::Warning));
    if printer.json_wanted() {
        printer.json(&Report {
            healthy: broken == 0,
            findings: &findings,
        })?;
    } else {
        printer.data(&lines(&findings))?;
        let (broken, warnings) = (counted(broken, "thing"), counted(warnings, "warning"));
        printer.say(&format!("{broken} broken, {warnings}"));
    }
    Ok(if broken > 0 {
        Exit::Unhealthy
    } else {
        Exit::Ok
    })
}

/// What people read.
pub(crate) fn lines(findings: &[Finding]) -> String {
    let width = findings.iter().map(|it| it.check.len()).max().unwrap_or(0);
    let lines = findings.iter().map(|finding| {
        let mark = finding.level.mark();
        // What goes on stands below what it is of.
        let indent = format!("\n{:width$}", "", width = width + 4);
        let text = finding.text.replace('\n', &indent);
        let hint = finding.hint.as_ref();
        let hint = hint.map(|hint| format!("{indent}hint: {}", hint.replace('\n', &indent)));
        format!(
            "{mark} {:width$}  {text}{}",
            finding.check,
            hint.unwrap_or_default()
        )
    });
    lines.collect::<Vec<String>>().join("\n")
}
