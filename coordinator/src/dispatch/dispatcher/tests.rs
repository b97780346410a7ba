//! Goal: whoever asks gets cells of its own, as soon as there are some, and nobody waits in vain.

use atelier_proto::clock::Clock;
use futures::future::join_all;

use super::*;
use crate::domain::block::Wanted;
use crate::ledger::tests::House;

const LONG: Duration = Duration::from_mins(1);
const PLACES: usize = 300;

/// A house with somebody who serves.
struct Served {
    house: House,
    dispatcher: Dispatcher,
    shutdown: CancellationToken,
}

impl Served {
    async fn open() -> Self {
        let house = House::with_clock(Clock::system()).await;
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let ledger = house.ledger.clone();
        Self {
            dispatcher: Dispatcher::start(ledger, PLACES, &tasks, shutdown.clone()),
            house,
            shutdown,
        }
    }

    async fn node(&self) -> NodeId {
        self.house.register().await
    }

    async fn submit(&self, cells: usize) {
        self.house.submit("", cells).await;
    }

    async fn ask(
        &self,
        node: NodeId,
        cells_max: usize,
        wait: Duration,
    ) -> Result<Answer, NotGiven> {
        self.dispatcher.give(ask(node, cells_max), wait).await
    }
}

fn ask(node: NodeId, cells_max: usize) -> Ask {
    let wanted = Wanted {
        cells_max,
        ..Wanted::default()
    };
    Ask { node, wanted }
}

fn places(told: Result<Answer, NotGiven>) -> Vec<u32> {
    match told.unwrap() {
        Answer::Cells(given) => given.iter().map(|given| given.cell.place).collect(),
        Answer::Nothing => Vec::new(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn all_who_ask_at_once_get_cells_of_their_own() {
    let served = Served::open().await;
    served.submit(600).await;
    let nodes = join_all((0..300).map(|_| served.node())).await;
    let asking = nodes
        .iter()
        .map(|node| served.ask(*node, 2, Duration::ZERO));
    let mut given: Vec<u32> = join_all(asking)
        .await
        .into_iter()
        .flat_map(places)
        .collect();
    given.sort_unstable();
    assert_eq!(given, (0..600).collect::<Vec<_>>());
}

#[tokio::test]
async fn whoever_waits_gets_what_is_queued_and_no_answer_comes_later_than_it_waits() {
    let served = Served::open().await;
    let [patient, brief] = [served.node().await, served.node().await];
    let waiting = served.ask(patient, 1, LONG);
    let submitting = async {
        let told = served.ask(brief, 1, Duration::from_millis(10)).await;
        assert!(places(told).is_empty());
        served.submit(1).await;
    };
    let (told, ()) = tokio::join!(waiting, submitting);
    assert_eq!(places(told), [0]);
    let stranger = served.ask(NodeId::generate(), 1, LONG).await;
    assert!(matches!(
        stranger,
        Err(NotGiven::Store(StoreError::UnknownNode(_)))
    ));
}

#[tokio::test]
async fn one_node_too_many_is_refused_until_another_has_its_answer() {
    let served = Served::open().await;
    let node = served.node().await;
    let _held = served
        .dispatcher
        .places
        .acquire_many(PLACES as u32 - 1)
        .await;
    let waiting = served.ask(node, 1, LONG);
    let asking = async {
        // The one before is heard first, and has the last place.
        tokio::task::yield_now().await;
        let refused = served.ask(node, 1, Duration::ZERO).await;
        let Err(NotGiven::Full(exceeded)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(exceeded.limit, Limit::WaitingLeases);
        assert!(exceeded.message.contains("300 nodes"), "{exceeded}");
        served.submit(1).await;
    };
    let (told, ()) = tokio::join!(waiting, asking);
    assert_eq!(places(told), [0]);
    assert!(places(served.ask(node, 1, Duration::ZERO).await).is_empty());
}

#[tokio::test]
async fn nobody_waits_for_a_coordinator_that_leaves() {
    let served = Served::open().await;
    let node = served.node().await;
    let leaving = async { served.shutdown.cancel() };
    let (told, ()) = tokio::join!(served.ask(node, 1, LONG), leaving);
    assert!(places(told).is_empty());
    served.submit(1).await;
    assert!(places(served.ask(node, 1, LONG).await).is_empty());
}

#[tokio::test]
async fn what_a_node_was_to_get_that_has_gone_goes_to_another_one_at_once() {
    let served = Served::open().await;
    let [gone, other] = [served.node().await, served.node().await];
    served.submit(1).await;
    let given = give(&served.house.ledger, &[ask(gone, 1)]).await.unwrap();
    let (_sender, asks) = mpsc::channel(1);
    let mut desk = Desk {
        bell: served.house.ledger.queued_bell(),
        ledger: served.house.ledger.clone(),
        shutdown: served.shutdown.clone(),
        asks,
        fresh: VecDeque::new(),
        idle: Vec::new(),
    };
    for answer in given {
        assert!(matches!(answer, Answer::Cells(_)));
        let waiting = Waiting {
            ask: ask(gone, 1),
            until: Instant::now(),
            rounds: 0,
            teller: oneshot::channel().0,
        };
        assert!(desk.answer(waiting, answer).await.is_none());
    }
    assert_eq!(places(served.ask(other, 1, Duration::ZERO).await), [0]);
}
