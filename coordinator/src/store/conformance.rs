//! What every store must do, as functions over the trait; each implementation runs them all.

mod on_postgres;
mod on_sqlite;

use std::time::Duration;

use atelier_proto::ids::{CellId, Digest, GridId, NodeId, RequestId};
use jiff::Timestamp;

use super::*;
use crate::domain::attempt::Outcome;
use crate::domain::cell::{CellResult, Progress};
use crate::domain::grid::Draft;
use crate::domain::grid::tests::draft;
use crate::domain::lease::Holder;
use crate::domain::node::NodeState;
use crate::domain::summary::Counts;

const RULES: LeaseRules = LeaseRules {
    lease_duration: Duration::from_secs(30),
    attempts_max: 3,
    failed_nodes_max: 3,
    stall_duration: Duration::from_mins(5),
};
const EVEN: Shares = Shares::even();

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
        submitter: "ann".to_owned(),
        priority: 0,
        spec: GridSpec::accept(draft, 100_000).unwrap(),
    }
}

async fn submit(store: &dyn Store, draft: Draft, seconds: i64) -> GridId {
    let (submitted, created) = store
        .create_grid(new_grid(draft), at(seconds), &EVEN)
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
        dollars_per_hour: Some(3.6),
    };
    store.register_node(&node, at(0)).await.unwrap();
    node.id
}

async fn apply(store: &dyn Store, cell: CellId, event: Event, seconds: i64) -> Verdict {
    let verdicts = store
        .apply(vec![(cell, event)], at(seconds), &RULES, &EVEN)
        .await;
    verdicts.unwrap().remove(0)
}

fn fail(node: NodeId, attempt: u32) -> Event {
    Event::Fail {
        holder: Holder { node, attempt },
        refused: false,
        reason: "no memory".to_owned(),
        log: String::new(),
    }
}

fn complete(node: NodeId, attempt: u32) -> Event {
    Event::Complete {
        holder: Holder { node, attempt },
        result: result(),
    }
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
    grids_are_listed_by_youth_and_wait_in_line(store).await;
    lists_are_filtered(store).await;
    a_paused_grid_hands_out_nothing(store).await;
    what_failed_is_tried_again(store).await;
    a_deleted_grid_is_found_no_more_and_then_forgotten(store).await;
    an_ended_grid_is_swept_once_and_again_after_it_has_changed(store).await;
    a_history_runs_out(store).await;
    a_node_at_fault_is_put_into_quarantine(store).await;
    what_was_handed_out_counts_against_its_grid_and_its_submitter(store).await;
    measurements_are_kept(store).await;
    what_is_counted_is_what_there_is(store).await;
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
        request,
        ..new_grid(draft(2, 3))
    };
    let other = NewGrid {
        request,
        ..new_grid(draft(2, 2))
    };
    let spec = first.spec.clone();
    let (submitted, created) = store.create_grid(first, at(0), &EVEN).await.unwrap();
    assert_eq!((submitted.cells, created), (6, true));
    let repeated = store.create_grid(again, at(9), &EVEN).await.unwrap();
    assert_eq!(repeated, (submitted, false));
    assert_eq!(store.submitted(request).await.unwrap(), Some(submitted));
    let reused = store.create_grid(other, at(9), &EVEN).await.unwrap_err();
    assert!(matches!(reused, StoreError::RequestReused { grid, .. } if grid == submitted.grid));

    assert_eq!(*store.spec(submitted.grid).await.unwrap(), spec);
    let changes = store.changes(submitted.grid, 0).await.unwrap();
    assert_eq!(changes.summary.counts.queued, 6);
    assert_eq!(changes.summary.submitted_at, at(0));
    let places = changes.cells.iter().map(|record| record.id.place);
    assert!(places.eq(0..6));
    store.cancel_grid(submitted.grid, at(9)).await.unwrap();
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
    store.cancel_grid(grid, at(20)).await.unwrap();
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
                log: String::new(),
            }
        } else {
            let result = result();
            Event::Complete { holder, result }
        };
        let events = vec![(record.id, Event::Lease { node }), (record.id, end)];
        let verdicts = store.apply(events, at(5), &RULES, &EVEN).await.unwrap();
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
    assert_eq!(store.cancel_grid(grid, at(9)).await.unwrap(), 0);
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
    store.apply(events, at(1), &RULES, &EVEN).await.unwrap();
    assert!(
        !store.gallery_complete(grid, 4).await.unwrap(),
        "it has not ended"
    );
    assert_eq!(store.cancel_grid(grid, at(2)).await.unwrap(), 2);
    assert_eq!(store.cancel_grid(grid, at(3)).await.unwrap(), 0);
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

