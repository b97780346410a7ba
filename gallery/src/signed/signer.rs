//! Signs with keys of one's own: a coordinator's for nodes and clients, and this machine's for galleries that are named by their
//! place.
//!
//! AWS Signature Version 4 in the query:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use atelier_proto::clock::{Clock, Stopwatch};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningParams,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::{Mutex, OnceCell};

use super::{Content, Method, Sign, SignError, Signatures, SignedRequest, Wanted, checksum};
use crate::bucket::error::root_cause;
use crate::bucket::{Bucket, BucketError};

/// How long keys are used that nobody says an end of; a file of them may change.
const KEYS_AGE_MAX: Duration = Duration::from_mins(1);
/// Longest time that a signature may hold, by its definition.
pub const VALID_FOR_MAX: Duration = Duration::from_hours(7 * 24);
/// What stands as it is in the path of a URL that S3 has signed.
const PLAIN: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// Who has keys of its own. The time is a clock's; requests hold `usual` long where nobody says otherwise.
pub struct Signer {
    bucket: Bucket,
    provider: SharedCredentialsProvider,
    clock: Clock,
    usual: Duration,
    keys: Mutex<Option<(Credentials, Stopwatch)>>,
    /// URL of the bucket, without a slash at its end.
    base: OnceCell<String>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.bucket).finish()
    }
}

impl Signer {
    /// One who signs with the keys of a bucket, as whoever uses its requests reaches it.
    ///
    /// # Errors
    /// When there are no keys, and nowhere to look for some.
    pub fn new(bucket: Bucket, clock: Clock, usual: Duration) -> Result<Self, BucketError> {
        let provider = bucket.provider()?;
        Ok(Self {
            bucket,
            provider,
            clock,
            usual,
            keys: Mutex::default(),
            base: OnceCell::new(),
        })
    }

    /// Signs requests, in their order.
    ///
    /// # Errors
    /// When there are no keys to sign with, or a request cannot be one.
    pub async fn signatures(&self, wanted: &[Wanted]) -> Result<Signatures, BucketError> {
        let keys = self.keys().await?;
        let base = self
            .base
            .get_or_try_init(|| self.bucket.url())
            .await?
            .as_str();
        let now = self.clock.now();
        let end = keys.expiry();
        let end = end.and_then(|end| Timestamp::try_from(end).ok());
        let may_end_earlier = keys.session_token().is_some() && end.is_none();
        let identity = keys.into();
        let requests = wanted.iter().map(|wanted| {
            let valid_for = wanted.valid_for.unwrap_or(self.usual);
            let valid_for = valid_for.clamp(Duration::from_secs(1), VALID_FOR_MAX);
            let params = v4::SigningParams::builder()
                .identity(&identity)
                .region(self.bucket.region())
                .name("s3")
                .time(system_time(now))
                .settings(settings(valid_for))
                .build();
            let headers = wanted.content.as_ref().map(headers).unwrap_or_default();
            let mut url = url(base, &wanted.key);
            if wanted.method == Method::Get {
                url = format!("{url}?{}", checksum::ASKED_FOR);
            }
            let url = params
                .map_err(|error| Box::new(error) as Box<dyn Error + Send + Sync>)
                .and_then(|params| signed_url(&url, wanted.method, &headers, &params.into()))
                .map_err(|error| self.bucket.unsigned(wanted, &*error))?;
            let expires_at = later(now, valid_for);
            Ok(SignedRequest {
                method: wanted.method,
                url: url.into(),
                headers,
                expires_at: end.map_or(expires_at, |end| end.min(expires_at)),
            })
        });
        Ok(Signatures {
            requests: requests.collect::<Result<_, BucketError>>()?,
            now,
            bucket: self.bucket.name().to_owned(),
            region: self.bucket.region().to_owned(),
            may_end_earlier,
        })
    }

    /// The keys, asked for anew once a minute: they may be of a role, which gets others from time to time.
    async fn keys(&self) -> Result<Credentials, BucketError> {
        let mut kept = self.keys.lock().await;
        let now = system_time(self.clock.now());
        let has_ended = |keys: &Credentials| keys.expiry().is_some_and(|end| end <= now);
        if let Some((keys, since)) = &*kept
            && since.elapsed() < KEYS_AGE_MAX
            && !has_ended(keys)
        {
            return Ok(keys.clone());
        }
        match (self.provider.provide_credentials().await, &mut *kept) {
            (Ok(keys), kept) => {
                *kept = Some((keys.clone(), Stopwatch::start()));
                Ok(keys)
            }
            // They hold although nobody can say so now.
            (Err(_), Some((keys, since))) if !has_ended(keys) => {
                *since = Stopwatch::start();
                Ok(keys.clone())
            }
            (Err(error), _) => Err(self.bucket.without_credentials(&root_cause(&error))),
        }
    }
}

#[async_trait::async_trait]
impl Sign for Signer {
    async fn sign(&self, wanted: &[Wanted]) -> Result<Signatures, SignError> {
        let signatures = self.signatures(wanted).await;
        signatures.map_err(|error| {
            let is_passing = error.is_passing();
            SignError::new(error, is_passing)
        })
    }
}

/// The URL of a request with its signature.
fn signed_url(
    url: &str,
    method: Method,
    headers: &BTreeMap<String, String>,
    params: &SigningParams<'_>,
) -> Result<String, Box<dyn Error + Send + Sync>> {
    let pairs = headers.iter();
    let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
    // What is put is vouched for by its checksum, where that is known.
    let body = SignableBody::UnsignedPayload;
    let signable = SignableRequest::new(method.name(), url, pairs, body)?;
    let (instructions, _) = sign(signable, params)?.into_parts();
    let mut request = http::Request::builder().uri(url).body(())?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.uri().to_string())
}

