//! What webhooks are told: each end once in the outbox, and there until somebody has it.

use atelier_proto::ids::EndingId;

use super::*;
use crate::domain::ending::{EndKind, EndedCells, Untold};
use crate::store::outbox::{Delivery, Fate, Tally};

const MANY: u32 = 10_000;

/// What is to be told of a grid.
async fn untold(store: &Store, grid: GridId, ended_before: Timestamp) -> Vec<Untold> {
    let endings = store.endings(ended_before, MANY).await.unwrap();
    let of_grid = endings.into_iter().filter(|it| it.ending.grid == grid);
    of_grid.collect()
}

async fn all_untold(store: &Store, grid: GridId) -> Vec<Untold> {
    untold(store, grid, Timestamp::MAX).await
}

fn cell(grid: GridId) -> CellId {
    CellId { grid, place: 0 }
}

/// A grid whose only cell has failed for good.
async fn failed(store: &Store, node: NodeId) -> GridId {
    let grid = submit(store, draft(1, 1), 0).await;
    apply(store, cell(grid), Event::Lease { node }, 1)
        .await
        .unwrap();
    let refused = Event::Fail {
        holder: Holder { node, attempt: 1 },
        refused: true,
        reason: "not a picture".to_owned(),
        log: String::new(),
    };
    apply(store, cell(grid), refused, 2).await.unwrap();
    grid
}

pub(super) async fn each_end_of_a_grid_is_kept_once(store: &Store) {
    let node = register(store).await;
    let mut new = new_grid(draft(2, 1));
    let grid = new.grid;
    new.submitter = "bea".to_owned();
    store.create_grid(new, at(0), &EVEN).await.unwrap();
    assert_eq!(all_untold(store, grid).await, []);
    store.cancel_grid(grid, at(5)).await.unwrap();
    store.cancel_grid(grid, at(6)).await.unwrap();
    let told = all_untold(store, grid).await;
    let [end] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(end.ending.kind, EndKind::Cancelled);
    assert_eq!(end.ending.submitter, "bea");
    let cells = EndedCells {
        done: 0,
        failed: 0,
        cancelled: 2,
    };
    assert_eq!(end.ending.cells, cells);
    assert_eq!(end.ending.submitted_at, at(0));
    assert_eq!(end.ending.ended_at, at(5));

    // What is tried again ends again.
    let grid = failed(store, node).await;
    assert_eq!(store.retry(grid, None, at(3), &RULES).await.unwrap(), 1);
    apply(store, cell(grid), Event::Lease { node }, 4)
        .await
        .unwrap();
    assert_eq!(all_untold(store, grid).await.len(), 1);
    apply(store, cell(grid), complete(node, 2), 5)
        .await
        .unwrap();
    let told = all_untold(store, grid).await;
    let [first, second] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(first.ending.kind, EndKind::Failed);
    assert_eq!(second.ending.kind, EndKind::Done);
    assert_ne!(first.id, second.id);
    assert!((second.ending.seconds - 1.5).abs() < 1e-12);
    let dollars = second.ending.dollars.unwrap();
    assert!((dollars - 1.5 * 3.6 / 3600.0).abs() < 1e-12);
}

pub(super) async fn an_end_waits_for_its_gallery_and_not_for_ever(store: &Store) {
    let node = register(store).await;
    let grid = failed(store, node).await;
    assert_eq!(untold(store, grid, at(2)).await, []);
    let patient = untold(store, grid, at(3)).await;
    assert_eq!(patient.len(), 1);
    assert!(!patient[0].gallery_complete);

    let sequence = sequence(store, grid).await;
    assert!(store.gallery_complete(grid, sequence).await.unwrap());
    let complete = untold(store, grid, at(0)).await;
    assert!(complete[0].gallery_complete);

    // The gallery of a grid that was tried again will never show this end.
    store.retry(grid, None, at(9), &RULES).await.unwrap();
    let gone_on = untold(store, grid, at(0)).await;
    assert_eq!(gone_on.len(), 1);
    assert!(!gone_on[0].gallery_complete);
    store.cancel_grid(grid, at(10)).await.unwrap();
    let ends = untold(store, grid, at(0)).await;
    assert_eq!(ends, gone_on, "the later end waits for its own gallery");

    // A grid that nobody finds any more is told of all the same.
    store.delete_grid(grid, at(11)).await.unwrap();
    assert_eq!(untold(store, grid, at(0)).await.len(), 2);
    store.forget_grid(grid, true).await.unwrap();
    assert_eq!(untold(store, grid, at(0)).await.len(), 2);
}

