use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::attempt::{AttemptEnd, Outcome};

const RULES: LeaseRules = LeaseRules {
    lease_duration: Duration::from_secs(30),
    attempts_max: 3,
    failed_nodes_max: 3,
    stall_duration: Duration::from_secs(40),
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn node(number: u128) -> NodeId {
    NodeId::from(uuid::Uuid::from_u128(number))
}

fn holder(number: u128, attempt: u32) -> Holder {
    Holder {
        node: node(number),
        attempt,
    }
}

pub(crate) fn result() -> CellResult {
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
        has_large_thumbnail: true,
        losses: vec![(20, 2.5), (40, 1.25)],
    }
}

fn apply(cell: Cell, event: Event, seconds: i64) -> Result<Cell, Refusal> {
    cell.apply(event, at(seconds), &RULES)
}

/// A cell whose attempt of this number began at 30 s, the ones before lost.
fn leased(attempt: u32) -> Cell {
    let mut cell = Cell::new(at(-300));
    for before in (1..i64::from(attempt)).rev() {
        let start = 30 - 30 * before;
        cell = apply(cell, Event::Lease { node: node(1) }, start).unwrap();
        cell = apply(cell, Event::Expire, start + 30).unwrap();
    }
    apply(cell, Event::Lease { node: node(1) }, 30).unwrap()
}

fn fail(attempt: u32, refused: bool) -> Event {
    Event::Fail {
        holder: holder(1, attempt),
        refused,
        reason: "no memory".to_owned(),
        log: "the end of a log".to_owned(),
    }
}

#[test]
fn a_cell_goes_the_whole_way_and_a_repeated_report_changes_nothing() {
    let progress = Progress {
        evaluations: 10,
        planned: 60,
        loss: 1.0,
    };
    let renew = Event::Renew {
        holder: holder(1, 1),
        progress: Some(progress),
    };
    let complete = Event::Complete {
        holder: holder(1, 1),
        result: result(),
        log: String::new(),
    };
    let rendering = apply(leased(1), renew, 40).unwrap();
    assert_eq!(rendering.state(), "rendering");
    assert_eq!(rendering.lease_expires_at(), Some(at(70)));
    let done = apply(rendering, complete.clone(), 50).unwrap();
    assert_eq!(done.state(), "done");
    assert_eq!(apply(done.clone(), complete, 60), Ok(done.clone()));
    let other = Event::Complete {
        holder: holder(2, 1),
        result: result(),
        log: String::new(),
    };
    assert_eq!(
        apply(done, other, 60),
        Err(Refusal::Ended { state: "done" })
    );
}

#[test]
fn a_zombie_can_do_nothing() {
    let cell = apply(leased(1), Event::Expire, 60).unwrap();
    let cell = apply(cell, Event::Lease { node: node(2) }, 60).unwrap();
    let refusal = Refusal::Stale {
        attempt: 1,
        current: 2,
    };
    let zombie = holder(1, 1);
    for event in [
        Event::Renew {
            holder: zombie,
            progress: None,
        },
        Event::Complete {
            holder: zombie,
            result: result(),
            log: String::new(),
        },
        fail(1, true),
        release(zombie),
    ] {
        assert_eq!(apply(cell.clone(), event, 61), Err(refusal));
    }
}

#[test]
fn transient_failures_are_tried_again_later_and_refusals_are_not() {
    let queued = apply(leased(1), fail(1, false), 31).unwrap();
    assert_eq!(queued.state(), "queued");
    let lease = Event::Lease { node: node(2) };
    assert_eq!(
        apply(queued.clone(), lease.clone(), 31),
        Err(Refusal::NotYet)
    );
    assert_eq!(apply(queued, lease, 32).unwrap().history().started, 2);

    let failed = apply(leased(1), fail(1, true), 31).unwrap();
    assert_eq!(failed.state(), "failed");
    assert_eq!(failed.history().failure.as_deref(), Some("no memory"));
    assert_eq!(
        apply(leased(3), fail(3, false), 31).unwrap().state(),
        "failed"
    );
}

#[test]
fn a_lease_ends_by_expiry_and_not_before_its_time() {
    assert_eq!(
        apply(leased(1), Event::Expire, 59),
        Err(Refusal::NotExpired)
    );
    let lost = apply(leased(3), Event::Expire, 60).unwrap();
    assert_eq!(lost.state(), "failed");
    assert_eq!(
        lost.history().failure.as_deref(),
        Some("the node that held it was not heard of again")
    );
}

#[test]
fn giving_back_costs_no_attempt_but_fences_all_the_same() {
    let mut cell = Cell::new(at(0));
    for attempt in 1..=9 {
        cell = apply(cell, Event::Lease { node: node(1) }, 0).unwrap();
        cell = apply(cell, release(holder(1, attempt)), 0).unwrap();
        assert_eq!(cell.state(), "queued");
    }
    assert_eq!(cell.history().started, 9);
    assert_eq!(cell.history().charged(), 0);
}

