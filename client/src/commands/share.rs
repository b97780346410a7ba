//! `atelier share`: a page with links that anybody may follow for a while.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::commands::gallery::{GalleryArgs, open};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::share::{EXPIRES_MAX, ShareError, share};
use crate::text::counted;

/// `atelier share`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier share \"Sunday ride\" --expires 7d
  atelier share \"Sunday ride\" --favourites favourites.json --out for-ann.html

Whoever has the file sees the pictures, without an account, until its links end. Send it, or put it on any server. \
Prints its path.")]
pub struct ShareArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub gallery: GalleryArgs,
    /// How long the links hold, as in 36h or 7d, a week at most; where temporary AWS credentials sign they end with these
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = parse_expires)]
    pub expires: Duration,
    /// The page [default: one here that is called like the grid]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Answer {
    out: String,
    pictures: usize,
    expires_at: jiff::Timestamp,
}

fn parse_expires(text: &str) -> Result<Duration, String> {
    let expires = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if expires < Duration::from_secs(1) || expires > EXPIRES_MAX {
        return Err("it must be from 1s to 7d".to_owned());
    }
    Ok(expires)
}

/// Writes the page, and prints its path.
pub async fn run(context: Context, args: ShareArgs) -> Result<Exit, Error> {
    let sharing = Box::pin(async {
        let (bucket, manifest) = open(&context, args.gallery).await?;
        let shared = share(&bucket, &manifest, args.expires).await?;
        Ok((manifest, shared))
    });
    let words = "no page was written";
    let (manifest, shared) = context.unless_interrupted(words, sharing).await?;
    let out = args.out.unwrap_or_else(|| {
        let name = atelier_gallery::keys::slugs([manifest.name.as_str()]).concat();
        format!("{name}.html").into()
    });
    if let Err(source) = tokio::fs::write(&out, &shared.page).await {
        return Err(ShareError::Write { path: out, source }.into());
    }
    let printer = &context.printer;
    let pictures = counted(shared.pictures, "picture");
    let end = shared.expires_at.strftime("%Y-%m-%d %H:%M UTC");
    printer.say(&format!(
        "{pictures}, to be seen by whoever has the page, until {end}"
    ));
    if shared.may_end_earlier {
        printer
            .warn("these AWS credentials are temporary: the links end with them, perhaps earlier");
    }
    if shared.is_local {
        printer.warn("the bucket is on this machine: nobody elsewhere can follow these links");
    }
    if !manifest.complete {
        printer.warn("this grid is still being rendered: the page shows what there is so far");
    }
    let out = out.to_string_lossy().into_owned();
    if printer.json_wanted() {
        printer.json(&Answer {
            out,
            pictures: shared.pictures,
            expires_at: shared.expires_at,
        })?;
    } else {
        printer.data(&out)?;
    }
    Ok(Exit::Ok)
}
