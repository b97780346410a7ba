//! The contact sheet of a gallery on this machine.

use std::path::Path;

use atelier_gallery::contact_sheet::{self, FILE_NAME};
use atelier_gallery::manifest::Manifest;

use super::{FetchError, file};

/// Draws `contact-sheet.jpg` beside the `gallery.json` of a folder.
///
/// # Errors
/// When that is not there, the grid is too large for a sheet, or it cannot be written.
pub fn draw(folder: &Path) -> Result<(), FetchError> {
    let path = folder.join("gallery.json");
    let json = std::fs::read(&path).map_err(|source| FetchError::Write { path, source })?;
    let manifest = Manifest::from_json(&json)?;
    let load = |path: &str| contact_sheet::read(&std::fs::read(folder.join(path)).ok()?);
    let sheet = contact_sheet::draw(&manifest, load)?;
    file::replace_now(&folder.join(FILE_NAME), &sheet)
}
