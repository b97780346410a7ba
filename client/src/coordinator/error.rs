//! A call to the coordinator that gave no answer, in words.

use std::error::Error as _;

use atelier_proto::connect::{AccessError, TlsFault, is_broken_off};
use tonic::{Code, Status};

use crate::exit::Exit;

/// Why a call to the coordinator gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The URL is none that a coordinator can have.
    #[error(
        "{url:?} is not the URL of a coordinator\n\
         hint: say --coordinator http://HOST:PORT, as in http://127.0.0.1:7878, or https://HOST with TLS"
    )]
    BadUrl {
        /// As it was given.
        url: String,
    },
    /// Nobody answers there.
    #[error(
        "cannot reach the coordinator at {url}: {cause}\nhint: {}",
        way_to(url, cause)
    )]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What the network says.
        cause: String,
    },
    /// There is no secure way to it.
    #[error("there is no secure connection to the coordinator at {url}: {fault}\nhint: {}", fault.hint)]
    Insecure {
        /// Where it should be.
        url: String,
        /// What TLS says, and what to do.
        fault: TlsFault,
    },
    /// What this client was told of whom to trust and who it is cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// It answers, and cannot do its work.
    #[error(
        "the coordinator at {url} cannot serve this now: {}",
        hinted(message, "try again in a moment")
    )]
    Unavailable {
        /// Where it is.
        url: String,
        /// Its own words.
        message: String,
    },
    /// It did not answer in time.
    #[error("the coordinator at {url} did not answer in time\nhint: try again in a moment")]
    TimedOut {
        /// Where it is.
        url: String,
    },
    /// It does not let this client in.
    #[error("the coordinator at {url} does not let this client in: {message}")]
    Denied {
        /// Where it is.
        url: String,
        /// Its own words.
        message: String,
    },
    /// What was asked for cannot be.
    #[error("the coordinator refused: {message}")]
    Refused {
        /// Its own words.
        message: String,
    },
    /// What was asked for cannot be as things stand.
    #[error("the coordinator refused: {message}")]
    NotNow {
        /// Its own words.
        message: String,
    },
    /// What was asked for does not exist there.
    #[error(
        "{}",
        hinted(message, &format!("`atelier {shown_by}` shows what there is at {url}"))
    )]
    NotFound {
        /// Where it is.
        url: String,
        /// Its own words.
        message: String,
        /// The command that lists such things.
        shown_by: &'static str,
    },
    /// It does not know the call, or is no coordinator at all.
    #[error(
        "what answers at {url} is no coordinator of this version: {message}\n\
         hint: check --coordinator, and that client and coordinator are of one version"
    )]
    Unimplemented {
        /// Where it is.
        url: String,
        /// Its own words.
        message: String,
    },
    /// The coordinator itself has failed.
    #[error("the coordinator at {url} failed: {message}")]
    Failed {
        /// Where it is.
        url: String,
        /// Its own words.
        message: String,
    },
}

/// What to do about a coordinator that does not answer.
fn way_to(url: &str, cause: &str) -> &'static str {
    if cause.contains("lookup") {
        return "no machine has that name; check --coordinator";
    }
    // What a server of HTTP/1.1 makes of gRPC.
    if cause.contains("broken pipe") {
        return "it was broken off; is that the port of gRPC, mostly 7878? The board and S3 have ports of their own";
    }
    let is_here = url
        .split(',')
        .filter_map(|url| url::Url::parse(url.trim()).ok())
        .any(|url| match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        });
    if is_here {
        "start one with `atelier local`, or name another with --coordinator"
    } else {
        "does it run there, and may this machine connect to its port? `atelier doctor` looks further"
    }
}

/// The message with its own hint, or else with this one.
fn hinted(message: &str, hint: &str) -> String {
    if message.contains("\nhint:") {
        message.to_owned()
    } else {
        format!("{message}\nhint: {hint}")
    }
}

