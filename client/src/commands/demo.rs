//! `atelier demo`: a whole atelier, a sample grid, a gallery, with one command.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::demo::{self, Request};
use crate::error::Error;
use crate::exit::Exit;
use crate::printer::Printer;

/// `atelier demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier demo
  atelier demo --out gallery --set size=512 --weights vgg19.safetensors

Draws two photos and three paintings of its own, opens an atelier on free ports, renders, and closes it again. \
Prints the path of the page.")]
pub struct DemoArgs {
    /// Folder for the gallery; one that an earlier demo left is replaced
    #[arg(long, default_value = "atelier-demo", value_name = "DIR")]
    pub out: PathBuf,
    /// Which network paints: a file (safetensors or Keras .h5), `untrained`, or `auto`: fetched ones if they are
    /// there or can be had quickly, else untrained
    #[arg(
        long,
        env = "ATELIER_WEIGHTS",
        default_value = "auto",
        value_name = "FILE|untrained|auto"
    )]
    pub weights: String,
    /// A render setting, as in size=512; may be said several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Keep the sample pictures, the database and the logs, and say where they are
    #[arg(long)]
    pub keep: bool,
}

#[derive(Serialize)]
struct Answer {
    page: String,
    kept: Option<String>,
}

/// Runs the demo, and prints the path of the page.
pub async fn run(
    printer: Printer,
    shutdown: CancellationToken,
    args: DemoArgs,
) -> Result<Exit, Error> {
    let request = Request {
        out: args.out,
        weights: args.weights,
        settings: args.settings,
        keep: args.keep,
    };
    let done = Box::pin(demo::run(&printer, &shutdown, request)).await?;
    let kept = done
        .kept
        .map(|folder| folder.to_string_lossy().into_owned());
    printer.say("the gallery is ready; open it in a browser:");
    let page = done.gallery.page().to_string_lossy().into_owned();
    if printer.json_wanted() {
        printer.json(&Answer { page, kept })?;
    } else {
        printer.data(&page)?;
    }
    Ok(done.exit)
}
