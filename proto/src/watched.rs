//! Files that are read again when they change: certificates, keys and tokens are replaced under running programs.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

/// What some files were like at a time, so that a change is seen without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamps(Vec<Option<Stamp>>);

/// A file that is replaced has another inode, one that is written another time or length. `None`: it cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl Stamps {
    /// What these files are like now. To be taken before they are read, so that what changes meanwhile is seen next time.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let stamp = |path: &Path| {
            // Through links, as those of Kubernetes, which swaps a folder below them.
            let about = std::fs::metadata(path).ok()?;
            Some(Stamp {
                modified: about.modified().ok(),
                bytes: about.len(),
                inode: about.ino(),
            })
        };
        Self(paths.into_iter().map(stamp).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_replaced_or_removed_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let stamps = || Stamps::of([path.as_path()]);
        let mut seen = vec![stamps()];
        std::fs::write(&path, "one").unwrap();
        seen.push(stamps());
        assert_eq!(stamps(), stamps());
        std::fs::write(&path, "three").unwrap();
        seen.push(stamps());
        let other = folder.path().join("other");
        std::fs::write(&other, "three").unwrap();
        std::fs::rename(other, &path).unwrap();
        seen.push(stamps());
        std::fs::remove_file(&path).unwrap();
        seen.push(stamps());
        for pair in seen.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
    }
}
