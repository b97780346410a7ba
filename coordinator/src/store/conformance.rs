//! What every store must do, as functions over the trait; each implementation runs them all.

mod on_sqlite;

use std::time::Duration;

use atelier_proto::ids::{CellId, Digest, GridId, NodeId, RequestId};
use jiff::Timestamp;

use super::*;
use crate::domain::cell::{CellResult, Progress};
use crate::domain::grid::Draft;
use crate::domain::grid::tests::draft;
use crate::domain::lease::Holder;
use crate::domain::summary::GridState;

const RULES: LeaseRules = LeaseRules {
    lease_duration: Duration::from_secs(30),
    attempts_max: 3,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn result() -> CellResult {
    CellResult {
        sha256: Digest::of(b"picture"),
        bytes: 7,
        width: 64,
        height: 48,
        seconds: 1.5,
        evaluations: 60,
        loss: 0.25,
        network: "vgg16 untrained".to_owned(),
        device: "cpu".to_owned(),
    }
}

fn new_grid(draft: Draft) -> NewGrid {
    NewGrid {
        grid: GridId::generate(),
        request: RequestId::generate(),
        spec: GridSpec::accept(draft, 100_000).unwrap(),
    }
}

async fn submit(store: &dyn Store, draft: Draft, seconds: i64) -> GridId {
    let (submitted, created) = store
        .create_grid(new_grid(draft), at(seconds))
        .await
        .unwrap();
    assert!(created);
    submitted.grid
}

async fn register(store: &dyn Store) -> NodeId {
    let node = Node {
        id: NodeId::generate(),
        name: "node-0".to_owned(),
        device: "cpu".to_owned(),
        memory_bytes: u64::MAX,
        batch_capacity: 1,
        version: "0.1.0".to_owned(),
        instance_id: String::new(),
        labels: [("zone".to_owned(), "a".to_owned())].into(),
    };
    store.register_node(&node, at(0)).await.unwrap();
    node.id
}

async fn apply(store: &dyn Store, cell: CellId, event: Event, seconds: i64) -> Verdict {
    let verdicts = store.apply(vec![(cell, event)], at(seconds), &RULES).await;
    verdicts.unwrap().remove(0)
}

async fn sequence(store: &dyn Store, grid: GridId) -> u64 {
    let changes = store.changes(grid, u64::MAX).await.unwrap();
    assert_eq!(changes.cells, []);
    changes.summary.sequence
}

/// Runs everything on one store, which need not be empty.
pub(super) async fn all(store: &dyn Store) {
    submitting_twice_makes_one_grid(store).await;
    each_change_is_numbered_and_told_once(store).await;
    a_stale_attempt_is_fenced_out(store).await;
    a_grid_finishes_with_its_last_cell(store).await;
    cancelling_ends_what_has_not_ended(store).await;
    grids_are_served_by_age_and_listed_by_youth(store).await;
    leases_that_are_over_are_found(store).await;
    what_is_unknown_is_said_so(store).await;
    a_large_grid_is_kept_whole(store).await;
    reconstructions_are_cells_like_others(store).await;
}

async fn submitting_twice_makes_one_grid(store: &dyn Store) {
    let first = new_grid(draft(2, 3));
    let request = first.request;
    assert_eq!(store.submitted(request).await.unwrap(), None);
    let again = NewGrid {
        grid: GridId::generate(),
        request,
        spec: first.spec.clone(),
    };
    let other = NewGrid {
        grid: GridId::generate(),
        request,
        spec: GridSpec::accept(draft(2, 2), 10).unwrap(),
    };
    let spec = first.spec.clone();
    let (submitted, created) = store.create_grid(first, at(0)).await.unwrap();
    assert_eq!((submitted.cells, created), (6, true));
    let repeated = store.create_grid(again, at(9)).await.unwrap();
    assert_eq!(repeated, (submitted, false));
    assert_eq!(store.submitted(request).await.unwrap(), Some(submitted));
    let reused = store.create_grid(other, at(9)).await.unwrap_err();
    assert!(matches!(reused, StoreError::RequestReused { grid, .. } if grid == submitted.grid));

    assert_eq!(*store.spec(submitted.grid).await.unwrap(), spec);
    let changes = store.changes(submitted.grid, 0).await.unwrap();
    assert_eq!(changes.summary.counts.queued, 6);
    assert_eq!(changes.summary.submitted_at, at(0));
    let positions = changes.cells.iter().map(|record| record.position);
    assert!(positions.eq(spec.positions()));
    store
        .cancel_grid(submitted.grid, at(9), &RULES)
        .await
        .unwrap();
}

async fn each_change_is_numbered_and_told_once(store: &dyn Store) {
    let node = register(store).await;
    let grid = submit(store, draft(1, 2), 0).await;
    assert_eq!(sequence(store, grid).await, 1);
    let cells = store.changes(grid, 0).await.unwrap().cells;
    let (first, second) = (cells[0].id, cells[1].id);

    apply(store, first, Event::Lease { node }, 0).await.unwrap();
    assert_eq!(sequence(store, grid).await, 2);
    let changes = store.changes(grid, 1).await.unwrap();
    assert_eq!(changes.cells.len(), 1);
    assert_eq!(changes.cells[0].id, first);
    assert_eq!(changes.cells[0].node_name.as_deref(), Some("node-0"));

    // A renewal that shows nothing new is no change, but it keeps the lease.
    let holder = Holder { node, attempt: 1 };
    let renew = |progress| Event::Renew { holder, progress };
    let renewed = apply(store, first, renew(None), 10).await.unwrap();
    assert!(!renewed.changed);
    assert_eq!(renewed.cell.lease_expires_at(), Some(at(40)));
    assert_eq!(sequence(store, grid).await, 2);

    let progress = Progress {
        evaluations: 5,
        planned: 60,
        loss: f64::NAN,
    };
    apply(store, first, renew(Some(progress)), 20)
        .await
        .unwrap();
    apply(store, second, Event::Lease { node }, 20)
        .await
        .unwrap();
    assert_eq!(sequence(store, grid).await, 4);
    let counts = store.changes(grid, 4).await.unwrap().summary.counts;
    assert_eq!((counts.leased, counts.rendering), (1, 1));
    let order: Vec<CellId> = store
        .changes(grid, 0)
        .await
        .unwrap()
        .cells
        .iter()
        .map(|record| record.id)
        .collect();
    assert_eq!(order, [first, second]);
    store.cancel_grid(grid, at(20), &RULES).await.unwrap();
}

async fn a_stale_attempt_is_fenced_out(store: &dyn Store) {
    let (slow, quick) = (register(store).await, register(store).await);
    let grid = submit(store, draft(1, 1), 0).await;
    let cell = store.changes(grid, 0).await.unwrap().cells[0].id;
    let lease = |node| Event::Lease { node };
    let complete = |node, attempt| Event::Complete {
        holder: Holder { node, attempt },
        result: result(),
    };
    apply(store, cell, lease(slow), 0).await.unwrap();
    let held = apply(store, cell, lease(quick), 1).await;
    assert_eq!(held, Err(Refusal::Held.into()));
    apply(store, cell, Event::Expire, 30).await.unwrap();
    apply(store, cell, lease(quick), 30).await.unwrap();

    let before = store.changes(grid, 0).await.unwrap();
    let stale = Refusal::Stale {
        attempt: 1,
        current: 2,
    };
    let zombie = apply(store, cell, complete(slow, 1), 31).await;
    assert_eq!(zombie, Err(stale.into()));
    assert_eq!(store.changes(grid, 0).await.unwrap(), before);

    let done = apply(store, cell, complete(quick, 2), 32).await.unwrap();
    assert!(done.changed);
    let again = apply(store, cell, complete(quick, 2), 33).await.unwrap();
    assert!(!again.changed);
    let record = store.changes(grid, 0).await.unwrap().cells.remove(0);
    assert_eq!(record.cell, done.cell);
    assert_eq!(record.cell.history().node, Some(quick));
}

async fn a_grid_finishes_with_its_last_cell(store: &dyn Store) {
    let node = register(store).await;
    let grid = submit(store, draft(2, 1), 0).await;
    let cells = store.changes(grid, 0).await.unwrap().cells;
    for (record, refused) in cells.iter().zip([false, true]) {
        let summary = store.changes(grid, 0).await.unwrap().summary;
        assert_eq!(
            (summary.state, summary.finished_at),
            (GridState::Active, None)
        );
        let holder = Holder { node, attempt: 1 };
        let end = if refused {
            Event::Fail {
                holder,
                refused,
                reason: "not a picture".to_owned(),
            }
        } else {
            let result = result();
            Event::Complete { holder, result }
        };
        let events = vec![(record.id, Event::Lease { node }), (record.id, end)];
        let verdicts = store.apply(events, at(5), &RULES).await.unwrap();
        assert!(verdicts.iter().all(Result::is_ok));
    }
    let summary = store.changes(grid, 0).await.unwrap().summary;
    assert_eq!(summary.state, GridState::Finished);
    assert_eq!(summary.finished_at, Some(at(5)));
    assert_eq!((summary.counts.done, summary.counts.failed), (1, 1));

    let unpublished = Unpublished {
        grid,
        sequence: summary.sequence,
        has_ended: true,
    };
    assert!(store.unpublished().await.unwrap().contains(&unpublished));
    let (then, now) = (summary.sequence - 1, summary.sequence);
    assert!(!store.gallery_complete(grid, then).await.unwrap());
    assert!(store.gallery_complete(grid, now).await.unwrap());
    let summary = store.changes(grid, 0).await.unwrap().summary;
    assert!(summary.gallery_complete && summary.sequence == now + 1);
    let unpublished = store.unpublished().await.unwrap();
    assert!(unpublished.iter().all(|entry| entry.grid != grid));
    assert_eq!(store.cancel_grid(grid, at(9), &RULES).await.unwrap(), 0);
}

async fn cancelling_ends_what_has_not_ended(store: &dyn Store) {
    let node = register(store).await;
    let grid = submit(store, draft(3, 1), 0).await;
    let cells = store.changes(grid, 0).await.unwrap().cells;
    let holder = Holder { node, attempt: 1 };
    let result = result();
    let events = vec![
        (cells[0].id, Event::Lease { node }),
        (cells[0].id, Event::Complete { holder, result }),
        (cells[1].id, Event::Lease { node }),
    ];
    store.apply(events, at(1), &RULES).await.unwrap();
    assert!(
        !store.gallery_complete(grid, 4).await.unwrap(),
        "it has not ended"
    );
    assert_eq!(store.cancel_grid(grid, at(2), &RULES).await.unwrap(), 2);
    assert_eq!(store.cancel_grid(grid, at(3), &RULES).await.unwrap(), 0);
    let summary = store.changes(grid, 0).await.unwrap().summary;
    assert_eq!(summary.state, GridState::Cancelled);
    assert_eq!(summary.finished_at, Some(at(2)));
    assert_eq!((summary.counts.done, summary.counts.cancelled), (1, 2));
    let renew = Event::Renew {
        holder,
        progress: None,
    };
    let dropped = apply(store, cells[1].id, renew, 3).await;
    let state = "cancelled";
    assert_eq!(dropped, Err(Refusal::Ended { state }.into()));
}

async fn grids_are_served_by_age_and_listed_by_youth(store: &dyn Store) {
    let node = register(store).await;
    let older = submit(store, draft(1, 1), 0).await;
    let newer = submit(store, draft(1, 2), 1).await;
    let listed = store.grids(None, 2).await.unwrap();
    let listed: Vec<GridId> = listed.iter().map(|summary| summary.grid).collect();
    assert_eq!(listed, [newer, older]);
    let next = store.grids(Some(newer), 1).await.unwrap();
    assert_eq!(next[0].grid, older);

    let queue = store.next_queue(at(1), 9).await.unwrap().unwrap();
    assert_eq!((queue.grid, queue.cells.len()), (older, 1));
    let cell = queue.cells[0].id;
    apply(store, cell, Event::Lease { node }, 1).await.unwrap();
    let queue = store.next_queue(at(1), 1).await.unwrap().unwrap();
    assert_eq!((queue.grid, queue.cells.len()), (newer, 1));

    // A cell whose attempt failed waits, and others are served meanwhile.
    let fail = Event::Fail {
        holder: Holder { node, attempt: 1 },
        refused: false,
        reason: "no memory".to_owned(),
    };
    apply(store, cell, fail, 1).await.unwrap();
    let queue = store.next_queue(at(1), 9).await.unwrap().unwrap();
    assert_eq!(queue.grid, newer);
    let queue = store.next_queue(at(60), 9).await.unwrap().unwrap();
    assert_eq!((queue.grid, queue.cells[0].id), (older, cell));

    store.cancel_grid(older, at(60), &RULES).await.unwrap();
    store.cancel_grid(newer, at(60), &RULES).await.unwrap();
    assert!(store.next_queue(at(60), 9).await.unwrap().is_none());
}

async fn leases_that_are_over_are_found(store: &dyn Store) {
    let node = register(store).await;
    let grid = submit(store, draft(2, 1), 0).await;
    let cells = store.changes(grid, 0).await.unwrap().cells;
    let (first, second) = (cells[0].id, cells[1].id);
    apply(store, first, Event::Lease { node }, 0).await.unwrap();
    apply(store, second, Event::Lease { node }, 10)
        .await
        .unwrap();
    assert_eq!(store.expired(at(29), 9).await.unwrap(), []);
    assert_eq!(store.expired(at(30), 9).await.unwrap(), [first]);
    assert_eq!(store.expired(at(40), 9).await.unwrap(), [first, second]);
    assert_eq!(store.expired(at(40), 1).await.unwrap(), [first]);
    store.cancel_grid(grid, at(40), &RULES).await.unwrap();
    assert_eq!(store.expired(at(99), 9).await.unwrap(), []);
}

async fn what_is_unknown_is_said_so(store: &dyn Store) {
    let (grid, cell) = (GridId::generate(), CellId::generate());
    let unknown = |error: StoreError| matches!(error, StoreError::UnknownGrid(id) if id == grid);
    assert!(unknown(store.spec(grid).await.unwrap_err()));
    assert!(unknown(store.changes(grid, 0).await.unwrap_err()));
    assert!(unknown(
        store.cancel_grid(grid, at(0), &RULES).await.unwrap_err()
    ));
    assert!(!store.gallery_complete(grid, 1).await.unwrap());
    let located = store.locate(cell).await.unwrap_err();
    assert!(matches!(located, StoreError::UnknownCell(id) if id == cell));
    let verdict = apply(store, cell, Event::Expire, 0).await;
    assert_eq!(verdict, Err(Rejection::UnknownCell(cell)));
    let node = NodeId::generate();
    let seen = store.node_seen(node, at(0)).await.unwrap_err();
    assert!(matches!(seen, StoreError::UnknownNode(id) if id == node));
    let node = register(store).await;
    store.node_seen(node, at(100)).await.unwrap();
}

/// More cells than one statement can insert.
async fn a_large_grid_is_kept_whole(store: &dyn Store) {
    let grid = submit(store, draft(100, 45), 0).await;
    let changes = store.changes(grid, 0).await.unwrap();
    assert_eq!(
        (changes.cells.len(), changes.summary.counts.queued),
        (4500, 4500)
    );
    let last = &changes.cells[4499];
    let located = store.locate(last.id).await.unwrap();
    assert_eq!((located.grid, located.position), (grid, last.position));
    assert_eq!(store.cancel_grid(grid, at(1), &RULES).await.unwrap(), 4500);
}

/// Cells of a photo or an artist alone are queued, found, leased and counted, and a grid ends with the last of them.
async fn reconstructions_are_cells_like_others(store: &dyn Store) {
    let node = register(store).await;
    let mut draft = draft(2, 1);
    draft.reconstructions = true;
    let grid = submit(store, draft, 0).await;
    let spec = store.spec(grid).await.unwrap();
    let changes = store.changes(grid, 0).await.unwrap();
    assert_eq!(changes.summary.counts.queued, 2 + 2 + 1);
    let positions: Vec<Position> = changes.cells.iter().map(|it| it.position).collect();
    assert!(positions.iter().copied().eq(spec.positions()));
    let alone = positions.iter().filter(|it| it.subject.is_reconstruction());
    assert_eq!(alone.count(), 3);
    let queue = store.next_queue(at(0), 9).await.unwrap().unwrap();
    let queued = queue.cells.iter().map(|cell| cell.position);
    assert!(queued.eq(positions.iter().copied()), "in their order");

    for record in &changes.cells {
        let located = store.locate(record.id).await.unwrap();
        assert_eq!((located.grid, located.position), (grid, record.position));
        let holder = Holder { node, attempt: 1 };
        let result = result();
        let events = vec![
            (record.id, Event::Lease { node }),
            (record.id, Event::Complete { holder, result }),
        ];
        store.apply(events, at(1), &RULES).await.unwrap();
    }
    let summary = store.changes(grid, 0).await.unwrap().summary;
    assert_eq!(
        (summary.state, summary.counts.done),
        (GridState::Finished, 5)
    );
}
