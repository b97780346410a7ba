//! A call to the coordinator that gave no answer, in words.

use std::error::Error as _;

use tonic::{Code, Status};

use crate::exit::Exit;

/// Why a call to the coordinator gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The URL is none that a coordinator can have.
    #[error(
        "{url:?} is not the URL of a coordinator\n\
         hint: say --coordinator http://HOST:PORT, as in http://127.0.0.1:7878"
    )]
    BadUrl {
        /// As it was given.
        url: String,
    },
    /// Nobody answers there.
    #[error(
        "cannot reach the coordinator at {url}: {cause}\n\
         hint: start one with `atelier local`, or name another with --coordinator"
    )]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What the network says.
        cause: String,
    },
    /// It answers, and cannot do its work.
    #[error(
        "the coordinator at {url} cannot serve this now: {message}\nhint: try again in a moment"
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
    /// What was asked for does not exist there.
    #[error("{message}\nhint: `atelier list` shows the grids at {url}")]
    NotFound {
        /// Where it is.
        url: String,
        /// Its own words.
        message: String,
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
    /// As things stand it cannot be done, or the coordinator itself has failed.
    #[error("the coordinator at {url} failed: {message}")]
    Failed {
        /// Where it is.
        url: String,
        /// Its own words.
        message: String,
    },
}

impl RpcError {
    /// The error for a status.
    pub(super) fn new(url: &str, status: &Status) -> Self {
        let url = url.to_owned();
        let message = status.message().to_owned();
        match status.code() {
            // A status that never was on the wire carries what broke as its source.
            Code::Unavailable | Code::Unknown if status.source().is_some() => Self::Unreachable {
                url,
                cause: deepest_cause(status),
            },
            Code::Unavailable | Code::ResourceExhausted => Self::Unavailable { url, message },
            Code::DeadlineExceeded | Code::Cancelled => Self::TimedOut { url },
            Code::Unauthenticated | Code::PermissionDenied => Self::Denied { url, message },
            Code::InvalidArgument => Self::Refused { message },
            Code::NotFound => Self::NotFound { url, message },
            Code::Unimplemented => Self::Unimplemented { url, message },
            Code::Ok
            | Code::Unknown
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Internal
            | Code::DataLoss => Self::Failed { url, message },
        }
    }

    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::BadUrl { .. } | Self::Refused { .. } => Exit::BadInput,
            Self::NotFound { .. } => Exit::NoSuchGrid,
            Self::Unreachable { .. }
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
            | Self::Denied { .. }
            | Self::Refused { .. }
            | Self::NotFound { .. }
            | Self::Unimplemented { .. } => false,
        }
    }
}

/// The innermost text: "Connection refused" says more than "transport error".
fn deepest_cause(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}
