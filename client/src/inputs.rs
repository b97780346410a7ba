//! Pictures that go into a grid: every one read and decoded before anything is sent, then put into the
//! bucket by digest, so that none is sent twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use atelier_gallery::bucket::PutOutcome;
use atelier_gallery::keys;
use atelier_gallery::picture::{self, PictureError};
use atelier_gallery::signed::{Content, Method, SignedBucket, WANTED_MAX, Wanted};
use atelier_proto::ids::Digest;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::error::Error;

/// Pictures decoded at once, each of which may take gigabytes.
const DECODED_MAX: usize = 4;
/// Pictures for which requests are signed at once: one that looks for each, and one that puts it.
const INPUTS_SIGNED: usize = WANTED_MAX / 2;
/// Pictures sent at once.
const SENT_MAX: usize = 4;

/// Why a picture cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no picture, or none that can be used.
    #[error("cannot use {}: {source}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PictureError,
    },
    /// It is not the picture any more that was checked.
    #[error(
        "{} has changed since it was checked\nhint: submit again when it is not written to",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// A picture that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedInput {
    /// Digest of the file's bytes.
    pub sha256: Digest,
    /// Pixels, upright.
    pub width: u32,
    /// Pixels, upright.
    pub height: u32,
    /// Length of the file.
    pub bytes: u64,
    /// What it is, as HTTP has it.
    pub content_type: &'static str,
}

impl CheckedInput {
    /// What is put of it: these bytes, or none.
    fn content(&self) -> Content {
        let content = Content {
            if_absent: true,
            ..Content::of_type(self.content_type)
        };
        content.of_bytes(self.sha256, self.bytes)
    }
}

/// Pictures that can be used, by file.
#[derive(Debug, Clone, Default)]
pub struct CheckedInputs(BTreeMap<PathBuf, CheckedInput>);

impl CheckedInputs {
    /// The picture in a file.
    pub fn get(&self, path: &Path) -> Option<&CheckedInput> {
        self.0.get(path)
    }

    /// Each picture once, however many files hold it.
    pub fn distinct(&self) -> Vec<(&Path, &CheckedInput)> {
        let mut seen = BTreeSet::new();
        self.0
            .iter()
            .filter(|(_, input)| seen.insert(input.sha256))
            .map(|(path, input)| (path.as_path(), input))
            .collect()
    }
}

/// Reads and decodes every file; the first that cannot be used ends it. `checked` is told of each that can.
pub async fn check(
    paths: BTreeSet<&Path>,
    mut checked: impl FnMut(),
) -> Result<CheckedInputs, Error> {
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let tasks = paths.into_iter().map(|path| {
        let path = path.to_owned();
        let task = tokio::task::spawn_blocking(move || {
            let input = check_one(&path)?;
            Ok::<_, InputError>((path, input))
        });
        async {
            task.await.map_err(|error| Error::System {
                what: "a thread to decode a picture",
                cause: io::Error::other(error),
            })
        }
    });
    // Lazily made, so that no more threads than these are busy; in order, so that the same folder always
    // gives the same error.
    let mut results = futures::stream::iter(tasks).buffered(at_once.clamp(1, DECODED_MAX));
    let mut inputs = BTreeMap::new();
    while let Some(result) = results.next().await {
        let (path, input) = result??;
        inputs.insert(path, input);
        checked();
    }
    Ok(CheckedInputs(inputs))
}

fn check_one(path: &Path) -> Result<CheckedInput, InputError> {
    let bytes = read(path)?;
    let decoded = picture::decode(&bytes).map_err(|source| InputError::Picture {
        path: path.to_owned(),
        source,
    })?;
    Ok(CheckedInput {
        sha256: Digest::of(&bytes),
        width: decoded.width(),
        height: decoded.height(),
        bytes: bytes.len() as u64,
        content_type: image::guess_format(&bytes)
            .map_or("application/octet-stream", |format| format.to_mime_type()),
    })
}

/// The bytes of a file, though never many more than a picture may have.
fn read(path: &Path) -> Result<Vec<u8>, InputError> {
    let read = || {
        let file = std::fs::File::open(path)?;
        let mut bytes = Vec::new();
        file.take(picture::BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| InputError::Read {
        path: path.to_owned(),
        source,
    })
}

/// What became of the pictures of a grid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Different pictures in the grid.
    pub inputs: usize,
    /// Those that the bucket lacked.
    pub uploaded: usize,
    /// Their length.
    pub uploaded_bytes: u64,
}

/// Puts those pictures into the bucket that it lacks. `sent` is told of each that is there then.
pub async fn upload(
    bucket: &SignedBucket,
    inputs: &CheckedInputs,
    mut sent: impl FnMut(),
) -> Result<Sent, Error> {
    let distinct = inputs.distinct();
    let mut total = Sent {
        inputs: distinct.len(),
        ..Sent::default()
    };
    for some in distinct.chunks(INPUTS_SIGNED) {
        let wanted = some.iter().flat_map(|(_, input)| {
            let key = keys::input_key(&input.sha256);
            let put = bucket.wanted_put(key.as_str(), input.content());
            [bucket.wanted(Method::Head, key), put]
        });
        bucket.prepare(&wanted.collect::<Vec<Wanted>>()).await?;
        let mut puts = futures::stream::iter(some)
            .map(|(path, input)| upload_one(bucket, path, input))
            .buffer_unordered(SENT_MAX);
        while let Some(uploaded_bytes) = puts.try_next().await? {
            if let Some(bytes) = uploaded_bytes {
                total.uploaded += 1;
                total.uploaded_bytes += bytes;
            }
            sent();
        }
    }
    Ok(total)
}

/// The bytes that had to be sent; none if the picture was there.
async fn upload_one(
    bucket: &SignedBucket,
    path: &Path,
    input: &CheckedInput,
) -> Result<Option<u64>, Error> {
    let key = keys::input_key(&input.sha256);
    if let Some(object) = bucket.head(&key).await?
        && object.bytes == input.bytes
    {
        return Ok(None);
    }
    let file = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read(&file).map(|it| (Digest::of(&it), it)));
    let (sha256, bytes) = read.await.map_err(|error| Error::System {
        what: "a thread to read a picture",
        cause: io::Error::other(error),
    })??;
    // The key says what the bytes are; bytes that changed meanwhile would make it lie.
    if sha256 != input.sha256 {
        return Err(InputError::Changed {
            path: path.to_owned(),
        }
        .into());
    }
    match bucket
        .put_if_absent(&key, Bytes::from(bytes), input.content())
        .await?
    {
        PutOutcome::Created => Ok(Some(input.bytes)),
        PutOutcome::AlreadyThere => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_bad_picture_is_named_and_equal_ones_count_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        image::RgbImage::new(4, 3).save(path("a.png")).unwrap();
        std::fs::copy(path("a.png"), path("b.png")).unwrap();
        std::fs::write(path("c.png"), "text").unwrap();
        let (a, b, c) = (path("a.png"), path("b.png"), path("c.png"));

        let mut count = 0;
        let paths = BTreeSet::from([a.as_path(), b.as_path()]);
        let inputs = check(paths, || count += 1).await.unwrap();
        assert_eq!(count, 2);
        let input = inputs.get(&b).unwrap();
        assert_eq!((input.width, input.height), (4, 3));
        assert_eq!(inputs.distinct().len(), 1);

        let paths = BTreeSet::from([a.as_path(), c.as_path()]);
        let error = check(paths, || {}).await.unwrap_err();
        assert!(error.to_string().contains("c.png"), "{error}");
    }
}
