//! Calls receivers.
//!
//! They are the operator's, and trusted no further than to take what they are told: redirects are not followed, which could lead
//! a delivery to where the operator did not send it, answers are not read, and none may take long.

use std::error::Error as _;
use std::time::Duration;

use atelier_proto::ids::EndingId;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, redirect};

use super::file::Webhook;
use crate::domain::delivery::Answer;

/// How long a receiver may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long it may take to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const USER_AGENT: &str = concat!("atelier-coordinator/", env!("CARGO_PKG_VERSION"));

/// An HTTP client for deliveries.
#[derive(Debug, Clone)]
pub(super) struct Sender(Client);

impl Sender {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(USER_AGENT)
            .build()?;
        Ok(Self(client))
    }

    /// Tells a webhook; what its receiver made of it and the same in words, or why it could not be reached.
    pub(super) async fn send(
        &self,
        webhook: &Webhook,
        id: EndingId,
        body: &str,
        now: Timestamp,
    ) -> Result<(Answer, String), String> {
        let (id, timestamp) = (id.to_string(), now.as_second());
        let sending = self
            .0
            .post(webhook.url.expose())
            .header(CONTENT_TYPE, "application/json")
            .header(
                "webhook-signature",
                webhook.secret.sign(&id, timestamp, body),
            )
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .body(body.to_owned())
            .send();
        // The text of an error has the URL, which may hold a secret.
        let answer = sending.await.map_err(|error| told(&error.without_url()))?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let words = match status {
            300..=399 => format!("it answered {status}, and redirects are not followed"),
            _ => format!("it answered {status}"),
        };
        Ok((Answer::of(status, retry_after), words))
    }
}

/// An error with what caused it.
fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let deepest = causes.last().map(ToString::to_string);
    format!(
        "it cannot be reached: {}",
        deepest.unwrap_or_else(|| error.to_string())
    )
}
