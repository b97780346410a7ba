//! Why a coordinator ended, and the exit code that tells scripts of it.

use std::io;
use std::net::SocketAddr;

use atelier_gallery::bucket::BucketError;
use atelier_proto::manual::ManualError;
use atelier_proto::telemetry::TelemetryError;

use crate::backup::BackupError;
use crate::board::KeyError;
use crate::config::ConfigError;
use crate::data_folder::DataFolderError;
use crate::identity::audit::AuditError;
use crate::identity::oidc::KeysError;
use crate::identity::token_file::TokenFileError;
use crate::listen::TlsError;
use crate::rpc::ServeError;
use crate::storage::EmbeddedError;
use crate::store::StoreError;

/// Why a coordinator did not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// What it was told makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Logs or traces cannot be told as it was asked.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Its man pages cannot be written.
    #[error(transparent)]
    Manual(#[from] ManualError),
    /// It cannot listen.
    #[error(
        "cannot listen on {address}: {source}\nhint: is another coordinator running there? give another address with {option}"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What says so.
        option: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Certificates and keys.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The data folder.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The embedded S3 endpoint cannot be opened.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// An embedded endpoint and no socket for it.
    #[error("the embedded S3 endpoint has no socket to listen on")]
    NoListener,
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// gRPC ended.
    #[error(transparent)]
    ServeGrpc(#[from] ServeError),
    /// The board's key.
    #[error(transparent)]
    BoardKey(#[from] KeyError),
    /// The token of the first operator, or of all nodes.
    #[error(transparent)]
    TokenFile(#[from] TokenFileError),
    /// The OpenID Connect issuer.
    #[error("--oidc-issuer: {0}")]
    Oidc(#[from] KeysError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The board ended.
    #[error("the board ended: {0}")]
    ServeBoard(#[source] io::Error),
    /// There is no backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A task panicked.
    #[error("a part of the coordinator ended early: {0}")]
    Task(#[source] tokio::task::JoinError),
    /// Signals, threads, or something else that every system has.
    #[error("this system refused something that the coordinator needs: {0}")]
    System(#[from] io::Error),
}

impl RunError {
    /// The exit code, as `--help` explains it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Telemetry(_) | Self::Tls(_) => 2,
            Self::Listen { .. } => 4,
            Self::Bucket(_) => 5,
            Self::DataFolder(_)
            | Self::Store(_)
            | Self::Embedded(_)
            | Self::BoardKey(_)
            | Self::Backup(_)
            | Self::TokenFile(_)
            | Self::Audit(_)
            | Self::Manual(_) => 8,
            Self::NoListener
            | Self::Oidc(_)
            | Self::ServeGrpc(_)
            | Self::ServeBoard(_)
            | Self::Task(_)
            | Self::System(_) => 1,
        }
    }
}
