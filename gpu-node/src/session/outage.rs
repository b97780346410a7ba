//! A bucket that is away or full. What is in hand waits for it, a while; what waited in vain is given back, which costs no
//! attempt; and no new work is taken until it answers. So an hour without the bucket costs a grid an hour, and no cell its
//! attempts, and no node is taken to be at fault for it.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::future::BoxFuture;
use tokio::sync::watch;

use super::Session;
use super::error::AttemptError;
use super::held::StopSign;
use crate::causes;
use crate::metrics::Metrics;

/// Between two tries of a cell, and between two looks at a bucket before new work is taken.
const WAIT_MIN: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Whether the bucket is away, as its last answer has it.
#[derive(Debug, Default)]
pub(super) struct Outage(watch::Sender<bool>);

impl Outage {
    pub(super) fn is_over(&self) -> bool {
        !*self.0.borrow()
    }

    fn begins(&self, error: &AttemptError, metrics: &Metrics) {
        if !self.0.send_replace(true) {
            let error = causes::all(error);
            tracing::warn!(error, "the bucket is away: no new cells until it is back");
        }
        metrics.bucket_answers(false);
    }

    fn ends(&self, metrics: &Metrics) {
        if self.0.send_if_modified(std::mem::take) {
            tracing::info!("the bucket is back");
            metrics.bucket_answers(true);
        }
    }
}

impl Session {
    /// Does what asks the bucket for something until it answers, within the patience of this node and while the cell is
    /// not to stop; then gives the last error.
    pub(super) async fn patiently<'a, T>(
        &self,
        stop: &StopSign,
        mut call: impl FnMut() -> BoxFuture<'a, Result<T, AttemptError>>,
    ) -> Result<T, AttemptError> {
        let mut waits = waits().with_total_delay(Some(self.bucket_patience)).build();
        loop {
            let error = match call().await {
                Err(error) if error.is_of_the_bucket() => error,
                result => {
                    if result.is_ok() {
                        self.outage.ends(&self.metrics);
                    }
                    return result;
                }
            };
            self.outage.begins(&error, &self.metrics);
            let Some(wait) = waits.next() else {
                return Err(error);
            };
            let slept = stop.token.run_until_cancelled(tokio::time::sleep(wait));
            if slept.await.is_none() {
                return Err(error);
            }
        }
    }

    /// Waits until the bucket is not away: until a cell in hand finds it there, or it answers that it is. One that answers
    /// and takes nothing is asked less and less often.
    pub(super) async fn bucket_is_there(&self, waits: &mut impl Iterator<Item = Duration>) {
        let mut away = self.outage.0.subscribe();
        while *away.borrow_and_update() {
            let wait = waits.next().unwrap_or(WAIT_MAX);
            let found = tokio::time::timeout(wait, away.wait_for(|away| !away));
            let is_found = found.await.is_ok();
            if !is_found && self.bucket.check().await.is_ok() {
                return;
            }
        }
    }
}

/// Longer and longer, without end.
pub(super) fn waits() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(WAIT_MIN)
        .with_max_delay(WAIT_MAX)
        .without_max_times()
}
