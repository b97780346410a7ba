//! Why an attempt brought no picture, and who is at fault: the cell, this node, or the bucket.

use atelier_gallery::bucket::BucketError;
use atelier_gallery::picture::PictureError;
use atelier_proto::v1;

use crate::executor::ExecutorError;
use crate::inputs::InputError;

/// Why an attempt brought no picture.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    Input(InputError),
    #[error("the {what} cannot be read: {source}")]
    Picture {
        what: &'static str,
        source: PictureError,
    },
    #[error(transparent)]
    Encode(PictureError),
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    #[error("cannot store the picture: {0}")]
    Store(#[from] BucketError),
    #[error("a helper task ended early")]
    Task(#[from] tokio::task::JoinError),
}

impl AttemptError {
    pub(super) fn input(what: &'static str, error: InputError) -> Self {
        match error {
            InputError::Picture(source) => Self::Picture { what, source },
            other => Self::Input(other),
        }
    }

    /// Whether the bucket is away or full: neither the cell nor this node is at fault.
    pub(super) fn is_of_the_bucket(&self) -> bool {
        match self {
            Self::Input(InputError::Bucket(error)) | Self::Store(error) => {
                error.is_passing() || matches!(error, BucketError::Full { .. })
            }
            Self::Input(
                InputError::Folder { .. } | InputError::Picture(_) | InputError::Decoder(_),
            )
            | Self::Picture { .. }
            | Self::Encode(_)
            | Self::Executor(_)
            | Self::Task(_) => false,
        }
    }

    /// Whether the device or the library failed, and not the picture.
    pub(super) fn is_of_the_device(&self) -> bool {
        match self {
            Self::Executor(ExecutorError::Render(error)) => !error.is_refusal(),
            Self::Executor(ExecutorError::Panicked(_) | ExecutorError::Ended) => true,
            Self::Executor(ExecutorError::Simulated)
            | Self::Input(_)
            | Self::Picture { .. }
            | Self::Encode(_)
            | Self::Store(_)
            | Self::Task(_) => false,
        }
    }

    pub(super) fn kind(&self) -> v1::FailureKind {
        let refused = match self {
            Self::Picture { .. } | Self::Encode(_) => true,
            Self::Executor(ExecutorError::Render(error)) => error.is_refusal(),
            // Another node, or another minute, may have the network, the disk or the memory for it.
            Self::Executor(
                ExecutorError::Panicked(_) | ExecutorError::Simulated | ExecutorError::Ended,
            )
            | Self::Input(_)
            | Self::Store(_)
            | Self::Task(_) => false,
        };
        if refused {
            v1::FailureKind::Refused
        } else {
            v1::FailureKind::Transient
        }
    }
}

#[cfg(test)]
mod tests {
    use atelier_gallery::picture;

    use super::*;

    #[test]
    fn only_a_fault_of_the_input_or_the_settings_is_a_refusal() {
        let transient = AttemptError::from(ExecutorError::Panicked("out of memory".to_owned()));
        assert_eq!(transient.kind(), v1::FailureKind::Transient);
        let bytes = b"not a picture";
        let damaged = InputError::Picture(picture::decode(bytes).unwrap_err());
        let refused = AttemptError::input("photo", damaged);
        assert_eq!(refused.kind(), v1::FailureKind::Refused);
        assert!(
            refused.to_string().starts_with("the photo cannot be read"),
            "{refused}"
        );
    }
}
