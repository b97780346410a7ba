//! What a store must do, whichever database it is in; each of them runs all of it.

mod cells;
mod earlier;
mod grids;
mod on_postgres;
mod on_sqlite;
mod outbox;
mod service;

use std::collections::BTreeSet;
use std::time::Duration;

use atelier_proto::ids::{CellId, GridId, NodeId, RequestId, TokenId};
use jiff::Timestamp;

use super::*;
use crate::domain::attempt::Outcome;
use crate::domain::cell::tests::result;
use crate::domain::cell::{Cell, Event, Progress, Refusal};
use crate::domain::fleet::{Bounds, Standing};
use crate::domain::grid::tests::draft;
use crate::domain::grid::{Draft, GridSpec};
use crate::domain::lease::{Holder, LeaseRules};
use crate::domain::node::{Health, Node, NodeState};
use crate::domain::share::Shares;
use crate::domain::summary::{Counts, GridState};

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

fn new_grid(draft: Draft) -> NewGrid {
    NewGrid {
        grid: GridId::generate(),
        request: RequestId::generate(),
        submitter: "ann".to_owned(),
        priority: 0,
        spec: GridSpec::accept(draft, 100_000).unwrap(),
        trace_parent: String::new(),
    }
}

async fn submit(store: &Store, draft: Draft, seconds: i64) -> GridId {
    let (submitted, created) = store
        .create_grid(new_grid(draft), at(seconds), &EVEN)
        .await
        .unwrap();
    assert!(created);
    submitted.grid
}

async fn register(store: &Store) -> NodeId {
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
    store.register_node(&node, None, at(0)).await.unwrap();
    node.id
}

async fn apply(store: &Store, cell: CellId, event: Event, seconds: i64) -> Verdict {
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
        log: String::new(),
    }
}

async fn sequence(store: &Store, grid: GridId) -> u64 {
    let changes = store.changes(grid, u64::MAX).await.unwrap();
    assert_eq!(changes.cells, []);
    changes.summary.sequence
}

/// Runs everything on one store, which need not be empty.
pub(super) async fn all(store: &Store) {
    grids::submitting_twice_makes_one_grid(store).await;
    cells::each_change_is_numbered_and_told_once(store).await;
    cells::a_stale_attempt_is_fenced_out(store).await;
    grids::a_grid_finishes_with_its_last_cell(store).await;
    grids::cancelling_ends_what_has_not_ended(store).await;
    service::grids_are_listed_by_youth_and_wait_in_line(store).await;
    grids::lists_are_filtered(store).await;
    grids::a_paused_grid_hands_out_nothing(store).await;
    cells::what_failed_is_tried_again(store).await;
    grids::a_deleted_grid_is_found_no_more_and_then_forgotten(store).await;
    grids::an_ended_grid_is_swept_once_and_again_after_it_has_changed(store).await;
    grids::a_history_runs_out(store).await;
    service::a_node_at_fault_is_put_into_quarantine(store).await;
    service::what_was_handed_out_counts_against_its_grid_and_its_submitter(store).await;
    service::measurements_are_kept(store).await;
    service::the_fleet_is_kept(store).await;
    service::a_node_belongs_to_the_identity_that_registered_it(store).await;
    service::tokens_and_sessions_are_kept(store).await;
    cells::some_cells_are_read_as_they_stand(store).await;
    cells::what_is_counted_is_what_there_is(store).await;
    cells::leases_that_are_over_are_found(store).await;
    cells::what_is_unknown_is_said_so(store).await;
    cells::what_was_logged_of_a_cell_is_kept_with_its_attempts(store).await;
    grids::a_large_grid_is_kept_whole_and_read_in_turn(store).await;
    cells::reconstructions_are_cells_like_others(store).await;
    outbox::each_end_of_a_grid_is_kept_once(store).await;
    outbox::an_end_waits_for_its_gallery_and_not_for_ever(store).await;
    outbox::what_is_handed_out_stays_until_it_is_taken_or_given_up(store).await;
    outbox::what_waits_has_a_bound_and_former_webhooks_are_forgotten(store).await;
}
