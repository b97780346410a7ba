//! What never changes of whose something is: the submitters of grids, and the identities of nodes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Entries of one kind that are remembered; beyond that all are forgotten, and each is looked up once more.
const ENTRIES_MAX: usize = 100_000;

/// Names by the ids of what belongs to them.
#[derive(Debug)]
pub(super) struct Owners<Id>(Mutex<HashMap<Id, Arc<str>>>);

impl<Id> Default for Owners<Id> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Id: Eq + Hash> Owners<Id> {
    pub(super) fn get(&self, id: &Id) -> Option<Arc<str>> {
        let owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        owners.get(id).cloned()
    }

    pub(super) fn insert(&self, id: Id, owner: Arc<str>) {
        let mut owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.len() >= ENTRIES_MAX {
            owners.clear();
        }
        owners.insert(id, owner);
    }
}