impl RpcError {
    /// The error for a status.
    pub(super) fn new(url: &str, status: &Status) -> Self {
        let url = url.to_owned();
        let message = status.message().to_owned();
        if let Some(fault) = TlsFault::of(status) {
            let fault = fault.clone();
            return Self::Insecure { url, fault };
        }
        match status.code() {
            _ if is_broken_off(status) => Self::Unreachable {
                url,
                cause: deepest_cause(status),
            },
            Code::Unavailable | Code::ResourceExhausted => Self::Unavailable { url, message },
            Code::DeadlineExceeded | Code::Cancelled => Self::TimedOut { url },
            Code::Unauthenticated | Code::PermissionDenied => Self::Denied { url, message },
            Code::InvalidArgument => Self::Refused { message },
            Code::NotFound => Self::NotFound {
                url,
                message,
                shown_by: "list",
            },
            Code::FailedPrecondition | Code::AlreadyExists => Self::NotNow { message },
            Code::Unimplemented => Self::Unimplemented { url, message },
            Code::Ok
            | Code::Unknown
            | Code::Aborted
            | Code::OutOfRange
            | Code::Internal
            | Code::DataLoss => Self::Failed { url, message },
        }
    }

    /// The error for a coordinator to which there is no way.
    pub(super) fn access(error: AccessError) -> Self {
        match error {
            AccessError::BadUrl(url) => Self::BadUrl { url },
            other => Self::Access(other),
        }
    }

    /// The same error of a call about a node.
    pub(super) fn of_nodes(self) -> Self {
        match self {
            Self::NotFound { url, message, .. } => Self::NotFound {
                url,
                message,
                shown_by: "nodes",
            },
            other => other,
        }
    }

    /// The same error of a call about a token.
    pub(super) fn of_tokens(self) -> Self {
        match self {
            Self::NotFound { url, message, .. } => Self::NotFound {
                url,
                message,
                shown_by: "tokens list --all",
            },
            other => other,
        }
    }

    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::BadUrl { .. } | Self::Access(_) | Self::Refused { .. } => Exit::BadInput,
            Self::NotFound { .. } => Exit::NotFound,
            Self::NotNow { .. } => Exit::NotNow,
            Self::Unreachable { .. }
            | Self::Insecure { .. }
            | Self::Unavailable { .. }
            | Self::TimedOut { .. }
            | Self::Denied { .. }
            | Self::Unimplemented { .. } => Exit::CoordinatorUnavailable,
            Self::Failed { .. } => Exit::Unexpected,
        }
    }

    /// Whether a stream that broke so may be taken up again. Wider than what makes a call be sent again,
    /// since to watch changes nothing.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Unavailable { .. }
            | Self::TimedOut { .. }
            | Self::Failed { .. } => true,
            Self::BadUrl { .. }
            | Self::Access(_)
            | Self::Insecure { .. }
            | Self::Denied { .. }
            | Self::Refused { .. }
            | Self::NotNow { .. }
            | Self::NotFound { .. }
            | Self::Unimplemented { .. } => false,
        }
    }
}

/// The innermost text: "Connection refused" says more than "transport error".
fn deepest_cause(status: &Status) -> String {
    let causes = std::iter::successors(status.source(), |&cause| cause.source());
    let deepest = causes.last().map(ToString::to_string);
    deepest.unwrap_or_else(|| status.message().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_told_with_what_there_is_to_do_about_it() {
        let told = |url: &str, cause: &str| {
            let (url, cause) = (url.to_owned(), cause.to_owned());
            RpcError::Unreachable { url, cause }.to_string()
        };
        let refused = "Connection refused (os error 111)";
        assert!(told("http://127.0.0.1:7878", refused).contains("`atelier local`"));
        assert!(told("http://[::1]:7878", refused).contains("`atelier local`"));
        let far = told("https://studio.lan:7878", refused);
        assert!(far.contains("`atelier doctor`"), "{far}");
        let name = "failed to lookup address information: Name or service not known";
        assert!(told("http://studoi:7878", name).contains("no machine has that name"));
        let board = "stream closed because of a broken pipe";
        assert!(told("http://127.0.0.1:7880", board).contains("the port of gRPC"));
    }

    #[test]
    fn the_coordinators_own_hint_comes_before_ours() {
        let url = "http://a:1";
        let plain = RpcError::new(url, &Status::resource_exhausted("too many open cells"));
        assert!(
            plain
                .to_string()
                .ends_with("open cells\nhint: try again in a moment")
        );
        let own = Status::not_found("no such grid\nhint: ask ann");
        let own = RpcError::new(url, &own).to_string();
        assert_eq!(own, "no such grid\nhint: ask ann");
    }
}
