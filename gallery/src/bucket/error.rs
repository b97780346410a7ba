//! What goes wrong between us and a bucket, told by what a person can do about it.
//!
//! One exhaustive mapping from what the SDK and the service say; everybody else sees only [`BucketError`].

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use atelier_proto::connect::TlsFault;
use atelier_proto::pem::PemError;
use atelier_proto::signed::{Method, Wanted};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::place::{Place, WhoseKeys};

/// Why requests were not signed: whatever whoever signs says of it.
#[derive(Debug)]
pub struct SignError {
    cause: Box<dyn Error + Send + Sync>,
    is_passing: bool,
}

impl SignError {
    /// With its cause, and whether another try may succeed although nobody changes anything.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>, is_passing: bool) -> Self {
        let cause = cause.into();
        Self { cause, is_passing }
    }

    /// What whoever signs says.
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.cause
    }

    /// Whether another try may succeed although nobody changes anything.
    pub fn is_passing(&self) -> bool {
        self.is_passing
    }
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl Error for SignError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

/// Why a call to the bucket failed.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// No object has this key.
    #[error("there is no {key} in the bucket {bucket} at {endpoint}")]
    NotFound {
        /// The bucket.
        bucket: String,
        /// The S3 endpoint, URL.
        endpoint: String,
        /// What was asked for.
        key: String,
    },
    /// The endpoint answers, and has no such bucket.
    #[error(
        "there is no bucket {bucket} at {endpoint}\nhint: create it, or check its name and region"
    )]
    NoSuchBucket {
        /// The bucket.
        bucket: String,
        /// The S3 endpoint, URL.
        endpoint: String,
    },
    /// The object is longer than the caller takes.
    #[error("{key} has more than {bytes_max} bytes")]
    TooLarge {
        /// The object.
        key: String,
        /// What the caller takes.
        bytes_max: u64,
    },
    /// The object is not the one that was expected.
    #[error(
        "{key} has another SHA-256 than it should: {found} instead of {expected}\n\
         hint: try again; if it stays so, the object was changed"
    )]
    DigestMismatch {
        /// The object.
        key: String,
        /// SHA-256, hex.
        expected: String,
        /// SHA-256, hex.
        found: String,
    },
    /// A listing without end.
    #[error("more than {objects_max} objects start with {prefix}")]
    TooMany {
        /// What was listed.
        prefix: String,
        /// What is listed at most.
        objects_max: usize,
    },
    /// There is nothing to sign with.
    #[error(
        "found no AWS credentials for the bucket {bucket} at {endpoint}: {cause}\n\
         hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role"
    )]
    NoCredentials {
        /// The bucket.
        bucket: String,
        /// The S3 endpoint, URL.
        endpoint: String,
        /// What the search for credentials says.
        cause: String,
    },
    /// The file of authorities to trust cannot be used.
    #[error(transparent)]
    Authorities(#[from] PemError),
    /// Whoever has the keys did not sign.
    #[error(transparent)]
    NotSigned(#[from] SignError),
    /// There is nothing to send requests with.
    #[error("cannot make an HTTP client: {cause}")]
    Client {
        /// What the library says.
        cause: String,
    },
    /// The endpoint does not accept who we are, or what we may.
    #[error("{endpoint} refuses {whose} for the bucket {bucket} ({code})\nhint: {hint}")]
    Refused {
        /// The bucket.
        bucket: String,
        /// The S3 endpoint, URL.
        endpoint: String,
        /// The service's code, as in `SignatureDoesNotMatch`.
        code: String,
        /// What it refuses.
        whose: &'static str,
        /// What to check, by where the credentials are from.
        hint: &'static str,
    },
    /// The bucket lies in another region.
    #[error(
        "the bucket {bucket} is in another region than {region}\nhint: give the coordinator the bucket's own region"
    )]
    OtherRegion {
        /// The bucket.
        bucket: String,
        /// The one that was named.
        region: String,
    },
    /// Nobody answers.
    #[error(
        "cannot reach the S3 endpoint {endpoint}: {cause}\nhint: check that it runs and that this machine may connect to it"
    )]
    Unreachable {
        /// The S3 endpoint, URL.
        endpoint: String,
        /// What the system says.
        cause: String,
    },
    /// The endpoint answers that it cannot answer now.
    #[error(
        "the S3 endpoint {endpoint} is not able to answer now ({code})\nhint: try again in a while"
    )]
    Busy {
        /// The S3 endpoint, URL.
        endpoint: String,
        /// The service's code or HTTP status.
        code: String,
    },
    /// The disk behind the endpoint is full.
    #[error(
        "the S3 endpoint {endpoint} has no space left\nhint: free space on the disk where it keeps its objects"
    )]
    Full {
        /// The S3 endpoint, URL.
        endpoint: String,
    },
    /// The connection broke in the midst of an object.
    #[error("reading {key} from {endpoint} broke off: {cause}\nhint: try again")]
    BrokenOff {
        /// The S3 endpoint, URL.
        endpoint: String,
        /// The object.
        key: String,
        /// What the system says.
        cause: String,
    },
    /// The local file cannot be written.
    #[error("cannot write {}: {source}\nhint: {}", path.display(), write_hint(source))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Anything else, as the service or the SDK says it.
    #[error("the S3 endpoint {endpoint} did not {operation}: {cause}")]
    Other {
        /// The S3 endpoint, URL.
        endpoint: String,
        /// What was asked, as in `get grids/…/gallery.json`.
        operation: String,
        /// What was said.
        cause: String,
    },
}

