//! Time that is passed in: programs are given a [`Clock`], so that a test can own the hour.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// Tells the time of day, in UTC.
///
/// The one place that reads the system's clock; `clippy.toml` keeps the rest of the code away from it.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    /// Milliseconds since the Unix epoch, moved by hand.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `start` until [`Clock::advance`] moves it, for tests.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(
            start.as_millisecond(),
        ))))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system clock"
    )]
    /// The time now, to the millisecond, which is what the store keeps.
    pub fn now(&self) -> Timestamp {
        let milliseconds = match &self.0 {
            Source::System => Timestamp::now().as_millisecond(),
            Source::Manual(milliseconds) => milliseconds.load(Ordering::SeqCst),
        };
        Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
    }

    /// Moves a manual clock forward; the system's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(milliseconds) = &self.0 {
            milliseconds.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
        }
    }
}

/// Measures how long something took, unaffected by changes of the time of day.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts to count.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the monotonic clock"
    )]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_hand_and_its_copies_move_with_it() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let copy = clock.clone();
        clock.advance(Duration::from_millis(1500));
        assert_eq!(copy.now().as_millisecond(), 1500);
        assert_eq!(copy.now().as_millisecond(), 1500);
    }
}
