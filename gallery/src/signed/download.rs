//! An object as a file that appears whole or not at all.

use std::path::Path;

use atelier_proto::ids::Digest;
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::ETAG;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use super::courier::{Arriving, Rest};
use super::{Method, SignedBucket};
use crate::bucket::BucketError;

/// What temporary files start with. One that outlives a crash is recognised by it.
const TEMPORARY_PREFIX: &str = ".atelier-";
/// How often a way that breaks off is gone on from where it broke.
const RESUMES_MAX: u32 = 3;

pub(super) async fn download(
    bucket: &SignedBucket,
    key: &str,
    path: &Path,
    expected: Option<Digest>,
) -> Result<(), BucketError> {
    // Asked first, so that an object that is not there leaves no folder behind.
    let answer = bucket.start_get(key).await?;

    let cannot_write = |source| BucketError::write(path, source);
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    tokio::fs::create_dir_all(folder)
        .await
        .map_err(cannot_write)?;
    // In the same folder, because a rename works only within one file system. Removed when dropped.
    let temporary = temporary_file(folder).map_err(cannot_write)?;
    let file = temporary.as_file().try_clone().map_err(cannot_write)?;
    let mut arriving = Download {
        path,
        file: File::from_std(file),
        hasher: Sha256::new(),
        bytes: 0,
    };
    arriving.whole(bucket, key, answer).await?;
    arriving.file.flush().await.map_err(cannot_write)?;

    let found = Digest::from_bytes(arriving.hasher.finalize().into());
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        return Err(BucketError::DigestMismatch {
            key: key.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }
    temporary
        .persist(path)
        .map_err(|error| cannot_write(error.error))?;
    Ok(())
}

/// A file that fills.
struct Download<'a> {
    path: &'a Path,
    file: File,
    hasher: Sha256,
    bytes: u64,
}

impl Download<'_> {
    /// Takes all of an object, from where it breaks off if it does.
    async fn whole(
        &mut self,
        bucket: &SignedBucket,
        key: &str,
        mut answer: Arriving,
    ) -> Result<(), BucketError> {
        let of = answer.header(ETAG).map(str::to_owned);
        let mut resumes = 0;
        loop {
            let error = match self.take(&mut answer).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let (BucketError::BrokenOff { .. }, Some(of)) = (&error, &of) else {
                return Err(error);
            };
            if resumes == RESUMES_MAX {
                return Err(error);
            }
            resumes += 1;
            let rest = Rest {
                from: self.bytes,
                of: of.clone(),
            };
            let wanted = bucket.wanted(Method::Get, key);
            let sent = bucket.courier.send(&wanted, Bytes::new(), Some(&rest));
            answer = match sent.await {
                Ok(answer) if answer.status() == StatusCode::PARTIAL_CONTENT => answer,
                // It is another object now, or its server knows no parts: whoever wants it begins anew.
                _ => return Err(error),
            };
        }
    }

    async fn take(&mut self, answer: &mut Arriving) -> Result<(), BucketError> {
        while let Some(part) = answer.next_part().await? {
            self.hasher.update(&part);
            let written = self.file.write_all(&part).await;
            written.map_err(|source| BucketError::write(self.path, source))?;
            self.bytes += part.len() as u64;
        }
        Ok(())
    }
}

fn temporary_file(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // A fetched picture is for whoever may read the folder, as if it had been copied there.
        builder.permissions(std::fs::Permissions::from_mode(0o644));
    }
    builder.tempfile_in(folder)
}
