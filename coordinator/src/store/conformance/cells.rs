//! Cells: each change numbered and told, attempts fenced, counts true.

use super::*;

pub(super) async fn each_change_is_numbered_and_told_once(store: &Store) {
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
    let renewed = apply(store, first, renew(None), 14).await.unwrap();
    assert!(!renewed.changed);
    assert_eq!(
        renewed.cell.lease_expires_at(),
        Some(at(30)),
        "too early to be kept"
    );
    let renewed = apply(store, first, renew(None), 15).await.unwrap();
    assert!(!renewed.changed);
    assert_eq!(renewed.cell.lease_expires_at(), Some(at(45)));
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
    let latest = store.latest(grid, 1).await.unwrap();
    assert_eq!(latest.cells.len(), 1);
    assert_eq!(latest.cells[0].id, second);
    assert_eq!(latest.summary.sequence, 4);
    let all: Vec<CellId> = store
        .latest(grid, 9)
        .await
        .unwrap()
        .cells
        .iter()
        .map(|record| record.id)
        .collect();
    assert_eq!(all, [second, first]);
    store.cancel_grid(grid, at(20)).await.unwrap();
}

pub(super) async fn a_stale_attempt_is_fenced_out(store: &Store) {
    let (slow, quick) = (register(store).await, register(store).await);
    let grid = submit(store, draft(1, 1), 0).await;
    let cell = store.changes(grid, 0).await.unwrap().cells[0].id;
    let lease = |node| Event::Lease { node };
    let complete = |node, attempt| Event::Complete {
        holder: Holder { node, attempt },
        result: result(),
        log: String::new(),
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

pub(super) async fn what_failed_is_tried_again(store: &Store) {
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

/// Many calls at once, each of which leases, fails or completes: the counts that are kept are those of the cells.
pub(super) async fn what_is_counted_is_what_there_is(store: &Store) {
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
    let sequences: BTreeSet<u64> = changes
        .cells
        .iter()
        .map(|record| record.changed_sequence)
        .collect();
    assert_eq!(sequences.len(), 40, "each change has a number of its own");
    assert_eq!(changes.summary.sequence, 81);
    store.cancel_grid(grid, at(2)).await.unwrap();
}

pub(super) async fn leases_that_are_over_are_found(store: &Store) {
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

pub(super) async fn what_is_unknown_is_said_so(store: &Store) {
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

/// Cells of a photo or an artist alone are queued, found, leased and counted, and a grid ends with the last of them.
pub(super) async fn reconstructions_are_cells_like_others(store: &Store) {
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
        let (result, log) = (result(), String::new());
        let done = Event::Complete {
            holder,
            result,
            log,
        };
        let events = vec![(record.id, Event::Lease { node }), (record.id, done)];
        store.apply(events, at(1), &RULES, &EVEN).await.unwrap();
    }
    let summary = store.changes(grid, 0).await.unwrap().summary;
    assert_eq!(
        (summary.state, summary.counts.done),
        (GridState::Finished, 5)
    );
}

pub(super) async fn some_cells_are_read_as_they_stand(store: &Store) {
    let node = register(store).await;
    let (one, other) = (
        submit(store, draft(1, 2), 0).await,
        submit(store, draft(1, 1), 0).await,
    );
    let cell = |grid, place| CellId { grid, place };
    apply(store, cell(one, 1), Event::Lease { node }, 1)
        .await
        .unwrap();
    let wanted = [cell(one, 0), cell(one, 1), cell(other, 0), cell(other, 7)];
    let before = sequence(store, one).await;
    let found = store.cells(&wanted.into()).await.unwrap();
    assert!(
        found
            .keys()
            .eq(&BTreeSet::from([wanted[0], wanted[1], wanted[2]]))
    );
    let holder = Holder { node, attempt: 1 };
    assert_eq!(found[&wanted[1]].check_held(holder), Ok(()));
    assert_eq!(found[&wanted[0]].check_held(holder), Err(Refusal::NotHeld));
    assert_eq!(sequence(store, one).await, before);
    for grid in [one, other] {
        store.cancel_grid(grid, at(2)).await.unwrap();
    }
}

pub(super) async fn what_was_logged_of_a_cell_is_kept_with_its_attempts(store: &Store) {
    let node = register(store).await;
    let new = NewGrid {
        trace_parent: "00-trace-span-01".to_owned(),
        ..new_grid(draft(2, 1))
    };
    let grid = store.create_grid(new, at(0), &EVEN).await.unwrap().0.grid;
    let trace = store.trace_parent(grid).await.unwrap();
    assert_eq!(trace, "00-trace-span-01");
    let cell = |place| CellId { grid, place };
    let lease = || Event::Lease { node };
    let done = |attempt, log: &str| Event::Complete {
        holder: Holder { node, attempt },
        result: result(),
        log: log.to_owned(),
    };
    let ended = async |place, event, seconds| {
        let applied = apply(store, cell(place), event, seconds).await;
        applied.unwrap().ended
    };
    assert_eq!(ended(0, lease(), 0).await, None);
    assert_eq!(ended(0, Event::Expire, 40).await, Some(Outcome::Lost));
    assert_eq!(ended(0, lease(), 90).await, None);
    let (_, before) = store.attempts(cell(0), 9).await.unwrap();
    assert_eq!(before.len(), 1);
    assert_eq!(
        ended(0, done(2, "stored\n"), 100).await,
        Some(Outcome::Done)
    );
    // The same word again ends nothing.
    assert_eq!(ended(0, done(2, "stored\n"), 101).await, None);
    let (record, attempts) = store.attempts(cell(0), 9).await.unwrap();
    assert_eq!((record.id, record.cell.state()), (cell(0), "done"));
    let kept: Vec<_> = attempts
        .iter()
        .map(|kept| (kept.end.attempt, kept.end.outcome, kept.end.log.as_str()))
        .collect();
    assert_eq!(
        kept,
        [(1, Outcome::Lost, ""), (2, Outcome::Done, "stored\n")]
    );
    let (_, last) = store.attempts(cell(0), 1).await.unwrap();
    assert_eq!(last, attempts[1..]);
    let failed = store.failed_attempts(grid, 9).await.unwrap();
    assert_eq!(failed, attempts[..1], "a picture is no failure");

    // A picture without a log leaves nothing that the cell does not say.
    ended(1, lease(), 110).await;
    ended(1, done(1, ""), 111).await;
    let (record, attempts) = store.attempts(cell(1), 9).await.unwrap();
    assert_eq!((record.cell.state(), attempts), ("done", Vec::new()));
    let unknown = store.attempts(cell(2), 9).await.unwrap_err();
    assert!(matches!(unknown, StoreError::UnknownCell(id) if id == cell(2)));
}
