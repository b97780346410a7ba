//! A gallery for people without access to its bucket: one page whose links are signed, and end.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::keys::GridKeys;
use atelier_gallery::manifest::{Manifest, ManifestError};
use atelier_gallery::page;
use atelier_gallery::signed::{Links, SignedBucket};
use jiff::Timestamp;
use url::{Host, Url};

use crate::error::bucket_exit;
use crate::exit::Exit;

/// Longest time that a signature may hold.
pub const EXPIRES_MAX: Duration = Duration::from_hours(7 * 24);
/// Most links of one page. Each has some hundred bytes.
const LINKS_MAX: usize = 60_000;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// Nothing to see.
    #[error("no picture is there yet\nhint: `atelier watch` waits until there is one")]
    NoPicture,
    /// Too much for one page.
    #[error(
        "the page would have {links} links, but at most {LINKS_MAX}\nhint: choose cells with --only or --favourites"
    )]
    TooManyLinks {
        /// How many.
        links: usize,
    },
    /// It cannot be drawn.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Nothing can be signed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The file.
    #[error("cannot write {}: {source}\nhint: name another file with --out", path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl ShareError {
    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoPicture => Exit::NotFound,
            Self::TooManyLinks { .. } => Exit::BadInput,
            Self::Manifest(_) => Exit::Unexpected,
            Self::Bucket(error) => bucket_exit(error),
            Self::Write { .. } => Exit::CannotWrite,
        }
    }
}

/// A page that shows a gallery to whoever has it.
#[derive(Debug)]
pub struct Shared {
    /// HTML.
    pub page: String,
    /// Pictures that it shows.
    pub pictures: usize,
    /// When its links end.
    pub expires_at: Timestamp,
    /// They may end earlier, with the session that signed them; nobody says when.
    pub may_end_earlier: bool,
    /// Only this machine can follow them.
    pub is_local: bool,
}

/// Signs a link for each file of a gallery, and draws its page with them.
///
/// # Errors
/// When there is nothing to show, too much for one page, or nothing to sign with.
pub async fn share(
    bucket: &SignedBucket,
    manifest: &Manifest,
    expires: Duration,
) -> Result<Shared, ShareError> {
    let pictures = manifest.pictures().count();
    if pictures == 0 {
        return Err(ShareError::NoPicture);
    }
    let paths: Vec<&str> = manifest.paths().collect();
    if paths.len() > LINKS_MAX {
        let links = paths.len();
        return Err(ShareError::TooManyLinks { links });
    }
    let prefix = GridKeys::new(manifest.grid_id).prefix();
    let keys = paths.iter().map(|path| format!("{prefix}{path}"));
    let Links {
        urls,
        end_at,
        may_end_earlier,
    } = bucket.links(keys, expires).await?;
    let links: HashMap<&str, String> = paths.into_iter().zip(urls).collect();
    let first = links.values().next().and_then(|link| Url::parse(link).ok());
    let origin = first.as_ref().map(|url| url.origin().ascii_serialization());
    let link = |path: &str| links.get(path).cloned().unwrap_or_default();
    let page = page::render_elsewhere(manifest, &origin.unwrap_or_default(), &link)?;
    Ok(Shared {
        page,
        pictures,
        expires_at: end_at,
        may_end_earlier,
        is_local: first.as_ref().is_some_and(is_local),
    })
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}
