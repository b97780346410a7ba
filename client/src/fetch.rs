//! A gallery brought here: every file that its `gallery.json` names, each whole or not at all.
//!
//! Pictures are known by digest, so one that is here already is not brought again and one that was damaged is.
//! `index.html` and `gallery.json` come last: where they are, what they name is there too. Nothing is written outside
//! the folder nor through links in it; that paths stay inside is what [`Manifest::from_json`] vouches for. Which grid it is, and how
//! its owner named it on the command line, is not known here.

mod error;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod galleries;
mod selection;
pub mod sheet;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use atelier_gallery::bucket::{BucketError, Object};
use atelier_gallery::keys::{CONTACT_SHEET, GridKeys, slugs};
use atelier_gallery::manifest::Manifest;
use atelier_gallery::page;
use atelier_gallery::signed::SignedBucket;
use atelier_proto::ids::{Digest, GridId};
use backon::{ExponentialBuilder, Retryable as _};
use futures::StreamExt as _;

pub use self::error::FetchError;
pub use self::galleries::Galleries;
pub use self::selection::{Favourites, Only, Selection, SelectionError};
use crate::printer::Printer;
use crate::progress::byte_counter;

/// `gallery.json` and `index.html` of 10,000 cells take some 10 MiB each.
pub(crate) const TEXT_BYTES_MAX: u64 = 128 << 20;
/// Files on their way at once.
const DOWNLOADS_MAX: usize = 8;
/// Further tries at a file whose way was broken off.
const RETRIES_MAX: usize = 3;
/// Between two looks at a gallery that grows.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

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
    /// What `gallery.json` says there: of a grid that still renders, the gallery as far as it has come.
    pub manifest: Manifest,
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

/// Brings the gallery of one grid, as often as it is asked to: what it has seen to be right here is not read again.
#[derive(Debug)]
pub struct Fetcher {
    galleries: Galleries,
    grid: GridId,
    /// None: a folder here that is called like the grid.
    out: Option<PathBuf>,
    selection: Selection,
    /// Paths of files that are here.
    here: HashSet<String>,
}

impl Fetcher {
    /// One that has brought nothing yet.
    pub fn new(
        galleries: Galleries,
        grid: GridId,
        out: Option<PathBuf>,
        selection: Selection,
    ) -> Self {
        Self {
            galleries,
            grid,
            out,
            selection,
            here: HashSet::new(),
        }
    }

    /// Brings what is not here of the gallery as it stands, or of the part of it that was selected.
    ///
    /// # Errors
    /// Files that were brought before one of them failed stay, and are not brought again the next time.
    pub async fn fetch(&mut self, printer: &Printer) -> Result<Fetched, FetchError> {
        let (bucket, grid) = (self.galleries.bucket.clone(), self.grid);
        let keys = GridKeys::new(grid);
        let (manifest, json) = read_manifest(&bucket, grid).await?;
        let out = self.out.clone();
        let out = out.unwrap_or_else(|| slugs([manifest.name.as_str()]).concat().into());
        file::check_folder(&out, grid).await?;
        let (manifest, json) = if self.selection.is_everything() {
            (manifest, json)
        } else {
            let selected = self.selection.of(&manifest)?;
            let json = selected.to_json()?;
            (selected, json)
        };

        let wanted = wanted(
            &manifest,
            &self.galleries.sizes(grid).await?,
            self.selection.is_everything(),
        );
        file::check_ways(&out, wanted.iter().map(|wanted| wanted.path.as_str()))?;
        let files = wanted.len() + 2;
        let (mut fetched, mut bytes) = self.bring_all(printer, wanted, &out).await?;

        // The page of a grid that still renders may already name pictures that the manifest read above does not.
        let page = if manifest.complete && self.selection.is_everything() {
            text(&bucket, &keys.page()).await?
        } else {
            page::render(&manifest)?.into_bytes()
        };
        for (name, content) in [("index.html", page), ("gallery.json", json)] {
            let length = content.len() as u64;
            if file::replace(&out.join(name), content).await? {
                fetched += 1;
                bytes += length;
            }
        }
        Ok(Fetched {
            out,
            files,
            fetched,
            bytes,
            manifest,
        })
    }

