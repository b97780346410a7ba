//! The public keys of an issuer: found by its [discovery document](https://openid.net/specs/openid-connect-discovery-1_0.html),
//! remembered, and fetched anew from time to time and when a token names one that is not known.
//!
//! Who shows tokens with keys that do not exist makes the coordinator ask the issuer once in [`FETCH_INTERVAL`] at most. While the
//! issuer is away, the keys count that were had last.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atelier_proto::clock::Clock;
use atelier_proto::listen::is_this_machine;
use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// Keys that are older are fetched anew while they still count.
const AGE_MAX: Duration = Duration::from_mins(10);
/// Least time between two fetches.
const FETCH_INTERVAL: Duration = Duration::from_secs(10);
/// How long the issuer may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer; a key has less than a kilobyte.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Where an issuer says where its keys are.
const DISCOVERY: &str = ".well-known/openid-configuration";

/// Why there are no keys.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeysError {
    /// A URL that is not asked.
    #[error("{0} is no https:// URL, nor one of this machine")]
    Url(String),
    /// The issuer does not answer, or not as it should.
    #[error("{url}: {problem}")]
    Answer {
        /// What was asked.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// Its own document is somebody else's.
    #[error(
        "the issuer at {url} calls itself {said:?}\nhint: --oidc-issuer must be as the issuer writes itself"
    )]
    Issuer {
        /// What was asked.
        url: String,
        /// What it says.
        said: String,
    },
    /// There is no TLS on this machine.
    #[error("this system has no HTTPS: {0}")]
    Client(String),
}

/// Whether keys may be fetched from there: nobody between may change what comes by TLS, nor what stays on this machine.
pub fn check_url(text: &str) -> Result<Url, KeysError> {
    let wrong = || KeysError::Url(text.to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_local = url.host_str().is_some_and(is_this_machine);
    let is_plain = url.username().is_empty() && url.password().is_none();
    match url.scheme() {
        "https" if is_plain && url.has_host() => Ok(url),
        "http" if is_plain && is_local => Ok(url),
        _ => Err(wrong()),
    }
}

/// One key.
#[derive(Debug, Clone)]
struct Published {
    kid: Option<String>,
    algorithm: Algorithm,
    key: Arc<DecodingKey>,
}

impl Published {
    /// A key that signs in a way that counts, and says so or does not say otherwise.
    fn of(jwk: &Jwk) -> Option<Self> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDSA
            }
            _ => return None,
        };
        let is_to_sign = matches!(
            jwk.common.public_key_use,
            None | Some(PublicKeyUse::Signature)
        );
        let said = jwk.common.key_algorithm.map(|said| said.to_string());
        let is_for_it = said.is_none_or(|said| said == format!("{algorithm:?}"));
        (is_to_sign && is_for_it).then_some(())?;
        Some(Self {
            kid: jwk.common.key_id.clone(),
            algorithm,
            key: Arc::new(DecodingKey::from_jwk(jwk).ok()?),
        })
    }
}

#[derive(Debug, Default)]
struct Had {
    keys: Arc<[Published]>,
    /// When they came.
    at: Option<Timestamp>,
    /// When they were last asked for.
    asked: Option<Timestamp>,
    /// Why they did not come then.
    error: Option<KeysError>,
}

#[derive(Debug)]
struct Inner {
    issuer: String,
    http: reqwest::Client,
    clock: Clock,
    had: Mutex<Had>,
    /// Held by who asks the issuer.
    turn: tokio::sync::Mutex<()>,
}

/// The keys of an issuer; clones are one.
#[derive(Debug, Clone)]
pub(super) struct Keys(Arc<Inner>);

/// What an issuer says of itself.
#[derive(Debug, Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

#[derive(Debug, Deserialize)]
struct KeySet {
    /// Each is read by itself: an issuer may publish some of kinds that nobody here knows.
    keys: Vec<Value>,
}

impl KeySet {
    /// Those that count.
    fn published(self) -> impl Iterator<Item = Published> {
        let keys = self.keys.into_iter();
        keys.filter_map(|key| Published::of(&serde_json::from_value(key).ok()?))
    }
}

impl Keys {
    pub(super) fn new(issuer: &str, clock: Clock) -> Result<Self, KeysError> {
        check_url(issuer)?;
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // Where a redirect leads nobody has looked at.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| KeysError::Client(error.to_string()))?;
        Ok(Self(Arc::new(Inner {
            issuer: issuer.to_owned(),
            http,
            clock,
            had: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })))
    }