async fn grids_are_listed_by_youth_and_wait_in_line(store: &dyn Store) {
    let node = register(store).await;
    let older = submit(store, draft(1, 1), 0).await;
    let newer = submit(store, draft(1, 2), 1).await;
    let all = Filter::default();
    let listed = store.grids(&all, None, 2).await.unwrap();
    let listed: Vec<GridId> = listed.iter().map(|summary| summary.grid).collect();
    assert_eq!(listed, [newer, older]);
    let next = store.grids(&all, Some(newer), 1).await.unwrap();
    assert_eq!(next[0].grid, older);

    let in_line = async |grid| {
        let line = store.line().await.unwrap();
        let found = line.grids.into_iter().find(|other| other.grid == grid);
        found.map(|found| (found.queued, found.held, found.is_active))
    };
    assert_eq!(in_line(older).await, Some((1, 0, true)));
    let cell = store.queued(older, at(1), 9).await.unwrap().remove(0).id;
    apply(store, cell, Event::Lease { node }, 1).await.unwrap();
    assert_eq!(in_line(older).await, Some((0, 1, true)));
    assert_eq!(store.queued(older, at(1), 9).await.unwrap(), []);
    assert_eq!(store.queued(newer, at(1), 1).await.unwrap().len(), 1);

    // A cell whose attempt failed waits, and remembers where that was.
    apply(store, cell, fail(node, 1), 1).await.unwrap();
    assert_eq!(in_line(older).await, Some((1, 0, true)));
    assert_eq!(store.queued(older, at(1), 9).await.unwrap(), []);
    let queued = store.queued(older, at(60), 9).await.unwrap();
    assert_eq!((queued[0].id, &*queued[0].failed_on), (cell, &[node][..]));

    store.cancel_grid(older, at(60)).await.unwrap();
    store.cancel_grid(newer, at(60)).await.unwrap();
    assert_eq!(in_line(newer).await, None);
}

async fn lists_are_filtered(store: &dyn Store) {
    let mut wave = new_grid(draft(1, 1));
    wave.submitter = format!("bob {}", wave.grid);
    let submitter = wave.submitter.clone();
    let mut named = draft(1, 1);
    named.name = "100%_Ride".to_owned();
    let ride = NewGrid {
        submitter: submitter.clone(),
        ..new_grid(named)
    };
    let grids = [wave.grid, ride.grid];
    store.create_grid(wave, at(0), &EVEN).await.unwrap();
    store.create_grid(ride, at(0), &EVEN).await.unwrap();
    store.cancel_grid(grids[0], at(1)).await.unwrap();
    let found = async |states: &[GridState], name: &str| {
        let filter = Filter {
            states: states.to_vec(),
            submitter: Some(submitter.clone()),
            name_contains: name.to_owned(),
        };
        let found = store.grids(&filter, None, 9).await.unwrap();
        found.iter().map(|summary| summary.grid).collect::<Vec<_>>()
    };
    assert_eq!(found(&[], "").await, [grids[1], grids[0]]);
    let ended = [GridState::Finished, GridState::Cancelled];
    assert_eq!(found(&ended, "").await, [grids[0]]);
    assert_eq!(found(&[], "%_rid").await, [grids[1]]);
    assert_eq!(found(&[], "1__%").await, []);
    store.cancel_grid(grids[1], at(1)).await.unwrap();
}

