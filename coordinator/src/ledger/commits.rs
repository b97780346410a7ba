//! Events that come at the same time, committed together: a transaction costs the same for one as for many.

use std::sync::Arc;

use atelier_proto::clock::{Clock, Stopwatch};
use atelier_proto::fault;
use atelier_proto::ids::CellId;
use tokio::sync::{mpsc, oneshot};

use super::Rules;
use crate::domain::cell::Event;
use crate::metrics::Metrics;
use crate::store::{Store, StoreError, Verdict};

/// Calls that may wait for the commit before theirs.
const CALLS_WAITING_MAX: usize = 4_096;
/// Events of one transaction, which bounds how long those wait that come meanwhile; a single call may have more.
const EVENTS_MAX: usize = 1_024;

/// The events of one call, and who waits for the verdicts.
struct Call {
    events: Vec<(CellId, Event)>,
    answer: oneshot::Sender<Result<Vec<Verdict>, StoreError>>,
}

/// Commits one batch of events after the other.
#[derive(Debug)]
pub(super) struct Commits(mpsc::Sender<Call>);

impl Commits {
    /// Starts to commit, until this is dropped.
    pub(super) fn start(committer: Committer) -> Self {
        let (sender, calls) = mpsc::channel(CALLS_WAITING_MAX);
        tokio::spawn(committer.run(calls));
        Self(sender)
    }

    /// Applies events in their order, all or none of them kept; a verdict for each.
    pub(super) async fn apply(
        &self,
        events: Vec<(CellId, Event)>,
    ) -> Result<Vec<Verdict>, StoreError> {
        let (answer, verdicts) = oneshot::channel();
        let call = Call { events, answer };
        self.0.send(call).await.map_err(|_| StoreError::Ended)?;
        verdicts.await.map_err(|_| StoreError::Ended)?
    }
}

/// Who commits.
pub(super) struct Committer {
    pub(super) store: Arc<Store>,
    pub(super) clock: Clock,
    pub(super) rules: Arc<Rules>,
    pub(super) metrics: Arc<Metrics>,
}

impl Committer {
    async fn run(self, mut calls: mpsc::Receiver<Call>) {
        while let Some(first) = calls.recv().await {
            let mut events = first.events.len();
            let mut batch = vec![first];
            while events < EVENTS_MAX
                && let Ok(next) = calls.try_recv()
            {
                events += next.events.len();
                batch.push(next);
            }
            self.commit(batch).await;
        }
    }

    async fn commit(&self, batch: Vec<Call>) {
        let mut trouble = None;
        if batch.len() > 1 {
            let events = batch.iter().flat_map(|call| call.events.iter().cloned());
            match self.apply(events.collect()).await {
                Ok(verdicts) => {
                    let mut verdicts = verdicts.into_iter();
                    for call in batch {
                        let own = verdicts.by_ref().take(call.events.len()).collect();
                        // Whoever waited may have gone; what was kept stays.
                        let _ = call.answer.send(Ok(own));
                    }
                    return;
                }
                // One call's trouble is not to be that of the others, but to wait for a store that does not answer is enough once.
                Err(error) if error.is_away() => trouble = Some(Arc::new(error)),
                Err(error) => {
                    tracing::warn!(%error, calls = batch.len(), "committing the calls of a batch one by one");
                }
            }
        }
        for call in batch {
            let verdicts = match &trouble {
                Some(error) => Err(StoreError::Together(error.clone())),
                None => self.apply(call.events).await,
            };
            let _ = call.answer.send(verdicts);
        }
    }

    async fn apply(&self, events: Vec<(CellId, Event)>) -> Result<Vec<Verdict>, StoreError> {
        let Rules { lease, shares } = &*self.rules;
        let now = self.clock.now();
        fault::COMMITTING.pass();
        let begun = Stopwatch::start();
        let applied = self.store.apply(events, now, lease, shares).await;
        self.metrics.committed(begun.seconds());
        let verdicts = applied?;
        fault::COMMITTED.pass();
        Ok(verdicts)
    }
}
