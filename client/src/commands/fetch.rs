//! `atelier fetch`: the gallery of a grid, verified, to this machine.

use std::path::PathBuf;

use atelier_gallery::bucket::Bucket;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::fetch::{Fetched, fetch};
use crate::grid_ref;
use crate::text::counted;

/// `atelier fetch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier fetch \"Sunday ride\"                # into ./sunday-ride/
  atelier fetch 01930c5e --out rides/sunday

Files that are here already are not fetched again; damaged ones are. Prints the path of the page.")]
pub struct FetchArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "GRID")]
    pub grid: String,
    /// Folder for the gallery [default: one here that is called like the grid]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Answer {
    out: String,
    files: usize,
    fetched: usize,
    bytes: u64,
}

/// Fetches, and prints the path of the page.
pub async fn run(context: Context, args: FetchArgs) -> Result<Exit, Error> {
    let words = "interrupted: what was fetched stays, and `atelier fetch` goes on from there";
    let fetched = context
        .unless_interrupted(words, Box::pin(fetching(&context, args)))
        .await?;
    let printer = &context.printer;
    if !fetched.complete {
        printer.warn("this grid is still being rendered: the gallery shows what there is so far; fetch it again later");
    }
    let files = counted(fetched.files, "file");
    printer.say(&match fetched.fetched {
        0 => format!("{files}, all of them here already"),
        some => format!(
            "{files}, {some} of them fetched ({})",
            indicatif::HumanBytes(fetched.bytes)
        ),
    });
    if printer.json_wanted() {
        printer.json(&Answer {
            out: fetched.out.to_string_lossy().into_owned(),
            files: fetched.files,
            fetched: fetched.fetched,
            bytes: fetched.bytes,
        })?;
    } else {
        printer.data(&fetched.page().to_string_lossy())?;
    }
    Ok(Exit::Ok)
}

async fn fetching(context: &Context, args: FetchArgs) -> Result<Fetched, Error> {
    let grid = grid_ref::resolve(&context.coordinator, &args.grid).await?;
    let bucket = Bucket::connect(&context.coordinator.storage().await?).await?;
    Ok(fetch(&context.printer, &bucket, grid, args.out).await?)
}
