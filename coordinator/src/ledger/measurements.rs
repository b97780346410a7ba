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
    /// Notes how long a cell took, if not too much waits already.
    pub(super) fn note(&self, measurement: Measurement) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.push(measurement);
        }
    }

    /// Every speed as it was when it was last looked at.
    pub(super) fn speeds(&self) -> Arc<Speeds> {
        let speeds = self.speeds.lock().unwrap_or_else(PoisonError::into_inner);
        speeds.clone()
    }

    /// Keeps what was noted, or notes it again, and learns what others kept.
    pub(super) async fn keep(&self, store: &Store) -> Result<(), StoreError> {
        let waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        if !waiting.is_empty()
            && let Err(error) = store.measured(&waiting).await
        {
            for measurement in waiting {
                self.note(measurement);
            }
            return Err(error);
        }
        let latest = Arc::new(store.speeds().await?);
        *self.speeds.lock().unwrap_or_else(PoisonError::into_inner) = latest;
        Ok(())
    }
}
