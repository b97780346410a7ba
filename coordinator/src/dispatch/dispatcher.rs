//! Those who ask for work, gathered: as many as ask while others are served are served together afterwards.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::ids::NodeId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Answer, Ask, give, take_back};
use crate::ledger::{Ledger, POLL_INTERVAL};
use crate::store::StoreError;

/// Asks that may wait to be heard.
const UNHEARD_MAX: usize = 4_096;
/// Nodes that are served at once.
const ROUND_MAX: usize = 256;
/// How often a node is served anew at once because others were faster; each time means that somebody got a cell.
const ROUNDS_MAX: u32 = 16;

type Told = Result<Answer, StoreError>;

/// Serves nodes in the order in which they ask.
#[derive(Debug, Clone)]
pub struct Dispatcher(mpsc::Sender<Waiting>);

impl Dispatcher {
    /// Starts to serve, until this and all its clones are dropped; after `shutdown` nobody gets anything more.
    pub fn start(ledger: Arc<Ledger>, tasks: &TaskTracker, shutdown: CancellationToken) -> Self {
        let (sender, asks) = mpsc::channel(UNHEARD_MAX);
        let desk = Desk {
            bell: ledger.queued_bell(),
            ledger,
            shutdown,
            asks,
            fresh: VecDeque::new(),
            idle: Vec::new(),
        };
        tasks.spawn(desk.run());
        Self(sender)
    }

    /// Cells for a node, as soon as there are some; none when `wait` is over or the coordinator leaves. Whoever gives up
    /// waiting leaves no cell leased.
    ///
    /// # Errors
    /// [`StoreError::UnknownNode`] if it has not registered, or when the store fails.
    pub async fn give(&self, ask: Ask, wait: Duration) -> Told {
        let node = ask.node;
        let (teller, told) = oneshot::channel();
        let waiting = Waiting {
            ask,
            until: Instant::now() + wait,
            rounds: 0,
            teller,
        };
        let unheard = self.0.send(waiting).await;
        unheard.map_err(|_| StoreError::Ended)?;
        match told.await.map_err(|_| StoreError::Ended)?? {
            Answer::Unknown => Err(StoreError::UnknownNode(node)),
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

    /// Those who have waited come before those who ask anew.
    fn call_all(&mut self) {
        for mut waiting in self.idle.drain(..).rev() {
            waiting.rounds = 0;
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
                for (waiting, answer) in served.into_iter().zip(answers) {
                    self.answer(waiting, answer).await;
                }
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

    async fn answer(&mut self, mut waiting: Waiting, answer: Answer) {
        match answer {
            Answer::Again if waiting.rounds < ROUNDS_MAX => {
                waiting.rounds += 1;
                self.fresh.push_back(waiting);
            }
            Answer::Again | Answer::Nothing => self.idle.push(waiting),
            Answer::Cells(_) | Answer::Drain | Answer::Unknown => {
                let node = waiting.ask.node;
                if let Err(Ok(answer)) = waiting.teller.send(Ok(answer)) {
                    self.take_back(node, &answer).await;
                }
            }
        }
    }

    /// What a node was to get that has gone meanwhile.
    async fn take_back(&self, node: NodeId, answer: &Answer) {
        if let Answer::Cells(given) = answer
            && let Err(error) = take_back(&self.ledger, node, given).await
        {
            tracing::warn!(%error, %node, "cells of a node that has gone wait for their leases to expire");
        }
    }
}
