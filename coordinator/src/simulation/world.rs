//! Two coordinators over one store, nodes, clients and a bucket, to which operations are done; after each of them the
//! model and the store are compared.

mod check;
mod clients;
mod ending;
mod house;
mod nodes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use atelier_proto::clock::Clock;
use atelier_proto::ids::{CellId, Digest, GridId, NodeId, RequestId};
use jiff::Timestamp;
use proptest::test_runner::{TestCaseError, TestCaseResult};

use super::model::cell::Cell;
use super::model::{Grid, Model, Reached};
use super::operation::{COORDINATORS, NODES, Op, REQUESTS};
use super::{LEASES, SUBMITTER_OPEN_MAX, SUBMITTER_RUNNING_MAX};
use crate::domain::grid::GridSpec;
use crate::domain::grid::tests::draft;
use crate::domain::lease::Holder;
use crate::domain::share::Shares;
use crate::domain::summary::CellRecord;
use crate::ledger::{Ledger, Rules};
use crate::store::{Store, StoreError};

/// Connections of a coordinator to PostgreSQL.
const CONNECTIONS_MAX: u32 = 4;
/// Operations after which all grids are compared, not only those that should have changed.
const COMPARED_EVERY: usize = 16;

/// Where the truth of a schedule is kept.
#[derive(Debug, Clone)]
pub(super) enum Database {
    /// A file, which all coordinators of the simulation have open as one.
    Sqlite(PathBuf),
    /// A URL; each coordinator has connections of its own.
    Postgres(String),
}

/// The stores of the coordinators.
pub(super) type Stores = [Arc<Store>; COORDINATORS];

impl Database {
    pub(super) async fn open(&self) -> Result<Stores, StoreError> {
        Ok(match self {
            Self::Sqlite(path) => {
                let store = Arc::new(Store::sqlite(path).await?);
                [store.clone(), store]
            }
            Self::Postgres(url) => [open_postgres(url).await?, open_postgres(url).await?],
        })
    }

    /// Opens the store of one coordinator again, and that of all where they share one; those that have another one now.
    async fn reopen(&self, stores: &mut Stores, at: usize) -> Result<Range<usize>, StoreError> {
        match self {
            Self::Sqlite(_) => {
                *stores = self.open().await?;
                Ok(0..COORDINATORS)
            }
            Self::Postgres(url) => {
                stores[at] = open_postgres(url).await?;
                Ok(at..at + 1)
            }
        }
    }
}

async fn open_postgres(url: &str) -> Result<Arc<Store>, StoreError> {
    Ok(Arc::new(Store::postgres(url, CONNECTIONS_MAX).await?))
}

/// A run of a node program, and what it believes.
#[derive(Debug)]
struct VirtualNode {
    id: NodeId,
    /// Whether it has the label that some grids want.
    is_of_zone: bool,
    is_registered: bool,
    is_broken: bool,
    beliefs: Vec<Belief>,
    /// What it, or those before it in its place, held once.
    past: Vec<Belief>,
}

/// A cell that a node believes to hold.
#[derive(Debug, Clone, Copy)]
struct Belief {
    cell: CellId,
    holder: Holder,
    /// `None` before it works on it.
    evaluations: Option<u32>,
}

/// A picture in the bucket.
#[derive(Debug, Clone, Copy)]
struct Picture {
    sha256: Digest,
    writer: Holder,
}

/// Somebody who follows a grid, and what they know.
#[derive(Debug, Default)]
struct Watcher {
    after: u64,
    cells: HashMap<u32, CellRecord>,
}

/// Everything.
pub(super) struct World {
    database: Database,
    stores: Stores,
    ledgers: [Ledger; COORDINATORS],
    clocks: [Clock; COORDINATORS],
    requests: [RequestId; REQUESTS],
    submitters: [String; 2],
    nodes: Vec<VirtualNode>,
    bucket: BTreeMap<CellId, Picture>,
    watchers: BTreeMap<GridId, Watcher>,
    /// The sequence of each grid when it was last compared.
    sequences: BTreeMap<GridId, u64>,
    /// Grids that were found by those who looked for old ones.
    found_old: BTreeSet<GridId>,
    model: Model,
}

