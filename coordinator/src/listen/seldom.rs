//! What happens often, and is told once in a while.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use atelier_proto::clock::Stopwatch;

/// Lets one of many pass within a time, and counts those that do not.
#[derive(Debug)]
pub(super) struct Seldom {
    interval: Duration,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    told: Option<Stopwatch>,
    untold: u64,
}

impl Seldom {
    pub(super) fn every(interval: Duration) -> Self {
        Self {
            interval,
            last: Mutex::default(),
        }
    }

    /// How many were not told since the last one that was, if this one is to be told.
    pub(super) fn tell(&self) -> Option<u64> {
        // Counters may be off by one after a panic elsewhere, which harms nobody.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.told.is_some_and(|at| at.elapsed() < self.interval) {
            last.untold += 1;
            return None;
        }
        last.told = Some(Stopwatch::start());
        Some(std::mem::take(&mut last.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_many_is_told_with_the_number_of_the_others() {
        let seldom = Seldom::every(Duration::from_millis(50));
        assert_eq!(seldom.tell(), Some(0));
        assert_eq!(seldom.tell(), None);
        assert_eq!(seldom.tell(), None);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(seldom.tell(), Some(2));
    }
}
