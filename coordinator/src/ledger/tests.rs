//! A ledger over a file, also for the tests of those who work with one.

use std::path::Path;

use atelier_proto::ids::RequestId;

use super::*;
use crate::domain::grid::GridSpec;
use crate::domain::grid::tests::draft;
use crate::domain::node::tests::node;

/// A ledger with the rules that there are by default, in a folder of its own.
pub(crate) struct House {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: Clock,
    folder: tempfile::TempDir,
}

impl House {
    /// With time that is moved by hand.
    pub(crate) async fn open() -> Self {
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        Self::with_clock(Clock::manual(start)).await
    }

    pub(crate) async fn with_clock(clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            ledger: Arc::new(ledger(folder.path(), clock.clone()).await),
            clock,
            folder,
        }
    }

    /// The ledger of another coordinator of the same database.
    async fn another(&self) -> Ledger {
        ledger(self.folder(), self.clock.clone()).await
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn register(&self) -> NodeId {
        let node = node();
        let registered = self.ledger.register_node(&node, &Caller::Anyone).await;
        registered.unwrap();
        node.id
    }

    /// A grid of so many photos and one artist.
    pub(crate) async fn submit(&self, submitter: &str, cells: usize) -> GridId {
        let new = NewGrid {
            grid: GridId::generate(),
            request: RequestId::generate(),
            submitter: submitter.to_owned(),
            priority: 0,
            spec: GridSpec::accept(draft(cells, 1), 1_000).unwrap(),
            trace_parent: String::new(),
        };
        self.ledger.create_grid(new).await.unwrap().0.grid
    }
}

async fn ledger(folder: &Path, clock: Clock) -> Ledger {
    let store = Store::sqlite(&folder.join("test.db")).await.unwrap();
    let rules = Rules {
        lease: LeaseRules::default(),
        shares: Shares::even(),
    };
    Ledger::new(Arc::new(store), clock, rules, Arc::default())
}

#[tokio::test]
async fn what_was_noted_while_the_store_fails_is_kept_afterwards() {
    let house = House::open().await;
    let node = house.register().await;
    house.clock.advance(Duration::from_secs(5));
    let called = house.ledger.node_seen(node, &Caller::Anyone).await;
    called.unwrap();
    house.ledger.measured(Measurement {
        device: "cpu".to_owned(),
        kind: "64x48".to_owned(),
        seconds: 2.0,
        work: 1.0,
    });
    // A store that does not answer.
    let closed = Store::sqlite(&house.folder().join("test.db"))
        .await
        .unwrap();
    closed.close().await;
    let (measurements, sightings) = (&house.ledger.measurements, &house.ledger.sightings);
    assert!(measurements.keep(&closed).await.is_err());
    let now = house.ledger.now();
    assert!(sightings.keep(&closed, now).await.is_err());

    house.ledger.keep_notes().await.unwrap();
    let speeds = house.ledger.speeds();
    assert_eq!(speeds.seconds_per_work("cpu", "64x48"), Some(2.0));
    let record = house.ledger.store().node(node).await.unwrap();
    assert_eq!(record.last_seen_at, house.ledger.now());
}

#[tokio::test]
async fn nodes_of_every_coordinator_count() {
    let house = House::open().await;
    let other = house.another().await;
    for _ in 0..2 {
        let node = house.register().await;
        house.ledger.node_seen(node, &Caller::Anyone).await.unwrap();
    }
    house.ledger.keep_notes().await.unwrap();
    assert_eq!((house.ledger.nodes_active(), other.nodes_active()), (2, 0));
    other.keep_notes().await.unwrap();
    assert_eq!(other.nodes_active(), 2);
    house.clock.advance(ACTIVE_FOR + Duration::from_secs(1));
    for ledger in [&house.ledger, &other] {
        ledger.keep_notes().await.unwrap();
        assert_eq!(ledger.nodes_active(), 0, "nobody was heard of any more");
    }
}
