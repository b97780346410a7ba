//! Files of a gallery on this machine: whether they are here, and how they change.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::Path;

use atelier_gallery::keys::{GALLERY_FILES, GALLERY_FOLDERS};
use atelier_gallery::manifest::Manifest;
use atelier_proto::ids::{Digest, GridId};

use super::FetchError;

/// Refuses a folder that holds the gallery of another grid, or other files and no gallery.
pub(super) async fn check_folder(folder: &Path, grid: GridId) -> Result<(), FetchError> {
    // A manifest that cannot be read is no gallery's; it will be replaced.
    let Ok(json) = tokio::fs::read(folder.join("gallery.json")).await else {
        return check_alone(folder);
    };
    match Manifest::from_json(&json) {
        Ok(other) if other.grid_id != grid => Err(FetchError::OtherGallery {
            folder: folder.to_owned(),
            other: other.grid_id,
        }),
        _ => Ok(()),
    }
}

/// Refuses a folder that holds what no gallery does. What a fetch left that was broken off is a gallery's.
fn check_alone(folder: &Path) -> Result<(), FetchError> {
    // Where it is not there or cannot be listed, that is for whoever writes into it to find.
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let others = names.map(|entry| entry.file_name()).find(|name| {
        let is_ours = GALLERY_FILES
            .iter()
            .chain(&GALLERY_FOLDERS)
            .any(|ours| name == ours);
        !is_ours && !name.as_encoded_bytes().starts_with(b".")
    });
    match others {
        None => Ok(()),
        Some(name) => Err(FetchError::OtherFiles {
            folder: folder.to_owned(),
            name: name.display().to_string(),
        }),
    }
}

/// Refuses to go through links in a folder: what it is that a gallery names is for whoever wrote it to say, but not where that
/// is written. `paths` are relative to the folder; a link in the place of a file itself is replaced, and not followed.
pub(super) fn check_ways<'a>(
    folder: &Path,
    paths: impl Iterator<Item = &'a str>,
) -> Result<(), FetchError> {
    let mut seen = BTreeSet::new();
    for path in paths {
        let between = Path::new(path).ancestors().skip(1);
        for part in between.filter(|part| !part.as_os_str().is_empty()) {
            if !seen.insert(part) {
                break;
            }
            let path = folder.join(part);
            let about = std::fs::symlink_metadata(&path);
            if about.is_ok_and(|about| about.is_symlink()) {
                return Err(FetchError::Link { path });
            }
        }
    }
    Ok(())
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

    #[test]
    fn nothing_goes_through_a_link_and_the_folder_itself_may_be_one() {
        let place = tempfile::tempdir().unwrap();
        let (real, elsewhere) = (place.path().join("real"), place.path().join("elsewhere"));
        std::fs::create_dir_all(real.join("pictures")).unwrap();
        std::fs::create_dir_all(&elsewhere).unwrap();
        let folder = place.path().join("gallery");
        std::os::unix::fs::symlink(&real, &folder).unwrap();
        let paths = ["pictures/a.png", "thumbnails/deep/a.jpg", "sheet.jpg"];
        let check = || check_ways(&folder, paths.into_iter());
        assert!(check().is_ok());
        std::os::unix::fs::symlink(&elsewhere, real.join("thumbnails")).unwrap();
        let Err(FetchError::Link { path }) = check() else {
            panic!("it went through a link");
        };
        assert_eq!(path, folder.join("thumbnails"));
        // A file is replaced, and what its link names is not touched.
        let named = elsewhere.join("named");
        std::fs::write(&named, b"mine").unwrap();
        std::os::unix::fs::symlink(&named, real.join("sheet.jpg")).unwrap();
        replace_now(&real.join("sheet.jpg"), b"drawn").unwrap();
        assert_eq!(std::fs::read(&named).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn a_gallery_does_not_come_among_other_files() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("photos");
        let grid = GridId::generate();
        check_folder(&folder, grid).await.unwrap();
        std::fs::create_dir_all(folder.join("pictures")).unwrap();
        std::fs::write(folder.join(".part"), b"").unwrap();
        // As a fetch leaves it that was broken off.
        check_folder(&folder, grid).await.unwrap();
        std::fs::write(folder.join("ride.jpg"), b"").unwrap();
        let refused = check_folder(&folder, grid).await.unwrap_err();
        assert!(refused.to_string().contains("ride.jpg"), "{refused}");
        // Once it is a gallery, what else lies there is nobody's business.
        std::fs::write(folder.join("gallery.json"), b"{}").unwrap();
        check_folder(&folder, grid).await.unwrap();
    }

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
