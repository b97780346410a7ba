//! Photos, paintings, masks and starts: on this node's disk by digest, so that a grid's inputs travel once a node, and
//! decoded in memory, so that the cells of a block share them. A simulated node has [`stand_ins`].

mod stand_ins;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::keys;
use atelier_gallery::picture::{self, Colours, Picture, PictureError};
use atelier_gallery::signed::SignedBucket;
use atelier_proto::ids::Digest;
use image::GrayImage;
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use self::stand_ins::StandIns;
use crate::render::Input;
use crate::shelf::Shelf;

/// Inputs that are fetched or decoded at once: enough to hide the network, and few enough that decoders leave memory
/// and processors to the renderer.
const INPUTS_AT_ONCE_MAX: usize = 4;
/// Decoded photos and paintings that are kept beyond the blocks in hand, bytes.
const DECODED_BYTES_MAX: u64 = 512 << 20;
/// The same for masks.
const DECODED_MASK_BYTES_MAX: u64 = 64 << 20;
/// Most digests that a node tells of when it asks for cells.
const TOLD_DIGESTS_MAX: usize = 1024;

/// A folder of inputs, bounded in bytes; the longest unused ones leave first.
#[derive(Debug, Clone)]
pub struct InputCache {
    folder: PathBuf,
    bytes_max: u64,
}

/// An input as a lease names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Of its file.
    pub digest: Digest,
    /// Pixels, upright.
    pub width: u32,
    /// Pixels, upright.
    pub height: u32,
}

/// The inputs of a node.
#[derive(Debug)]
pub struct Inputs(Source);

#[derive(Debug)]
enum Source {
    Fetched(Fetched),
    StandIns(StandIns),
}

/// A folder of files and a shelf of decoded pictures.
#[derive(Debug)]
struct Fetched {
    files: InputCache,
    pictures: Shelf<Digest, Picture>,
    masks: Shelf<Digest, GrayImage>,
    at_once: Semaphore,
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
    /// It is no usable picture.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The decoder's task ended early.
    #[error("the decoder ended early")]
    Decoder(#[from] JoinError),
}

impl Inputs {
    /// Inputs that are kept in this cache.
    pub fn new(files: InputCache) -> Self {
        Self(Source::Fetched(Fetched {
            files,
            pictures: Shelf::new(DECODED_BYTES_MAX),
            masks: Shelf::new(DECODED_MASK_BYTES_MAX),
            at_once: Semaphore::new(INPUTS_AT_ONCE_MAX),
        }))
    }

    /// Pictures of one colour instead: nothing is fetched, decoded or kept on disk.
    pub fn simulated() -> Self {
        Self(Source::StandIns(StandIns::default()))
    }

    /// A photo, painting or start, decoded.
    pub async fn picture(&self, bucket: &SignedBucket, input: Named) -> Result<Input, InputError> {
        match &self.0 {
            Source::Fetched(fetched) => fetched.picture(bucket, input.digest).await,
            Source::StandIns(stand_ins) => Ok(stand_ins.picture(input)),
        }
    }

    /// A mask, decoded.
    pub async fn mask(
        &self,
        bucket: &SignedBucket,
        digest: Digest,
    ) -> Result<Arc<GrayImage>, InputError> {
        match &self.0 {
            Source::Fetched(fetched) => fetched.mask(bucket, digest).await,
            Source::StandIns(stand_ins) => Ok(stand_ins.mask(digest)),
        }
    }

    /// Whether what is not at hand is fetched.
    pub fn are_fetched(&self) -> bool {
        matches!(self.0, Source::Fetched(_))
    }

    /// Digests of the inputs that are at hand, the last used first, at most 1024.
    pub async fn digests(&self) -> Vec<Digest> {
        match &self.0 {
            Source::Fetched(fetched) => {
                let files = fetched.files.clone();
                tokio::task::spawn_blocking(move || files.digests())
                    .await
                    .unwrap_or_default()
            }
            Source::StandIns(stand_ins) => stand_ins.digests(),
        }
    }
}

impl Fetched {
    async fn picture(&self, bucket: &SignedBucket, digest: Digest) -> Result<Input, InputError> {
        let make = async || {
            let _place = self.at_once.acquire().await;
            let bytes = self.files.bytes(bucket, digest).await?;
            let picture = tokio::task::spawn_blocking(move || picture::decode(&bytes)).await??;
            let bytes = picture_bytes(&picture);
            Ok::<_, InputError>((picture, bytes))
        };
        let picture = self.pictures.get(digest, make).await?;
        Ok(Input { picture, digest })
    }

    async fn mask(
        &self,
        bucket: &SignedBucket,
        digest: Digest,
    ) -> Result<Arc<GrayImage>, InputError> {
        let make = async || {
            let _place = self.at_once.acquire().await;
            let bytes = self.files.bytes(bucket, digest).await?;
            let mask = tokio::task::spawn_blocking(move || picture::decode_mask(&bytes)).await??;
            let bytes = mask.len() as u64;
            Ok::<_, InputError>((mask, bytes))
        };
        self.masks.get(digest, make).await
    }
}

/// What a decoded picture takes, bytes.
fn picture_bytes(picture: &Picture) -> u64 {
    let colours = match picture.colours() {
        Colours::Eight(colours) => colours.len(),
        Colours::Sixteen(colours) => 2 * colours.len(),
    };
    let alpha = picture.alpha().map_or(0, |alpha| alpha.len());
    (colours + alpha) as u64
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
    pub async fn bytes(
        &self,
        bucket: &SignedBucket,
        digest: Digest,
    ) -> Result<Vec<u8>, InputError> {
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

    /// Digests of the files, the last used first, at most [`TOLD_DIGESTS_MAX`].
    fn digests(&self) -> Vec<Digest> {
        let files = self.files().into_iter().rev();
        let digests = files.filter_map(|(_, _, path)| path.file_name()?.to_str()?.parse().ok());
        digests.take(TOLD_DIGESTS_MAX).collect()
    }

    /// When each file was last used, its length and its path; the longest unused first. None where the folder cannot be
    /// read.
    fn files(&self) -> Vec<(SystemTime, u64, PathBuf)> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let mut files: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        files.sort();
        files
    }

    /// Removes the longest unused files while the cache is over its bound. A file that cannot be removed
    /// stays: a cache that is too large is no reason to fail a cell.
    fn evict(&self) {
        let files = self.files();
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

    #[test]
    fn a_node_tells_of_the_inputs_that_it_has_and_of_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let cache = InputCache::open(folder.path().to_owned(), 1000).unwrap();
        let (older, newer) = (Digest::of(b"older"), Digest::of(b"newer"));
        for (seconds, name) in [
            (1, older.to_string()),
            (2, newer.to_string()),
            (3, ".atelier-x1y2z3".to_owned()),
        ] {
            let path = folder.path().join(name);
            let file = std::fs::File::create(&path).unwrap();
            let modified = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            file.set_modified(modified).unwrap();
        }
        assert_eq!(cache.digests(), [newer, older]);
    }
}
