//! Where the bytes live: an S3 endpoint, a bucket, and the keys to sign with.

use secrecy::{ExposeSecret as _, SecretString};

use crate::v1;

/// Where the bytes live and how to sign for them.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Absolute URL of the S3 endpoint; `None`: AWS' own for the region.
    pub endpoint: Option<String>,
    /// AWS region, also part of the signature at other endpoints.
    pub region: String,
    /// Name of the bucket.
    pub bucket: String,
    /// Address the bucket in the path rather than in the host name.
    pub force_path_style: bool,
    /// Keys issued by the coordinator; `None`: the AWS credentials of this machine.
    pub credentials: Option<S3Credentials>,
}

/// A key pair for one S3 endpoint.
#[derive(Debug, Clone)]
pub struct S3Credentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half; never logged.
    pub secret_access_key: SecretString,
}

/// A wire message that names no bucket or region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator named no {field} for its storage")]
pub struct IncompleteStorage {
    field: &'static str,
}

impl TryFrom<v1::Storage> for Storage {
    type Error = IncompleteStorage;

    fn try_from(wire: v1::Storage) -> Result<Self, IncompleteStorage> {
        let required = |value: String, field| {
            if value.is_empty() {
                Err(IncompleteStorage { field })
            } else {
                Ok(value)
            }
        };
        Ok(Self {
            endpoint: Some(wire.endpoint).filter(|endpoint| !endpoint.is_empty()),
            region: required(wire.region, "region")?,
            bucket: required(wire.bucket, "bucket")?,
            force_path_style: wire.force_path_style,
            credentials: wire.credentials.map(|keys| S3Credentials {
                access_key_id: keys.access_key_id,
                secret_access_key: keys.secret_access_key.into(),
            }),
        })
    }
}

impl From<&Storage> for v1::Storage {
    fn from(storage: &Storage) -> Self {
        Self {
            endpoint: storage.endpoint.clone().unwrap_or_default(),
            region: storage.region.clone(),
            bucket: storage.bucket.clone(),
            force_path_style: storage.force_path_style,
            credentials: storage.credentials.as_ref().map(|keys| v1::S3Credentials {
                access_key_id: keys.access_key_id.clone(),
                secret_access_key: keys.secret_access_key.expose_secret().to_owned(),
            }),
        }
    }
}
