//! The S3 client of those who have keys: coordinators, and operators who audit. It puts, reads within bounds, lists and deletes.
//! Everybody else has requests signed ([`crate::signed`]).
//!
//! It knows endpoints, keys and bytes; what the bytes mean is the business of its callers.

pub(crate) mod error;
mod place;
mod trust;

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::signed::{Wanted, header_value};
use atelier_proto::storage::Storage;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, Credentials, Region};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types;
use bytes::Bytes;
use futures::stream::{self, Stream, TryStreamExt as _};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

pub use self::error::{BucketError, SignError};
use self::error::{Call, classify, first_line, root_cause, status};
pub(crate) use self::place::Place;
use self::place::WhoseKeys;

/// How long a connection may take to be made.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one attempt at a call may take until its answer starts, besides [`UPLOAD_BYTES_PER_SECOND_MIN`].
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);
/// An upload that is slower than this may time out.
pub(crate) const UPLOAD_BYTES_PER_SECOND_MIN: u64 = 64 << 10;
/// Attempts at one call.
pub(crate) const ATTEMPTS_MAX: u32 = 3;
/// Attempts at a conditional put while others write the same key.
pub(crate) const CONFLICT_ATTEMPTS_MAX: u32 = 6;
/// Wait after the first such conflict; it doubles with each.
const CONFLICT_WAIT: Duration = Duration::from_millis(50);
/// Longest listing, objects.
const LISTED_OBJECTS_MAX: usize = 1_000_000;

/// A bucket at an S3 endpoint, with what is needed to sign for it. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    client: Client,
    /// Who has the keys; none where nowhere is one looked for.
    provider: Option<SharedCredentialsProvider>,
    place: Arc<Place>,
}

