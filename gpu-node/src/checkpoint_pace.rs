//! When a render that is on its way is to be kept.

use std::ops::ControlFlow;
use std::time::Duration;

use atelier_proto::clock::Stopwatch;

/// Checkpoints of a batch are made on the time of its render: of so many seconds, they take one at most.
const RENDERED_PER_MAKING: u32 = 50;

/// One checkpoint at every interval, and one more when the render is told to stop.
#[derive(Debug)]
pub struct CheckpointPace {
    interval: Duration,
    since_last: Stopwatch,
    last: Last,
}

/// The checkpoint of a render that is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    NotYet,
    Wanted,
    Made,
}

impl CheckpointPace {
    /// The first checkpoint is due after one interval.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            since_last: Stopwatch::start(),
            last: Last::NotYet,
        }
    }

    /// Whether the interval has passed, or the last checkpoint is wanted.
    pub fn is_due(&self) -> bool {
        self.is_last() || self.since_last.elapsed() >= self.interval
    }

    /// The same for one of several renders on one device whose checkpoints take `making` to make, all of them together.
    /// Where that is too much for the interval, they come less often; the last one comes all the same.
    pub fn is_due_among(&self, making: Duration) -> bool {
        let allowed = self.since_last.elapsed() >= making.saturating_mul(RENDERED_PER_MAKING);
        self.is_due() && (allowed || self.is_last())
    }

    /// Whether the one that is wanted now is the last.
    pub fn is_last(&self) -> bool {
        self.last == Last::Wanted
    }

    /// Notes that a checkpoint was made.
    pub fn made(&mut self) {
        self.since_last = Stopwatch::start();
        if self.is_last() {
            self.last = Last::Made;
        }
    }

    /// After an evaluation of a render that is to stop: it goes on for one more, at the end of which the last
    /// checkpoint is made.
    pub fn stop(&mut self) -> ControlFlow<()> {
        match self.last {
            Last::NotYet => {
                self.last = Last::Wanted;
                ControlFlow::Continue(())
            }
            Last::Wanted | Last::Made => ControlFlow::Break(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_render_that_is_to_stop_is_kept_once_more() {
        let mut pace = CheckpointPace::new(Duration::from_hours(1));
        assert!(!pace.is_due());
        assert!(pace.stop().is_continue());
        assert!(pace.is_due() && pace.is_last());
        pace.made();
        assert!(!pace.is_due());
        assert!(pace.stop().is_break());
        assert!(CheckpointPace::new(Duration::ZERO).is_due());
    }

    #[test]
    fn checkpoints_that_take_long_to_make_come_less_often_but_for_the_last() {
        let mut pace = CheckpointPace::new(Duration::ZERO);
        assert!(pace.is_due_among(Duration::ZERO));
        assert!(!pace.is_due_among(Duration::from_mins(1)));
        assert!(pace.stop().is_continue());
        assert!(pace.is_due_among(Duration::from_mins(1)));
        let rare = CheckpointPace::new(Duration::from_hours(1));
        assert!(!rare.is_due_among(Duration::ZERO));
    }
}
