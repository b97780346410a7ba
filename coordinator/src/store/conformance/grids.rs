//! Grids: made once, steered, ended, listed, deleted, forgotten.

use std::pin::pin;

use super::*;

/// For what waits for nothing, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn submitting_twice_makes_one_grid(store: &Store) {
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

pub(super) async fn a_grid_finishes_with_its_last_cell(store: &Store) {
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
            let (result, log) = (result(), String::new());
            Event::Complete {
                holder,
                result,
                log,
            }
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

pub(super) async fn cancelling_ends_what_has_not_ended(store: &Store) {
    let node = register(store).await;
    let grid = submit(store, draft(3, 1), 0).await;
    let cells = store.changes(grid, 0).await.unwrap().cells;
    let events = vec![
        (cells[0].id, Event::Lease { node }),
        (cells[0].id, complete(node, 1)),
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
        holder: Holder { node, attempt: 1 },
        progress: None,
    };
    let dropped = apply(store, cells[1].id, renew, 3).await;
    let state = "cancelled";
    assert_eq!(dropped, Err(Refusal::Ended { state }.into()));
}

pub(super) async fn lists_are_filtered(store: &Store) {
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

pub(super) async fn a_paused_grid_hands_out_nothing(store: &Store) {
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

pub(super) async fn a_deleted_grid_is_found_no_more_and_then_forgotten(store: &Store) {
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

pub(super) async fn an_ended_grid_is_swept_once_and_again_after_it_has_changed(store: &Store) {
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

pub(super) async fn a_history_runs_out(store: &Store) {
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

/// More cells than one statement can insert.
pub(super) async fn a_large_grid_is_kept_whole_and_read_in_turn(store: &Store) {
    let large = submit(store, draft(100, 45), 0).await;
    let small = submit(store, draft(2, 2), 0).await;
    let turns = store.whole_grids.available_permits();
    let turns = store.whole_grids.acquire_many(turns.try_into().unwrap());
    let turns = turns.await.unwrap();
    let mut reading = pin!(store.changes(large, 0));
    // What is short goes past whoever waits.
    tokio::select! {
        biased;
        _ = &mut reading => panic!("a large grid was read out of turn"),
        cells = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let passing = tokio::time::timeout(PATIENCE, store.changes(small, 0));
            passing.await.expect("a small grid waits behind a large one").unwrap().cells
        } => assert_eq!(cells.len(), 4),
    }
    drop(turns);
    let changes = reading.await.unwrap();
    assert_eq!(changes.summary.counts.queued, 4500);
    let places = changes.cells.iter().map(|record| record.id.place);
    assert!(places.eq(0..4500));
    assert_eq!(store.cancel_grid(large, at(1)).await.unwrap(), 4500);
    store.cancel_grid(small, at(1)).await.unwrap();
}
