//! Tokens that operators made: how they are written, and what is remembered of them for some seconds.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_proto::clock::Clock;
use atelier_proto::ids::TokenId;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::token::{SecretHash, TokenRecord};
use crate::secret_file::random_secret;
use crate::store::{Store, StoreError};

/// What every token begins with, so that people and scanners know it for one.
const PREFIX: &str = "atelier_";

/// A token that is remembered for so long is read anew by the next who shows it; the others are not kept waiting.
const REMEMBERED: Duration = Duration::from_secs(2);
/// Nobody is let in by what was remembered for longer.
pub(super) const REMEMBERED_MAX: Duration = Duration::from_secs(3);
/// So long is remembered that an id stands for nothing.
const UNKNOWN: Duration = Duration::from_secs(10);
/// Tokens that are remembered, and ids that stand for nothing.
const TOKENS_MAX: usize = 20_000;
/// A use within so long of the one before is not written down.
const USE_INTERVAL: Duration = Duration::from_mins(1);

/// A token that was just made.
#[derive(Debug)]
pub(crate) struct NewToken {
    pub(crate) id: TokenId,
    /// All of it, as it is shown.
    pub(crate) text: SecretString,
    pub(crate) secret: SecretHash,
}

impl NewToken {
    /// A token as nobody has it.
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let id = TokenId::generate();
        let secret = random_secret()?;
        Ok(Self {
            id,
            text: format!("{PREFIX}{}_{secret}", id.as_uuid().simple()).into(),
            secret: SecretHash::of(&secret),
        })
    }
}

/// The parts of `atelier_<id>_<secret>`.
pub(super) fn parsed(text: &str) -> Option<(TokenId, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    Some((id.parse().ok()?, secret))
}

/// A token; `None`: the id stands for nothing.
type Read = Option<Arc<TokenRecord>>;

#[derive(Debug)]
struct Known {
    record: Arc<TokenRecord>,
    read: Timestamp,
    is_read_anew: bool,
    /// The last use that was written down from here.
    noted: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Kept {
    known: HashMap<TokenId, Known>,
    unknown: HashMap<TokenId, Timestamp>,
}

/// The tokens of a store.
#[derive(Debug)]
pub(super) struct Tokens {
    store: Arc<Store>,
    clock: Clock,
    kept: Mutex<Kept>,
}

/// Whether a time is within so long of now.
pub(super) fn is_within(since: Timestamp, now: Timestamp, duration: Duration) -> bool {
    let age = now.as_millisecond() - since.as_millisecond();
    // What is of the future was noted by a clock that has been set back since.
    (0..duration.as_millis() as i64).contains(&age)
}

impl Tokens {
    pub(super) fn new(store: Arc<Store>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            kept: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Every change is whole, so a panic elsewhere leaves it as it was.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a token was shown here before, or is known to be none, so that nothing new is looked up for it.
    pub(super) fn knows(&self, id: TokenId) -> bool {
        let (kept, now) = (self.lock(), self.clock.now());
        let is_none = kept.unknown.get(&id);
        kept.known.contains_key(&id) || is_none.is_some_and(|at| is_within(*at, now, UNKNOWN))
    }

    /// What is remembered of a token, if that is of late; the one who is to read it anew gets nothing.
    fn remembered(&self, id: TokenId) -> Option<Read> {
        let now = self.clock.now();
        let mut kept = self.lock();
        if let Some(known) = kept.known.get_mut(&id) {
            let is_good = is_within(known.read, now, REMEMBERED)
                || (known.is_read_anew && is_within(known.read, now, REMEMBERED_MAX));
            if is_good {
                return Some(Some(known.record.clone()));
            }
            known.is_read_anew = true;
            return None;
        }
        let is_none = kept.unknown.get(&id);
        is_none
            .is_some_and(|at| is_within(*at, now, UNKNOWN))
            .then_some(None)
    }

    /// A token as it stands, or stood some seconds ago.
    pub(super) async fn get(&self, id: TokenId) -> Result<Read, StoreError> {
        if let Some(remembered) = self.remembered(id) {
            return Ok(remembered);
        }
        // As of before it was asked, so that no answer counts for longer than it is true.
        let read = self.clock.now();
        let found = self.store.token(id).await;
        let mut kept = self.lock();
        let Some(record) = found? else {
            kept.known.remove(&id);
            make_room(&mut kept.unknown);
            kept.unknown.insert(id, read);
            return Ok(None);
        };
        let record = Arc::new(record);
        make_room(&mut kept.known);
        let noted = kept.known.get(&id).and_then(|known| known.noted);
        let known = Known {
            record: record.clone(),
            read,
            is_read_anew: false,
            noted,
        };
        kept.known.insert(id, known);
        Ok(Some(record))
    }

    pub(super) fn forget(&self, id: TokenId) {
        let mut kept = self.lock();
        kept.known.remove(&id);
        kept.unknown.remove(&id);
    }

    /// Has it written down that a token is used, if that was not for a while.
    pub(super) fn note_use(&self, record: &TokenRecord) {
        let now = self.clock.now();
        {
            let mut kept = self.lock();
            let Some(known) = kept.known.get_mut(&record.id) else {
                return;
            };
            let last = known.noted.max(record.last_used_at);
            if last.is_some_and(|last| is_within(last, now, USE_INTERVAL)) {
                return;
            }
            known.noted = Some(now);
        }
        let (store, id) = (self.store.clone(), record.id);
        tokio::spawn(async move {
            if let Err(error) = store.token_used(id, now).await {
                tracing::debug!(%error, "the use of a token cannot be written down");
            }
        });
    }
}

/// Forgets half of what is remembered when it is too much: each is read anew when it is shown again.
fn make_room<T>(kept: &mut HashMap<TokenId, T>) {
    if kept.len() >= TOKENS_MAX {
        let going: HashSet<TokenId> = kept.keys().take(TOKENS_MAX / 2).copied().collect();
        kept.retain(|id, _| !going.contains(id));
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = NewToken::generate().unwrap();
        let text = token.text.expose_secret();
        let (id, secret) = parsed(text).unwrap();
        assert_eq!((id, secret.len()), (token.id, 64));
        assert!(token.secret.is_of(secret));
        assert!(!format!("{token:?}").contains(secret));
        let other = NewToken::generate().unwrap();
        assert!(!other.secret.is_of(secret));
        for wrong in ["", "atelier_", "atelier_x_y", &text[1..], "a.b.c"] {
            assert!(parsed(wrong).is_none(), "{wrong}");
        }
    }
}
