//! Who is logged in at the board. A browser holds a cookie with a secret; its hash is a row of the database, so that every
//! coordinator knows it, and a copy of the database logs nobody in.
//!
//! A session ends when its time is over, when somebody logs out, and with what was shown for it: when the token is revoked,
//! or the file of the board's key or of the operator's token holds another one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_proto::ids::Digest;
use jiff::Timestamp;

use super::tokens::is_within;
use super::{Asking, Identities, Refused};
use crate::domain::access::{Admitted, Caller, Proof};
use crate::domain::token::{SecretHash, SessionRecord};
use crate::secret_file::random_secret;
use crate::store::StoreError;

/// Longest time of a session.
pub(crate) const DURATION_MAX: Duration = Duration::from_hours(12);

/// A session is read anew after so long.
const REMEMBERED: Duration = Duration::from_secs(2);
/// Sessions that are remembered; beyond that all are forgotten, and each is read anew.
const SESSIONS_MAX: usize = 10_000;

/// Sessions by their hashes, as they were read at a time: a page of pictures asks for many at once.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Digest, (Timestamp, Read)>>);

/// What was read; `None`: there is no such session.
type Read = Option<SessionRecord>;

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, (Timestamp, Read)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, secret: &SecretHash, now: Timestamp) -> Option<Read> {
        let kept = self.lock();
        let (read, session) = kept.get(&secret.digest())?;
        is_within(*read, now, REMEMBERED).then(|| session.clone())
    }

    fn insert(&self, secret: &SecretHash, read: Timestamp, session: Read) {
        let mut kept = self.lock();
        if kept.len() >= SESSIONS_MAX {
            kept.clear();
        }
        kept.insert(secret.digest(), (read, session));
    }

    fn forget(&self, secret: &SecretHash) {
        self.lock().remove(&secret.digest());
    }
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// It cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no randomness.
    #[error("no random numbers for a session: {0}")]
    Random(getrandom::Error),
}

impl Identities {
    /// Begins a session of somebody who was let in; `key` is the mark of the board's key. The secret, and when it is over.
    pub(crate) async fn begin_session(
        &self,
        admitted: &Admitted,
        key: &str,
    ) -> Result<(String, Timestamp), SessionError> {
        let secret = random_secret().map_err(SessionError::Random)?;
        let now = self.0.clock.now();
        let latest = now.checked_add(DURATION_MAX).unwrap_or(Timestamp::MAX);
        let until = admitted.until.map_or(latest, |until| until.min(latest));
        let session = SessionRecord {
            secret: SecretHash::of(&secret),
            identity: match &admitted.caller {
                Caller::Known(identity) => Some(identity.clone()),
                Caller::Anyone => None,
            },
            proof: admitted.proof,
            mark: self.mark(admitted.proof, key),
            created_at: now,
            expires_at: until,
        };
        self.0.store.begin_session(&session).await?;
        Ok((secret, until))
    }

    /// Who is logged in with a secret; `None`: nobody any more.
    pub(crate) async fn of_session(
        &self,
        secret: &str,
        key: &str,
    ) -> Result<Option<Admitted>, StoreError> {
        let secret = SecretHash::of(secret);
        let now = self.0.clock.now();
        let session = if let Some(remembered) = self.0.sessions.get(&secret, now) {
            remembered
        } else {
            let read = self.0.store.session(secret).await?;
            self.0.sessions.insert(&secret, now, read.clone());
            read
        };
        let Some(session) = session else {
            return Ok(None);
        };
        let is_of_mode = self.asks() == (session.proof != Proof::BoardKey);
        let is_over = now >= session.expires_at;
        if !is_of_mode || is_over || session.mark != self.mark(session.proof, key) {
            return Ok(None);
        }
        let admitted = Admitted {
            caller: session.identity.map_or(Caller::Anyone, Caller::Known),
            proof: session.proof,
            until: Some(session.expires_at),
        };
        match self.recheck(&admitted).await {
            Ok(()) => Ok(Some(admitted)),
            Err(Refused::Store(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Ends a session.
    pub(crate) async fn end_session(&self, secret: &str) -> Result<(), StoreError> {
        let secret = SecretHash::of(secret);
        self.0.store.end_session(secret).await?;
        self.0.sessions.forget(&secret);
        Ok(())
    }

    fn mark(&self, proof: Proof, key: &str) -> String {
        match (proof, &self.0.asking) {
            (Proof::BoardKey, _) => key.to_owned(),
            (Proof::OperatorToken, Asking::Everybody { operator, .. }) => operator.mark(),
            _ => String::new(),
        }
    }
}