    /// The key by which a token is to be verified; `None`: the issuer has none such.
    ///
    /// # Errors
    /// When no keys were ever had.
    pub(super) async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<Arc<DecodingKey>>, KeysError> {
        let found = self.known(kid, algorithm);
        if found.is_some() {
            if self.is_due(AGE_MAX) {
                let keys = self.clone();
                tokio::spawn(async move {
                    if let Err(error) = keys.refresh().await {
                        tracing::warn!(issuer = keys.0.issuer, %error, "the keys of the issuer cannot be had; the last ones count on");
                    }
                });
            }
            return Ok(found);
        }
        match self.refresh().await {
            Err(error) if self.has_none() => return Err(error),
            Err(error) => {
                tracing::warn!(issuer = self.0.issuer, %error, "the keys of the issuer cannot be had; the last ones count on");
            }
            Ok(()) => {}
        }
        Ok(self.known(kid, algorithm))
    }

    fn known(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<DecodingKey>> {
        let keys = self.lock().keys.clone();
        let mut fitting = keys.iter().filter(|key| {
            key.algorithm == algorithm && kid.is_none_or(|kid| key.kid.as_deref() == Some(kid))
        });
        let key = fitting.next()?;
        // A token that names no key is only verified where there is no choice.
        (kid.is_some() || fitting.next().is_none()).then(|| key.key.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Had> {
        self.0.had.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_none(&self) -> bool {
        self.lock().at.is_none()
    }

    /// Whether the keys are older than that, and the issuer may be asked.
    fn is_due(&self, age_max: Duration) -> bool {
        let now = self.0.clock.now();
        let is_past = |at: Option<Timestamp>, by: Duration| {
            at.is_none_or(|at| now.duration_since(at).unsigned_abs() >= by)
        };
        let had = self.lock();
        is_past(had.at, age_max) && is_past(had.asked, FETCH_INTERVAL)
    }

    /// Fetches the keys anew, unless the issuer was asked just now: of many who want that at once, one asks.
    pub(super) async fn refresh(&self) -> Result<(), KeysError> {
        let _turn = self.0.turn.lock().await;
        if !self.is_due(Duration::ZERO) {
            return match &self.lock().error {
                Some(error) => Err(error.clone()),
                None => Ok(()),
            };
        }
        self.lock().asked = Some(self.0.clock.now());
        let fetched = self.fetch().await;
        let mut had = self.lock();
        match fetched {
            Ok(keys) => {
                had.keys = keys;
                had.at = Some(self.0.clock.now());
                had.error = None;
                Ok(())
            }
            Err(error) => {
                had.error = Some(error.clone());
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<Arc<[Published]>, KeysError> {
        let issuer = &self.0.issuer;
        let url = format!("{}/{DISCOVERY}", issuer.trim_end_matches('/'));
        let discovered: Discovered = self.get(&url).await?;
        if discovered.issuer != *issuer {
            let said = discovered.issuer.chars().take(200).collect();
            return Err(KeysError::Issuer { url, said });
        }
        let url = check_url(&discovered.jwks_uri)?;
        let set: KeySet = self.get(url.as_str()).await?;
        let keys: Arc<[Published]> = set.published().collect();
        if keys.is_empty() {
            return Err(KeysError::Answer {
                url: url.into(),
                problem: "it publishes no key for RS256, ES256 or EdDSA".to_owned(),
            });
        }
        Ok(keys)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, KeysError> {
        let failed = |problem: String| KeysError::Answer {
            url: url.to_owned(),
            problem,
        };
        let of_http = |error: reqwest::Error| {
            // The innermost says why.
            let error: &dyn std::error::Error = &error;
            let causes = std::iter::successors(Some(error), |&cause| cause.source());
            failed(causes.last().map(ToString::to_string).unwrap_or_default())
        };
        let mut answer = self.0.http.get(url).send().await.map_err(of_http)?;
        if !answer.status().is_success() {
            return Err(failed(format!("it answers {}", answer.status())));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(of_http)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(failed("its answer is too long".to_owned()));
            }
        }
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))
    }
}

/// What an issuer publishes, as far as it counts.
#[cfg(any(test, fuzzing))]
pub(super) fn published(bytes: &[u8]) -> serde_json::Result<Vec<(Algorithm, Arc<DecodingKey>)>> {
    let set: KeySet = serde_json::from_slice(bytes)?;
    Ok(set.published().map(|it| (it.algorithm, it.key)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_tls_or_from_this_machine() {
        for well in [
            "https://issuer.example/realm",
            "http://localhost:1",
            "http://127.0.0.1:8080/x",
            "http://[::1]:1",
        ] {
            assert!(check_url(well).is_ok(), "{well}");
        }
        for wrong in [
            "http://issuer.example",
            "https://ann:secret@issuer.example",
            "file:///etc/keys",
            "issuer",
            "",
        ] {
            assert!(check_url(wrong).is_err(), "{wrong}");
        }
    }
}
