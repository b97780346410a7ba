//! The only S3 client: put-if-absent, bounded reads, deletes, downloads that leave nothing half-made.
//!
//! It knows endpoints, keys and bytes; what the bytes mean is the business of its callers.

mod download;
mod error;
mod trust;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::ids::Digest;
use atelier_proto::storage::Storage;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, Credentials, Region};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::DateTime;
use bytes::Bytes;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

pub use self::error::BucketError;
use self::error::{Call, classify, root_cause, status};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one attempt at a call may take until its answer starts, besides [`UPLOAD_BYTES_PER_SECOND_MIN`].
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);
/// An upload that is slower than this may time out.
const UPLOAD_BYTES_PER_SECOND_MIN: u64 = 64 << 10;
/// Attempts that the SDK makes at one call.
const ATTEMPTS_MAX: u32 = 3;
/// Attempts at a conditional put while others write the same key.
const CONFLICT_ATTEMPTS_MAX: u32 = 6;
/// Wait after the first such conflict; it doubles with each.
const CONFLICT_WAIT: Duration = Duration::from_millis(50);
/// Longest listing, objects.
const LISTED_OBJECTS_MAX: usize = 1_000_000;

/// A bucket at an S3 endpoint, with what is needed to sign for it. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    client: Client,
    /// Who signs, if that is not known beforehand.
    signer: Option<SharedCredentialsProvider>,
    place: Arc<Place>,
}

/// Where a bucket is, for calls and for errors.
#[derive(Debug)]
struct Place {
    bucket: String,
    /// URL.
    endpoint: String,
    region: String,
    /// From this machine's own AWS configuration rather than from the coordinator.
    credentials_are_ours: bool,
}

/// What became of a [`Bucket::put_if_absent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// These bytes are the object now.
    Created,
    /// An object was there; it stays as it is.
    AlreadyThere,
}

/// An object without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its length.
    pub bytes: u64,
    /// When it was put, as far as the server says so.
    pub put_at: Option<Timestamp>,
}

/// The credentials of a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SignedBy {
    /// They are of a session, and end with it.
    pub are_temporary: bool,
    /// When they end, if that is told.
    pub end_at: Option<Timestamp>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.place).finish()
    }
}

impl Bucket {
    /// A client for the bucket. Nothing is asked of it yet; without keys in `storage`, the AWS credentials of this
    /// machine are looked for.
    ///
    /// # Errors
    /// None today: what is wrong with where it is shows at the first call.
    pub async fn connect(storage: &Storage) -> Result<Self, BucketError> {
        Self::connect_trusting(storage, None).await
    }

