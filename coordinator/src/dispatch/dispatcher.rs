//! Those who ask for work, gathered: as many as ask while others are served are served together afterwards.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::ids::NodeId;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Answer, Ask, Given, give, take_back};
use crate::ledger::{Ledger, POLL_INTERVAL};
use crate::limits::{Exceeded, Limit};
use crate::store::StoreError;

/// Asks that may wait to be heard.
const UNHEARD_MAX: usize = 4_096;
/// Nodes that are served at once.
const ROUND_MAX: usize = 256;
/// How often a node is served anew at once because others were faster; each time means that somebody got a cell.
const ROUNDS_MAX: u32 = 16;

/// When a node is to ask again that found no place to wait.
const FULL_WAIT: Duration = Duration::from_secs(2);

type Told = Result<Answer, StoreError>;

/// Why a node that asks is told nothing.
#[derive(Debug, thiserror::Error)]
pub enum NotGiven {
    /// Too many wait.
    #[error(transparent)]
    Full(#[from] Exceeded),
    /// It is not known, or the store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Serves nodes in the order in which they ask.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    desk: mpsc::Sender<Waiting>,
    ledger: Arc<Ledger>,
    /// Of those who wait.
    places: Arc<Semaphore>,
    places_max: usize,
}

impl Dispatcher {
    /// Starts to serve, until this and all its clones are dropped; after `shutdown` nobody gets anything more.
    /// `waiting_max` nodes may wait at once.
    pub fn start(
        ledger: Arc<Ledger>,
        waiting_max: usize,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let (sender, asks) = mpsc::channel(UNHEARD_MAX);
        let desk = Desk {
            bell: ledger.queued_bell(),
            ledger: ledger.clone(),
            shutdown,
            asks,
            fresh: VecDeque::new(),
            idle: Vec::new(),
        };
        tasks.spawn(desk.run());
        Self {
            desk: sender,
            ledger,
            places: Arc::new(Semaphore::new(waiting_max)),
            places_max: waiting_max,
        }
    }

    /// Cells for a node, as soon as there are some; none when `wait` is over or the coordinator leaves. Whoever gives up
    /// waiting leaves no cell leased.
    ///
    /// # Errors
    /// When too many wait already, it has not registered ([`StoreError::UnknownNode`]), or the store fails.
    pub async fn give(&self, ask: Ask, wait: Duration) -> Result<Answer, NotGiven> {
        let node = ask.node;
        let Ok(_place) = self.places.try_acquire() else {
            self.ledger.metrics().refused(Limit::WaitingLeases);
            let most = self.places_max;
            return Err(NotGiven::Full(Exceeded {
                limit: Limit::WaitingLeases,
                message: format!(
                    "{most} nodes wait for cells, and no more may\nhint: have an operator raise --waiting-leases-max, or add a coordinator"
                ),
                after: FULL_WAIT,
                is_flood: false,
            }));
        };
        let (teller, told) = oneshot::channel();
        let waiting = Waiting {
            ask,
            until: Instant::now() + wait,
            rounds: 0,
            teller,
        };
        let unheard = self.desk.send(waiting).await;
        unheard.map_err(|_| StoreError::Ended)?;
        match told.await.map_err(|_| StoreError::Ended)?? {
            Answer::Unknown => Err(StoreError::UnknownNode(node).into()),
            answer => Ok(answer),
        }
    }
}

/// Somebody who asks.
#[derive(Debug)]
struct Waiting {
    ask: Ask,
    until: Instant,
    /// How often it was served in vain since there was something.
    rounds: u32,
    teller: oneshot::Sender<Told>,
}

/// Where they ask.
struct Desk {
    ledger: Arc<Ledger>,
    shutdown: CancellationToken,
    asks: mpsc::Receiver<Waiting>,
    bell: watch::Receiver<()>,
    /// Those to be served, in this order.
    fresh: VecDeque<Waiting>,
    /// Those for whom there was nothing the last time.
    idle: Vec<Waiting>,
}

impl Desk {
    async fn run(mut self) {
        let mut look_again_at = Instant::now() + POLL_INTERVAL;
        while self.hear(&mut look_again_at).await {
            while !self.fresh.is_empty() {
                while let Ok(next) = self.asks.try_recv() {
                    self.fresh.push_back(next);
                }
                self.serve_some().await;
            }
        }
    }

