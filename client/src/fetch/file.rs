//! Files of a gallery on this machine: whether they are here, and how they change.

use std::io::{self, Write as _};
use std::path::Path;

use atelier_gallery::manifest::Manifest;
use atelier_proto::ids::{Digest, GridId};

use super::FetchError;

/// Refuses a folder that holds the gallery of another grid.
pub(super) async fn check_folder(folder: &Path, grid: GridId) -> Result<(), FetchError> {
    // A manifest that cannot be read is no gallery's; it will be replaced.
    let Ok(json) = tokio::fs::read(folder.join("gallery.json")).await else {
        return Ok(());
    };
    match Manifest::from_json(&json) {
        Ok(other) if other.grid_id != grid => Err(FetchError::OtherGallery {
            folder: folder.to_owned(),
            other: other.grid_id,
        }),
        _ => Ok(()),
    }
}

/// Whether the file is here as it should be. One that cannot be read is not.
pub(super) async fn is_here(path: &Path, bytes: Option<u64>, digest: Option<Digest>) -> bool {
    let found = length(path).await;
    if found.is_none() || found != bytes {
        return false;
    }
    match digest {
        None => true,
        Some(digest) => tokio::fs::read(path)
            .await
            .is_ok_and(|bytes| Digest::of(&bytes) == digest),
    }
}

/// The length of a plain file, if there is one.
pub(super) async fn length(path: &Path) -> Option<u64> {
    let about = tokio::fs::symlink_metadata(path).await.ok()?;
    about.is_file().then_some(about.len())
}

/// Puts bytes into a file, at once, unless it holds them already; whether it did not.
pub(super) async fn replace(path: &Path, bytes: Vec<u8>) -> Result<bool, FetchError> {
    if tokio::fs::read(path)
        .await
        .is_ok_and(|there| there == bytes)
    {
        return Ok(false);
    }
    let target = path.to_owned();
    let written = tokio::task::spawn_blocking(move || write_whole(&target, &bytes)).await;
    match written.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
        Ok(()) => Ok(true),
        Err(source) => Err(FetchError::Write {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The same where one may wait for the disk.
pub(super) fn replace_now(path: &Path, bytes: &[u8]) -> Result<(), FetchError> {
    write_whole(path, bytes).map_err(|source| FetchError::Write {
        path: path.to_owned(),
        source,
    })
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder)?;
    // In the same folder, because a rename works only within one file system; removed if it is not renamed.
    let mut temporary = tempfile::Builder::new()
        .prefix(".atelier-")
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_here_only_as_it_should_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pictures/a.png");
        assert!(replace(&path, b"painted".to_vec()).await.unwrap());
        assert!(!replace(&path, b"painted".to_vec()).await.unwrap());
        let digest = Some(Digest::of(b"painted"));
        assert!(is_here(&path, Some(7), digest).await);
        assert!(is_here(&path, Some(7), None).await);
        assert!(!is_here(&path, Some(8), None).await);
        assert!(
            !is_here(&path, None, None).await,
            "a length that nobody knows proves nothing"
        );
        std::fs::write(&path, b"damaged").unwrap();
        assert!(!is_here(&path, Some(7), digest).await);
        let names: Vec<_> = std::fs::read_dir(folder.path().join("pictures"))
            .unwrap()
            .collect();
        assert_eq!(names.len(), 1, "no temporary file stays");
    }
}
