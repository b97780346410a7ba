//! Requests that were signed and still hold, so that whoever sends the same again, or asks for many at once, asks once. What was
//! signed may be sent by whichever right it was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_proto::clock::Stopwatch;

use super::{Right, Signatures, SignedRequest, Wanted};
use crate::bucket::Place;

/// Requests that are kept; beyond that the expired ones leave, or else all.
const REQUESTS_MAX: usize = 4096;
/// A request is not begun in the last part of its time, at most so much of it: it may take a while on its way.
const MARGIN_MAX: Duration = Duration::from_secs(20);

/// A request with the place that it leads to.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) request: Arc<SignedRequest>,
    pub(super) place: Arc<Place>,
    since: Stopwatch,
    /// From `since` on.
    holds: Duration,
}

impl Kept {
    /// Whether it is early enough to send it.
    fn is_fresh(&self) -> bool {
        let margin = MARGIN_MAX.min(self.holds / 4);
        self.since.elapsed() + margin < self.holds
    }
}

fn by_any_right(wanted: &Wanted) -> Wanted {
    Wanted {
        right: Right::Own,
        ..wanted.clone()
    }
}

#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<HashMap<Wanted, Kept>>);

impl Shelf {
    pub(super) fn get(&self, wanted: &Wanted) -> Option<Kept> {
        self.lock()
            .get(&by_any_right(wanted))
            .filter(|kept| kept.is_fresh())
            .cloned()
    }

    pub(super) fn forget(&self, wanted: &Wanted) {
        self.lock().remove(&by_any_right(wanted));
    }

    /// Keeps what was signed; `since` is from before it was asked for. Gives it in the order in which it was wanted.
    pub(super) fn keep(
        &self,
        wanted: &[Wanted],
        signatures: Signatures,
        since: Stopwatch,
    ) -> Vec<Kept> {
        let now = signatures.now;
        let kept: Vec<Kept> = signatures
            .requests
            .into_iter()
            .map(|request| {
                let place = Place::signed(&request, &signatures.bucket, &signatures.region);
                let holds = request.expires_at.duration_since(now);
                Kept {
                    request: Arc::new(request),
                    place: Arc::new(place),
                    since,
                    holds: Duration::try_from(holds).unwrap_or_default(),
                }
            })
            .collect();
        let mut others = self.lock();
        if others.len() + kept.len() > REQUESTS_MAX {
            others.retain(|_, kept| kept.is_fresh());
        }
        if others.len() + kept.len() > REQUESTS_MAX {
            others.clear();
        }
        others.extend(wanted.iter().map(by_any_right).zip(kept.iter().cloned()));
        kept
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Wanted, Kept>> {
        // Every change is one call, so a panic elsewhere leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
