//! What a person names, as files: photos by pattern, artists by folder.
//!
//! Looks at names only; whether a file is a picture that can be used is for [`crate::inputs`] to say.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::text::printable;

/// What pictures are called by; a folder may also hold notes.
const PICTURE_EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "tif", "tiff"];

/// Why what was named is not there.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A pattern that no file matches.
    #[error(
        "no {what} matches `{pattern}`\nhint: it is looked for from {}",
        base.display()
    )]
    NoMatch {
        /// Photo, painting, mask or start.
        what: &'static str,
        /// As it was given.
        pattern: String,
        /// The folder that it is relative to.
        base: PathBuf,
    },
    /// A folder named for its pictures that holds none.
    #[error(
        "the folder {} holds no picture\nhint: pictures are JPEG, PNG, WebP or TIFF files",
        path.display()
    )]
    NoPictures {
        /// The folder.
        path: PathBuf,
    },
    /// A folder where one picture is wanted.
    #[error("the {what} {} is a folder\nhint: name one picture here", path.display())]
    Folder {
        /// Photo, mask or start.
        what: &'static str,
        /// The folder.
        path: PathBuf,
    },
    /// A pattern that is none.
    #[error(
        "`{pattern}` is not a pattern: {problem}\nhint: write [*] for a star, [?] for a question mark, [[] for a bracket"
    )]
    BadPattern {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A folder that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What `--artists` names is not there or cannot be read.
    #[error(
        "cannot read the artists in {}: {source}\n\
         hint: --artists names a folder with a picture, or a folder of pictures, for each artist",
        path.display()
    )]
    ReadArtists {
        /// As it was given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// An artist found in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundArtist {
    /// The name of the folder, or of the file without its extension.
    pub name: String,
    /// The folder or file.
    pub place: PathBuf,
    /// Its pictures, by name.
    pub paintings: Vec<PathBuf>,
}

/// Files found, and those that were passed over since their names are none of a picture.
#[derive(Debug)]
pub struct Found<T> {
    /// What was looked for, in order.
    pub items: Vec<T>,
    /// What lay beside it.
    pub skipped: Vec<PathBuf>,
}

/// The files that a pattern names, from a folder: one file, the pictures of a folder, or the matches of
/// `*`, `?`, `[…]` and `**`. Sorted by name; hidden files only when they are named.
pub fn files(
    what: &'static str,
    pattern: &str,
    base: &Path,
) -> Result<Found<PathBuf>, SourceError> {
    // A file may be called `sea [1].jpg`, so what exists is taken at its word.
    let path = base.join(pattern);
    if path.is_dir() {
        let found = pictures_of(&path).map_err(|source| SourceError::Read {
            path: path.clone(),
            source,
        })?;
        return if found.items.is_empty() {
            Err(SourceError::NoPictures { path })
        } else {
            Ok(found)
        };
    }
    if path.exists() {
        return Ok(Found {
            items: vec![path],
            skipped: Vec::new(),
        });
    }
    let full = Path::new(&Pattern::escape(&base.to_string_lossy())).join(pattern);
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let matches = glob::glob_with(&full.to_string_lossy(), options).map_err(|error| {
        SourceError::BadPattern {
            pattern: pattern.to_owned(),
            problem: error.msg,
        }
    })?;
    let mut items = Vec::new();
    for matched in matches {
        let path = matched.map_err(|error| SourceError::Read {
            path: error.path().to_owned(),
            source: error.into(),
        })?;
        if !path.is_dir() {
            items.push(path);
        }
    }
    if items.is_empty() {
        return Err(SourceError::NoMatch {
            what,
            pattern: pattern.to_owned(),
            base: looked_from(base),
        });
    }
    items.sort();
    Ok(Found {
        items,
        skipped: Vec::new(),
    })
}

/// One file by its name, from a folder.
pub fn file(what: &'static str, name: &str, base: &Path) -> Result<PathBuf, SourceError> {
    let path = base.join(name);
    if path.is_dir() {
        return Err(SourceError::Folder { what, path });
    }
    if path.exists() {
        return Ok(path);
    }
    Err(SourceError::NoMatch {
        what,
        pattern: name.to_owned(),
        base: looked_from(base),
    })
}

/// A folder as errors name it.
fn looked_from(base: &Path) -> PathBuf {
    if base.as_os_str().is_empty() {
        std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
    } else {
        base.to_owned()
    }
}