fn release(holder: Holder) -> Event {
    let reason = "drain".to_owned();
    Event::Release { holder, reason }
}

fn renewal(evaluations: u32) -> Event {
    Event::Renew {
        holder: holder(1, 1),
        progress: Some(Progress {
            evaluations,
            planned: 60,
            loss: 1.0,
        }),
    }
}

#[test]
fn a_node_that_makes_no_evaluation_loses_the_cell_however_well_it_renews() {
    let mut cell = apply(leased(1), renewal(5), 40).unwrap();
    for seconds in [50, 60, 70] {
        cell = apply(cell, renewal(5), seconds).unwrap();
    }
    assert_eq!(cell.lease_expires_at(), Some(at(80)));
    let moved = apply(cell.clone(), renewal(6), 79).unwrap();
    // An evaluation took 39 s, so that the next one may take fifty times as long; the lease ends as ever.
    assert_eq!(moved.lease_expires_at(), Some(at(109)));

    let stuck = apply(cell.clone(), Event::Expire, 80).unwrap();
    assert_eq!(stuck.state(), "queued");
    assert_eq!(
        stuck.history().failure.as_deref(),
        Some("the node that held it made no evaluation for too long")
    );
    let end = AttemptEnd::of(&cell, &Event::Expire, &stuck, at(80)).unwrap();
    assert_eq!((end.outcome, end.attempt), (Outcome::Stuck, 1));
}

#[test]
fn a_picture_on_its_way_is_waited_for() {
    let mut cell = apply(leased(1), renewal(60), 40).unwrap();
    for seconds in [50, 70, 90, 110] {
        let renew = Event::Renew {
            holder: holder(1, 1),
            progress: None,
        };
        cell = apply(cell, renew, seconds).unwrap();
    }
    assert_eq!(cell.state(), "rendering");
    assert_eq!(cell.lease_expires_at(), Some(at(140)));
}

#[test]
fn a_cell_that_fails_on_several_nodes_fails() {
    let rules = LeaseRules {
        attempts_max: 99,
        ..RULES
    };
    let mut cell = Cell::new(at(0));
    for (attempt, number) in (1..).zip([1, 2, 1, 1, 3]) {
        let seconds = i64::from(attempt) * 100;
        assert_eq!(cell.state(), "queued", "before attempt {attempt}");
        let lease = Event::Lease { node: node(number) };
        cell = cell.apply(lease, at(seconds), &rules).unwrap();
        let fail = Event::Fail {
            holder: holder(number, attempt),
            refused: false,
            reason: "no memory".to_owned(),
            log: String::new(),
        };
        cell = cell.apply(fail, at(seconds), &rules).unwrap();
    }
    assert_eq!(cell.state(), "failed");
    assert_eq!(cell.history().failed_on, [node(1), node(2), node(3)]);
}

#[test]
fn what_failed_can_be_tried_again_with_all_its_attempts_before_it() {
    let failed = apply(leased(3), fail(3, false), 31).unwrap();
    assert_eq!(failed.state(), "failed");
    let queued = apply(failed, Event::Retry, 40).unwrap();
    assert_eq!(queued.history().charged(), 0);
    assert_eq!(queued.history().started, 3, "the fence does not fall");
    let refused = apply(queued, Event::Retry, 40);
    assert_eq!(refused, Err(Refusal::NotEnded));
    let cancelled = apply(leased(1), Event::Cancel, 31).unwrap();
    let queued = apply(cancelled, Event::Retry, 40).unwrap();
    let zombie = apply(queued, renewal(7), 41);
    assert!(matches!(zombie, Err(Refusal::Stale { .. })));
}

#[derive(Debug, Clone)]
enum Step {
    Happens(Event),
    /// The same, by whoever holds the cell then.
    ByHolder(Event),
    Passes(i64),
}

fn any_event() -> impl Strategy<Value = Event> {
    let holder = || (1_u128..4, 1_u32..6).prop_map(|(number, attempt)| holder(number, attempt));
    let progress = || {
        proptest::option::of((0_u32..60).prop_map(|evaluations| Progress {
            evaluations,
            planned: 60,
            loss: 1.0,
        }))
    };
    prop_oneof![
        4 => (1_u128..4).prop_map(|number| Event::Lease { node: node(number) }),
        2 => (holder(), progress()).prop_map(|(holder, progress)| Event::Renew { holder, progress }),
        1 => (holder(), "(line\n)?").prop_map(|(holder, log)| Event::Complete {
            holder,
            result: result(),
            log,
        }),
        2 => (holder(), proptest::bool::weighted(0.2)).prop_map(|(holder, refused)| Event::Fail {
            holder,
            refused,
            reason: "reason".to_owned(),
            log: String::new(),
        }),
        2 => holder().prop_map(release),
        2 => Just(Event::Expire),
        1 => Just(Event::Cancel),
        2 => Just(Event::Retry),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any_event().prop_map(Step::Happens),
        3 => any_event().prop_map(Step::ByHolder),
        2 => (0_i64..40).prop_map(Step::Passes),
    ]
}

