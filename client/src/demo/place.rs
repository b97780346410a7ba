//! Where the demo's gallery goes, and how it takes the place of an earlier one: at once, and with care for what
//! other people put there.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use atelier_gallery::keys::{GALLERY_FILES, GALLERY_FOLDERS};
use atelier_gallery::manifest::Manifest;
use tempfile::TempDir;

use super::{DemoError, GRID_NAME};

/// Refuses a place that holds something else than the gallery of an earlier demo.
pub(super) fn check(out: &Path) -> Result<(), DemoError> {
    let is_free = match std::fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_none() || is_demo(out),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if is_free {
        Ok(())
    } else {
        Err(DemoError::Occupied {
            path: out.to_owned(),
        })
    }
}

fn is_demo(folder: &Path) -> bool {
    let manifest = std::fs::read(folder.join("gallery.json")).ok();
    let manifest = manifest.and_then(|json| Manifest::from_json(&json).ok());
    manifest.is_some_and(|manifest| manifest.name == GRID_NAME)
}

/// A new folder beside `out`, so that the gallery can be moved into its place by a rename.
pub(super) fn work_folder(out: &Path) -> Result<TempDir, DemoError> {
    // A relative path may have no parent to name.
    let out = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let beside = out.parent().unwrap_or(&out);
    let make = || {
        std::fs::create_dir_all(beside)?;
        let folder = tempfile::Builder::new()
            .prefix(".atelier-demo-")
            .tempdir_in(beside)?;
        Ok(folder)
    };
    make().map_err(|source| DemoError::Write {
        path: beside.to_owned(),
        source,
    })
}

/// Moves a gallery to `out`. What was there goes into the work folder, except what no gallery has.
pub(super) fn put(gallery: &Path, out: &Path, work: &Path) -> Result<(), DemoError> {
    let previous = work.join("previous");
    let move_all = || {
        let had_previous = match std::fs::rename(out, &previous) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if let Err(error) = std::fs::rename(gallery, out) {
            if had_previous {
                std::fs::rename(&previous, out)?;
            }
            return Err(error);
        }
        if had_previous {
            for foreign in foreign(&previous)? {
                let name = foreign.file_name().unwrap_or_default();
                std::fs::rename(&foreign, out.join(name))?;
            }
        }
        Ok(())
    };
    move_all().map_err(|source| DemoError::Write {
        path: out.to_owned(),
        source,
    })
}

/// What a folder holds that no gallery does.
fn foreign(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let is_ours = GALLERY_FILES
            .iter()
            .chain(&GALLERY_FOLDERS)
            .any(|name| entry.file_name() == OsStr::new(name));
        if !is_ours {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_new_gallery_replaces_the_old_one_and_spares_what_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("atelier-demo");
        write(&out.join("index.html"), "old");
        write(&out.join("pictures/stale.jpg"), "old");
        write(&out.join("contact-sheet.jpg"), "old");
        write(&out.join("notes.txt"), "mine");
        let work = work_folder(&out).unwrap();
        let gallery = work.path().join("gallery");
        write(&gallery.join("index.html"), "new");
        write(&gallery.join("contact-sheet.jpg"), "new");
        put(&gallery, &out, work.path()).unwrap();
        drop(work);
        let read = |name: &str| std::fs::read_to_string(out.join(name)).ok();
        assert_eq!(read("index.html").as_deref(), Some("new"));
        assert_eq!(read("contact-sheet.jpg").as_deref(), Some("new"));
        assert_eq!(read("notes.txt").as_deref(), Some("mine"));
        assert_eq!(read("pictures/stale.jpg"), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_place_that_is_not_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        assert!(check(&out).is_ok(), "nothing is there");
        std::fs::create_dir(&out).unwrap();
        assert!(check(&out).is_ok(), "an empty folder");
        write(&out.join("thesis.tex"), "years of work");
        assert!(matches!(check(&out), Err(DemoError::Occupied { .. })));
        assert!(check(&out.join("thesis.tex")).is_err(), "a file");
    }
}
