//! Errors as gRPC statuses: one exhaustive mapping.
//!
//! | what happened | code |
//! |---|---|
//! | a field is wrong | `InvalidArgument`, with its path |
//! | it is not known who calls, or the call is not for them | `Unauthenticated` and `PermissionDenied`, by [`super::admission`] |
//! | a node or a name of somebody else | `PermissionDenied` |
//! | there is no such grid, cell, node or token | `NotFound` |
//! | a request id with other content | `AlreadyExists` |
//! | the attempt no longer holds the cell | `Aborted` |
//! | the cell or the grid has ended or not ended, an input is not in the bucket | `FailedPrecondition` |
//! | a request to the bucket is not for whoever asks | `PermissionDenied` |
//! | a submitter has too many cells, or too much is asked for at once | `ResourceExhausted`, with when to come again where that helps |
//! | the store or the bucket is down, two writers met, the coordinator ends, or what was sent is not read | `Unavailable`: the same call may succeed later |
//! | anything else | `Internal`, told to the log and not to the caller |

use std::time::Duration;

use atelier_gallery::bucket::BucketError;
use atelier_proto::retry;
use tokio::task::JoinError;
use tonic::{Code, Status};

use crate::dispatch::NotGiven;
use crate::domain::access::ForeignSubmitter;
use crate::domain::cell::Refusal;
use crate::domain::field::InvalidField;
use crate::domain::rights::Denied;
use crate::limits::Exceeded;
use crate::store::{Rejection, StoreError};
use crate::submissions::SubmissionError;