    /// Brings files into a folder; how many were not here, and their length.
    async fn bring_all(
        &mut self,
        printer: &Printer,
        mut wanted: Vec<Wanted>,
        out: &Path,
    ) -> Result<(usize, u64), FetchError> {
        wanted.retain(|wanted| !self.here.contains(&wanted.path));
        let bytes = wanted.iter().filter_map(|wanted| wanted.bytes).sum();
        let bar = byte_counter(printer, "fetching", bytes);
        let prefix = GridKeys::new(self.grid).prefix();
        let mut missing = Vec::new();
        let bucket = &self.galleries.bucket;
        let mut downloads = futures::stream::iter(wanted)
            .map(|wanted| bring(bucket, &prefix, out, wanted))
            .buffer_unordered(DOWNLOADS_MAX);
        let (mut count, mut sum) = (0, 0);
        while let Some((wanted, brought)) = downloads.next().await {
            match brought {
                Ok(brought) => {
                    count += usize::from(brought.is_some());
                    sum += brought.unwrap_or_default();
                    bar.inc(wanted.bytes.unwrap_or_default());
                    self.here.insert(wanted.path);
                }
                // The others come all the same.
                Err(BucketError::NotFound { .. }) => missing.push(wanted.path),
                Err(error) => return Err(error.into()),
            }
        }
        drop(downloads);
        bar.finish_and_clear();
        if missing.is_empty() {
            return Ok((count, sum));
        }
        missing.sort();
        Err(FetchError::Missing {
            grid: self.grid,
            paths: missing,
        })
    }

    /// Waits until the gallery in the bucket is another one than it was.
    ///
    /// # Errors
    /// When the bucket does not answer, several times.
    pub async fn changed(&self, since: &mut Option<Object>) -> Result<(), FetchError> {
        let key = GridKeys::new(self.grid).manifest();
        let head = || self.galleries.bucket.head(&key);
        loop {
            let now = head.retry(patience()).when(BucketError::is_passing).await?;
            if now != *since {
                *since = now;
                return Ok(());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

/// The manifest of a grid, and the bytes that it was read from.
///
/// # Errors
/// When it is not there, or cannot be read.
pub async fn read_manifest(
    bucket: &SignedBucket,
    grid: GridId,
) -> Result<(Manifest, Vec<u8>), FetchError> {
    let key = GridKeys::new(grid).manifest();
    let json = match text(bucket, &key).await {
        Err(BucketError::NotFound { .. }) => return Err(FetchError::NoGallery { grid }),
        answer => answer?,
    };
    Ok((Manifest::from_json(&json)?, json))
}

/// The manifest or the page, tried again if its way was broken off.
async fn text(bucket: &SignedBucket, key: &str) -> Result<Vec<u8>, BucketError> {
    (|| bucket.get(key, TEXT_BYTES_MAX))
        .retry(patience())
        .when(BucketError::is_passing)
        .await
}

/// What the manifest names, each file once.
fn wanted(manifest: &Manifest, sizes: &HashMap<String, u64>, is_whole: bool) -> Vec<Wanted> {
    let known_by_size = |path: &String| Wanted {
        path: path.clone(),
        bytes: sizes.get(path).copied(),
        digest: None,
    };
    let mut wanted: Vec<Wanted> = manifest.originals().map(known_by_size).collect();
    for picture in manifest.pictures() {
        wanted.push(known_by_size(&picture.thumbnail));
        wanted.extend(picture.large_thumbnail.as_ref().map(known_by_size));
        wanted.push(Wanted {
            path: picture.path.clone(),
            bytes: Some(picture.bytes),
            digest: Some(picture.sha256),
        });
    }
    // A part of a gallery has another one.
    let sheet = CONTACT_SHEET.to_owned();
    if is_whole && sizes.contains_key(&sheet) {
        wanted.push(known_by_size(&sheet));
    }
    // Two downloads of one file would race for its place.
    wanted.sort_by(|left, right| left.path.cmp(&right.path));
    wanted.dedup_by(|left, right| left.path == right.path);
    wanted
}

/// Brings a file unless it is here; its length, if it was not.
async fn bring(
    bucket: &SignedBucket,
    prefix: &str,
    out: &Path,
    wanted: Wanted,
) -> (Wanted, Result<Option<u64>, BucketError>) {
    let path = out.join(&wanted.path);
    if file::is_here(&path, wanted.bytes, wanted.digest).await {
        return (wanted, Ok(None));
    }
    let key = format!("{prefix}{}", wanted.path);
    // Bytes that were damaged on their way are no others the next time.
    let may_pass = |error: &BucketError| {
        error.is_passing() || matches!(error, BucketError::DigestMismatch { .. })
    };
    let download = || bucket.download(&key, &path, wanted.digest);
    let brought = match download.retry(patience()).when(may_pass).await {
        Ok(()) => Ok(file::length(&path).await.or(wanted.bytes)),
        Err(error) => Err(error),
    };
    (wanted, brought)
}

fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_jitter()
        .with_max_times(RETRIES_MAX)
}
