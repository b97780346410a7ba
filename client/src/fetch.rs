//! A gallery brought here: every file that its `gallery.json` names, each whole or not at all.
//!
//! Pictures are known by digest, so one that is here already is not brought again and one that was damaged is.
//! `index.html` and `gallery.json` come last: where they are, what they name is there too. Nothing is written outside
//! the folder; that paths stay inside is what [`Manifest::from_json`] vouches for. Which grid it is, and how
//! its owner named it on the command line, is not known here.

mod error;
mod file;

use std::collections::HashMap;
use std::path::PathBuf;

use atelier_gallery::bucket::{Bucket, BucketError};
use atelier_gallery::keys::{GridKeys, slugs};
use atelier_gallery::manifest::Manifest;
use atelier_gallery::page;
use atelier_proto::ids::{Digest, GridId};
use backon::{ExponentialBuilder, Retryable as _};
use futures::{StreamExt as _, TryStreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};

pub use self::error::FetchError;
use crate::printer::Printer;

/// `gallery.json` and `index.html` of 10,000 cells take some 10 MiB each.
pub(crate) const TEXT_BYTES_MAX: u64 = 128 << 20;
/// Files on their way at once.
const DOWNLOADS_MAX: usize = 8;
/// Further tries at a file whose way was broken off.
const RETRIES_MAX: usize = 3;

/// A gallery on this machine.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Its folder.
    pub out: PathBuf,
    /// Files that it has.
    pub files: usize,
    /// Those that were brought now; the others were here.
    pub fetched: usize,
    /// Length of those that were brought now.
    pub bytes: u64,
    /// Every cell is shown as it ended. Else it is the gallery as far as it has come.
    pub complete: bool,
}

impl Fetched {
    /// What to open in a browser.
    pub fn page(&self) -> PathBuf {
        self.out.join("index.html")
    }
}

/// A file that the gallery has.
#[derive(Debug, Clone)]
struct Wanted {
    /// Relative to the gallery, with `/`.
    path: String,
    /// Its length, if that is known.
    bytes: Option<u64>,
    /// What it must be; without, its length tells whether it is here.
    digest: Option<Digest>,
}

/// Brings the gallery of a grid into `out`, or else into a folder here that is called like the grid.
///
/// # Errors
/// Files that were brought before one of them failed stay, and are not brought again the next time.
pub async fn fetch(
    printer: &Printer,
    bucket: &Bucket,
    grid: GridId,
    out: Option<PathBuf>,
) -> Result<Fetched, FetchError> {
    let keys = GridKeys::new(grid);
    let json = match bucket.get(&keys.manifest(), TEXT_BYTES_MAX).await {
        Err(BucketError::NotFound { .. }) => return Err(FetchError::NoGallery { grid }),
        answer => answer?,
    };
    let manifest = Manifest::from_json(&json)?;
    let out = out.unwrap_or_else(|| slugs([manifest.name.as_str()]).concat().into());
    file::check_folder(&out, grid).await?;

    let wanted = wanted(&manifest, &sizes(bucket, &keys).await?);
    let bar = bar(printer, &wanted);
    let mut fetched = Fetched {
        files: wanted.len() + 2,
        fetched: 0,
        bytes: 0,
        complete: manifest.complete,
        out,
    };
    let mut downloads = futures::stream::iter(wanted)
        .map(|wanted| bring(bucket.clone(), keys.prefix(), fetched.out.clone(), wanted))
        .buffer_unordered(DOWNLOADS_MAX);
    while let Some(done) = downloads.try_next().await? {
        if let Some(bytes) = done.brought {
            fetched.fetched += 1;
            fetched.bytes += bytes;
        }
        bar.inc(done.wanted_bytes);
    }
    drop(downloads);
    bar.finish_and_clear();

    // The page of a grid that still renders may already name pictures that the manifest read above does not.
    let page = if manifest.complete {
        bucket.get(&keys.page(), TEXT_BYTES_MAX).await?
    } else {
        page::render(&manifest).into_bytes()
    };
    for (name, bytes) in [("index.html", page), ("gallery.json", json)] {
        let length = bytes.len() as u64;
        if file::replace(&fetched.out.join(name), bytes).await? {
            fetched.fetched += 1;
            fetched.bytes += length;
        }
    }
    Ok(fetched)
}

/// Lengths of what the bucket has of a grid, by key.
async fn sizes(bucket: &Bucket, keys: &GridKeys) -> Result<HashMap<String, u64>, BucketError> {
    let prefix = keys.prefix();
    let listed = bucket.list(&prefix).await?;
    let relative = |key: String| key.strip_prefix(&prefix).map(str::to_owned);
    let sizes = listed
        .into_iter()
        .filter_map(|object| Some((relative(object.key)?, object.bytes)));
    Ok(sizes.collect())
}

/// What the manifest names, each file once.
fn wanted(manifest: &Manifest, sizes: &HashMap<String, u64>) -> Vec<Wanted> {
    let known_by_size = |path: &String| Wanted {
        path: path.clone(),
        bytes: sizes.get(path).copied(),
        digest: None,
    };
    let photos = manifest
        .photos
        .iter()
        .filter_map(|photo| photo.original.as_ref());
    let artists = manifest
        .artists
        .iter()
        .filter_map(|artist| artist.original.as_ref());
    let mut wanted: Vec<Wanted> = photos.chain(artists).map(known_by_size).collect();
    for picture in manifest.pictures() {
        wanted.push(known_by_size(&picture.thumbnail));
        wanted.push(Wanted {
            path: picture.path.clone(),
            bytes: Some(picture.bytes),
            digest: Some(picture.sha256),
        });
    }
    // Two downloads of one file would race for its place.
    wanted.sort_by(|left, right| left.path.cmp(&right.path));
    wanted.dedup_by(|left, right| left.path == right.path);
    wanted
}

/// What became of one file.
#[derive(Debug, Clone, Copy)]
struct Done {
    wanted_bytes: u64,
    /// Its length, if it was not here.
    brought: Option<u64>,
}

async fn bring(
    bucket: Bucket,
    prefix: String,
    out: PathBuf,
    wanted: Wanted,
) -> Result<Done, FetchError> {
    let wanted_bytes = wanted.bytes.unwrap_or_default();
    let path = out.join(&wanted.path);
    if file::is_here(&path, wanted.bytes, wanted.digest).await {
        return Ok(Done {
            wanted_bytes,
            brought: None,
        });
    }
    let key = format!("{prefix}{}", wanted.path);
    let backoff = ExponentialBuilder::default()
        .with_jitter()
        .with_max_times(RETRIES_MAX);
    (|| bucket.download(&key, &path, wanted.digest))
        .retry(backoff)
        .when(BucketError::is_passing)
        .await?;
    let bytes = file::length(&path).await.unwrap_or(wanted_bytes);
    Ok(Done {
        wanted_bytes,
        brought: Some(bytes),
    })
}

fn bar(printer: &Printer, wanted: &[Wanted]) -> ProgressBar {
    let Some(bars) = printer.bars() else {
        return ProgressBar::hidden();
    };
    let bytes = wanted.iter().filter_map(|wanted| wanted.bytes).sum();
    let style = ProgressStyle::with_template("fetching {wide_bar} {bytes}/{total_bytes}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bars.add(ProgressBar::new(bytes).with_style(style))
}