/// Why a call brings no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RpcError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error(transparent)]
    InputMissing(Box<SubmissionError>),
    #[error("the coordinator cannot look into the bucket: {0}")]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Limited(#[from] Exceeded),
    #[error(
        "what was sent was not read for {0:?}\nhint: go on from the last sequence number that was read"
    )]
    NotRead(Duration),
    #[error("the coordinator is shutting down")]
    ShuttingDown,
    #[error(transparent)]
    ForeignSubmitter(#[from] ForeignSubmitter),
    #[error("no random numbers for a token: {0}")]
    Random(getrandom::Error),
    #[error("nobody has looked who calls")]
    NotAdmitted,
    #[error("the answer was not made: {0}")]
    NotMade(#[from] JoinError),
}

impl RpcError {
    fn code(&self) -> Code {
        match self {
            Self::Field(_) | Self::Denied(Denied::Content { .. }) => Code::InvalidArgument,
            Self::Store(error) => store_code(error),
            Self::Rejected(rejection) => rejection_code(*rejection),
            Self::InputMissing(_) => Code::FailedPrecondition,
            Self::Denied(Denied::Cell(refusal)) => rejection_code(Rejection::Refused(*refusal)),
            Self::Denied(Denied::NotForYou { .. } | Denied::TooLong { .. })
            | Self::ForeignSubmitter(_) => Code::PermissionDenied,
            // Whatever the bucket says of the coordinator's call, the caller can only wait until it is mended.
            Self::Bucket(_) | Self::ShuttingDown | Self::NotRead(_) => Code::Unavailable,
            Self::Limited(_) => Code::ResourceExhausted,
            Self::Random(_) | Self::NotAdmitted | Self::NotMade(_) => Code::Internal,
        }
    }
}

impl From<SubmissionError> for RpcError {
    fn from(error: SubmissionError) -> Self {
        match error {
            SubmissionError::Field(error) => Self::Field(error),
            SubmissionError::Store(error) => Self::Store(error),
            SubmissionError::Bucket(error) => Self::Bucket(error),
            SubmissionError::Submitter(error) => Self::ForeignSubmitter(error),
            SubmissionError::InputMissing { .. } => Self::InputMissing(error.into()),
        }
    }
}

impl From<NotGiven> for RpcError {
    fn from(error: NotGiven) -> Self {
        match error {
            NotGiven::Full(exceeded) => Self::Limited(exceeded),
            NotGiven::Store(error) => Self::Store(error),
        }
    }
}

fn store_code(error: &StoreError) -> Code {
    match error {
        StoreError::UnknownGrid(_)
        | StoreError::UnknownCell(_)
        | StoreError::UnknownNode(_)
        | StoreError::UnknownToken(_) => Code::NotFound,
        StoreError::ForeignNode(_) => Code::PermissionDenied,
        StoreError::RequestReused { .. } => Code::AlreadyExists,
        StoreError::TooManyOpen { .. } => Code::ResourceExhausted,
        StoreError::WrongState { .. } => Code::FailedPrecondition,
        StoreError::NoRetry(_, rejection) => rejection_code(*rejection),
        StoreError::Together(error) => store_code(error),
        StoreError::Conflict(_)
        | StoreError::Ended
        | StoreError::Database(_)
        | StoreError::Damaged { .. }
        | StoreError::BadUrl { .. }
        | StoreError::Open { .. }
        | StoreError::Copy { .. }
        | StoreError::Migrate { .. } => {
            if error.is_passing() {
                Code::Unavailable
            } else {
                Code::Internal
            }
        }
    }
}

fn rejection_code(rejection: Rejection) -> Code {
    match rejection {
        Rejection::UnknownCell(_) => Code::NotFound,
        Rejection::Refused(Refusal::Ended { .. } | Refusal::NotEnded) | Rejection::NotServed => {
            Code::FailedPrecondition
        }
        Rejection::Refused(
            Refusal::Held
            | Refusal::NotYet
            | Refusal::Stale { .. }
            | Refusal::NotHeld
            | Refusal::NotExpired,
        ) => Code::Aborted,
    }
}

impl From<RpcError> for Status {
    fn from(error: RpcError) -> Self {
        let code = error.code();
        match (&error, code) {
            (_, Code::Internal) => {
                tracing::error!(%error, "a call failed");
                Self::internal("the coordinator failed; its log says why")
            }
            (RpcError::Store(_), Code::Unavailable) => {
                tracing::error!(%error, "a call failed");
                Self::unavailable("the coordinator's database does not answer; its log says why")
            }
            (RpcError::Limited(exceeded), _) => retry::later(exceeded.to_string(), exceeded.after),
            (RpcError::Bucket(_), _) => {
                tracing::warn!(%error, "a call failed");
                Self::new(code, error.to_string())
            }
            _ => Self::new(code, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use atelier_proto::ids::{CellId, GridId};

    use super::*;
    use crate::domain::field::Problem;

    #[test]
    fn each_kind_of_error_has_its_code() {
        let stale = Refusal::Stale {
            attempt: 1,
            current: 2,
        };
        let cases: [(RpcError, Code); 6] = [
            (
                InvalidField::new("artists[2].name", Problem::Missing).into(),
                Code::InvalidArgument,
            ),
            (
                StoreError::UnknownGrid(GridId::generate()).into(),
                Code::NotFound,
            ),
            (Rejection::Refused(stale).into(), Code::Aborted),
            (
                Rejection::Refused(Refusal::Ended { state: "done" }).into(),
                Code::FailedPrecondition,
            ),
            (
                Rejection::UnknownCell(CellId {
                    grid: GridId::generate(),
                    place: 0,
                })
                .into(),
                Code::NotFound,
            ),
            (StoreError::Ended.into(), Code::Unavailable),
        ];
        for (error, code) in cases {
            let text = error.to_string();
            assert_eq!(Status::from(error).code(), code, "{text}");
        }
    }

    #[test]
    fn a_field_is_told_and_the_inside_of_the_store_is_not() {
        let field = InvalidField::new("artists[2].name", Problem::Missing);
        let status = Status::from(RpcError::from(field));
        assert_eq!(status.message(), "artists[2].name: is missing");

        let damaged = StoreError::Damaged {
            table: "cell",
            id: "7".to_owned(),
            problem: "secret".to_owned(),
        };
        let status = Status::from(RpcError::from(damaged));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("secret"));
    }
}
