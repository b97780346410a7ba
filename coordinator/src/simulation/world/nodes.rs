//! What nodes do, and what the model says to it.

use std::collections::BTreeSet;

use atelier_proto::ids::{CellId, Digest, NodeId};
use futures::future::join_all;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use proptest::{prop_assert, prop_assert_eq};

use super::super::model::cell::{Heard, Said};
use super::super::operation::{Fault, Moved, Say, What};
use super::{Belief, Picture, VirtualNode, World, ZONE};
use crate::dispatch::{Answer, Ask, Given, give, take_back};
use crate::domain::access::Caller;
use crate::domain::block::Wanted;
use crate::domain::cell::tests::result;
use crate::domain::cell::{CellResult, Event, Progress, Refusal};
use crate::domain::lease::Holder;
use crate::domain::node::Node;
use crate::ledger::Ledger;
use crate::store::{Rejection, Verdict};

/// Evaluations that nodes plan.
const EVALUATIONS_PLANNED: u32 = 500;
/// Seconds that each picture takes.
pub(super) const SECONDS: f64 = 1.5;

/// What a node says of a cell, as which holder.
type Sentence = (CellId, Holder, Said);

impl World {
    pub(super) async fn register(&mut self, at: usize, node: usize) -> TestCaseResult {
        let VirtualNode { id, is_of_zone, .. } = self.nodes[node];
        let zone = if is_of_zone { ZONE.1 } else { "a" };
        let described = Node {
            id,
            name: format!("node {node}, {}", self.now(at)),
            device: "cpu".to_owned(),
            memory_bytes: 8 << 30,
            batch_capacity: 1,
            version: "0.1.0".to_owned(),
            instance_id: String::new(),
            labels: [(ZONE.0.to_owned(), zone.to_owned())].into(),
            dollars_per_hour: None,
        };
        let (ledger, now) = (&self.ledgers[at], self.now(at));
        ledger.store().register_node(&described, None, now).await?;
        self.nodes[node].is_registered = true;
        self.model.nodes.entry(id).or_default().is_of_zone = is_of_zone;
        Ok(())
    }

    pub(super) async fn lease(
        &mut self,
        at: usize,
        node: usize,
        cells: usize,
        fault: Fault,
        noticed: bool,
    ) -> TestCaseResult {
        if !self.nodes[node].is_registered {
            self.register(at, node).await?;
        }
        let id = self.nodes[node].id;
        let last = fault.arrives_at(at).last();
        for at in fault.arrives_at(at) {
            self.ledgers[at].node_seen(id, &Caller::Anyone).await?;
            let left = [0, 1].map(|submitter| self.model.running_left(submitter));
            let is_served = self.model.is_served(id, self.now(at));
            let answer = give_one(&self.ledgers[at], id, cells).await?;
            let given = self.given(at, id, answer)?;
            prop_assert_eq!(!given.is_empty(), is_served, "it gets cells if it may");
            if let Some(first) = given.first() {
                let grid = self.model.grid_mut(first.cell.grid);
                let left = grid.map_or(0, |grid| left[grid.submitter]);
                prop_assert!(given.len() <= cells.min(left), "more than it may get");
            }
            if fault.is_answered() && last == Some(at) {
                self.nodes[node].believe(&given);
            } else if noticed {
                take_back(&self.ledgers[at], id, &given).await?;
                for cell in &given {
                    let holder = holder(id, cell.attempt);
                    let now = self.now(at);
                    let heard = self.model.hear(cell.cell, holder, Said::Released, now);
                    prop_assert_eq!(heard, Heard::Changed);
                }
            }
        }
        Ok(())
    }

    /// Two ask at the same time, so that either may be first.
    pub(super) async fn race(&mut self, nodes: [usize; 2], cells: usize) -> TestCaseResult {
        for (at, node) in nodes.into_iter().enumerate() {
            if !self.nodes[node].is_registered {
                self.register(at, node).await?;
            }
        }
        let ids = nodes.map(|node| self.nodes[node].id);
        let (first, second) = tokio::join!(
            give_one(&self.ledgers[0], ids[0], cells),
            give_one(&self.ledgers[1], ids[1], cells)
        );
        let mut both_got = true;
        for (at, answer) in [first?, second?].into_iter().enumerate() {
            let given = self.given(at, ids[at], answer)?;
            self.nodes[nodes[at]].believe(&given);
            both_got &= !given.is_empty();
        }
        if both_got {
            self.model.reach("two get cells at the same time");
        }
        Ok(())
    }