async fn a_paused_grid_hands_out_nothing(store: &dyn Store) {
    let node = register(store).await;
    let grid = submit(store, draft(1, 1), 0).await;
    let cell = CellId { grid, place: 0 };
    assert!(store.steer(grid, Steering::Pause).await.unwrap());
    assert!(!store.steer(grid, Steering::Pause).await.unwrap());
    assert_eq!(sequence(store, grid).await, 2);
    let refused = apply(store, cell, Event::Lease { node }, 1).await;
    assert_eq!(refused, Err(Rejection::NotServed));
    assert!(store.steer(grid, Steering::Resume).await.unwrap());
    assert!(store.steer(grid, Steering::Priority(40)).await.unwrap());
    assert!(!store.steer(grid, Steering::Priority(40)).await.unwrap());
    assert_eq!(store.summary(grid).await.unwrap().priority, 40);
    apply(store, cell, Event::Lease { node }, 1).await.unwrap();
    // What a node holds goes on.
    assert!(store.steer(grid, Steering::Pause).await.unwrap());
    apply(store, cell, complete(node, 1), 2).await.unwrap();
    let summary = store.summary(grid).await.unwrap();
    assert_eq!(summary.state, GridState::Finished);
    let ended = store.steer(grid, Steering::Resume).await.unwrap_err();
    assert!(matches!(ended, StoreError::WrongState { .. }), "{ended}");
}

async fn what_failed_is_tried_again(store: &dyn Store) {
    let node = register(store).await;
    let grid = submit(store, draft(3, 1), 0).await;
    let cell = |place| CellId { grid, place };
    for place in 0..3 {
        let end = if place == 2 {
            complete(node, 1)
        } else {
            Event::Fail {
                holder: Holder { node, attempt: 1 },
                refused: true,
                reason: "no picture".to_owned(),
                log: "the end of a log".to_owned(),
            }
        };
        let events = vec![(cell(place), Event::Lease { node }), (cell(place), end)];
        store.apply(events, at(1), &RULES, &EVEN).await.unwrap();
    }
    let before = store.summary(grid).await.unwrap();
    assert_eq!(before.state, GridState::Finished);
    assert!(store.gallery_complete(grid, before.sequence).await.unwrap());
    let failed = store.failed_attempts(grid, 9).await.unwrap();
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[0].cell, cell(0));
    assert_eq!(failed[0].end.outcome, Outcome::Refused);
    assert_eq!(failed[0].end.log, "the end of a log");
    assert_eq!(
        (failed[0].ended_at, &*failed[0].node_name),
        (at(1), "node-0")
    );

    let done = store.retry(grid, Some(&[0, 2]), at(2), &RULES).await;
    let done = done.unwrap_err();
    assert!(
        matches!(done, StoreError::NoRetry(id, _) if id == cell(2)),
        "{done}"
    );
    let failed = store.summary(grid).await.unwrap().counts.failed;
    assert_eq!(failed, 2, "all or none");
    assert_eq!(
        store.retry(grid, Some(&[0]), at(2), &RULES).await.unwrap(),
        1
    );
    let summary = store.summary(grid).await.unwrap();
    assert_eq!(
        (summary.state, summary.finished_at),
        (GridState::Active, None)
    );
    assert!(!summary.gallery_complete);
    assert!(summary.work_open > 0.0);
    assert_eq!(store.retry(grid, None, at(3), &RULES).await.unwrap(), 1);
    assert_eq!(store.retry(grid, None, at(3), &RULES).await.unwrap(), 0);
    let counts = store.summary(grid).await.unwrap().counts;
    assert_eq!((counts.queued, counts.failed, counts.done), (2, 0, 1));
    // Both ways make of a cell what the state machine makes of it.
    for record in store.changes(grid, before.sequence).await.unwrap().cells {
        assert_eq!(record.cell.state(), "queued");
        let history = record.cell.history();
        assert_eq!((history.started, history.charged()), (1, 0));
        assert_eq!(history.failed_on, []);
        assert_eq!(history.failure.as_deref(), Some("no picture"));
    }
    store.cancel_grid(grid, at(4)).await.unwrap();
    assert_eq!(
        store.retry(grid, Some(&[1]), at(5), &RULES).await.unwrap(),
        1
    );
    let counts = store.summary(grid).await.unwrap().counts;
    assert_eq!((counts.queued, counts.cancelled, counts.done), (1, 1, 1));
    store.cancel_grid(grid, at(6)).await.unwrap();
}

