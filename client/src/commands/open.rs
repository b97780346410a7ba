//! `atelier open`: the gallery of a grid, fetched and shown.

use clap::Args;

use crate::commands::fetch::{FetchArgs, fetch_and_tell};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// `atelier open`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier open \"Sunday ride\"
  atelier open \"Sunday ride\" --only 'artist=Monet'

Fetches as `atelier fetch` does, and shows the page in this machine's browser. Prints its path.")]
pub struct OpenArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub fetch: FetchArgs,
}

/// Fetches, shows the page, and prints its path.
pub async fn run(context: Context, args: OpenArgs) -> Result<Exit, Error> {
    let fetched = fetch_and_tell(&context, args.fetch).await?;
    let page = fetched.page();
    // The browser is not waited for.
    if let Err(error) = open::that_detached(&page) {
        context.printer.warn(&format!(
            "no browser could be started ({error}); open the page yourself"
        ));
    }
    Ok(Exit::Ok)
}
