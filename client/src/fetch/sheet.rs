//! The contact sheet of a gallery on this machine.

use std::path::Path;

use atelier_gallery::contact_sheet;
use atelier_gallery::keys::CONTACT_SHEET;
use atelier_gallery::manifest::Manifest;

use super::{FetchError, file};

/// Draws `contact-sheet.jpg` of the pictures of a gallery in its folder.
///
/// # Errors
/// When the grid is too large for a sheet, or it cannot be written.
pub fn draw(folder: &Path, manifest: &Manifest) -> Result<(), FetchError> {
    let load = |path: &str| contact_sheet::read(&std::fs::read(folder.join(path)).ok()?);
    let sheet = contact_sheet::draw(manifest, load)?;
    file::replace_now(&folder.join(CONTACT_SHEET), &sheet)
}