    /// Waits until there is somebody to serve, or somebody has waited long enough; false when nobody can ask any more.
    async fn hear(&mut self, look_again_at: &mut Instant) -> bool {
        let is_leaving = self.shutdown.is_cancelled();
        let now = Instant::now();
        let is_over = |waiting: &mut Waiting| is_leaving || waiting.until <= now;
        for waiting in self.idle.extract_if(.., is_over) {
            // Whoever has gone needs no answer.
            let _ = waiting.teller.send(Ok(Answer::Nothing));
        }
        let anybody_waits = !self.idle.is_empty();
        let first_over = self.idle.iter().map(|waiting| waiting.until).min();
        let next = first_over.map_or(*look_again_at, |first| first.min(*look_again_at));
        tokio::select! {
            heard = self.asks.recv() => match heard {
                Some(waiting) => self.fresh.push_back(waiting),
                None => return false,
            },
            // The ledger has the other end.
            Ok(()) = self.bell.changed(), if anybody_waits => self.call_all(),
            () = tokio::time::sleep_until(next), if anybody_waits => {
                if next == *look_again_at {
                    self.call_all();
                    *look_again_at = Instant::now() + POLL_INTERVAL;
                }
            }
            () = self.shutdown.cancelled(), if anybody_waits => {}
        }
        true
    }

    fn call_all(&mut self) {
        let mut all = std::mem::take(&mut self.idle);
        for waiting in &mut all {
            waiting.rounds = 0;
        }
        self.call(all);
    }

    /// Those who have waited come before those who ask anew.
    fn call(&mut self, waiting: Vec<Waiting>) {
        for waiting in waiting.into_iter().rev() {
            self.fresh.push_front(waiting);
        }
    }

    async fn serve_some(&mut self) {
        let some = self.fresh.len().min(ROUND_MAX);
        let mut served: Vec<Waiting> = self.fresh.drain(..some).collect();
        served.retain(|waiting| !waiting.teller.is_closed());
        if served.is_empty() {
            return;
        }
        if self.shutdown.is_cancelled() {
            self.idle.append(&mut served);
            return;
        }
        let asks: Vec<Ask> = served.iter().map(|waiting| waiting.ask.clone()).collect();
        match give(&self.ledger, &asks).await {
            Ok(answers) => {
                let mut again = Vec::new();
                for (waiting, answer) in served.into_iter().zip(answers) {
                    again.extend(self.answer(waiting, answer).await);
                }
                self.call(again);
            }
            Err(error) => {
                let error = Arc::new(error);
                for waiting in served {
                    let _ = waiting
                        .teller
                        .send(Err(StoreError::Together(error.clone())));
                }
            }
        }
    }

    /// Tells somebody, who is given back if it is to be served again at once.
    async fn answer(&mut self, mut waiting: Waiting, answer: Answer) -> Option<Waiting> {
        match answer {
            Answer::Again if waiting.rounds < ROUNDS_MAX => {
                waiting.rounds += 1;
                return Some(waiting);
            }
            Answer::Again | Answer::Nothing => self.idle.push(waiting),
            Answer::Cells(_) | Answer::Drain | Answer::Unknown => {
                let node = waiting.ask.node;
                if let Err(Ok(Answer::Cells(given))) = waiting.teller.send(Ok(answer)) {
                    self.take_back(node, &given).await;
                }
            }
        }
        None
    }

    /// What a node was to get that has gone meanwhile.
    async fn take_back(&self, node: NodeId, given: &[Given]) {
        if let Err(error) = take_back(&self.ledger, node, given).await {
            tracing::warn!(%error, %node, "cells of a node that has gone wait for their leases to expire");
        }
    }
}

#[cfg(test)]
mod tests;
