//! The metadata service of an EC2 instance, `IMDSv2` only, with tokens, through the SDK's own client.
//!
//! Its address is `AWS_EC2_METADATA_SERVICE_ENDPOINT` or the usual one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::imds::Client;
use aws_config::imds::client::error::ImdsError;

use crate::causes;

/// How long a connection to the service may take, and its answer. It is a neighbour.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long a question may take in all, with the one for a token.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3);
const UNAUTHORISED: u16 = 401;
const NOT_FOUND: u16 = 404;
/// Longest part of a text that is told, characters.
const TOLD_CHARS_MAX: usize = 200;

/// Why there is no answer that means anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nobody is there, or nobody speaks.
    #[error("no answer ({cause})")]
    Silent {
        /// What the network says.
        cause: String,
    },
    /// An answer, and not one of those that mean something.
    #[error("answered with status {code}")]
    Status {
        /// Of HTTP.
        code: u16,
    },
    /// A text that cannot be understood.
    #[error("cannot make sense of {text:?}")]
    Malformed {
        /// Its beginning.
        text: String,
    },
}

impl Trouble {
    /// Of a text.
    pub(super) fn malformed(text: &str) -> Self {
        Self::Malformed {
            text: text.chars().take(TOLD_CHARS_MAX).collect(),
        }
    }

    /// Whether this is no news after the other one.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// The service; clones share its token.
#[derive(Debug, Clone)]
pub(super) struct Metadata(Arc<Mutex<Client>>);

impl Metadata {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(client())))
    }

    /// What lies at a path; none: nothing does.
    pub(super) async fn ask(&self, path: &str) -> Result<Option<String>, Trouble> {
        let answer = self.ask_once(path).await;
        let is_refused = Trouble::Status { code: UNAUTHORISED };
        if answer.as_ref().err() != Some(&is_refused) {
            return answer;
        }
        // The client would use its token to the end of its time. One that is refused before, as after a hibernation, goes
        // with the client.
        *self.lock() = client();
        self.ask_once(path).await
    }

    async fn ask_once(&self, path: &str) -> Result<Option<String>, Trouble> {
        let client = self.lock().clone();
        match Box::pin(client.get(path)).await {
            Ok(text) => Ok(Some(String::from(text))),
            Err(ImdsError::ErrorResponse(answer)) => match answer.response().status().as_u16() {
                NOT_FOUND => Ok(None),
                code => Err(Trouble::Status { code }),
            },
            Err(error) => Err(Trouble::Silent {
                cause: causes::root(&error).chars().take(TOLD_CHARS_MAX).collect(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Client> {
        // Every change is one assignment, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client() -> Client {
    Client::builder()
        .connect_timeout(TIMEOUT)
        .read_timeout(TIMEOUT)
        .operation_timeout(QUESTION_TIMEOUT)
        // Whoever asks does so again soon.
        .max_attempts(1)
        .build()
}