/// The artists of a folder: each folder in it is one with the pictures inside, each picture is one. A
/// single picture is one artist.
pub fn artists(folder: &Path) -> Result<Found<FoundArtist>, SourceError> {
    let read_error = |source| SourceError::ReadArtists {
        path: folder.to_owned(),
        source,
    };
    let mut found = Found {
        items: Vec::new(),
        skipped: Vec::new(),
    };
    if folder.is_file() {
        found.items.push(FoundArtist {
            name: stem(folder),
            place: folder.to_owned(),
            paintings: vec![folder.to_owned()],
        });
        return Ok(found);
    }
    for path in visible_entries(folder).map_err(read_error)? {
        if path.is_dir() {
            let mut inside = pictures_of(&path).map_err(|source| SourceError::Read {
                path: path.clone(),
                source,
            })?;
            found.skipped.append(&mut inside.skipped);
            if inside.items.is_empty() {
                return Err(SourceError::NoPictures { path });
            }
            found.items.push(FoundArtist {
                name: text(path.file_name()),
                place: path,
                paintings: inside.items,
            });
        } else if has_picture_name(&path) {
            found.items.push(FoundArtist {
                name: stem(&path),
                place: path.clone(),
                paintings: vec![path],
            });
        } else {
            found.skipped.push(path);
        }
    }
    if found.items.is_empty() {
        return Err(SourceError::NoPictures {
            path: folder.to_owned(),
        });
    }
    Ok(found)
}

/// Calls each file by as little of its path as tells it from the others: `hill`, `hill.png`,
/// `2024/hill.png`, the whole path.
pub fn names(paths: &[&Path]) -> Vec<String> {
    type Naming = fn(&Path) -> String;
    const NAMINGS: [Naming; 4] = [stem, file_name, with_folder, whole];
    let mut level = vec![0_usize; paths.len()];
    loop {
        let names: Vec<String> = paths
            .iter()
            .zip(&level)
            .map(|(path, level)| NAMINGS[*level](path))
            .collect();
        let mut bearers: HashMap<&str, usize> = HashMap::new();
        for name in &names {
            *bearers.entry(name).or_default() += 1;
        }
        let mut longer = false;
        for (name, level) in names.iter().zip(&mut level) {
            if bearers[name.as_str()] > 1 && *level + 1 < NAMINGS.len() {
                *level += 1;
                longer = true;
            }
        }
        if !longer {
            return names;
        }
    }
}

/// The name of a file without its extension.
pub fn stem(path: &Path) -> String {
    text(path.file_stem())
}

/// The name of a file.
pub fn file_name(path: &Path) -> String {
    text(path.file_name())
}

fn with_folder(path: &Path) -> String {
    let folder = text(path.parent().and_then(Path::file_name));
    format!("{folder}/{}", file_name(path))
}

fn whole(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

fn text(part: Option<&OsStr>) -> String {
    printable(&part.unwrap_or_default().to_string_lossy())
}

fn has_picture_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        PICTURE_EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

fn pictures_of(folder: &Path) -> io::Result<Found<PathBuf>> {
    let (items, skipped) = visible_entries(folder)?
        .into_iter()
        .partition(|path| has_picture_name(path) && !path.is_dir());
    Ok(Found { items, skipped })
}

/// What a folder holds, sorted, without the hidden.
fn visible_entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            entries.push(entry.path());
        }
    }
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn a_pattern_is_a_file_a_folder_or_a_glob_and_leaves_the_hidden_alone() {
        let folder = folder(&[
            "sea [1].jpg",
            "p/b.JPG",
            "p/a.png",
            "p/.c.png",
            "p/notes.txt",
        ]);
        let names = |pattern| -> Vec<String> {
            let found = files("photo", pattern, folder.path()).unwrap();
            found.items.iter().map(|path| file_name(path)).collect()
        };
        assert_eq!(names("sea [1].jpg"), ["sea [1].jpg"]);
        assert_eq!(names("p"), ["a.png", "b.JPG"]);
        assert_eq!(names("**/*.png"), ["a.png"]);
        // Who names a file has it, whatever it is called.
        assert_eq!(names("p/*"), ["a.png", "b.JPG", "notes.txt"]);
        let error = files("photo", "q/*.png", folder.path()).unwrap_err();
        assert!(matches!(error, SourceError::NoMatch { .. }), "{error}");
    }

    #[test]
    fn an_artist_is_a_folder_or_a_picture() {
        let folder = folder(&[
            "monet.jpg",
            "SOURCES.md",
            ".DS_Store",
            "braque/houses.png",
            "braque/viaduct.webp",
        ]);
        let found = artists(folder.path()).unwrap();
        let summary: Vec<_> = found
            .items
            .iter()
            .map(|artist| (artist.name.as_str(), artist.paintings.len()))
            .collect();
        assert_eq!(summary, [("braque", 2), ("monet", 1)]);
        assert_eq!(found.skipped, [folder.path().join("SOURCES.md")]);

        std::fs::create_dir(folder.path().join("nobody")).unwrap();
        let error = artists(folder.path()).unwrap_err();
        assert!(error.to_string().contains("nobody"), "{error}");
    }

    #[test]
    fn names_are_as_short_as_they_can_be_told_apart() {
        let paths = ["a/hill.jpg", "a/lake.jpg", "a/lake.png", "b/hill.jpg"];
        assert_eq!(
            names(&paths.map(Path::new)),
            ["a/hill.jpg", "lake.jpg", "lake.png", "b/hill.jpg"]
        );
    }
}
