//! When nodes were last heard of: noted with every call, kept from time to time; how many there are, at all coordinators of the
//! database; and which of them are to leave.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use atelier_proto::ids::NodeId;
use jiff::Timestamp;

use crate::store::{Store, StoreError};

/// Nodes that are remembered; beyond that all are forgotten, and each is looked up once more.
const NODES_MAX: usize = 100_000;

#[derive(Debug, Default)]
struct Seen {
    at: HashMap<NodeId, Timestamp>,
    /// Those whose time is not kept yet.
    waiting: HashMap<NodeId, Timestamp>,
    draining: HashSet<NodeId>,
    /// How many any coordinator heard of lately, as of the last look.
    anywhere: usize,
}

#[derive(Debug, Default)]
pub(super) struct Sightings(Mutex<Seen>);

impl Sightings {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a node was heard of before, and so has registered.
    pub(super) fn knows(&self, node: NodeId) -> bool {
        self.lock().at.contains_key(&node)
    }

    pub(super) fn note(&self, node: NodeId, now: Timestamp) {
        let mut seen = self.lock();
        if seen.at.len() >= NODES_MAX {
            seen.at.clear();
        }
        seen.at.insert(node, now);
        seen.waiting.insert(node, now);
    }

    /// Whether a node is to leave, as far as is known here.
    pub(super) fn is_draining(&self, node: NodeId) -> bool {
        self.lock().draining.contains(&node)
    }

    pub(super) fn set_draining(&self, node: NodeId, is_draining: bool) {
        let mut seen = self.lock();
        if is_draining {
            seen.draining.insert(node);
        } else {
            seen.draining.remove(&node);
        }
    }

    /// How many nodes were heard of since a time: here, or lately at any coordinator if those are more.
    pub(super) fn since(&self, time: Timestamp) -> usize {
        let seen = self.lock();
        let here = seen.at.values().filter(|at| **at >= time).count();
        here.max(seen.anywhere)
    }

    /// Keeps what was noted, or notes it again, and learns how many were heard of since a time and who is to leave.
    pub(super) async fn keep(&self, store: &Store, since: Timestamp) -> Result<(), StoreError> {
        let waiting: Vec<(NodeId, Timestamp)> = self.lock().waiting.drain().collect();
        if !waiting.is_empty()
            && let Err(error) = store.nodes_seen(&waiting).await
        {
            // A row that cannot be read does not get better by being asked for again, and the others are not to wait for it.
            if !matches!(error, StoreError::Damaged { .. }) {
                let mut seen = self.lock();
                for (node, at) in waiting {
                    // Those that called since have a later time.
                    seen.waiting.entry(node).or_insert(at);
                }
            }
            return Err(error);
        }
        let draining = store.nodes_draining().await?;
        let anywhere = store.nodes_since(since).await?;
        let mut seen = self.lock();
        seen.draining = draining;
        seen.anywhere = anywhere;
        Ok(())
    }
}
