//! A stand-in for a program that is told by webhooks, which says what its test wants it to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use atelier_proto::clock::Stopwatch;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::programs::PATIENCE;
use crate::served::Served;

/// What a receiver does with what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Takes it.
    Takes,
    /// Says that it cannot now.
    Refuses,
    /// Sends the teller to the path `elsewhere`.
    Redirects,
    /// Does not answer.
    Silent,
}

/// Something that was told, whatever came of it.
#[derive(Debug, Clone)]
pub struct Told {
    /// The path that it was told at, without its slash.
    pub path: String,
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signature: String,
    /// What was sent.
    pub body: String,
}

impl Told {
    /// The body as JSON.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.body)?)
    }

    /// Whether it is signed with this secret, which begins with `whsec_`, as the specification of Standard Webhooks has it.
    pub fn is_signed_with(&self, secret: &str) -> anyhow::Result<bool> {
        let key = secret.strip_prefix("whsec_").context("no secret")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64_STANDARD.decode(key)?)?;
        for part in [&self.id, ".", &self.timestamp, ".", &self.body] {
            mac.update(part.as_bytes());
        }
        let signature = self.signature.strip_prefix("v1,").context("no v1")?;
        let signature = BASE64_STANDARD.decode(signature)?;
        Ok(mac.verify_slice(&signature).is_ok())
    }
}

#[derive(Debug, Default)]
struct Known {
    manners: BTreeMap<String, Manner>,
    told: Vec<Told>,
}

/// A receiver at a free port of this machine, at any path.
#[derive(Debug)]
pub struct Receiver {
    known: Arc<Mutex<Known>>,
    served: Served,
}

impl Receiver {
    /// One that takes everything at first.
    pub async fn start() -> anyhow::Result<Self> {
        let known = Arc::new(Mutex::new(Known::default()));
        let router = Router::new()
            .route("/{path}", post(hear))
            .with_state(known.clone());
        let served = Served::start(router).await?;
        Ok(Self { known, served })
    }

    /// Its URL for a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.served.url)
    }

    /// Has it do so at a path from now on.
    pub fn set(&self, path: &str, manner: Manner) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.manners.insert(path.to_owned(), manner);
    }

    /// What it was told at a path so far.
    pub fn told(&self, path: &str) -> Vec<Told> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let told = known.told.iter().filter(|told| told.path == path);
        told.cloned().collect()
    }

    /// Waits until it was told so often at a path; what it was told there.
    pub async fn until_told(&self, path: &str, times: usize) -> anyhow::Result<Vec<Told>> {
        self.until(path, |told| told.len() >= times).await
    }

    /// Waits until what it was told at a path is what is looked for; all that it was told there.
    pub async fn until(
        &self,
        path: &str,
        is_it: impl Fn(&[Told]) -> bool,
    ) -> anyhow::Result<Vec<Told>> {
        let since = Stopwatch::start();
        loop {
            let told = self.told(path);
            if is_it(&told) {
                return Ok(told);
            }
            ensure!(since.elapsed() < PATIENCE, "told {told:?} at {path}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn hear(
    State(known): State<Arc<Mutex<Known>>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let told = Told {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        path: path.clone(),
        body,
    };
    let manner = {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.told.push(told);
        known.manners.get(&path).copied()
    };
    match manner.unwrap_or(Manner::Takes) {
        Manner::Takes => StatusCode::NO_CONTENT.into_response(),
        Manner::Refuses => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Manner::Redirects => {
            let location = [(header::LOCATION, "/elsewhere")];
            (StatusCode::TEMPORARY_REDIRECT, location).into_response()
        }
        Manner::Silent => std::future::pending().await,
    }
}