async fn a_deleted_grid_is_found_no_more_and_then_forgotten(store: &dyn Store) {
    let node = register(store).await;
    let new = new_grid(draft(2, 1));
    let (grid, request) = (new.grid, new.request);
    store.create_grid(new, at(0), &EVEN).await.unwrap();
    let cell = CellId { grid, place: 0 };
    apply(store, cell, Event::Lease { node }, 0).await.unwrap();
    apply(store, cell, fail(node, 1), 0).await.unwrap();
    let open = store.delete_grid(grid, at(2)).await.unwrap_err();
    assert!(matches!(open, StoreError::WrongState { .. }), "{open}");
    store.cancel_grid(grid, at(1)).await.unwrap();
    store.delete_grid(grid, at(2)).await.unwrap();
    store.delete_grid(grid, at(2)).await.unwrap();
    let unknown = |error: StoreError| matches!(error, StoreError::UnknownGrid(id) if id == grid);
    assert!(unknown(store.summary(grid).await.unwrap_err()));
    assert!(unknown(store.spec(grid).await.unwrap_err()));
    let zombie = apply(store, cell, complete(node, 1), 2).await;
    assert_eq!(zombie, Err(Rejection::UnknownCell(cell)));
    let unpublished = store.unpublished().await.unwrap();
    assert!(unpublished.iter().all(|entry| entry.grid != grid));
    assert_eq!(store.submitted(request).await.unwrap(), None);
    assert!(store.deleted(9).await.unwrap().contains(&(grid, at(2))));
    store.forget_grid(grid, false).await.unwrap();
    assert!(store.deleted(9).await.unwrap().contains(&(grid, at(2))));
    store.forget_grid(grid, true).await.unwrap();
    assert!(!store.deleted(9).await.unwrap().contains(&(grid, at(2))));
    assert_eq!(store.failed_attempts(grid, 9).await.unwrap(), []);
    assert!(unknown(store.delete_grid(grid, at(2)).await.unwrap_err()));
}

async fn an_ended_grid_is_swept_once_and_again_after_it_has_changed(store: &dyn Store) {
    let grid = submit(store, draft(1, 1), 2_000_000).await;
    let due = async |seconds| {
        let due = store.unswept(at(seconds), 1000).await.unwrap();
        due.contains(&grid)
    };
    store.cancel_grid(grid, at(2_000_000)).await.unwrap();
    assert!(!due(2_000_001).await, "its gallery is not complete");
    let ended = sequence(store, grid).await;
    assert!(store.gallery_complete(grid, ended).await.unwrap());
    assert!(!due(2_000_000).await);
    assert!(due(2_000_001).await);
    store.swept(grid, ended).await.unwrap();
    assert!(due(2_000_001).await, "it has moved on since");
    store.swept(grid, ended + 1).await.unwrap();
    assert!(!due(2_000_001).await);
    store
        .retry(grid, Some(&[0]), at(2_000_002), &RULES)
        .await
        .unwrap();
    store.cancel_grid(grid, at(2_000_003)).await.unwrap();
    let ended = sequence(store, grid).await;
    assert!(store.gallery_complete(grid, ended).await.unwrap());
    assert!(due(2_000_004).await);
}

async fn a_history_runs_out(store: &dyn Store) {
    let grid = submit(store, draft(1, 1), 1_000_000).await;
    store.cancel_grid(grid, at(1_000_000)).await.unwrap();
    let ended = async |seconds| {
        let ended = store.ended_before(at(seconds), 1000).await.unwrap();
        ended.contains(&grid)
    };
    assert!(!ended(1_000_001).await, "its gallery is not complete");
    let sequence = sequence(store, grid).await;
    assert!(store.gallery_complete(grid, sequence).await.unwrap());
    assert!(!ended(1_000_000).await);
    assert!(ended(1_000_001).await);
}

