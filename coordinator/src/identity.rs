//! Who calls: by a token, by a certificate, by a token of a company's OpenID Connect issuer, or, where that is how the
//! coordinator was started, nobody who has to say so.
//!
//! [`tokens`] knows those that operators made, [`token_file`] those in the coordinator's own files, [`oidc`] the issuer;
//! [`sessions`] those who are logged in at the board; [`guard`] slows who guesses; [`http`] is
//! how requests show it, and how they are answered that do not; [`audit`] writes down who did what.

pub mod audit;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod guard;
pub(crate) mod http;
pub mod oidc;
pub mod sessions;
pub mod token_file;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::clock::Clock;
use atelier_proto::ids::{Digest, TokenId};

use self::guard::Guard;
#[cfg(test)]
pub(crate) use self::guard::WRONG_TOKENS_MAX;
use self::oidc::{Oidc, OidcError};
use self::sessions::Sessions;
use self::token_file::FileToken;
pub(crate) use self::tokens::NewToken;
use self::tokens::Tokens;
use crate::domain::access::{Admitted, Caller, Proof, Role};
use crate::domain::token::{SecretHash, TokenOver};
use crate::listen::{NoHolder, Peer};
use crate::metrics::Metrics;
use crate::store::{Store, StoreError};

/// How often is looked whether somebody whose call lasts is still let in. With how long a token may be remembered
/// ([`tokens::REMEMBERED_MAX`]), a revocation is felt within 5 s at every coordinator.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Longest token that is looked at; those of issuers have some kilobytes.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// How a coordinator finds out who calls.
#[derive(Debug)]
pub enum Asking {
    /// It does not.
    Nobody,
    /// Everybody says who they are.
    Everybody {
        /// The first operator's token.
        operator: FileToken,
        /// The token that all nodes may show.
        nodes: Option<FileToken>,
        /// A company's issuer.
        oidc: Option<Arc<Oidc>>,
    },
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Nothing was shown.
    #[error(
        "say who you are: this coordinator wants a token or a certificate\n\
         hint: ask an operator for a token (`atelier tokens create`), put it into a file, and name that with --token-file"
    )]
    Nobody,
    /// No token that is known.
    #[error(
        "this token is not known here\nhint: is it whole, and made by this coordinator? ask an operator for another one"
    )]
    Unknown,
    /// It was good once.
    #[error(transparent)]
    Over(#[from] TokenOver),
    /// The issuer's token is not good.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// A certificate that is trusted, and is not one of ours.
    #[error(transparent)]
    Certificate(#[from] NoHolder),
    /// Too many wrong tokens came from there.
    #[error("too many wrong tokens came from this address\nhint: try again in a minute")]
    TooMany,
    /// The database does not answer.
    #[error("it cannot be looked up who you are: {0}")]
    Store(#[from] StoreError),
}

impl Refused {
    /// As metrics have it.
    fn word(&self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Unknown => "unknown",
            Self::Over(_) => "over",
            Self::Oidc(_) => "login",
            Self::Certificate(_) => "certificate",
            Self::TooMany => "guessing",
            Self::Store(_) => "store",
        }
    }
}

/// Finds out who calls; clones are one.
#[derive(Debug, Clone)]
pub struct Identities(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    asking: Asking,
    store: Arc<Store>,
    clock: Clock,
    tokens: Tokens,
    sessions: Sessions,
    guard: Guard,
    metrics: Arc<Metrics>,
}

impl Identities {
    /// Of those whom this store knows.
    pub fn new(asking: Asking, store: Arc<Store>, clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            asking,
            tokens: Tokens::new(store.clone(), clock.clone()),
            store,
            clock,
            sessions: Sessions::default(),
            guard: Guard::default(),
            metrics,
        }))
    }

    /// Whether everybody has to say who they are.
    pub fn asks(&self) -> bool {
        matches!(self.0.asking, Asking::Everybody { .. })
    }

    /// Who calls, by what they show: a token, which counts more, or the certificate of their connection. Where nobody is
    /// asked, nothing of it is looked at.
    ///
    /// # Errors
    /// When nothing is shown, or it is not good.
    pub async fn admit(&self, token: Option<&str>, peer: &Peer) -> Result<Admitted, Refused> {
        if !self.asks() {
            return Ok(Admitted::ANYONE);
        }
        let admitted = self.find_out(token, peer).await;
        if let Err(refused) = &admitted {
            self.0.metrics.identity_refused(refused.word());
        }
        admitted
    }

    async fn find_out(&self, token: Option<&str>, peer: &Peer) -> Result<Admitted, Refused> {
        match (token, peer.holder()) {
            (Some(token), _) => self.admit_token(token, peer.address.ip()).await,
            (None, Some(holder)) => Ok(Admitted {
                caller: Caller::Known(holder?.into()),
                proof: Proof::Certificate,
                until: None,
            }),
            (None, None) => Err(Refused::Nobody),
        }
    }

    /// Whom a token stands for.
    async fn admit_token(&self, token: &str, from: IpAddr) -> Result<Admitted, Refused> {
        let Asking::Everybody {
            operator,
            nodes,
            oidc,
        } = &self.0.asking
        else {
            return Ok(Admitted::ANYONE);
        };
        let token = token.trim();
        let found = if token.len() > TOKEN_BYTES_MAX {
            Err(Refused::Unknown)
        } else if operator.is(token) {
            Ok(FileToken::admitted(Role::Operator, Proof::OperatorToken))
        } else if nodes.as_ref().is_some_and(|nodes| nodes.is(token)) {
            Ok(FileToken::admitted(Role::Node, Proof::NodeToken))
        } else if let Some((id, secret)) = tokens::parsed(token) {
            self.by_token(id, secret, from).await
        } else {
            match oidc {
                Some(oidc) if oidc::is_jwt(token) => {
                    let (identity, until) = oidc.holder(token, self.0.clock.now()).await?;
                    Ok(Admitted {
                        caller: Caller::Known(identity),
                        proof: Proof::Oidc,
                        until: Some(until),
                    })
                }
                Some(_) | None => Err(Refused::Unknown),
            }
        };
        if matches!(found, Err(Refused::Unknown)) {
            self.0.guard.failed(from, self.0.clock.now());
        }
        found
    }

    async fn by_token(&self, id: TokenId, secret: &str, from: IpAddr) -> Result<Admitted, Refused> {
        let (tokens, now) = (&self.0.tokens, self.0.clock.now());
        // Those who hold a good token are let in also while somebody else guesses from behind the same address.
        if !tokens.knows(id) && !self.0.guard.may_try(from, now) {
            return Err(Refused::TooMany);
        }
        let record = tokens.get(id).await?.ok_or(Refused::Unknown)?;
        // Only who has the secret is told what became of it.
        if !record.secret.is_of(secret) {
            return Err(Refused::Unknown);
        }
        record.check(now)?;
        tokens.note_use(&record);
        Ok(Admitted {
            caller: Caller::Known(record.identity.clone()),
            proof: Proof::Token(id),
            until: record.expires_at,
        })
    }

    /// Whether what somebody showed is still good.
    ///
    /// # Errors
    /// When it is not; what cannot be looked up counts as good until it can.
    pub async fn recheck(&self, admitted: &Admitted) -> Result<(), Refused> {
        let now = self.0.clock.now();
        if let Proof::Token(id) = admitted.proof {
            return match self.0.tokens.get(id).await {
                Ok(Some(record)) => Ok(record.check(now)?),
                Ok(None) => Err(Refused::Unknown),
                Err(error) => {
                    tracing::debug!(%error, "it cannot be looked up whether a token is still good");
                    Ok(())
                }
            };
        }
        match admitted.until {
            Some(until) if now >= until => Err(TokenOver::Expired(until).into()),
            Some(_) | None => Ok(()),
        }
    }

    /// Ends when what somebody showed is good no more, with the reason.
    pub async fn until_over(&self, admitted: &Admitted) -> Refused {
        if matches!(
            admitted.proof,
            Proof::None | Proof::OperatorToken | Proof::NodeToken | Proof::Certificate
        ) && admitted.until.is_none()
        {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            if let Err(refused) = self.recheck(admitted).await {
                return refused;
            }
        }
    }

    /// Forgets what is remembered of a token, so that a change is felt here at once.
    pub fn forget_token(&self, token: TokenId) {
        self.0.tokens.forget(token);
    }
}

/// What tells a secret from others and says nothing of it: a part of the hash of its hash.
pub(crate) fn mark(secret: SecretHash) -> String {
    let mut mark = Digest::of(secret.digest().as_bytes()).to_string();
    mark.truncate(16);
    mark
}

#[cfg(test)]
mod tests;
