//! How long a watch has been without a coordinator: when to try again, and when to give up.

use std::time::Duration;

use atelier_proto::clock::Stopwatch;

/// How long a coordinator may be away, as for a restart, before a watch gives up.
const ABSENCE_DURATION_MAX: Duration = Duration::from_mins(1);
/// The first pause before another try; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A stream that held for so long was no failed try.
const STEADY_DURATION: Duration = Duration::from_secs(10);

/// Tries in a row that came to nothing.
#[derive(Debug, Default)]
pub(super) struct Absence {
    since: Option<Stopwatch>,
    tries: u32,
}

impl Absence {
    /// Takes in that a stream has broken which held for so long, or that none could be had. How long to wait before the
    /// next try; `None` when it is time to give up.
    pub(super) fn broken_after(&mut self, held: Duration) -> Option<Duration> {
        if held >= STEADY_DURATION {
            *self = Self::default();
        }
        let since = *self.since.get_or_insert_with(Stopwatch::start);
        let pause = PAUSE_MIN.saturating_mul(2_u32.saturating_pow(self.tries));
        self.tries = self.tries.saturating_add(1);
        (since.elapsed() < ABSENCE_DURATION_MAX).then_some(pause.min(PAUSE_MAX))
    }

    /// Whether the last thing taken in was the first of its row.
    pub(super) fn is_new(&self) -> bool {
        self.tries == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew_after_a_stream_that_held() {
        let mut absence = Absence::default();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            pauses.push(absence.broken_after(Duration::ZERO).unwrap().as_millis());
            assert_eq!(absence.is_new(), pauses.len() == 1);
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 5000, 5000]);
        let pause = absence.broken_after(STEADY_DURATION).unwrap();
        assert_eq!(pause, PAUSE_MIN);
        assert!(absence.is_new());
        absence.tries = u32::MAX;
        assert_eq!(absence.broken_after(Duration::ZERO), Some(PAUSE_MAX));
    }
}
