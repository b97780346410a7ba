//! A plan becomes a grid: every picture checked, what the bucket lacks put there, and the grid submitted.

use atelier_proto::ids::{GridId, RequestId};
use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::inputs::{self, Sent};
use crate::plan::Plan;
use crate::printer::Printer;
use crate::progress::counter;
use crate::text::printable;

/// Files passed over that are named one by one.
const SKIPPED_TOLD_MAX: usize = 3;
/// What is told when Ctrl-C comes before there is a grid.
pub const NOTHING_SUBMITTED: &str = "nothing was submitted";

/// A grid that was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Submitted {
    /// Its id.
    pub grid_id: GridId,
    /// Its name.
    pub name: String,
    /// How many cells it has.
    pub cells: u32,
    /// False when the coordinator had this very submission already.
    pub created: bool,
    /// Different pictures in it.
    pub inputs: usize,
    /// Those that the bucket lacked.
    pub uploaded: usize,
    /// Their length.
    pub uploaded_bytes: u64,
}

/// Checks the pictures of a plan, puts those into the bucket that it lacks, and submits the grid.
///
/// # Errors
/// Whatever goes wrong before the last call, no grid exists.
pub async fn submit(context: &Context, plan: Plan) -> Result<Submitted, Error> {
    let printer = &context.printer;
    tell_skipped(printer, &plan);
    let preparing = Box::pin(async {
        // The bucket is tried before the pictures are, which takes longer.
        let bucket = context.coordinator.bucket()?;
        bucket.check().await?;

        let paths = plan.paths();
        let bar = counter(printer, "checking pictures", paths.len() as u64);
        let checked = inputs::check(paths, || bar.inc(1)).await;
        bar.finish_and_clear();
        let checked = checked?;

        let bar = counter(
            printer,
            "uploading pictures",
            checked.distinct().len() as u64,
        );
        let sent = inputs::upload(&bucket, &checked, || bar.inc(1)).await;
        bar.finish_and_clear();
        Ok((checked, sent?))
    });
    let (checked, sent) = context
        .unless_interrupted(NOTHING_SUBMITTED, preparing)
        .await?;
    // Not interruptible: a person should know whether there is a grid.
    let request_id = RequestId::generate();
    let accepted = context
        .coordinator
        .submit(request_id, &plan, &checked)
        .await?;
    let Sent {
        inputs,
        uploaded,
        uploaded_bytes,
    } = sent;
    Ok(Submitted {
        grid_id: accepted.grid_id,
        name: plan.name,
        cells: accepted.cells,
        created: accepted.created,
        inputs,
        uploaded,
        uploaded_bytes,
    })
}

fn tell_skipped(printer: &Printer, plan: &Plan) {
    let skipped = &plan.skipped;
    if skipped.is_empty() {
        return;
    }
    let named = skipped.iter().take(SKIPPED_TOLD_MAX);
    let mut told: Vec<String> = named
        .map(|path| printable(&path.display().to_string()))
        .collect();
    if skipped.len() > SKIPPED_TOLD_MAX {
        told.push(format!("{} more", skipped.len() - SKIPPED_TOLD_MAX));
    }
    printer.say(&format!(
        "passed over what has no picture's name: {}",
        told.join(", ")
    ));
}