async fn a_node_at_fault_is_put_into_quarantine(store: &dyn Store) {
    let node = register(store).await;
    let mut last = None;
    for number in 0..3 {
        let grid = submit(store, draft(1, 1), 0).await;
        let cell = CellId { grid, place: 0 };
        let state = store.node(node).await.unwrap().health.state;
        assert_eq!(state, NodeState::Active, "after {number}");
        let events = vec![(cell, Event::Lease { node }), (cell, fail(node, 1))];
        store.apply(events, at(0), &RULES, &EVEN).await.unwrap();
        last = Some(grid);
    }
    let record = store.node(node).await.unwrap();
    assert_eq!(record.health.state.word(), "quarantined");
    assert!(record.health.state.reason().contains("no memory"));
    store.set_health(node, &Health::lifted()).await.unwrap();
    let record = store.node(node).await.unwrap();
    assert_eq!(record.health, Health::lifted());

    // What it completes counts, and clears what failed before.
    let cell = CellId {
        grid: last.unwrap(),
        place: 0,
    };
    apply(store, cell, Event::Lease { node }, 90).await.unwrap();
    apply(store, cell, fail(node, 2), 90).await.unwrap();
    apply(store, cell, Event::Lease { node }, 900)
        .await
        .unwrap();
    apply(store, cell, complete(node, 3), 900).await.unwrap();
    let record = store.node(node).await.unwrap();
    assert_eq!(record.health, Health::lifted());
    assert_eq!(record.cells_done, 1);
    let summary = store.summary(last.unwrap()).await.unwrap();
    assert!((summary.seconds_spent - 1.5).abs() < 1e-12);
    assert!((summary.dollars_spent - 1.5 * 3.6 / 3600.0).abs() < 1e-12);
    assert!(summary.work_open.abs() < 1e-12);
}

async fn what_was_handed_out_counts_against_its_grid_and_its_submitter(store: &dyn Store) {
    let node = register(store).await;
    let submitter = format!("carl {node}");
    let mut new = new_grid(draft(3, 1));
    (new.submitter, new.priority) = (submitter.clone(), 20);
    let grid = new.grid;
    store.create_grid(new, at(0), &EVEN).await.unwrap();
    let passes = async || {
        let line = store.line().await.unwrap();
        let of_grid = line.grids.iter().find(|other| other.grid == grid);
        (of_grid.unwrap().pass, line.submitter_passes[&submitter])
    };
    let before = passes().await;
    let work = store.queued(grid, at(0), 1).await.unwrap()[0].work;
    let shares = Shares {
        submitter_weights: [(submitter.clone(), 4.0)].into(),
        ..EVEN
    };
    let events = (0..2).map(|place| (CellId { grid, place }, Event::Lease { node }));
    let leased = store.apply(events.collect(), at(0), &RULES, &shares).await;
    assert!(leased.unwrap().iter().all(Result::is_ok));
    let after = passes().await;
    // The priority of 20 doubles the grid's share.
    assert!((after.0 - before.0 - 2.0 * work / 2.0).abs() < 1e-9);
    assert!((after.1 - before.1 - 2.0 * work / 4.0).abs() < 1e-9);

    // A sibling that comes now starts level.
    let mut sibling = new_grid(draft(1, 1));
    sibling.submitter = submitter.clone();
    let id = sibling.grid;
    let most = Shares {
        submitter_open_max: 3,
        ..EVEN
    };
    let refused = store.create_grid(sibling, at(1), &most).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::TooManyOpen { open: 3, .. }),
        "{refused}"
    );
    let mut sibling = new_grid(draft(1, 1));
    (sibling.submitter, sibling.grid) = (submitter.clone(), id);
    store.create_grid(sibling, at(1), &EVEN).await.unwrap();
    let line = store.line().await.unwrap();
    let pass = line
        .grids
        .iter()
        .find(|other| other.grid == id)
        .unwrap()
        .pass;
    assert!((pass - after.0).abs() < 1e-12);
    store.cancel_grid(grid, at(2)).await.unwrap();
    store.cancel_grid(id, at(2)).await.unwrap();
}

async fn measurements_are_kept(store: &dyn Store) {
    let device = format!("cuda:0 {}", NodeId::generate());
    let measurement = |seconds| Measurement {
        device: device.clone(),
        kind: "64x48".to_owned(),
        seconds,
        work: 2.0,
    };
    let both = [measurement(2.0), measurement(6.0)];
    store.measured(&both[..1]).await.unwrap();
    store.measured(&both[1..]).await.unwrap();
    let speeds = store.speeds().await.unwrap();
    assert_eq!(speeds.seconds_per_work(&device, "64x48"), Some(2.0));
    assert_eq!(speeds.0[&device]["64x48"].cells, 2);
}

