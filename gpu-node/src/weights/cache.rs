//! Where fetched weights lie on this machine.

use std::path::PathBuf;

use super::Source;

/// This machine has no place for a cache.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no cache folder for this user\nhint: set HOME or XDG_CACHE_HOME, or name a file with --weights"
)]
pub struct CacheError;

/// The file in the user's cache that [`super::fetch()`] fills: `$XDG_CACHE_HOME/atelier/weights/<name>`, by default
/// under `~/.cache`.
pub fn cached_path(source: &Source) -> Result<PathBuf, CacheError> {
    Ok(folder()?.join(&source.file_name))
}

/// The folder of that file.
pub(super) fn folder() -> Result<PathBuf, CacheError> {
    let cache = dirs::cache_dir().ok_or(CacheError)?;
    Ok(cache.join("atelier").join("weights"))
}