/// Does a schedule and what is left to do after it; the stores, to go on with.
pub(super) async fn play(
    database: Database,
    stores: Stores,
    ops: &[Op],
) -> Result<(Stores, Reached), TestCaseError> {
    let mut world = World::new(database, stores);
    for (number, op) in ops.iter().enumerate() {
        let done = async {
            world.perform(*op).await?;
            world.compare(number % COMPARED_EVERY == 0).await
        };
        done.await.map_err(|error| after(number, *op, &error))?;
    }
    world.finish().await.map_err(|error| match error {
        TestCaseError::Fail(reason) => TestCaseError::fail(format!("at the end: {reason}")),
        TestCaseError::Reject(_) => error,
    })?;
    Ok((world.stores, world.model.reached))
}

fn after(number: usize, op: Op, error: &TestCaseError) -> TestCaseError {
    TestCaseError::fail(format!("operation {number}, {op:?}: {error}"))
}

impl World {
    fn new(database: Database, stores: Stores) -> Self {
        let start = Timestamp::from_second(1_800_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
        let clocks = [Clock::manual(start), Clock::manual(start)];
        let ledgers = std::array::from_fn(|at| ledger(&stores[at], &clocks[at]));
        // Whose grids these are tells them from those of other schedules in the same database.
        let schedule = RequestId::generate();
        let mut world = Self {
            database,
            stores,
            ledgers,
            clocks,
            requests: std::array::from_fn(|_| RequestId::generate()),
            submitters: ["ann", "bob"].map(|name| format!("{name} {schedule}")),
            nodes: Vec::new(),
            bucket: BTreeMap::new(),
            watchers: BTreeMap::new(),
            sequences: BTreeMap::new(),
            found_old: BTreeSet::new(),
            model: Model::default(),
        };
        world.nodes = (0..NODES)
            .map(|number| VirtualNode::new(number % 2 == 1))
            .collect();
        world
    }

    fn now(&self, at: usize) -> Timestamp {
        self.ledgers[at].now()
    }

    fn advance(&self, by: Duration) {
        for clock in &self.clocks {
            clock.advance(by);
        }
    }

    /// Drops a coordinator with all that it remembers, and starts another one over the same store.
    fn start_anew(&mut self, at: usize) {
        self.ledgers[at] = ledger(&self.stores[at], &self.clocks[at]);
    }

    /// One of the grids that there ever were; most numbers choose among those to which the operation does something.
    fn grid(&self, number: usize, op: Op) -> Option<usize> {
        let is_apt = |grid: &Grid| match op {
            Op::Steer { .. } | Op::Cancel { .. } => grid.open() > 0,
            Op::Retry { .. } => grid.cells.iter().any(Cell::may_be_tried_again),
            Op::Delete { .. } => grid.open() == 0,
            Op::Publish { .. } => grid.open() == 0 && !grid.gallery_complete,
            _ => true,
        };
        let grids = self.model.grids.iter().enumerate();
        let apt: Vec<usize> = grids
            .filter(|(_, grid)| grid.is_known() && is_apt(grid))
            .map(|(index, _)| index)
            .collect();
        match number.checked_rem(apt.len()) {
            Some(chosen) if !number.is_multiple_of(4) => Some(apt[chosen]),
            Some(_) | None => number.checked_rem(self.model.grids.len()),
        }
    }

    async fn perform(&mut self, op: Op) -> TestCaseResult {
        match op {
            Op::Submit {
                at,
                request,
                content,
                fault,
            } => self.submit(at, request, content, fault).await,
            Op::Steer { grid, .. }
            | Op::Cancel { grid, .. }
            | Op::Retry { grid, .. }
            | Op::Delete { grid, .. }
            | Op::Watch { grid, .. }
            | Op::Publish { grid, .. } => match self.grid(grid, op) {
                Some(grid) => self.perform_on(grid, op).await,
                None => Ok(()),
            },
            Op::Register { at, node } => self.register(at, node).await,
            Op::Lease {
                at,
                node,
                cells,
                fault,
                noticed,
            } => self.lease(at, node, cells, fault, noticed).await,
            Op::Race {
                first,
                second,
                cells,
            } => self.race([first, second], cells).await,
            Op::Renew {
                at,
                node,
                progress,
                fault,
            } => self.renew(at, node, progress, fault).await,
            Op::Put { node, cell } => {
                self.put_only(node, cell);
                Ok(())
            }
            Op::Tell { at, say, fault } => self.tell(at, say, fault).await,
            Op::Together { at, says } => self.together(at, &says).await,
            Op::Die { node } => {
                self.nodes[node].die();
                Ok(())
            }
            Op::Break { node } => {
                self.nodes[node].is_broken = true;
                Ok(())
            }
            Op::Expire { at } => self.expire(at).await,
            Op::Order { at, node, order } => self.order(at, node, order).await,
            Op::Advance { seconds } => {
                self.advance(Duration::from_secs(seconds.into()));
                Ok(())
            }
            Op::SetBack { at, seconds } => {
                self.set_back(at, seconds);
                Ok(())
            }
            Op::Restart { at } => self.restart(at).await,
            Op::Collect { at } => self.collect(at).await,
            Op::Sweep { at } => self.sweep(at).await,
            Op::LookBack { at } => self.look_back(at).await,
            Op::Forget { at } => self.forget(at).await,
        }
    }

    /// What somebody does with a grid.
    async fn perform_on(&mut self, grid: usize, op: Op) -> TestCaseResult {
        match op {
            Op::Steer { at, how, fault, .. } => self.steer(at, grid, how, fault).await,
            Op::Cancel { at, fault, .. } => self.cancel(at, grid, fault).await,
            Op::Retry {
                at, places, fault, ..
            } => self.retry(at, grid, places, fault).await,
            Op::Delete { at, fault, .. } => self.delete(at, grid, fault).await,
            Op::Watch { at, fault, .. } => self.watch(at, grid, fault).await,
            Op::Publish { at, is_old, .. } => self.publish(at, grid, is_old).await,
            _ => Ok(()),
        }
    }
}

impl VirtualNode {
    fn new(is_of_zone: bool) -> Self {
        Self {
            id: NodeId::generate(),
            is_of_zone,
            is_registered: false,
            is_broken: false,
            beliefs: Vec::new(),
            past: Vec::new(),
        }
    }

    /// Another run of the program takes its place.
    fn die(&mut self) {
        self.past.append(&mut self.beliefs);
        self.id = NodeId::generate();
        self.is_registered = false;
        self.is_broken = false;
    }
}

fn ledger(store: &Arc<Store>, clock: &Clock) -> Ledger {
    let rules = Rules {
        lease: LEASES,
        shares: Shares {
            submitter_running_max: SUBMITTER_RUNNING_MAX,
            submitter_open_max: SUBMITTER_OPEN_MAX,
            ..Shares::even()
        },
    };
    Ledger::new(store.clone(), clock.clone(), rules, Arc::default())
}

/// What clients submit: the last content is for nodes of one zone alone.
static CONTENTS: LazyLock<[GridSpec; super::operation::CONTENTS]> = LazyLock::new(|| {
    [(1, 1), (2, 2), (3, 1), (2, 1)].map(|(photos, artists)| {
        let mut draft = draft(photos, artists);
        if (photos, artists) == (2, 1) {
            draft.labels = [(ZONE.0.to_owned(), ZONE.1.to_owned())].into();
        }
        GridSpec::accept(draft, 100).unwrap()
    })
});

/// The label of the nodes that get everything.
const ZONE: (&str, &str) = ("zone", "b");