fn by_holder(event: Event, cell: &Cell) -> Event {
    let Some(node) = cell.history().node else {
        return event;
    };
    let holder = Holder {
        node,
        attempt: cell.history().started,
    };
    match event {
        Event::Renew { progress, .. } => Event::Renew { holder, progress },
        Event::Complete { result, log, .. } => Event::Complete {
            holder,
            result,
            log,
        },
        Event::Fail {
            refused,
            reason,
            log,
            ..
        } => Event::Fail {
            holder,
            refused,
            reason,
            log,
        },
        Event::Release { .. } => release(holder),
        Event::Lease { .. } | Event::Expire | Event::Cancel | Event::Retry => event,
    }
}

fn holder_named_by(event: &Event) -> Option<Holder> {
    match event {
        Event::Renew { holder, .. }
        | Event::Complete { holder, .. }
        | Event::Fail { holder, .. }
        | Event::Release { holder, .. } => Some(*holder),
        Event::Lease { .. } | Event::Expire | Event::Cancel | Event::Retry => None,
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_promises_hold(steps in proptest::collection::vec(any_step(), 0..60)) {
        let mut cell = Cell::new(at(0));
        let mut seconds = 0;
        for step in steps {
            let event = match step {
                Step::Happens(event) => event,
                Step::ByHolder(event) => by_holder(event, &cell),
                Step::Passes(by) => {
                    seconds += by;
                    continue;
                }
            };
            let before = cell.clone();
            let Ok(after) = apply(cell.clone(), event.clone(), seconds) else { continue };

            // What has ended stays as it ended, unless somebody wants it tried again; what is done stays so for ever.
            if before.has_ended() && event != Event::Retry {
                prop_assert_eq!(&after, &before);
            }
            prop_assert!(event != Event::Retry || before.state() != "done");
            // Attempts never fall, and only a lease starts one.
            let (earlier, later) = (before.history(), after.history());
            let started = u32::from(matches!(event, Event::Lease { .. }));
            prop_assert_eq!(later.started, earlier.started + started);
            prop_assert!(later.released >= earlier.released && later.released <= later.started);
            prop_assert!(later.charged() <= RULES.attempts_max);
            prop_assert!(later.failed_on.len() <= RULES.failed_nodes_max as usize);
            // One live lease at most: a lease begins only where there was none, and is changed only by its holder.
            if matches!(event, Event::Lease { .. }) {
                prop_assert_eq!(before.state(), "queued");
            }
            if let Some(holder) = holder_named_by(&event)
                && after != before
            {
                prop_assert_eq!(Some(holder.node), earlier.node);
                prop_assert_eq!(holder.attempt, earlier.started);
                prop_assert!(before.lease_expires_at().is_some());
            }
            // Nobody loses a lease to time before its time.
            if event == Event::Expire {
                prop_assert!(before.lease_expires_at().is_some_and(|end| end <= at(seconds)));
            }
            // Whoever makes no evaluation for long enough loses the cell, however well it renews.
            if let Cell::Rendering { rendering: Rendering { stalls_at: Some(end), .. }, expires_at, .. } = &after {
                prop_assert!(expires_at <= end);
            }
            // What ends an attempt is told, but for what nobody wants any more, and kept, but for a picture without a log.
            let end = AttemptEnd::of(&before, &event, &after, at(seconds));
            let is_over = before.lease_expires_at().is_some() && after.lease_expires_at().is_none();
            prop_assert_eq!(end.is_some(), is_over && event != Event::Cancel);
            if let Some(end) = end {
                let is_done = after.state() == "done";
                prop_assert_eq!(end.outcome == Outcome::Done, is_done);
                prop_assert_eq!(end.is_kept(), !is_done || !end.log.is_empty());
                prop_assert_eq!(end.attempt, earlier.started);
            }
            // A failed cell says why, and a cell that waits has attempts left.
            match &after {
                Cell::Failed { history } => prop_assert!(history.failure.is_some()),
                Cell::Queued { history, .. } => {
                    prop_assert!(history.charged() < RULES.attempts_max);
                }
                Cell::Leased { .. }
                | Cell::Rendering { .. }
                | Cell::Done { .. }
                | Cell::Cancelled { .. } => {}
            }
            cell = after;
        }
    }
}
