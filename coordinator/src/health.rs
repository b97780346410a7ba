//! Whether this coordinator can do its work: what probes ask, answered from what was found out a moment ago.
//!
//! **Alive** is whoever answers at all. **Ready** is a coordinator whose database and bucket answer, and that knows that somebody
//! leads. Probes come often and from many, so that however many ask, each thing is looked at once in a while.

use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::bucket::Bucket;
use atelier_proto::clock::Stopwatch;
use serde::Serialize;
use tokio::sync::watch;

use crate::ledger::Ledger;

/// How long what was found out is told again.
pub const FRESH_FOR: Duration = Duration::from_secs(2);
/// What does not answer within this time is away.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Who leads is asked every two seconds; when nobody could tell for so long, nobody knows.
const LEADER_KNOWN_FOR: Duration = Duration::from_secs(10);

/// One thing that a coordinator needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Check {
    ok: bool,
    /// For people; what exactly is wrong is in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
}

impl Check {
    fn of(ok: bool, problem: &'static str) -> Self {
        Self {
            ok,
            problem: (!ok).then_some(problem),
        }
    }
}

/// Everything that a coordinator needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether it has all of it.
    pub ready: bool,
    database: Check,
    /// The database is as this version wants it: it was brought up to date before anything was served.
    migrations: Check,
    bucket: Check,
    leader: Check,
}

impl Report {
    /// The same for who can do without some of it: what all coordinators have in common, as the bucket, is no reason to send
    /// calls to another one.
    #[must_use]
    pub fn without(self, excluded: &[String]) -> Self {
        let is_needed = |name: &str| !excluded.iter().any(|excluded| excluded == name);
        let checks = [
            ("database", self.database),
            ("migrations", self.migrations),
            ("bucket", self.bucket),
            ("leader", self.leader),
        ];
        Self {
            ready: checks
                .iter()
                .all(|(name, check)| check.ok || !is_needed(name)),
            ..self
        }
    }
}

/// Finds out how a coordinator is.
#[derive(Debug)]
pub struct Health {
    ledger: Arc<Ledger>,
    bucket: Bucket,
    /// Since somebody was last known to lead.
    leader_seen: watch::Sender<Option<Stopwatch>>,
    last: tokio::sync::Mutex<Option<(Stopwatch, Report)>>,
}

impl Health {
    /// Of a coordinator with this ledger and this bucket.
    pub fn new(ledger: Arc<Ledger>, bucket: Bucket) -> Self {
        Self {
            ledger,
            bucket,
            leader_seen: watch::Sender::new(None),
            last: tokio::sync::Mutex::default(),
        }
    }

    /// Notes that somebody leads, this coordinator or another one.
    pub fn leader_seen(&self) {
        self.leader_seen.send_replace(Some(Stopwatch::start()));
    }

    /// How it is, some moments ago at most.
    pub async fn report(&self) -> Report {
        let mut last = self.last.lock().await;
        match *last {
            Some((looked, report)) if looked.elapsed() < FRESH_FOR => report,
            before => {
                let report = self.look().await;
                if before.is_none_or(|(_, before)| before != report) {
                    tell(&report);
                }
                *last = Some((Stopwatch::start(), report));
                report
            }
        }
    }

    async fn look(&self) -> Report {
        let (database, bucket, leader) = tokio::join!(
            self.database_answers(),
            self.bucket_answers(),
            self.leader_is_known()
        );
        let metrics = self.ledger.metrics();
        metrics.database_up.set_whether(database);
        metrics.bucket_up.set_whether(bucket);
        Report {
            ready: database && bucket && leader,
            database: Check::of(database, "the database does not answer"),
            migrations: Check::of(true, ""),
            bucket: Check::of(bucket, "the bucket does not answer"),
            leader: Check::of(leader, "no coordinator is known to lead"),
        }
    }

    async fn database_answers(&self) -> bool {
        let asked = tokio::time::timeout(ANSWER_TIMEOUT, self.ledger.store().fleet_bounds());
        match asked.await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the database does not answer");
                false
            }
            Err(_) => false,
        }
    }

    async fn bucket_answers(&self) -> bool {
        match tokio::time::timeout(ANSWER_TIMEOUT, self.bucket.check()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the bucket does not answer");
                false
            }
            Err(_) => false,
        }
    }

    /// At the start it takes a moment until it is known for the first time.
    async fn leader_is_known(&self) -> bool {
        let mut seen = self.leader_seen.subscribe();
        let known = tokio::time::timeout(ANSWER_TIMEOUT, seen.wait_for(Option::is_some));
        match known.await {
            Ok(Ok(seen)) => seen.is_some_and(|seen| seen.elapsed() < LEADER_KNOWN_FOR),
            _ => false,
        }
    }
}

/// Once per change.
fn tell(report: &Report) {
    if report.ready {
        tracing::info!("ready");
        return;
    }
    for check in [report.database, report.bucket, report.leader] {
        if let Some(problem) = check.problem {
            tracing::warn!(problem, "not ready");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_is_told_and_counts_not() {
        let report = Report {
            ready: false,
            database: Check::of(true, ""),
            migrations: Check::of(true, ""),
            bucket: Check::of(false, "the bucket does not answer"),
            leader: Check::of(true, ""),
        };
        let without = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            report.without(&names)
        };
        assert!(!without(&[]).ready && !without(&["database", "bucke"]).ready);
        assert!(without(&["bucket"]).ready && !without(&["bucket"]).bucket.ok);
    }
}
