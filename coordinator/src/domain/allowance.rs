//! How often somebody may do something: so much at once, and so much more each second (a token bucket).

use std::time::Duration;

use jiff::Timestamp;

/// What somebody may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    /// At once, after a rest.
    pub burst: f64,
    /// And so much more each second.
    pub per_second: f64,
}

/// What is left of an allowance, as of a time. Below 0 is what was used in advance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Left {
    amount: f64,
    at: Timestamp,
}

impl Allowance {
    /// All of it, at a time.
    pub fn whole(self, now: Timestamp) -> Left {
        Left {
            amount: self.burst,
            at: now,
        }
    }
}

impl Left {
    /// How much there is now. A clock that was set back gives nothing.
    pub fn now(self, allowance: Allowance, now: Timestamp) -> f64 {
        let seconds = (now.as_millisecond() - self.at.as_millisecond()).max(0) as f64 / 1000.0;
        (self.amount + seconds * allowance.per_second).min(allowance.burst)
    }

    /// Whether nothing of it is used, so that it need not be remembered.
    pub fn is_whole(self, allowance: Allowance, now: Timestamp) -> bool {
        self.now(allowance, now) >= allowance.burst
    }

    /// Uses one, if there is one.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn try_use(&mut self, allowance: Allowance, now: Timestamp) -> Result<(), Duration> {
        let amount = self.now(allowance, now);
        if amount < 1.0 {
            let seconds = (1.0 - amount) / allowance.per_second;
            return Err(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        }
        *self = Self {
            amount: amount - 1.0,
            at: now,
        };
        Ok(())
    }

    /// Uses so much, also what is not there yet, but no more in advance than is had at once.
    pub fn charge(&mut self, amount: f64, allowance: Allowance, now: Timestamp) {
        let left = self.now(allowance, now) - amount;
        *self = Self {
            amount: left.max(-allowance.burst),
            at: now,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Allowance = Allowance {
        burst: 4.0,
        per_second: 2.0,
    };

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millisecond).unwrap()
    }

    #[test]
    fn so_much_may_be_used_at_once_and_so_much_more_each_second() {
        let mut left = SOME.whole(at(0));
        for _ in 0..4 {
            assert_eq!(left.try_use(SOME, at(0)), Ok(()));
        }
        let after = left.try_use(SOME, at(0)).unwrap_err();
        assert_eq!(after, Duration::from_millis(500));
        assert_eq!(left.try_use(SOME, at(499)).unwrap_err().as_millis(), 1);
        assert_eq!(left.try_use(SOME, at(500)), Ok(()));
        assert!(!left.is_whole(SOME, at(1_000)));
        assert!(left.is_whole(SOME, at(10_000)));
        let set_back = left.now(SOME, at(-10_000));
        assert!(set_back.abs() < 1e-9, "a clock that was set back");
    }

    #[test]
    fn what_is_used_in_advance_is_waited_for_and_bounded() {
        let mut left = SOME.whole(at(0));
        left.charge(6.0, SOME, at(0));
        assert_eq!(left.try_use(SOME, at(0)), Err(Duration::from_millis(1_500)));
        left.charge(1e9, SOME, at(0));
        assert_eq!(left.try_use(SOME, at(0)), Err(Duration::from_millis(2_500)));
    }
}
