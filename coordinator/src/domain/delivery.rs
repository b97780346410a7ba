//! What becomes of a delivery to a webhook: whether an answer takes it, and when it is tried again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How long after the first failure a delivery is tried again; three times as long after each further one.
const DELAY_MIN: Duration = Duration::from_secs(5);
/// A delivery is tried at least so often, whatever its receiver asks for.
const DELAY_MAX: Duration = Duration::from_hours(1);
const DELAY_FACTOR: u32 = 3;
/// A delivery that nobody has taken for so long is given up.
pub const LIFETIME: Duration = Duration::from_hours(24);

/// What a receiver made of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It has it.
    Taken,
    /// It may take it later, if it said so after this time at the earliest.
    NotNow(Option<Duration>),
    /// It will never take one again.
    Gone,
}

impl Answer {
    /// What an HTTP status means, with the seconds of a `Retry-After`, if there was one.
    ///
    /// As in the [Standard Webhooks specification](https://www.standardwebhooks.com): 2xx takes a delivery, 410 refuses it for
    /// good, and all else, redirects included, may be mended by whoever runs the receiver.
    pub fn of(status: u16, retry_after: Option<u64>) -> Self {
        match status {
            200..=299 => Self::Taken,
            410 => Self::Gone,
            429 | 503 => Self::NotNow(retry_after.map(Duration::from_secs)),
            _ => Self::NotNow(None),
        }
    }
}

/// When a delivery that failed for the `attempts`th time is tried again; `None`: no more.
///
/// `chance`, from 0 to 1, spreads the attempts of deliveries that failed together.
pub fn next_attempt(
    begun_at: Timestamp,
    attempts: u32,
    asked_for: Option<Duration>,
    chance: f64,
    now: Timestamp,
) -> Option<Timestamp> {
    let factor = DELAY_FACTOR.saturating_pow(attempts.saturating_sub(1));
    let delay = DELAY_MIN.saturating_mul(factor).min(DELAY_MAX);
    let delay = delay.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0));
    let delay = delay.max(asked_for.unwrap_or_default()).min(DELAY_MAX);
    let due = now.checked_add(delay).ok()?;
    let lifetime = SignedDuration::try_from(LIFETIME).unwrap_or(SignedDuration::MAX);
    (due.duration_since(begun_at) <= lifetime).then_some(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// Milliseconds.
    fn delay(attempts: u32, asked_for: Option<u64>, chance: f64) -> i128 {
        let asked_for = asked_for.map(Duration::from_secs);
        let due = next_attempt(at(0), attempts, asked_for, chance, at(100)).unwrap();
        due.duration_since(at(100)).as_millis()
    }

    #[test]
    fn delays_grow_to_an_hour_and_chance_takes_up_to_half_of_them() {
        let delays = [1, 2, 3, 6, 7, 50].map(|attempts| delay(attempts, None, 1.0));
        assert_eq!(
            delays,
            [5_000, 15_000, 45_000, 1_215_000, 3_600_000, 3_600_000]
        );
        let delays = [1, 2, 50].map(|attempts| delay(attempts, None, 0.0));
        assert_eq!(delays, [2_500, 7_500, 1_800_000]);
    }

    #[test]
    fn a_receiver_may_ask_for_time_within_bounds() {
        assert_eq!(delay(1, Some(120), 0.5), 120_000);
        assert_eq!(delay(5, Some(1), 1.0), 405_000);
        assert_eq!(delay(1, Some(u64::MAX), 0.0), 3_600_000);
    }

    #[test]
    fn a_delivery_is_given_up_after_a_day() {
        let day = LIFETIME.as_secs() as i64;
        let next = |now| next_attempt(at(0), 1, None, 1.0, at(now));
        assert_eq!(next(day - 5), Some(at(day)));
        assert_eq!(next(day - 4), None);
        // All attempts of a day are some dozens.
        let (mut now, mut attempts) = (at(0), 0);
        while let Some(due) = next_attempt(at(0), attempts + 1, None, 1.0, now) {
            (now, attempts) = (due, attempts + 1);
        }
        assert!((20..60).contains(&attempts), "{attempts}");
    }

    #[test]
    fn only_success_takes_a_delivery_and_only_410_ends_them() {
        for status in [200, 204, 299] {
            assert_eq!(Answer::of(status, None), Answer::Taken);
        }
        for status in [100, 301, 302, 307, 400, 401, 404, 500] {
            assert_eq!(Answer::of(status, Some(9)), Answer::NotNow(None));
        }
        for status in [429, 503] {
            let later = Answer::NotNow(Some(Duration::from_secs(9)));
            assert_eq!(Answer::of(status, Some(9)), later);
            assert_eq!(Answer::of(status, None), Answer::NotNow(None));
        }
        assert_eq!(Answer::of(410, None), Answer::Gone);
    }
}