async fn handed_out(store: &Store, webhooks: &[&str], seconds: i64) -> EndingId {
    let grid = submit(store, draft(1, 1), 0).await;
    store.cancel_grid(grid, at(1)).await.unwrap();
    let id = all_untold(store, grid).await[0].id;
    let deliveries: Vec<_> = webhooks.iter().map(|it| (*it, format!("{id}"))).collect();
    // The second time there is nothing to hand out.
    for _ in 0..2 {
        store.hand_out(id, &deliveries, at(seconds)).await.unwrap();
    }
    assert_eq!(all_untold(store, grid).await, []);
    id
}

async fn tally(store: &Store, webhook: &str) -> Option<[u64; 4]> {
    let tallies = store.tallies().await.unwrap();
    let counts = |it: &Tally| [it.pending, it.delivered, it.failed, it.given_up];
    tallies.iter().find(|it| it.webhook == webhook).map(counts)
}

pub(super) async fn what_is_handed_out_stays_until_it_is_taken_or_given_up(store: &Store) {
    let [one, other] = [0, 1].map(|number| format!("hook {number} {}", NodeId::generate()));
    let first = handed_out(store, &[&one, &other], 10).await;
    let second = handed_out(store, &[&one], 20).await;
    assert_eq!(tally(store, &one).await, Some([2, 0, 0, 0]));
    assert_eq!(store.next_delivery(&one).await.unwrap(), Some(at(10)));
    let due = async |seconds| store.due_deliveries(&one, at(seconds), MANY).await.unwrap();
    let delivery = |ending: EndingId, begun, attempts| Delivery {
        ending,
        body: ending.to_string(),
        begun_at: at(begun),
        attempts,
    };
    assert_eq!(due(9).await, []);
    assert_eq!(due(19).await, [delivery(first, 10, 0)]);
    let fate = Fate::PutOff(at(30));
    store.delivery_tried(&one, first, fate).await.unwrap();
    let both = [delivery(second, 20, 0), delivery(first, 10, 1)];
    assert_eq!(due(30).await, both);
    assert_eq!(
        store.due_deliveries(&one, at(30), 1).await.unwrap(),
        both[..1]
    );

    let taken = store.delivery_tried(&one, second, Fate::Delivered);
    taken.await.unwrap();
    // Whoever says it once more is not counted.
    let again = store.delivery_tried(&one, second, Fate::Delivered);
    again.await.unwrap();
    let given_up = store.delivery_tried(&one, first, Fate::GivenUp);
    given_up.await.unwrap();
    assert_eq!(due(99).await, []);
    assert_eq!(store.next_delivery(&one).await.unwrap(), None);
    assert_eq!(tally(store, &one).await, Some([0, 1, 2, 1]));
    assert_eq!(tally(store, &other).await, Some([1, 0, 0, 0]));
}

pub(super) async fn what_waits_has_a_bound_and_former_webhooks_are_forgotten(store: &Store) {
    let [one, other] = [0, 1].map(|number| format!("hook {number} {}", NodeId::generate()));
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(handed_out(store, &[&one, &other], 10).await);
    }
    assert_eq!(store.bound_deliveries(&one, 5).await.unwrap(), 0);
    assert_eq!(store.bound_deliveries(&one, 2).await.unwrap(), 3);
    let left = store.due_deliveries(&one, at(10), MANY).await.unwrap();
    let left: Vec<_> = left.iter().map(|it| it.ending).collect();
    assert_eq!(left, ids[3..], "the newest stay");
    assert_eq!(tally(store, &one).await, Some([2, 0, 0, 3]));

    store.forget_webhooks_except(&[&other]).await.unwrap();
    assert_eq!(tally(store, &one).await, None);
    assert_eq!(tally(store, &other).await, Some([5, 0, 0, 0]));
    assert_eq!(store.forget_webhooks_except(&[]).await.unwrap(), 5);
    assert_eq!(store.tallies().await.unwrap(), []);
    assert!(store.forget_endings().await.unwrap() > 0);
    assert_eq!(store.endings(Timestamp::MAX, MANY).await.unwrap(), []);
}
