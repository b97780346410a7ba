//! What goes wrong with a stack, told by what a person can do about it.

use std::error::Error;
use std::fmt;

use atelier_proto::prices::PricesError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};

use super::parameters::ParameterError;
use super::weights::WeightsError;
use crate::exit::Exit;

/// Why AWS did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// Nobody names a region.
    #[error("no region is named\nhint: say --region, as in eu-central-1, or set AWS_REGION")]
    NoRegion,
    /// There is nothing to sign with.
    #[error(
        "found no AWS credentials: {cause}\n\
         hint: set AWS_PROFILE after `aws configure` or `aws sso login`, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    NoCredentials {
        /// What the search for them says.
        cause: String,
    },
    /// They are not enough.
    #[error(
        "AWS refuses {call}: {problem}\nhint: check AWS_PROFILE and what its user or role may do"
    )]
    Forbidden {
        /// What was called.
        call: &'static str,
        /// What it says.
        problem: String,
    },
    /// It wants fewer calls.
    #[error("AWS wants fewer calls ({call})\nhint: try again in a while")]
    Throttled {
        /// What was called.
        call: &'static str,
    },
    /// Nobody answers.
    #[error(
        "cannot reach AWS for {call}: {cause}\nhint: check the network, and that the region is one"
    )]
    Unreachable {
        /// What was called.
        call: &'static str,
        /// What the system says.
        cause: String,
    },
    /// Anything else.
    #[error("AWS did not do {call}: {problem}")]
    Failed {
        /// What was called.
        call: &'static str,
        /// What it says.
        problem: String,
    },
    /// A value that the template does not take.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A file that holds no prices.
    #[error(transparent)]
    Prices(#[from] PricesError),
    /// Weights that cannot be had.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// There is none of this name.
    #[error(
        "there is no stack {name} in {region}\n\
         hint: `atelier cloud up {name}` makes one; --region says where another one is"
    )]
    NoStack {
        /// Its name.
        name: String,
        /// Where it should be.
        region: String,
    },
    /// It is somebody else's.
    #[error(
        "the stack {name} in {region} is no atelier: it has no tag `{}`\n\
         hint: choose another name; one that was made by hand from our template is updated and deleted by hand",
        super::stack::TAG
    )]
    Foreign {
        /// Its name.
        name: String,
        /// Where it is.
        region: String,
    },
    /// Something else is going on with it.
    #[error(
        "the stack {name} is in the middle of something ({status})\n\
         hint: wait until `atelier cloud status {name}` says otherwise"
    )]
    Busy {
        /// Its name.
        name: String,
        /// CloudFormation's word.
        status: String,
    },
    /// It can only be removed.
    #[error(
        "the stack {name} did not come about ({status}), and cannot be updated\n\
         hint: remove what is left with `atelier cloud down {name}`, then make it again"
    )]
    Unfinished {
        /// Its name.
        name: String,
        /// CloudFormation's word.
        status: String,
    },
    /// It can neither be changed nor does it go on by itself.
    #[error(
        "the stack {name} is stuck ({status})\n\
         hint: `aws cloudformation continue-update-rollback --stack-name {name}` may help it; \
         `atelier cloud down {name}` removes it"
    )]
    Stuck {
        /// Its name.
        name: String,
        /// CloudFormation's word.
        status: String,
    },
    /// An operation ended, and not well.
    #[error("the stack {name} was not {what} ({status}){}\nhint: {hint}", because(first.as_deref()))]
    NotDone {
        /// Its name.
        name: String,
        /// `made`, `changed` or `removed`.
        what: &'static str,
        /// CloudFormation's word.
        status: String,
        /// What failed before anything else did.
        first: Option<Box<FirstFailure>>,
        /// What to do.
        hint: String,
    },
    /// Somebody would lose work.
    #[error(
        "{grids} not ended at {coordinator}: {cells}\n\
         hint: wait, or cancel them; --even-if-grids-run removes the stack nonetheless, and what they lack is lost"
    )]
    GridsRun {
        /// How many.
        grids: String,
        /// Who says so.
        coordinator: String,
        /// What they lack.
        cells: String,
    },
    /// Nobody knows whether somebody would lose work.
    #[error(
        "cannot tell whether grids run: {problem}\n\
         hint: from where the coordinator can be reached it can be told; --even-if-grids-run removes the stack nonetheless"
    )]
    CannotTell {
        /// Why.
        problem: String,
    },
}

/// What failed before anything else did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstFailure {
    /// Its name in the template.
    pub resource: String,
    /// As in `AWS::EC2::Volume`.
    pub kind: String,
    /// What AWS says.
    pub reason: String,
}

impl fmt::Display for FirstFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.resource, self.kind, self.reason)
    }
}

fn because(first: Option<&FirstFailure>) -> String {
    first.map_or_else(String::new, |first| format!(": {first}"))
}

impl CloudError {
    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoRegion | Self::Parameter(_) | Self::Prices(_) => Exit::BadInput,
            Self::Weights(error) => error.exit(),
            Self::NoStack { .. } => Exit::NotFound,
            Self::Foreign { .. }
            | Self::Busy { .. }
            | Self::Unfinished { .. }
            | Self::Stuck { .. }
            | Self::GridsRun { .. }
            | Self::CannotTell { .. } => Exit::NotNow,
            Self::NoCredentials { .. }
            | Self::Forbidden { .. }
            | Self::Throttled { .. }
            | Self::Unreachable { .. }
            | Self::Failed { .. }
            | Self::NotDone { .. } => Exit::CloudFailed,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unreachable { .. })
    }

    /// The one mapping from what an SDK says to what we say.
    pub(super) fn of<E>(call: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let causes = || std::iter::successors(Some(error as &dyn Error), |&cause| cause.source());
        let root = || causes().last().map(ToString::to_string).unwrap_or_default();
        if causes().any(<dyn std::error::Error + 'static>::is::<CredentialsError>) {
            // The lines after the first list every place that was searched.
            let cause = root().lines().next().unwrap_or_default().to_owned();
            return Self::NoCredentials { cause };
        }
        match error {
            SdkError::TimeoutError(_) => Self::Unreachable {
                call,
                cause: "no answer in time".to_owned(),
            },
            SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => Self::Unreachable {
                call,
                cause: root(),
            },
            SdkError::ServiceError(service) => {
                let code = service.err().code().unwrap_or_default();
                let told = [service.err().message().unwrap_or_default(), code];
                let problem = told.iter().find(|words| !words.is_empty());
                // Proxies, and what is in trouble itself, say no more.
                let status = || format!("HTTP status {}", service.raw().status().as_u16());
                of_service(call, code, problem.map_or_else(status, |&it| it.to_owned()))
            }
            _ => Self::Failed {
                call,
                problem: root(),
            },
        }
    }
}

fn of_service(call: &'static str, code: &str, problem: String) -> CloudError {
    match code {
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "SlowDown" => {
            CloudError::Throttled { call }
        }
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidAccessKeyId"
        | "OptInRequired"
        | "ExpiredToken"
        | "ExpiredTokenException" => CloudError::Forbidden { call, problem },
        _ => CloudError::Failed { call, problem },
    }
}