/// Many calls at once, each of which leases, fails or completes: the counts that are kept are those of the cells.
async fn what_is_counted_is_what_there_is(store: &dyn Store) {
    let nodes = [register(store).await, register(store).await];
    let grid = submit(store, draft(10, 4), 0).await;
    let cells: Vec<CellId> = (0..40).map(|place| CellId { grid, place }).collect();
    let applying = cells.chunks(5).enumerate().map(|(number, cells)| {
        let node = nodes[number % 2];
        let events = cells.iter().enumerate().flat_map(move |(index, cell)| {
            let end = if index % 3 == 0 {
                fail(node, 1)
            } else {
                complete(node, 1)
            };
            [(*cell, Event::Lease { node }), (*cell, end)]
        });
        let events: Vec<(CellId, Event)> = events.collect();
        async move { store.apply(events, at(1), &RULES, &EVEN).await }
    });
    for verdicts in futures::future::join_all(applying).await {
        assert!(verdicts.unwrap().iter().all(Result::is_ok));
    }
    let changes = store.changes(grid, 0).await.unwrap();
    let mut counts = Counts::default();
    for record in &changes.cells {
        *counts.of_mut(&record.cell) += 1;
    }
    assert_eq!(changes.summary.counts, counts);
    assert_eq!((counts.done, counts.queued), (24, 16));
    let sequences: std::collections::BTreeSet<u64> = changes
        .cells
        .iter()
        .map(|record| record.changed_sequence)
        .collect();
    assert_eq!(sequences.len(), 40, "each change has a number of its own");
    assert_eq!(changes.summary.sequence, 81);
    store.cancel_grid(grid, at(2)).await.unwrap();
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
    store.cancel_grid(grid, at(40)).await.unwrap();
    assert_eq!(store.expired(at(99), 9).await.unwrap(), []);
}

async fn what_is_unknown_is_said_so(store: &dyn Store) {
    let grid = GridId::generate();
    let cell = CellId { grid, place: 0 };
    let unknown = |error: StoreError| matches!(error, StoreError::UnknownGrid(id) if id == grid);
    assert!(unknown(store.spec(grid).await.unwrap_err()));
    assert!(unknown(store.changes(grid, 0).await.unwrap_err()));
    assert!(unknown(store.cancel_grid(grid, at(0)).await.unwrap_err()));
    assert!(!store.gallery_complete(grid, 1).await.unwrap());
    let verdict = apply(store, cell, Event::Expire, 0).await;
    assert_eq!(verdict, Err(Rejection::UnknownCell(cell)));
    let node = NodeId::generate();
    let unknown = store.node(node).await.unwrap_err();
    assert!(matches!(unknown, StoreError::UnknownNode(id) if id == node));
    store.nodes_seen(&[(node, at(100))]).await.unwrap();
    let node = register(store).await;
    store.nodes_seen(&[(node, at(100))]).await.unwrap();
    let since = store.nodes(None, at(100), 9).await.unwrap();
    assert!(since.iter().any(|record| record.node.id == node));
    let record = store.node(node).await.unwrap();
    assert_eq!(
        (record.registered_at, record.last_seen_at),
        (at(0), at(100))
    );
}

/// More cells than one statement can insert.
async fn a_large_grid_is_kept_whole(store: &dyn Store) {
    let grid = submit(store, draft(100, 45), 0).await;
    let changes = store.changes(grid, 0).await.unwrap();
    assert_eq!(
        (changes.cells.len(), changes.summary.counts.queued),
        (4500, 4500)
    );
    assert_eq!(store.cancel_grid(grid, at(1)).await.unwrap(), 4500);
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
    let facts = crate::domain::facts::GridFacts::new(grid, spec);
    let subjects = changes.cells.iter();
    let subjects = subjects.map(|it| facts.position(it.id.place).unwrap().subject);
    let alone = subjects.filter(|subject| subject.is_reconstruction());
    assert_eq!(alone.count(), 3);
    let queue = store.queued(grid, at(0), 9).await.unwrap();
    assert!(
        queue.iter().map(|cell| cell.id.place).eq(0..5),
        "in their order"
    );

    for record in &changes.cells {
        let holder = Holder { node, attempt: 1 };
        let result = result();
        let events = vec![
            (record.id, Event::Lease { node }),
            (record.id, Event::Complete { holder, result }),
        ];
        store.apply(events, at(1), &RULES, &EVEN).await.unwrap();
    }
    let summary = store.changes(grid, 0).await.unwrap().summary;
    assert_eq!(
        (summary.state, summary.counts.done),
        (GridState::Finished, 5)
    );
}
