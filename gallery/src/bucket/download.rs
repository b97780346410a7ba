//! An object as a file that appears whole or not at all.

use std::path::Path;

use atelier_proto::ids::Digest;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;

use super::{Bucket, BucketError};

/// What temporary files start with. One that outlives a crash is recognised by it.
const TEMPORARY_PREFIX: &str = ".atelier-";

pub(super) async fn download(
    bucket: &Bucket,
    key: &str,
    path: &Path,
    expected: Option<Digest>,
) -> Result<(), BucketError> {
    // Asked first, so that an object that is not there leaves no folder behind.
    let mut answer = bucket.start_get(key).await?;

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
    let mut file = tokio::fs::File::from_std(file);
    let mut hasher = Sha256::new();
    while let Some(part) = bucket.next_part(key, &mut answer).await? {
        hasher.update(&part);
        file.write_all(&part).await.map_err(cannot_write)?;
    }
    file.flush().await.map_err(cannot_write)?;

    let found = Digest::from_bytes(hasher.finalize().into());
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