fn write_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, or choose a folder on another disk"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that you may write to"
        }
        _ => "choose another folder, or move what is in the way",
    }
}

impl BucketError {
    /// Whether another try may succeed although nobody changes anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } | Self::BrokenOff { .. } => true,
            Self::NotSigned(error) => error.is_passing(),
            Self::NotFound { .. }
            | Self::NoSuchBucket { .. }
            | Self::TooLarge { .. }
            | Self::DigestMismatch { .. }
            | Self::TooMany { .. }
            | Self::Authorities(_)
            | Self::NoCredentials { .. }
            | Self::Client { .. }
            | Self::Refused { .. }
            | Self::OtherRegion { .. }
            | Self::Full { .. }
            | Self::Write { .. }
            | Self::Other { .. } => false,
        }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Write { path, source }
    }
}

/// What was asked of the service.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call<'a> {
    Check,
    Put(&'a str),
    Get(&'a str),
    Head(&'a str),
    Delete(&'a str),
    List(&'a str),
}

impl<'a> Call<'a> {
    /// What a request asks.
    pub(crate) fn of(wanted: &'a Wanted) -> Self {
        let key = wanted.key.as_str();
        match wanted.method {
            _ if key.is_empty() => Self::Check,
            Method::Get => Self::Get(key),
            Method::Head => Self::Head(key),
            Method::Put => Self::Put(key),
            Method::Delete => Self::Delete(key),
        }
    }

    pub(crate) fn describe(self) -> String {
        match self {
            Self::Check => "show the bucket".to_owned(),
            Self::Put(key) => format!("take {key}"),
            Self::Get(key) => format!("give {key}"),
            Self::Head(key) => format!("tell about {key}"),
            Self::Delete(key) => format!("remove {key}"),
            Self::List(prefix) => format!("list {prefix}"),
        }
    }
}

/// HTTP status of the answer, if there was one.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|answer| answer.status().as_u16())
}

/// The one mapping from what the SDK says to what we say.
pub(super) fn classify<E>(
    place: &Place,
    call: Call<'_>,
    error: &SdkError<E, HttpResponse>,
) -> BucketError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let endpoint = place.endpoint.clone();
    let bucket = place.bucket.clone();
    if let Some(cause) = find::<CredentialsError>(error) {
        // The lines after the first list every place that was searched.
        let cause = first_line(&root_cause(cause));
        return BucketError::NoCredentials {
            bucket,
            endpoint,
            cause,
        };
    }
    match error {
        SdkError::TimeoutError(_) => BucketError::Unreachable {
            endpoint,
            cause: "no answer in time".to_owned(),
        },
        SdkError::DispatchFailure(failure) if !failure.is_user() => BucketError::Unreachable {
            endpoint,
            cause: match TlsFault::in_causes(error) {
                Some(fault) => format!("{fault}; {}", fault.hint),
                None => root_cause(error),
            },
        },
        SdkError::ServiceError(service) => {
            let answer = Answer {
                status: service.raw().status().as_u16(),
                code: service.err().code(),
                message: service.err().message(),
            };
            of_service(place, call, answer)
        }
        _ => BucketError::Other {
            endpoint,
            operation: call.describe(),
            cause: root_cause(error),
        },
    }
}

/// What the service says of a failed call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// Absent where the answer has no body: HEAD, and proxies.
    pub(crate) code: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
}

/// Error codes: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
pub(crate) fn of_service(place: &Place, call: Call<'_>, answer: Answer<'_>) -> BucketError {
    let endpoint = place.endpoint.clone();
    let bucket = place.bucket.clone();
    let code = answer
        .code
        .map_or_else(|| format!("HTTP status {}", answer.status), str::to_owned);
    match (answer.status, answer.code.unwrap_or_default(), call) {
        (_, "NoSuchBucket", _) | (404, _, Call::Check | Call::Put(_) | Call::List(_)) => {
            BucketError::NoSuchBucket { bucket, endpoint }
        }
        (404, _, Call::Get(key) | Call::Head(key) | Call::Delete(key)) => BucketError::NotFound {
            bucket,
            endpoint,
            key: key.to_owned(),
        },
        (301 | 307, _, _)
        | (
            _,
            "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "PermanentRedirect",
            _,
        ) => BucketError::OtherRegion {
            bucket,
            region: place.region.clone(),
        },
        (401 | 403, _, _) | (_, "ExpiredToken" | "InvalidToken", _) => BucketError::Refused {
            bucket,
            endpoint,
            whose: match place.keys {
                WhoseKeys::ThisMachine | WhoseKeys::CoordinatorGiven => "these credentials",
                WhoseKeys::Signer => "what was signed",
            },
            hint: match (code.as_str(), place.keys) {
                ("RequestTimeTooSkewed", WhoseKeys::Signer) => {
                    "set the clock of the machine where the coordinator runs"
                }
                ("RequestTimeTooSkewed", _) => "set the clock of this machine",
                (_, WhoseKeys::ThisMachine) => {
                    "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and what they may do in this bucket"
                }
                (_, WhoseKeys::CoordinatorGiven) => {
                    "the coordinator gave them; check that it serves this endpoint itself, and start again"
                }
                (_, WhoseKeys::Signer) => {
                    "check what the credentials of the coordinator that signed may do in this bucket"
                }
            },
            code,
        },
        (507, _, _) | (_, "InsufficientStorage", _) => BucketError::Full { endpoint },
        (408 | 429 | 500..=599, _, _)
        | (
            _,
            "SlowDown" | "RequestTimeout" | "ConditionalRequestConflict" | "OperationAborted",
            _,
        ) => BucketError::Busy { endpoint, code },
        _ => BucketError::Other {
            endpoint,
            operation: call.describe(),
            cause: match answer.message {
                Some(message) => format!("{message} ({code})"),
                None => code,
            },
        },
    }
}

/// What the search for credentials says first.
pub(super) fn first_line(cause: &str) -> String {
    let first = cause.lines().next().unwrap_or_default();
    first.trim_end_matches(". Attempted:").to_owned()
}

/// The innermost text: what the system said, without the layers that carried it.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The cause of this type, at any depth.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
