//! The contact sheet of a gallery that is complete. What nodes put there is decoded here and nowhere else in a coordinator:
//! thumbnails alone, which are small, within bounds, and on a thread where a panic costs no more than the sheet.

use std::collections::HashMap;

use atelier_gallery::bucket::{Bucket, BucketError};
use atelier_gallery::contact_sheet::{self, ContactSheetError};
use atelier_gallery::keys::GridKeys;
use atelier_gallery::manifest::Manifest;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::task::JoinError;

/// Most files that a sheet is drawn of. Of larger grids whoever wants one draws it: `atelier fetch --contact-sheet`.
const FILES_MAX: usize = 2_000;
/// The longest file.
const FILE_BYTES_MAX: u64 = 512 << 10;
/// Bytes of all files of a sheet.
const BYTES_MAX: usize = 128 << 20;
/// Files on their way at once.
const FILES_AT_ONCE_MAX: usize = 8;

/// Why there is no sheet.
#[derive(Debug, thiserror::Error)]
pub(super) enum SheetError {
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Drawing(#[from] ContactSheetError),
    #[error("what draws it ended early")]
    Task(#[from] JoinError),
}

/// The sheet of a gallery as a JPEG; none of one that is too large, or that has no thumbnails.
pub(super) async fn draw(
    bucket: &Bucket,
    keys: GridKeys,
    manifest: Manifest,
) -> Result<Option<Vec<u8>>, SheetError> {
    let paths: Vec<String> = contact_sheet::paths(&manifest).cloned().collect();
    if paths.is_empty() || paths.len() > FILES_MAX {
        return Ok(None);
    }
    let prefix = keys.prefix();
    let mut files = futures::stream::iter(paths)
        .map(|path| async {
            let bytes = bucket
                .get(&format!("{prefix}{path}"), FILE_BYTES_MAX)
                .await?;
            Ok::<_, BucketError>((path, bytes))
        })
        .buffer_unordered(FILES_AT_ONCE_MAX);
    let (mut loaded, mut sum) = (HashMap::new(), 0);
    loop {
        match files.try_next().await {
            Ok(Some((path, bytes))) => {
                sum += bytes.len();
                if sum > BYTES_MAX {
                    return Ok(None);
                }
                loaded.insert(path, bytes);
            }
            Ok(None) => break,
            // Simulated nodes may leave no pictures.
            Err(BucketError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    drop(files);
    let drawing =
        move || contact_sheet::draw(&manifest, |path| contact_sheet::read(loaded.get(path)?));
    Ok(Some(tokio::task::spawn_blocking(drawing).await??))
}
