//! What never changes of the grids that were last asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use atelier_proto::ids::GridId;

use crate::domain::facts::GridFacts;

/// Cells of all grids that are kept: some 100 MiB.
const CELLS_MAX: u64 = 1_000_000;

/// Grids with when they were last asked for, in calls.
#[derive(Debug, Default)]
struct Kept {
    grids: HashMap<GridId, (u64, Arc<GridFacts>)>,
    calls: u64,
    cells: u64,
}

/// A cache of [`GridFacts`].
#[derive(Debug, Default)]
pub(super) struct FactsCache(Mutex<Kept>);

impl FactsCache {
    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        // Whoever panicked here left a cache that is whole: it changes by single calls.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, grid: GridId) -> Option<Arc<GridFacts>> {
        let mut kept = self.lock();
        kept.calls += 1;
        let calls = kept.calls;
        let (asked, facts) = kept.grids.get_mut(&grid)?;
        *asked = calls;
        Some(facts.clone())
    }

    pub(super) fn keep(&self, facts: Arc<GridFacts>) {
        let mut kept = self.lock();
        kept.calls += 1;
        let calls = kept.calls;
        kept.cells += u64::from(facts.cells());
        if let Some((_, before)) = kept.grids.insert(facts.grid, (calls, facts)) {
            kept.cells -= u64::from(before.cells());
        }
        while kept.cells > CELLS_MAX && kept.grids.len() > 1 {
            let oldest = kept.grids.iter().min_by_key(|(_, (asked, _))| *asked);
            let Some(oldest) = oldest.map(|(grid, _)| *grid) else {
                return;
            };
            if let Some((_, facts)) = kept.grids.remove(&oldest) {
                kept.cells -= u64::from(facts.cells());
            }
        }
    }

    pub(super) fn forget(&self, grid: GridId) {
        let mut kept = self.lock();
        if let Some((_, facts)) = kept.grids.remove(&grid) {
            kept.cells -= u64::from(facts.cells());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grid::GridSpec;
    use crate::domain::grid::tests::draft;

    #[test]
    fn the_grid_that_was_asked_for_the_longest_ago_goes_first() {
        let cache = FactsCache::default();
        let spec = Arc::new(GridSpec::accept(draft(1000, 400), 1_000_000).unwrap());
        let grids: Vec<Arc<GridFacts>> = (0..3)
            .map(|_| Arc::new(GridFacts::new(GridId::generate(), spec.clone())))
            .collect();
        cache.keep(grids[0].clone());
        cache.keep(grids[1].clone());
        assert!(cache.get(grids[0].grid).is_some());
        cache.keep(grids[2].clone());
        assert!(cache.get(grids[1].grid).is_none());
        assert!(cache.get(grids[0].grid).is_some());
        cache.forget(grids[0].grid);
        assert!(cache.get(grids[0].grid).is_none());
        assert_eq!(cache.lock().cells, 400_000);
    }
}
