//! The weights that nodes of a stack paint with.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use atelier_proto::ids::Digest;
use sha2::{Digest as _, Sha256};

use crate::exit::Exit;

/// How nodes are told to paint without weights.
const UNTRAINED: &str = "untrained";
/// Largest file of weights, bytes: what S3 takes with one call.
const FILE_BYTES_MAX: u64 = 5 << 30;
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Why weights cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be read.
    #[error("--weights: cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is more than S3 takes.
    #[error("--weights: {} is larger than 5 GiB, and no network that nodes know is", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// There are none in the bucket.
    #[error(
        "--weights: there is no weights/{digest} in the bucket {bucket}\nhint: name the file, and it is put there"
    )]
    NotThere {
        /// Of the weights.
        digest: Digest,
        /// The bucket.
        bucket: String,
    },
    /// There cannot be any in the bucket.
    #[error(
        "--weights: the bucket of a new stack is empty, so weights/{digest} is not in it\nhint: name the file, and it is put there"
    )]
    NewBucket {
        /// Of the weights.
        digest: Digest,
    },
}

impl WeightsError {
    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        Exit::BadInput
    }
}

/// Which weights are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// None: the untrained network.
    Untrained,
    /// Those that lie in the bucket under this digest.
    Stored(Digest),
    /// Those of this file, which is put there.
    File {
        /// The file.
        path: PathBuf,
        /// Its digest.
        digest: Digest,
    },
}

impl Wanted {
    /// What `--weights` means; a file is read for its digest.
    pub async fn read(text: &str) -> Result<Self, WeightsError> {
        if text == UNTRAINED || text.is_empty() {
            return Ok(Self::Untrained);
        }
        if let Ok(digest) = text.parse() {
            return Ok(Self::Stored(digest));
        }
        let path = PathBuf::from(text);
        let file = path.clone();
        let reading = tokio::task::spawn_blocking(move || digest_of(&file));
        let digest = reading.await.map_err(|error| WeightsError::Read {
            path: path.clone(),
            source: io::Error::other(error),
        })??;
        Ok(Self::File { path, digest })
    }

    /// As the template takes it.
    pub fn parameter(&self) -> String {
        match self {
            Self::Untrained => String::new(),
            Self::Stored(digest) | Self::File { digest, .. } => digest.to_string(),
        }
    }
}

fn digest_of(path: &Path) -> Result<Digest, WeightsError> {
    let read = |source| WeightsError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = std::fs::File::open(path).map_err(read)?;
    if file.metadata().map_err(read)?.len() > FILE_BYTES_MAX {
        let path = path.to_owned();
        return Err(WeightsError::TooLarge { path });
    }
    let mut sha256 = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk).map_err(read)? {
            0 => return Ok(Digest::from_bytes(sha256.finalize().into())),
            bytes => sha256.update(&chunk[..bytes]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn weights_are_a_file_a_digest_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vgg.safetensors");
        let bytes = vec![7; CHUNK_BYTES + 1];
        std::fs::write(&path, &bytes).unwrap();
        let digest = Digest::of(&bytes);
        let file = Wanted::read(path.to_str().unwrap()).await.unwrap();
        assert_eq!(file.parameter(), digest.to_string());
        assert_eq!(file, Wanted::File { path, digest });
        let stored = Wanted::read(&digest.to_string()).await.unwrap();
        assert_eq!(stored, Wanted::Stored(digest));
        let none = Wanted::read("untrained").await.unwrap();
        assert_eq!(none.parameter(), "");
        let missing = Wanted::read("nowhere.h5").await.unwrap_err().to_string();
        assert!(
            missing.contains("--weights") && missing.contains("nowhere.h5"),
            "{missing}"
        );
    }
}
