//! People of a company, by the tokens of its [OpenID Connect](https://openid.net/specs/openid-connect-core-1_0.html) issuer.
//!
//! A token is a JSON Web Token, signed by one of the keys that the issuer publishes ([`keys`]). Only asymmetric signatures
//! count, and which one is told by the key and not by the token: whoever knows a public key could sign anything with it
//! otherwise. What the claims mean is decided by [`claims`], which does no I/O.

mod claims;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod keys;

use atelier_proto::clock::Clock;
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde_json::{Map, Value};

pub use self::claims::ClaimsError;
use self::keys::Keys;
pub use self::keys::{KeysError, check_url};
use crate::domain::access::{Identity, Role};

/// Signatures that count.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// What a coordinator is told of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcConfig {
    /// Its URL, as its tokens name it.
    pub issuer: String,
    /// For whom its tokens must be.
    pub audience: String,
    /// The claim that has the role: a word, or a list with one.
    pub role_claim: String,
    /// The claim that has the name; `sub` where a token lacks it.
    pub name_claim: String,
    /// The role of those whose tokens have no such claim; `None`: they are not let in.
    pub default_role: Option<Role>,
}

/// Why a token of the issuer is not good.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// It is no token of it.
    #[error("this is no token of {issuer}: {problem}\nhint: log in there anew, for {audience:?}")]
    Token {
        /// The issuer.
        issuer: String,
        /// The audience.
        audience: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// What it says of its holder lets nobody in.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// Its keys cannot be had.
    #[error("the keys of {issuer} cannot be had: {source}")]
    Keys {
        /// The issuer.
        issuer: String,
        /// Why.
        #[source]
        source: KeysError,
    },
}

/// An issuer.
#[derive(Debug)]
pub struct Oidc {
    config: OidcConfig,
    keys: Keys,
}

/// Whether a token may be one of an issuer: three parts with dots between.
pub(super) fn is_jwt(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Oidc {
    /// An issuer, of which nothing is asked before somebody shows a token of it.
    ///
    /// # Errors
    /// When there can be no HTTPS here.
    pub fn new(config: OidcConfig, clock: Clock) -> Result<Self, KeysError> {
        Ok(Self {
            keys: Keys::new(&config.issuer, clock)?,
            config,
        })
    }

    /// Fetches the keys, so that what is wrong with them is told before somebody waits for it.
    pub async fn warm_up(&self) {
        match self.keys.refresh().await {
            Ok(()) => tracing::info!(
                issuer = self.config.issuer,
                "the keys of the issuer are here"
            ),
            Err(error) => tracing::warn!(
                issuer = self.config.issuer,
                %error,
                "the keys of the issuer cannot be had; they are asked for again when somebody shows a token of it"
            ),
        }
    }

    /// Whom a token stands for, and until when.
    ///
    /// # Errors
    /// When the token is not good, or there are no keys to tell that by.
    pub async fn holder(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<(Identity, Timestamp), OidcError> {
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| self.wrong("it is not signed in a way that counts"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(self.wrong("it is not signed in a way that counts"));
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg).await;
        let key = key
            .map_err(|source| OidcError::Keys {
                issuer: self.config.issuer.clone(),
                source,
            })?
            .ok_or_else(|| {
                self.wrong("it is signed with a key that the issuer does not publish")
            })?;
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[&self.config.audience]);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // By the clock of this coordinator, below.
        validation.validate_exp = false;
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation);
        let claims = decoded
            .map_err(|error| self.wrong(problem(error.kind())))?
            .claims;
        let until = claims::until(&claims, now)?;
        Ok((claims::holder(&claims, &self.config)?, until))
    }

    fn wrong(&self, problem: &'static str) -> OidcError {
        OidcError::Token {
            issuer: self.config.issuer.clone(),
            audience: self.config.audience.clone(),
            problem,
        }
    }
}

fn problem(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "it lacks one of the claims exp, iss, aud and sub",
        ErrorKind::InvalidAlgorithm => "its key signs in another way",
        _ => "it is damaged",
    }
}

#[cfg(test)]
mod tests;
