//! What can go wrong on this side of an S3 request, and what the client is told of it.

use std::path::PathBuf;

use s3s::{S3Error, S3ErrorCode};

use super::index::IndexError;

/// A failure that is not the client's.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("cannot {doing} {}", path.display())]
    Disk {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the index failed")]
    Index(#[from] IndexError),
    #[error("a task of the endpoint ended early")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Fault {
    fn is_full(&self) -> bool {
        match self {
            Self::Disk { source, .. } => matches!(
                source.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            ),
            Self::Index(error) => error.is_full(),
            Self::Interrupted(_) => false,
        }
    }

    fn is_busy(&self) -> bool {
        matches!(self, Self::Index(error) if error.is_busy())
    }
}

impl From<Fault> for S3Error {
    /// The client learns the kind, not the paths; the log gets the whole.
    fn from(fault: Fault) -> Self {
        tracing::error!(
            error = &fault as &dyn std::error::Error,
            "an S3 request failed"
        );
        let mut error = if fault.is_full() {
            let mut error = Self::with_message(
                S3ErrorCode::Custom("InsufficientStorage".into()),
                "the disk of the object store is full",
            );
            error.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE);
            error
        } else if fault.is_busy() {
            Self::with_message(S3ErrorCode::SlowDown, "the object store is busy")
        } else {
            Self::with_message(S3ErrorCode::InternalError, "the object store failed")
        };
        error.set_source(Box::new(fault));
        error
    }
}

/// Runs a change to its end even if the client goes away in the middle of it.
///
/// hyper drops a request's future when its connection breaks; a transaction whose outcome nobody awaits would leave it
/// open whether the file behind it is an object or garbage.
pub(super) async fn detached<T: Send + 'static>(
    change: impl Future<Output = Result<T, S3Error>> + Send + 'static,
) -> Result<T, S3Error> {
    tokio::spawn(change).await.map_err(Fault::Interrupted)?
}