    /// The same for an endpoint whose certificate may be of the authorities in this PEM file, if not of the system's.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub async fn connect_trusting(
        storage: &Storage,
        authorities: Option<&Path>,
    ) -> Result<Self, BucketError> {
        let region = Region::new(storage.region.clone());
        let mut signer = None;
        let mut config = if let Some(keys) = &storage.credentials {
            Builder::new()
                .behavior_version_latest()
                .credentials_provider(Credentials::new(
                    &keys.access_key_id,
                    keys.secret_access_key.expose_secret(),
                    None,
                    None,
                    "coordinator",
                ))
        } else {
            let defaults = aws_config::defaults(aws_config::BehaviorVersion::latest());
            let defaults = defaults.region(region.clone()).load().await;
            signer = defaults.credentials_provider();
            Builder::from(&defaults)
        };
        config = config
            .region(region)
            .force_path_style(storage.force_path_style)
            .timeout_config(timeouts(0))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX));
        if let Some(endpoint) = &storage.endpoint {
            config = config.endpoint_url(endpoint);
        }
        if let Some(authorities) = authorities {
            config = config.http_client(trust::client(authorities)?);
        }
        let endpoint = storage
            .endpoint
            .clone()
            .unwrap_or_else(|| format!("https://s3.{}.amazonaws.com", storage.region));
        Ok(Self {
            client: Client::from_conf(config.build()),
            signer,
            place: Arc::new(Place {
                bucket: storage.bucket.clone(),
                endpoint,
                region: storage.region.clone(),
                credentials_are_ours: storage.credentials.is_none(),
            }),
        })
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.place.bucket
    }

    /// Whether the endpoint can be reached, accepts the credentials and has the bucket.
    pub async fn check(&self) -> Result<(), BucketError> {
        let call = self.client.head_bucket().bucket(self.name());
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(classify(&self.place, Call::Check, &error)),
        }
    }

    /// Puts an object unless one is there. Of several writers at once, exactly one creates it.
    ///
    /// `metadata` travels with the object; bytes of its values that are not visible ASCII become `?`.
    pub async fn put_if_absent(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &str,
        metadata: &[(&str, String)],
    ) -> Result<PutOutcome, BucketError> {
        let mut wait = CONFLICT_WAIT;
        let mut attempt = 1;
        loop {
            let mut call = self
                .client
                .put_object()
                .bucket(self.name())
                .key(key)
                .if_none_match("*")
                .content_type(content_type);
            for (name, value) in metadata {
                call = call.metadata(*name, header_value(value));
            }
            let timeouts = Builder::new().timeout_config(timeouts(bytes.len() as u64));
            let sent = call
                .body(bytes.clone().into())
                .customize()
                .config_override(timeouts)
                .send()
                .await;
            let Err(error) = sent else {
                return Ok(PutOutcome::Created);
            };
            match status(&error) {
                Some(412) => return Ok(PutOutcome::AlreadyThere),
                // Another writer is at it; the service wants to be asked again.
                Some(409) if attempt < CONFLICT_ATTEMPTS_MAX => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                    attempt += 1;
                }
                _ => return Err(classify(&self.place, Call::Put(key), &error)),
            }
        }
    }

    /// Puts an object in the place of whatever is there.
    pub async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &str,
        cache_control: Option<&str>,
    ) -> Result<(), BucketError> {
        let timeouts = Builder::new().timeout_config(timeouts(bytes.len() as u64));
        let call = self
            .client
            .put_object()
            .bucket(self.name())
            .key(key)
            .content_type(content_type)
            .set_cache_control(cache_control.map(str::to_owned))
            .body(bytes.into());
        match call.customize().config_override(timeouts).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(classify(&self.place, Call::Put(key), &error)),
        }
    }

    /// An object of at most `bytes_max` bytes.
    pub async fn get(&self, key: &str, bytes_max: u64) -> Result<Vec<u8>, BucketError> {
        let (bytes, _) = self.get_with_metadata(key, bytes_max).await?;
        Ok(bytes)
    }

    /// An object of at most `bytes_max` bytes, and what travelled with it.
    pub async fn get_with_metadata(
        &self,
        key: &str,
        bytes_max: u64,
    ) -> Result<(Vec<u8>, BTreeMap<String, String>), BucketError> {
        let mut answer = self.start_get(key).await?;
        let too_large = || BucketError::TooLarge {
            key: key.to_owned(),
            bytes_max,
        };
        let announced = answer.content_length().unwrap_or_default();
        let announced = u64::try_from(announced).unwrap_or_default();
        if announced > bytes_max {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(announced as usize);
        while let Some(part) = self.next_part(key, &mut answer).await? {
            if (bytes.len() + part.len()) as u64 > bytes_max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&part);
        }
        let metadata = answer.metadata.unwrap_or_default().into_iter().collect();
        Ok((bytes, metadata))
    }

    /// The object's length, or `None` if there is no such object.
    pub async fn head(&self, key: &str) -> Result<Option<Object>, BucketError> {
        let call = self.client.head_object().bucket(self.name()).key(key);
        match call.send().await {
            Ok(answer) => Ok(Some(object(
                key,
                answer.content_length(),
                answer.last_modified(),
            ))),
            Err(error) => match classify(&self.place, Call::Head(key), &error) {
                BucketError::NotFound { .. } => Ok(None),
                other => Err(other),
            },
        }
    }

    /// Removes an object; one that is not there is as good as removed.
    pub async fn delete(&self, key: &str) -> Result<(), BucketError> {
        let call = self.client.delete_object().bucket(self.name()).key(key);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => match classify(&self.place, Call::Delete(key), &error) {
                // Some servers say so instead of nothing.
                BucketError::NotFound { .. } => Ok(()),
                other => Err(other),
            },
        }
    }

    /// Every object whose key starts with `prefix`, ascending by key.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Object>, BucketError> {
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(self.name())
            .prefix(prefix)
            .into_paginator()
            .send();
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify(&self.place, Call::List(prefix), &error))?;
            objects.extend(page.contents().iter().map(|listed| {
                let key = listed.key().unwrap_or_default();
                object(key, listed.size(), listed.last_modified())
            }));
            if objects.len() > LISTED_OBJECTS_MAX {
                return Err(BucketError::TooMany {
                    prefix: prefix.to_owned(),
                    objects_max: LISTED_OBJECTS_MAX,
                });
            }
        }
        // S3 lists by the bytes of the keys; not every server does.
        objects.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(objects)
    }

    /// Brings an object into a file. The file appears whole, with the `expected` SHA-256 if one is given, or not at
    /// all; folders on its way are made.
    pub async fn download(
        &self,
        key: &str,
        path: &Path,
        expected: Option<Digest>,
    ) -> Result<(), BucketError> {
        download::download(self, key, path, expected).await
    }

    /// A link with which anybody may read an object until `expires` has passed, a week at most. It ends earlier where the
    /// credentials that sign it do; see [`Bucket::credentials`].
    pub async fn presign(&self, key: &str, expires: Duration) -> Result<String, BucketError> {
        let failed = |cause: String| BucketError::Other {
            endpoint: self.place.endpoint.clone(),
            operation: Call::Get(key).describe(),
            cause,
        };
        let config = PresigningConfig::expires_in(expires);
        let config = config.map_err(|error| failed(error.to_string()))?;
        let call = self.client.get_object().bucket(self.name()).key(key);
        match call.presigned(config).await {
            Ok(request) => Ok(request.uri().to_owned()),
            Err(error) => Err(classify(&self.place, Call::Get(key), &error)),
        }
    }

    /// What is known of the credentials that sign here.
    pub async fn credentials(&self) -> Result<SignedBy, BucketError> {
        let none = |cause: String| BucketError::NoCredentials {
            bucket: self.place.bucket.clone(),
            endpoint: self.place.endpoint.clone(),
            cause,
        };
        // Those that a coordinator gives are the same for ever.
        let Some(signer) = &self.signer else {
            return Ok(SignedBy::default());
        };
        let credentials = signer.provide_credentials().await;
        let credentials = credentials.map_err(|error| none(root_cause(&error)))?;
        let end = credentials.expiry();
        Ok(SignedBy {
            are_temporary: credentials.session_token().is_some(),
            end_at: end.and_then(|end| Timestamp::try_from(end).ok()),
        })
    }

    async fn start_get(&self, key: &str) -> Result<GetObjectOutput, BucketError> {
        let call = self.client.get_object().bucket(self.name()).key(key);
        call.send()
            .await
            .map_err(|error| classify(&self.place, Call::Get(key), &error))
    }

    async fn next_part(
        &self,
        key: &str,
        answer: &mut GetObjectOutput,
    ) -> Result<Option<Bytes>, BucketError> {
        answer
            .body
            .try_next()
            .await
            .map_err(|error| BucketError::BrokenOff {
                endpoint: self.place.endpoint.clone(),
                key: key.to_owned(),
                cause: root_cause(&error),
            })
    }
}

/// Time-outs of a call that sends this many bytes.
fn timeouts(sent_bytes: u64) -> TimeoutConfig {
    let upload = Duration::from_secs(sent_bytes / UPLOAD_BYTES_PER_SECOND_MIN);
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT + upload)
        .build()
}

fn object(key: &str, length: Option<i64>, put_at: Option<&DateTime>) -> Object {
    Object {
        key: key.to_owned(),
        bytes: u64::try_from(length.unwrap_or_default()).unwrap_or_default(),
        put_at: put_at.and_then(|time| Timestamp::from_second(time.secs()).ok()),
    }
}

/// A text as it may stand in an HTTP header.
fn header_value(text: &str) -> String {
    let visible = |character: char| character == ' ' || character.is_ascii_graphic();
    text.chars()
        .map(|character| if visible(character) { character } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests;
