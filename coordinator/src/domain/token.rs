//! A token that stands for somebody, and how its secret is kept.

use std::fmt;

use atelier_proto::ids::{Digest, TokenId};
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;

use super::access::{Identity, Proof};

/// The SHA-256 of a secret of 256 random bits.
///
/// A fast hash is right for such a secret: nobody can try 2²⁵⁶ of them, and the slow hashes that passwords need would cost
/// every call a tenth of a second. There is no `==`: the one comparison takes as long whatever is right of what was given.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Of a secret.
    pub fn of(secret: &str) -> Self {
        Self(*Digest::of(secret.as_bytes()).as_bytes())
    }

    /// One that was kept.
    pub fn from_digest(digest: Digest) -> Self {
        Self(*digest.as_bytes())
    }

    /// As it is kept.
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(self.0)
    }

    /// Whether this is the secret, in constant time.
    pub fn is_of(&self, secret: &str) -> bool {
        self.0.ct_eq(&Self::of(secret).0).into()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// What is kept of a token.
#[derive(Debug, Clone)]
pub struct TokenRecord {
    /// Its id, which is no secret.
    pub id: TokenId,
    /// Whom it stands for.
    pub identity: Identity,
    /// Its secret, hashed.
    pub secret: SecretHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom: the name of an operator.
    pub created_by: String,
    /// From when on it is over; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When somebody ended it.
    pub revoked_at: Option<Timestamp>,
    /// When it was last shown, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// Why a token that was good is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenOver {
    /// Its time is over.
    #[error("this token expired at {0:.0}\nhint: ask an operator for another one")]
    Expired(Timestamp),
    /// Somebody ended it.
    #[error("this token was revoked at {0:.0}\nhint: ask an operator for another one")]
    Revoked(Timestamp),
}

impl TokenRecord {
    /// Whether it is good at a time.
    ///
    /// # Errors
    /// When it was revoked or has expired.
    pub fn check(&self, now: Timestamp) -> Result<(), TokenOver> {
        match (self.revoked_at, self.expires_at) {
            (Some(at), _) => Err(TokenOver::Revoked(at)),
            (None, Some(at)) if now >= at => Err(TokenOver::Expired(at)),
            (None, _) => Ok(()),
        }
    }
}

/// Somebody who is logged in at the board, by a cookie whose value is a secret.
#[derive(Debug, Clone)]
pub struct SessionRecord {
    /// That secret, hashed.
    pub secret: SecretHash,
    /// Who it is; `None`: whoever has the board's key.
    pub identity: Option<Identity>,
    /// What was shown for it.
    pub proof: Proof,
    /// What of that ends the session when it changes: a mark of the key or the token in the coordinator's files; empty: nothing.
    pub mark: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it is over.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Role;

    #[test]
    fn a_secret_is_told_by_its_hash_alone_and_shown_nowhere() {
        let hash = SecretHash::of("a secret");
        assert!(hash.is_of("a secret"));
        assert!(!hash.is_of("a secreT") && !hash.is_of("") && !hash.is_of("a secret "));
        assert!(SecretHash::from_digest(hash.digest()).is_of("a secret"));
        let shown = format!("{hash:?}");
        assert!(!shown.contains(&hash.digest().to_string()), "{shown}");
    }

    #[test]
    fn a_token_is_good_until_it_expires_or_is_revoked() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut token = TokenRecord {
            id: TokenId::generate(),
            identity: Identity {
                name: "ann".to_owned(),
                role: Role::Client,
            },
            secret: SecretHash::of("a secret"),
            created_at: at(0),
            created_by: "operator".to_owned(),
            expires_at: Some(at(10)),
            revoked_at: None,
            last_used_at: None,
        };
        assert_eq!(token.check(at(9)), Ok(()));
        assert_eq!(token.check(at(10)), Err(TokenOver::Expired(at(10))));
        token.revoked_at = Some(at(5));
        assert_eq!(token.check(at(6)), Err(TokenOver::Revoked(at(5))));
        token.expires_at = None;
        token.revoked_at = None;
        assert_eq!(token.check(Timestamp::MAX), Ok(()));
    }
}