/// An object on its way here.
#[derive(Debug)]
pub struct Incoming<P> {
    /// Its bytes; 0 where the bucket announced none.
    pub length: u64,
    /// Its parts, in order.
    pub parts: P,
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
        let (mut config, provider) = if let Some(keys) = &storage.credentials {
            let keys = SharedCredentialsProvider::new(Credentials::new(
                &keys.access_key_id,
                keys.secret_access_key.expose_secret(),
                None,
                None,
                "coordinator",
            ));
            let config = Builder::new().behavior_version_latest();
            (config.credentials_provider(keys.clone()), Some(keys))
        } else {
            let defaults = aws_config::defaults(aws_config::BehaviorVersion::latest());
            let defaults = defaults.region(region.clone()).load().await;
            (Builder::from(&defaults), defaults.credentials_provider())
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
            provider,
            place: Arc::new(Place {
                bucket: storage.bucket.clone(),
                endpoint,
                region: storage.region.clone(),
                keys: match storage.credentials {
                    Some(_) => WhoseKeys::CoordinatorGiven,
                    None => WhoseKeys::ThisMachine,
                },
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
        let incoming = self.stream(key, bytes_max).await?;
        let mut bytes = Vec::with_capacity(incoming.length as usize);
        let mut parts = pin!(incoming.parts);
        while let Some(part) = parts.try_next().await? {
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }

    /// An object of at most `bytes_max` bytes, in parts as they come. Where the bucket announced no length, one that is larger
    /// ends in [`BucketError::TooLarge`].
    pub async fn stream(
        &self,
        key: &str,
        bytes_max: u64,
    ) -> Result<Incoming<impl Stream<Item = Result<Bytes, BucketError>> + Send + use<>>, BucketError>
    {
        let call = self.client.get_object().bucket(self.name()).key(key);
        let answer = call.send().await;
        let answer = answer.map_err(|error| classify(&self.place, Call::Get(key), &error))?;
        let length = answer.content_length().unwrap_or_default();
        let length = u64::try_from(length).unwrap_or_default();
        let key = key.to_owned();
        if length > bytes_max {
            return Err(BucketError::TooLarge { key, bytes_max });
        }
        let place = Arc::clone(&self.place);
        let parts = stream::try_unfold((answer.body, 0), move |(mut body, read)| {
            let (place, key) = (Arc::clone(&place), key.clone());
            async move {
                let Some(part) = body.next().await else {
                    return Ok(None);
                };
                let part = part.map_err(|error| BucketError::BrokenOff {
                    endpoint: place.endpoint.clone(),
                    key: key.clone(),
                    cause: root_cause(&error),
                })?;
                let read = read + part.len() as u64;
                if read > bytes_max {
                    return Err(BucketError::TooLarge { key, bytes_max });
                }
                Ok(Some((part, (body, read))))
            }
        });
        Ok(Incoming { length, parts })
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
            objects.extend(page.contents().iter().map(listed));
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

    /// At most `objects_max` objects, 1000 at most, whose key starts with `prefix` and comes after `after`, by the bytes of the
    /// keys, and whether there are more.
    pub async fn page(
        &self,
        prefix: &str,
        after: &str,
        objects_max: u32,
    ) -> Result<(Vec<Object>, bool), BucketError> {
        let call = self
            .client
            .list_objects_v2()
            .bucket(self.name())
            .prefix(prefix)
            .set_start_after(Some(after.to_owned()).filter(|after| !after.is_empty()))
            .max_keys(objects_max.cast_signed());
        let page = call.send().await;
        let page = page.map_err(|error| classify(&self.place, Call::List(prefix), &error))?;
        let objects = page.contents().iter().map(listed).collect();
        Ok((objects, page.is_truncated().unwrap_or_default()))
    }

    /// The region, also where it is only part of signatures.
    pub(crate) fn region(&self) -> &str {
        &self.place.region
    }

    /// Who has the keys.
    pub(crate) fn provider(&self) -> Result<SharedCredentialsProvider, BucketError> {
        let none = || self.without_credentials("nowhere to look for some");
        self.provider.clone().ok_or_else(none)
    }

    /// The URL of the bucket, as the SDK makes it of endpoint, region and name, without a slash at its end.
    pub(crate) async fn url(&self) -> Result<String, BucketError> {
        const PROBE: &str = "probe";
        let failed = |cause: String| BucketError::Other {
            endpoint: self.place.endpoint.clone(),
            operation: Call::Check.describe(),
            cause,
        };
        let config = PresigningConfig::expires_in(Duration::from_mins(1));
        let config = config.map_err(|error| failed(error.to_string()))?;
        let call = self.client.get_object().bucket(self.name()).key(PROBE);
        let request = match call.presigned(config).await {
            Ok(request) => request,
            Err(error) => return Err(classify(&self.place, Call::Check, &error)),
        };
        let (url, _) = request.uri().split_once('?').unwrap_or_default();
        let base = url.strip_suffix(PROBE).and_then(|it| it.strip_suffix('/'));
        let strange = || failed("its URLs are not as they should be".to_owned());
        Ok(base.ok_or_else(strange)?.to_owned())
    }

    /// There is nothing to sign with.
    pub(crate) fn without_credentials(&self, cause: &str) -> BucketError {
        BucketError::NoCredentials {
            bucket: self.place.bucket.clone(),
            endpoint: self.place.endpoint.clone(),
            // The lines after the first list every place that was searched.
            cause: first_line(cause),
        }
    }

    /// A request that cannot be signed.
    pub(crate) fn unsigned(&self, wanted: &Wanted, error: &(dyn Error + 'static)) -> BucketError {
        BucketError::Other {
            endpoint: self.place.endpoint.clone(),
            operation: Call::of(wanted).describe(),
            cause: root_cause(error),
        }
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

fn listed(listed: &types::Object) -> Object {
    let key = listed.key().unwrap_or_default();
    object(key, listed.size(), listed.last_modified())
}

fn object(key: &str, length: Option<i64>, put_at: Option<&DateTime>) -> Object {
    Object {
        key: key.to_owned(),
        bytes: u64::try_from(length.unwrap_or_default()).unwrap_or_default(),
        put_at: put_at.and_then(|time| Timestamp::from_second(time.secs()).ok()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
