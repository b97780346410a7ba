//! Photos and paintings on this node's disk, by digest, so that a grid's inputs travel once a node.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use atelier_gallery::bucket::{Bucket, BucketError};
use atelier_gallery::keys;
use atelier_proto::ids::Digest;

/// A folder of inputs, bounded in bytes; the longest unused ones leave first.
#[derive(Debug, Clone)]
pub struct InputCache {
    folder: PathBuf,
    bytes_max: u64,
}

/// Why an input could not be had.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The bucket did not give it.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The cache's folder does not work.
    #[error("the input cache {path} does not work")]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl InputCache {
    /// A cache in `folder`, which is made if it is not there.
    pub fn open(folder: PathBuf, bytes_max: u64) -> Result<Self, InputError> {
        std::fs::create_dir_all(&folder).map_err(|source| InputError::Folder {
            path: folder.clone(),
            source,
        })?;
        Ok(Self { folder, bytes_max })
    }

    /// The original bytes of an input, from disk or else from the bucket.
    pub async fn bytes(&self, bucket: &Bucket, digest: Digest) -> Result<Vec<u8>, InputError> {
        let path = self.folder.join(digest.to_string());
        if let Ok(bytes) = tokio::fs::read(&path).await {
            // A disk may lie; the digest says so, and the bucket has the truth.
            if Digest::of(&bytes) == digest {
                touch(&path);
                return Ok(bytes);
            }
        }
        let key = keys::input_key(&digest);
        bucket.download(&key, &path, Some(digest)).await?;
        let bytes = tokio::fs::read(&path)
            .await
            .map_err(|source| InputError::Folder { path, source })?;
        self.evict();
        Ok(bytes)
    }

    /// Removes the longest unused files while the cache is over its bound. A file that cannot be removed
    /// stays: a cache that is too large is no reason to fail a cell.
    fn evict(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return;
        };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if bytes <= self.bytes_max {
                break;
            }
            if std::fs::remove_file(&path).is_ok() {
                bytes -= length;
            }
        }
    }
}

/// Marks a file as just used.
#[expect(
    clippy::disallowed_methods,
    reason = "file times are the system's, and only their order matters"
)]
fn touch(path: &Path) {
    if let Ok(file) = std::fs::File::options().append(true).open(path) {
        // Without it the file only leaves the cache sooner.
        let _ = file.set_modified(SystemTime::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_file_leaves_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = InputCache::open(folder.path().join("inputs"), 25).unwrap();
        for (age, name) in [(3, "old"), (2, "used"), (1, "new")] {
            let path = cache.folder.join(name);
            std::fs::write(&path, [0; 10]).unwrap();
            let modified = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 - age);
            let file = std::fs::File::options().append(true).open(&path).unwrap();
            file.set_modified(modified).unwrap();
        }
        touch(&cache.folder.join("old"));
        cache.evict();
        assert!(cache.folder.join("old").exists());
        assert!(!cache.folder.join("used").exists());
        assert!(cache.folder.join("new").exists());
    }
}
