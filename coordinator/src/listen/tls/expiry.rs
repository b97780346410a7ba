//! When it is time to say that something is about to expire.

use jiff::{SignedDuration, Timestamp};

use crate::metrics::Metrics;

/// How long before the end there is a warning.
const WARNED_BEFORE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How often.
const WARNED_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// What expires when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Expiry {
    /// The server's certificate.
    pub(super) certificate: Option<Timestamp>,
    /// The revocation list that is to be renewed first. One that is late is used all the same: to refuse everybody would
    /// be worse than to miss what was revoked since.
    pub(super) revocation_list: Option<Timestamp>,
    /// The authority of clients' certificates that expires first.
    pub(super) authority: Option<Timestamp>,
}

impl Expiry {
    /// Tells metrics of it.
    pub(super) fn tell(&self, metrics: &Metrics) {
        for (file, at) in [
            ("certificate", self.certificate),
            ("revocation_list", self.revocation_list),
            ("client_authority", self.authority),
        ] {
            let seconds = at.map(|at| at.as_second() as f64);
            metrics.tls_expires.of([file]).set_known(seconds);
        }
    }

    /// What is to be said now, if the last time was `warned`.
    pub(super) fn warning(&self, now: Timestamp, warned: Option<Timestamp>) -> Option<String> {
        if warned.is_some_and(|at| now.duration_since(at) < WARNED_EVERY) {
            return None;
        }
        let warning = |what: &str, at: Option<Timestamp>, consequence: &str| {
            let at = at?;
            let left = at.duration_since(now);
            if left > WARNED_BEFORE {
                return None;
            }
            let day = at.strftime("%Y-%m-%d %H:%M UTC");
            Some(if left.is_positive() {
                format!("{what} expires on {day}: {consequence}")
            } else {
                format!("{what} has expired on {day}: {consequence}")
            })
        };
        let certificate = warning(
            "the certificate of --tls-cert",
            self.certificate,
            "put a new one in its place; it is taken up without a restart",
        );
        let revocation_list = warning(
            "the revocation list of --client-crl",
            self.revocation_list,
            "put a newer one in its place; until then it is used as it is",
        );
        let authority = warning(
            "an authority of --client-ca",
            self.authority,
            "clients and nodes with certificates of it are refused then; put a new one beside it, and give them new ones",
        );
        let warnings = certificate
            .into_iter()
            .chain(revocation_list)
            .chain(authority);
        let warnings: Vec<String> = warnings.collect();
        (!warnings.is_empty()).then(|| warnings.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_warning_a_day_in_the_last_two_weeks_and_after_the_end() {
        let now: Timestamp = "2030-06-01T12:00:00Z".parse().unwrap();
        let in_days = |days: i64| now + SignedDuration::from_hours(24 * days);
        let expiry = |days| Expiry {
            certificate: Some(in_days(days)),
            ..Expiry::default()
        };
        assert_eq!(expiry(15).warning(now, None), None);
        let soon = expiry(13).warning(now, None).unwrap();
        assert!(soon.contains("expires on 2030-06-14 12:00 UTC"), "{soon}");
        let late = expiry(-1).warning(now, None).unwrap();
        assert!(late.contains("has expired on 2030-05-31"), "{late}");
        let told = Some(now - SignedDuration::from_hours(23));
        assert_eq!(expiry(13).warning(now, told), None);
        let told = Some(now - SignedDuration::from_hours(24));
        assert!(expiry(13).warning(now, told).is_some());
        let all = Expiry {
            revocation_list: Some(in_days(2)),
            authority: Some(in_days(4)),
            ..expiry(3)
        };
        let metrics = Metrics::default();
        all.tell(&metrics);
        let told = metrics.text_of_this_one();
        for (file, at) in [
            ("certificate", 3),
            ("revocation_list", 2),
            ("client_authority", 4),
        ] {
            let seconds = in_days(at).as_second();
            let line = format!("tls_expires_timestamp_seconds{{file=\"{file}\"}} {seconds}");
            assert!(told.contains(&line), "{line} is missing in {told}");
        }
        let all = all.warning(now, None).unwrap();
        assert!(all.contains("--tls-cert") && all.contains("--client-crl"));
        assert!(all.contains("--client-ca expires on 2030-06-05"), "{all}");
        assert_eq!(Expiry::default().warning(now, None), None);
    }
}