fn system_time(time: Timestamp) -> SystemTime {
    SystemTime::try_from(time).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn settings(valid_for: Duration) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(valid_for);
    // As S3 has it, unlike all other services.
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

/// The URL of an object, or of the bucket.
fn url(base: &str, key: &str) -> String {
    if key.is_empty() {
        let (_, after_scheme) = base.split_once("://").unwrap_or_default();
        // A bucket in the host name has the root as its path.
        let root = if after_scheme.contains('/') { "" } else { "/" };
        return format!("{base}{root}");
    }
    format!("{base}/{}", utf8_percent_encode(key, &PLAIN))
}

/// What goes with a PUT, all of it signed.
fn headers(content: &Content) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    let mut set = |name: &str, value: String| headers.insert(name.to_owned(), value);
    set("content-type", content.content_type.clone());
    if content.if_absent {
        set("if-none-match", "*".to_owned());
    }
    if let Some(sha256) = &content.sha256 {
        let value = BASE64_STANDARD.encode(sha256.as_bytes());
        set("x-amz-checksum-sha256", value);
    }
    if let Some(bytes) = content.bytes {
        set("content-length", bytes.to_string());
    }
    if let Some(cache_control) = &content.cache_control {
        set("cache-control", cache_control.clone());
    }
    for (name, value) in &content.metadata {
        set(&format!("x-amz-meta-{name}"), value.clone());
    }
    headers
}

#[cfg(test)]
mod tests {
    use atelier_proto::storage::{S3Credentials, Storage};
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::signed::Right;

    /// The example of
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>.
    #[test]
    fn a_signature_is_as_aws_has_it() {
        let keys = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            None,
            None,
            "documentation",
        );
        let identity = keys.into();
        let time: Timestamp = "2013-05-24T00:00:00Z".parse().unwrap();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(system_time(time))
            .settings(settings(Duration::from_hours(24)))
            .build()
            .unwrap();
        let url = "https://examplebucket.s3.amazonaws.com/test.txt";
        let url = signed_url(url, Method::Get, &BTreeMap::new(), &params.into()).unwrap();
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert!(
            url.ends_with(&format!("X-Amz-Signature={signature}")),
            "{url}"
        );
    }

    async fn signer(bucket: &str, endpoint: Option<&str>) -> Signer {
        let storage = Storage {
            endpoint: endpoint.map(str::to_owned),
            region: "eu-central-1".to_owned(),
            bucket: bucket.to_owned(),
            force_path_style: endpoint.is_some(),
            credentials: Some(S3Credentials {
                access_key_id: "id".to_owned(),
                secret_access_key: "very secret".to_owned().into(),
            }),
        };
        let bucket = Bucket::connect(&storage).await.unwrap();
        Signer::new(bucket, Clock::system(), Duration::from_mins(5)).unwrap()
    }

    #[tokio::test]
    async fn a_request_leads_to_where_the_bucket_is() {
        let cases = [
            (
                "pictures",
                None,
                "https://pictures.s3.eu-central-1.amazonaws.com/",
            ),
            // A certificate for all names of one label has none for two.
            (
                "our.pictures",
                None,
                "https://s3.eu-central-1.amazonaws.com/our.pictures/",
            ),
            (
                "b",
                Some("http://127.0.0.1:7879"),
                "http://127.0.0.1:7879/b/",
            ),
        ];
        for (bucket, endpoint, base) in cases {
            let signer = signer(bucket, endpoint).await;
            let wanted = ["", "inputs/a", "a b/é?.jpg"]
                .map(|key| Wanted::new(Method::Head, key, Right::Own));
            let told = signer.signatures(&wanted).await.unwrap();
            let urls = told.requests.iter().map(|it| it.url.expose_secret());
            let urls = urls.map(|url| url.split('?').next().unwrap().to_owned());
            let root = if base.contains("://pictures.s3") {
                base
            } else {
                base.trim_end_matches('/')
            };
            let expected = [
                root.to_owned(),
                format!("{base}inputs/a"),
                format!("{base}a%20b/%C3%A9%3F.jpg"),
            ];
            assert_eq!(urls.collect::<Vec<_>>(), expected);
            assert!(!format!("{signer:?} {told:?}").contains("secret"));
        }
    }

    #[tokio::test]
    async fn all_that_is_said_of_what_is_put_is_signed() {
        let signer = signer("b", Some("http://127.0.0.1:1")).await;
        let mut wanted = Wanted::new(Method::Put, "a", Right::Own);
        wanted.content = Some(Content {
            if_absent: true,
            cache_control: Some("no-cache".to_owned()),
            ..Content::of_type("image/png")
                .of_bytes(atelier_proto::ids::Digest::of(b"x"), 1)
                .with_metadata(&[("loss", "0.5".to_owned())])
        });
        let told = signer.signatures(&[wanted]).await.unwrap();
        let request = &told.requests[0];
        let mut names: Vec<&str> = request.headers.keys().map(String::as_str).collect();
        names.push("host");
        names.sort_unstable();
        let names = format!("X-Amz-SignedHeaders={}&", names.join("%3B"));
        assert!(request.url.expose_secret().contains(&names), "{names}");
        let left = request.expires_at.duration_since(told.now);
        assert_eq!(left.as_secs(), 300);
    }
}
