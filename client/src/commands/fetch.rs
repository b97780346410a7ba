//! `atelier fetch`: the gallery of a grid, verified, to this machine.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::commands::gallery::GalleryArgs;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::fetch::{FetchError, Fetched, Fetcher, SelectionError, sheet};
use crate::text::counted;

/// `atelier fetch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier fetch \"Sunday ride\"          # into ./sunday-ride/
  atelier fetch 01930c5e --out rides/sunday
  atelier fetch \"Sunday ride\" --only 'artist=Monet,photo=*bridge*'
  atelier fetch \"Sunday ride\" --favourites favourites.json
  atelier fetch \"Sunday ride\" --watch  # until it is complete
  atelier fetch s3://galleries/grids/01930c5e-8f0a-7a43-a1d2-5a5d1f0c3b7e

Files that are here already are not fetched again; damaged ones are. Prints the path of the page.

An s3:// URL is read with this machine's AWS credentials, region (AWS_REGION) and endpoint \
(AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL), and needs no coordinator.")]
pub struct FetchArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub gallery: GalleryArgs,
    /// Folder for the gallery [default: one here that is called like the grid]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Draw what was fetched as one picture with captions, contact-sheet.jpg
    #[arg(long)]
    pub contact_sheet: bool,
    /// Go on fetching what is new until the gallery is complete
    #[arg(long)]
    pub watch: bool,
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
    fetch_and_tell(&context, args).await?;
    Ok(Exit::Ok)
}

/// Fetches, and prints the path of the page.
pub(super) async fn fetch_and_tell(context: &Context, args: FetchArgs) -> Result<Fetched, Error> {
    let has_sheet = args.contact_sheet;
    let words = "what was fetched stays, and `atelier fetch` goes on from there";
    let fetched = context
        .unless_interrupted(words, Box::pin(fetching(context, args)))
        .await?;
    if has_sheet {
        let (folder, manifest) = (fetched.out.clone(), fetched.manifest.clone());
        let drawn = tokio::task::spawn_blocking(move || sheet::draw(&folder, &manifest)).await;
        drawn.unwrap_or_else(|panicked| Err(FetchError::Drawing(panicked)))?;
    }
    let printer = &context.printer;
    if !fetched.manifest.complete {
        printer.warn("this grid is still being rendered: the gallery shows what there is so far; fetch it again later");
    }
    let files = counted(fetched.files, "file");
    let size = indicatif::HumanBytes(fetched.bytes);
    printer.say(&match fetched.fetched {
        0 => format!("{files}, all of them here already"),
        all if all == fetched.files => format!("{files} fetched ({size})"),
        some => format!("{files}, {some} of them fetched ({size})"),
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
    Ok(fetched)
}

async fn fetching(context: &Context, args: FetchArgs) -> Result<Fetched, Error> {
    let (galleries, grid, selection) = args.gallery.resolve(context).await?;
    let mut gallery = Fetcher::new(galleries, grid, args.out, selection);
    if !args.watch {
        return Ok(gallery.fetch(&context.printer).await?);
    }
    let mut seen = None;
    loop {
        gallery.changed(&mut seen).await?;
        match gallery.fetch(&context.printer).await {
            Ok(fetched) if fetched.manifest.complete => return Ok(fetched),
            Ok(fetched) if fetched.fetched > 0 => {
                let files = counted(fetched.fetched, "file");
                context
                    .printer
                    .say(&format!("{files} more; the grid is still being rendered"));
            }
            // It will be there, or be another one.
            Ok(_)
            | Err(
                FetchError::NoGallery { .. }
                | FetchError::Selection(SelectionError::StrangeFavourites),
            ) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