    /// Tells the model what a node was given.
    fn given(
        &mut self,
        at: usize,
        node: NodeId,
        answer: Answer,
    ) -> Result<Vec<Given>, TestCaseError> {
        let is_to_drain = self.model.nodes[&node].state() == "draining";
        prop_assert_eq!(matches!(answer, Answer::Drain), is_to_drain);
        let Answer::Cells(given) = answer else {
            return Ok(Vec::new());
        };
        let grids: BTreeSet<_> = given.iter().map(|cell| cell.cell.grid).collect();
        prop_assert_eq!(grids.len(), 1, "a block is of one grid");
        for cell in &given {
            let holder = holder(node, cell.attempt);
            self.model.given(cell.cell, holder, self.now(at))?;
        }
        Ok(given)
    }

    pub(super) async fn renew(
        &mut self,
        at: usize,
        node: usize,
        progress: Moved,
        fault: Fault,
    ) -> TestCaseResult {
        let Some(node) = self.busy(node, |node| &node.beliefs) else {
            return Ok(());
        };
        for belief in &mut self.nodes[node].beliefs {
            let before = belief.evaluations.unwrap_or(0);
            belief.evaluations = match progress {
                Moved::By(evaluations) => Some(before + evaluations),
                Moved::Stands => Some(before),
                Moved::Restarted => Some(0),
                Moved::Waits => belief.evaluations,
            };
        }
        let is_waiting = matches!(progress, Moved::Waits);
        let sentences: Vec<Sentence> = self.nodes[node]
            .beliefs
            .iter()
            .map(|belief| {
                let evaluations = belief.evaluations.filter(|_| !is_waiting);
                (belief.cell, belief.holder, Said::Alive(evaluations))
            })
            .collect();
        for at in fault.arrives_at(at) {
            let heard = self.say(at, vec![sentences.clone()]).await?;
            if fault.is_answered() {
                for ((cell, holder, _), heard) in sentences.iter().zip(heard) {
                    if !matches!(heard, Heard::Changed | Heard::Same) {
                        self.nodes[node].drop(*cell, *holder);
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn put_only(&mut self, node: usize, cell: usize) {
        if let Some(node) = self.busy(node, |node| &node.beliefs) {
            let beliefs = &self.nodes[node].beliefs;
            let Belief { cell, holder, .. } = beliefs[cell % beliefs.len()];
            self.put(cell, holder);
        }
    }

    /// One of the nodes that have some of these.
    fn busy(&self, number: usize, of: fn(&VirtualNode) -> &Vec<Belief>) -> Option<usize> {
        let nodes = self.nodes.iter().enumerate();
        let busy: Vec<usize> = nodes
            .filter(|(_, node)| !of(node).is_empty())
            .map(|(index, _)| index)
            .collect();
        Some(busy[number.checked_rem(busy.len())?])
    }

    /// Puts a picture if there is none; the digest of the one that is there.
    pub(super) fn put(&mut self, cell: CellId, holder: Holder) -> Digest {
        let content = format!("{cell} {holder:?}");
        let own = Picture {
            sha256: Digest::of(content.as_bytes()),
            writer: holder,
        };
        let there = *self.bucket.entry(cell).or_insert(own);
        if there.writer != holder {
            self.model.reach("the picture of another one is adopted");
        }
        there.sha256
    }

    pub(super) async fn tell(&mut self, at: usize, say: Say, fault: Fault) -> TestCaseResult {
        let Some(sentence) = self.sentence(say) else {
            return Ok(());
        };
        for at in fault.arrives_at(at) {
            self.say(at, vec![vec![sentence]]).await?;
        }
        if fault.is_answered() {
            self.answered(sentence);
        }
        Ok(())
    }

    /// Several calls that are committed as one.
    pub(super) async fn together(&mut self, at: usize, says: &[Say]) -> TestCaseResult {
        let sentences: Vec<Sentence> = says.iter().filter_map(|say| self.sentence(*say)).collect();
        let calls = sentences.iter().map(|sentence| vec![*sentence]);
        self.say(at, calls.collect()).await?;
        for sentence in sentences {
            self.answered(sentence);
        }
        Ok(())
    }

    /// What a node says; if it has a picture, it puts it before.
    fn sentence(&mut self, say: Say) -> Option<Sentence> {
        let of: fn(&VirtualNode) -> &Vec<Belief> = if say.is_late {
            |node| &node.past
        } else {
            |node| &node.beliefs
        };
        let node = &self.nodes[self.busy(say.node, of)?];
        let beliefs = of(node);
        let Belief {
            cell,
            holder,
            evaluations,
        } = beliefs[say.cell % beliefs.len()];
        let said = match say.what {
            What::Alive => Said::Alive(evaluations),
            What::Done if node.is_broken => Said::Failed { refused: false },
            What::Done => Said::Done(self.put(cell, holder)),
            What::Failed => Said::Failed { refused: false },
            What::Refused => Said::Failed { refused: true },
            What::Released => Said::Released,
        };
        Some((cell, holder, said))
    }

    /// Whatever the answer was, a node that has ended its work on a cell and heard of it has nothing more to do with it.
    fn answered(&mut self, (cell, holder, said): Sentence) {
        if !matches!(said, Said::Alive(_)) {
            for node in &mut self.nodes {
                node.drop(cell, holder);
            }
        }
    }

    /// Makes calls at the same moment, and has the model say what must be answered.
    pub(super) async fn say(
        &mut self,
        at: usize,
        calls: Vec<Vec<Sentence>>,
    ) -> Result<Vec<Heard>, TestCaseError> {
        let ledger = &self.ledgers[at];
        let applying = calls.iter().map(|sentences| {
            let events = sentences
                .iter()
                .map(|(cell, holder, said)| (*cell, event(*holder, *said)));
            ledger.apply(events.collect())
        });
        let answers: Vec<Vec<Verdict>> = join_all(applying)
            .await
            .into_iter()
            .collect::<Result<_, _>>()?;
        let now = self.now(at);
        let mut all = Vec::new();
        let sentences = calls.into_iter().flatten();
        for ((cell, holder, said), verdict) in sentences.zip(answers.into_iter().flatten()) {
            let expected = self.model.hear(cell, holder, said, now);
            let heard = heard(&verdict);
            prop_assert_eq!(
                heard,
                Some(expected),
                "{:?} of {:?} about {}: {:?}",
                said,
                holder,
                cell,
                verdict
            );
            all.push(expected);
        }
        Ok(all)
    }
}

impl VirtualNode {
    fn believe(&mut self, given: &[Given]) {
        let node = self.id;
        self.beliefs.extend(given.iter().map(|given| Belief {
            cell: given.cell,
            holder: holder(node, given.attempt),
            evaluations: None,
        }));
    }

    fn drop(&mut self, cell: CellId, holder: Holder) {
        let is_it = |belief: &Belief| belief.cell == cell && belief.holder == holder;
        if let Some(index) = self.beliefs.iter().position(is_it) {
            let belief = self.beliefs.remove(index);
            self.past.push(belief);
        }
    }
}

fn holder(node: NodeId, attempt: u32) -> Holder {
    Holder { node, attempt }
}

/// Serves a node until others are no more faster than it.
async fn give_one(
    ledger: &Ledger,
    node: NodeId,
    cells_max: usize,
) -> Result<Answer, TestCaseError> {
    let wanted = Wanted {
        cells_max,
        ..Wanted::default()
    };
    let ask = [Ask { node, wanted }];
    loop {
        let answer = give(ledger, &ask).await?.pop();
        match answer {
            Some(Answer::Again) => {}
            Some(answer) => return Ok(answer),
            None => return Err(TestCaseError::fail("an ask without an answer")),
        }
    }
}

fn event(holder: Holder, said: Said) -> Event {
    match said {
        Said::Alive(evaluations) => Event::Renew {
            holder,
            progress: evaluations.map(|evaluations| Progress {
                evaluations,
                planned: EVALUATIONS_PLANNED,
                loss: if evaluations == 0 {
                    f64::NAN
                } else {
                    1.0 / f64::from(evaluations)
                },
            }),
        },
        Said::Done(sha256) => Event::Complete {
            holder,
            result: CellResult {
                sha256,
                seconds: SECONDS,
                evaluations: EVALUATIONS_PLANNED,
                ..result()
            },
            log: String::new(),
        },
        Said::Failed { refused } => Event::Fail {
            holder,
            refused,
            reason: "no memory".to_owned(),
            log: String::new(),
        },
        Said::Released => Event::Release {
            holder,
            reason: "spot".to_owned(),
        },
    }
}

/// What a verdict says; `None` of what cannot be said to a node.
fn heard(verdict: &Verdict) -> Option<Heard> {
    match verdict {
        Ok(applied) if applied.changed => Some(Heard::Changed),
        Ok(_) => Some(Heard::Same),
        Err(Rejection::UnknownCell(_)) => Some(Heard::Unknown),
        Err(Rejection::Refused(Refusal::Stale { .. })) => Some(Heard::Fenced),
        Err(Rejection::Refused(Refusal::Ended { .. })) => Some(Heard::Ended),
        Err(Rejection::Refused(_) | Rejection::NotServed) => None,
    }
}
