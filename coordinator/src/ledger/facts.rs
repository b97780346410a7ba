//! What never changes of the grids that were last asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use atelier_proto::ids::GridId;
use tokio::sync::OnceCell;

use crate::domain::facts::GridFacts;

/// Photos, artists and variants of all grids that are kept: some 100 MiB.
const PARTS_MAX: usize = 500_000;

/// Facts that are there, or that somebody fetches.
type Slot = Arc<OnceCell<Arc<GridFacts>>>;

/// Grids with when they were last asked for, in calls.
#[derive(Debug, Default)]
struct Kept {
    grids: HashMap<GridId, (u64, Slot)>,
    calls: u64,
}

/// A cache of [`GridFacts`].
#[derive(Debug, Default)]
pub(super) struct FactsCache(Mutex<Kept>);

impl FactsCache {
    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        // Whoever panicked here left a cache that is whole: it changes by single calls.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept, or what `fetch` brings. Of many that ask at once, one fetches and the others wait.
    pub(super) async fn get<E>(
        &self,
        grid: GridId,
        fetch: impl Future<Output = Result<GridFacts, E>>,
    ) -> Result<Arc<GridFacts>, E> {
        let slot = self.slot(grid);
        if let Some(facts) = slot.get() {
            return Ok(facts.clone());
        }
        let fetched = slot.get_or_try_init(async || fetch.await.map(Arc::new));
        let facts = fetched.await.cloned();
        drop(slot);
        self.make_room();
        facts
    }

    pub(super) fn forget(&self, grid: GridId) {
        self.lock().grids.remove(&grid);
    }

    fn slot(&self, grid: GridId) -> Slot {
        let mut kept = self.lock();
        kept.calls += 1;
        let calls = kept.calls;
        let (asked, slot) = kept.grids.entry(grid).or_default();
        *asked = calls;
        slot.clone()
    }

    /// Forgets what nobody fetches any more, and the longest unused grids until the rest is not too much.
    fn make_room(&self) {
        let parts = |slot: &Slot| slot.get().map_or(0, |facts| facts.parts());
        let mut kept = self.lock();
        let grids = &mut kept.grids;
        grids.retain(|_, (_, slot)| slot.get().is_some() || Arc::strong_count(slot) > 1);
        let mut all: usize = grids.values().map(|(_, slot)| parts(slot)).sum();
        while all > PARTS_MAX && grids.len() > 1 {
            let oldest = grids.iter().min_by_key(|(_, (asked, _))| *asked);
            let Some(oldest) = oldest.map(|(grid, _)| *grid) else {
                return;
            };
            if let Some((_, slot)) = grids.remove(&oldest) {
                all -= parts(&slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;

    use super::*;
    use crate::domain::grid::GridSpec;
    use crate::domain::grid::tests::draft;

    #[tokio::test]
    async fn of_many_that_ask_for_a_grid_one_fetches_it() {
        let cache = FactsCache::default();
        let spec = Arc::new(GridSpec::accept(draft(2, 2), 100).unwrap());
        let grid = GridId::generate();
        let fetches = AtomicU32::new(0);
        let ask = |succeeds: bool| {
            let (spec, fetches) = (spec.clone(), &fetches);
            cache.get(grid, async move {
                fetches.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                succeeds.then(|| GridFacts::new(grid, spec)).ok_or(())
            })
        };
        assert!(ask(false).await.is_err());
        assert!(cache.lock().grids.is_empty());
        let asked = join_all((0..9).map(|_| ask(true))).await;
        assert!(asked.iter().all(Result::is_ok));
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn the_grid_that_was_asked_for_the_longest_ago_goes_first() {
        let cache = FactsCache::default();
        let spec = Arc::new(GridSpec::accept(draft(200_000, 1), 1_000_000).unwrap());
        let ids = [(); 3].map(|()| GridId::generate());
        let ask = |number: usize| {
            let (grid, spec) = (ids[number], spec.clone());
            cache.get(grid, async move { Ok::<_, ()>(GridFacts::new(grid, spec)) })
        };
        let has = |number: usize| cache.lock().grids.contains_key(&ids[number]);
        for number in [0, 1, 0, 2] {
            ask(number).await.unwrap();
        }
        assert!(has(0) && !has(1) && has(2));
        cache.forget(ids[0]);
        assert!(!has(0) && has(2));
    }
}
