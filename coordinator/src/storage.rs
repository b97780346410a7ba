//! Where this coordinator's bytes live: a bucket served from its own data folder, or one elsewhere.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use atelier_proto::clock::Clock;
use atelier_proto::storage::Storage;

use crate::credentials::{CredentialsError, load_or_make};
use crate::data_folder::DataFolder;
use crate::s3::{EmbeddedS3, REGION, S3Error};

/// Name of the embedded bucket.
pub const EMBEDDED_BUCKET: &str = "atelier";

/// Why the embedded endpoint cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Its keys.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Its objects.
    #[error(transparent)]
    Objects(#[from] S3Error),
}

/// The embedded endpoint, and the two ways to it.
#[derive(Debug)]
pub struct Embedded {
    /// What serves it.
    pub endpoint: EmbeddedS3,
    /// As nodes and clients reach it.
    pub public: Storage,
    /// As this process reaches it.
    pub local: Storage,
}

/// Opens the embedded bucket, to be served at `public_url`, and at the address `local` to this process alone.
pub async fn open_embedded(
    folder: &DataFolder,
    local: SocketAddr,
    public_url: String,
    clock: Clock,
) -> Result<Embedded, EmbeddedError> {
    let credentials = load_or_make(&folder.credentials())?;
    let storage = |endpoint| Storage {
        endpoint: Some(endpoint),
        region: REGION.to_owned(),
        bucket: EMBEDDED_BUCKET.to_owned(),
        force_path_style: true,
        credentials: Some(credentials.clone()),
    };
    let objects = folder.objects();
    let endpoint = EmbeddedS3::open(&objects, EMBEDDED_BUCKET, credentials.clone(), clock).await?;
    Ok(Embedded {
        endpoint,
        public: storage(public_url),
        local: storage(format!("http://{}", callable(local))),
    })
}

/// A bucket elsewhere, which this coordinator and operators reach with AWS credentials of their own.
pub fn external(bucket: String, region: String, endpoint: Option<String>) -> Storage {
    Storage {
        // What is not AWS seldom has a host name for each bucket.
        force_path_style: endpoint.is_some(),
        endpoint,
        region,
        bucket,
        credentials: None,
    }
}

/// The address by which this machine reaches what listens on all of them.
fn callable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}
