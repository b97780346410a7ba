//! The embedded S3 endpoint.

use std::path::Path;

use atelier_proto::clock::Clock;
use atelier_proto::storage::S3Credentials;
use tokio_util::sync::CancellationToken;

/// Why the object store could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the embedded S3 endpoint is not there")]
pub struct S3Error;

/// An S3 endpoint with one bucket in a folder.
#[derive(Debug)]
pub struct EmbeddedS3;

impl EmbeddedS3 {
    /// Opens (creates) the object store in `folder` with one bucket.
    pub async fn open(
        _folder: &Path,
        _bucket: &str,
        _credentials: S3Credentials,
        _clock: Clock,
    ) -> Result<Self, S3Error> {
        Err(S3Error)
    }

    /// Serves until shutdown.
    pub async fn serve(
        self,
        _listener: tokio::net::TcpListener,
        _shutdown: CancellationToken,
    ) -> std::io::Result<()> {
        Ok(())
    }
}
