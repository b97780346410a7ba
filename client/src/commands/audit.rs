//! `atelier audit`: whether a grid is as it is told.

use atelier_proto::ids::GridId;
use clap::Args;
use serde::Serialize;

use crate::audit::{Audited, Difference, Kind, audit};
use crate::context::Context;
use crate::coordinator::view::{CellCounts, GridState};
use crate::error::Error;
use crate::exit::Exit;
use crate::grid_ref;
use crate::printer::{Printer, Tone};
use crate::text::{counted, printable, shortened};

/// `atelier audit`.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct AuditArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "GRID")]
    pub grid: String,
    /// Also read every picture and every input: their digests and their pixels
    #[arg(long)]
    pub deep: bool,
}

fn after_help() -> String {
    format!(
        "\
Examples:
  atelier audit \"Sunday ride\"
  atelier audit \"Sunday ride\" --deep
  atelier audit 01930c5e --json | jq -r '.differences[].about'

Compares what the coordinator says with what lies in the bucket and what gallery.json says. Prints a line for each \
difference: its kind, what it is of, and what is wrong. Changes nothing. A grid may be audited while it renders: what may \
still be on its way is no difference. The gallery of one that has just ended is waited for, and what seems to be wrong is \
looked at a second time after some seconds.

Exits with {} if there is a difference. Their kinds:
{}

Orphans and strays harm nobody: nodes that were cut off leave them, and the coordinator removes them some time after the \
grid has ended (its --grace-period).",
        Exit::Differs.code(),
        Kind::table()
    )
}

#[derive(Serialize)]
struct Answer<'a> {
    grid_id: GridId,
    name: &'a str,
    state: GridState,
    cells: CellCounts,
    /// Those of the grid and its inputs.
    objects: usize,
    /// Length of all of them.
    bytes: u64,
    deep: bool,
    differences: &'a [Difference],
}

/// Audits, and prints a line for each difference.
pub async fn run(context: &Context, args: AuditArgs) -> Result<Exit, Error> {
    let words = "an audit changes nothing";
    let auditing = Box::pin(auditing(context, &args));
    let audited = context.unless_interrupted(words, auditing).await?;
    let printer = &context.printer;
    let summary = &audited.facts.after.summary;
    if printer.json_wanted() {
        printer.json(&Answer {
            grid_id: summary.grid_id,
            name: &summary.name,
            state: summary.state,
            cells: summary.cells,
            objects: audited.facts.objects.len(),
            bytes: audited.facts.objects.values().sum(),
            deep: args.deep,
            differences: &audited.differences,
        })?;
    } else {
        for difference in &audited.differences {
            printer.data(&difference.to_string())?;
        }
    }
    printer.say(&conclusion(printer, &audited));
    Ok(if audited.differences.is_empty() {
        Exit::Ok
    } else {
        Exit::Differs
    })
}

async fn auditing(context: &Context, args: &AuditArgs) -> Result<Audited, Error> {
    let coordinator = &context.coordinator;
    let grid = grid_ref::resolve(coordinator, &args.grid).await?;
    let bucket = coordinator.whole_bucket().await?;
    audit(&context.printer, coordinator, &bucket, grid, args.deep).await
}

fn conclusion(printer: &Printer, audited: &Audited) -> String {
    let summary = &audited.facts.after.summary;
    let objects = &audited.facts.objects;
    let verdict = match audited.differences.len() {
        0 => printer.tint(Tone::Good, "as it is told"),
        count => printer.tint(Tone::Bad, &counted(count, "difference")),
    };
    format!(
        "{} {} ({}), {} of {}: {verdict}",
        printable(&shortened(&summary.name, 80)),
        summary.state,
        summary.cells,
        counted(objects.len(), "object"),
        indicatif::HumanBytes(objects.values().sum()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::facts;

    #[test]
    fn differences_are_told_in_a_line_each_and_the_last_word_counts_them() {
        let printer = Printer::new(true, false, true);
        let mut facts = facts();
        facts.after.summary.name = "Sunday\x1b[2J".to_owned();
        let differences = vec![
            Difference {
                kind: Kind::Missing,
                about: "grids/g/pictures/a--b.jpg".to_owned(),
                detail: "the picture of cell 0 (a × b) is not there".to_owned(),
            },
            Difference {
                kind: Kind::GalleryComplete,
                about: "gallery.json".to_owned(),
                detail: "it says that it is complete".to_owned(),
            },
        ];
        let mut audited = Audited { facts, differences };
        let mut lines: Vec<String> = audited
            .differences
            .iter()
            .map(Difference::to_string)
            .collect();
        lines.push(conclusion(&printer, &audited));
        audited.differences.clear();
        lines.push(conclusion(&printer, &audited));
        insta::assert_snapshot!("audit", lines.join("\n"));
    }
}
