//! How long cells took: noted as they are done, kept from time to time.

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::effort::Speeds;
use crate::store::{Measurement, Store, StoreError};

/// Measurements that wait to be kept; more say nothing new.
const WAITING_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Measurements {
    waiting: Mutex<Vec<Measurement>>,
    speeds: Mutex<Arc<Speeds>>,
}

impl Measurements {
    pub(super) fn note(&self, measurement: Measurement) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.push(measurement);
        }
    }

    pub(super) fn speeds(&self) -> Arc<Speeds> {
        let speeds = self.speeds.lock().unwrap_or_else(PoisonError::into_inner);
        speeds.clone()
    }

    pub(super) async fn keep(&self, store: &Store) -> Result<(), StoreError> {
        let waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        if !waiting.is_empty() {
            store.measured(&waiting).await?;
        }
        let latest = Arc::new(store.speeds().await?);
        *self.speeds.lock().unwrap_or_else(PoisonError::into_inner) = latest;
        Ok(())
    }
}
