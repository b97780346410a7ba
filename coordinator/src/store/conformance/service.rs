//! Who is served, by whom, and what was measured of it.

use super::*;

pub(super) async fn grids_are_listed_by_youth_and_wait_in_line(store: &Store) {
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

pub(super) async fn a_node_at_fault_is_put_into_quarantine(store: &Store) {
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
    let draining = Health::ordered(NodeState::Draining {
        reason: "a new disk".to_owned(),
    });
    assert!(!store.nodes_draining().await.unwrap().contains(&node));
    store.set_health(node, &draining).await.unwrap();
    assert!(store.nodes_draining().await.unwrap().contains(&node));
    store
        .set_health(node, &Health::ordered(NodeState::Active))
        .await
        .unwrap();
    assert!(!store.nodes_draining().await.unwrap().contains(&node));
    let record = store.node(node).await.unwrap();
    assert_eq!(record.health, Health::ordered(NodeState::Active));

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
    assert_eq!(record.health, Health::ordered(NodeState::Active));
    assert_eq!(record.cells_done, 1);
    let summary = store.summary(last.unwrap()).await.unwrap();
    assert!((summary.seconds_spent - 1.5).abs() < 1e-12);
    assert!((summary.dollars_spent - 1.5 * 3.6 / 3600.0).abs() < 1e-12);
    assert!(summary.work_open.abs() < 1e-12);
}

pub(super) async fn what_was_handed_out_counts_against_its_grid_and_its_submitter(store: &Store) {
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
    let line_before = store.line().await.unwrap();
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
    let mut expected = line_before;
    expected.hand_out(grid, 2, 2.0 * work, &shares);
    let counted = expected.grid(grid).unwrap();
    assert_eq!((counted.queued, counted.held), (1, 2));
    assert!((counted.pass - after.0).abs() < 1e-9);
    assert!((expected.submitter_passes[&submitter] - after.1).abs() < 1e-9);
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

pub(super) async fn the_fleet_is_kept(store: &Store) {
    use crate::domain::fleet::{Memory, Mode, Reason};
    let bounds = Bounds {
        mode: Mode::Off,
        nodes_min: 1,
        nodes_max: 7,
    };
    store.set_fleet_bounds(&bounds).await.unwrap();
    assert_eq!(store.fleet_bounds().await.unwrap(), Some(bounds));
    let mut memory = Memory::default();
    memory.since.insert("i-1".to_owned(), at(3));
    let standing = Standing {
        at: at(5),
        wanted: 3,
        machines: None,
        dollars_per_hour: Some(1.25),
        drain_seconds: None,
        reasons: vec![Reason::Growing { from: 1, to: 3 }, Reason::Off],
        trouble: Some("throttled".to_owned()),
        memory,
    };
    for wanted in [3, 4] {
        let standing = Standing {
            wanted,
            ..standing.clone()
        };
        store.set_fleet_standing(&standing).await.unwrap();
        assert_eq!(store.fleet_standing().await.unwrap(), Some(standing));
    }
}

pub(super) async fn measurements_are_kept(store: &Store) {
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

pub(super) async fn a_node_belongs_to_the_identity_that_registered_it(store: &Store) {
    let id = register(store).await;
    let mut node = store.node(id).await.unwrap().node;
    assert_eq!(store.node(id).await.unwrap().identity, "");
    // Who was not asked before is known from now on.
    store
        .register_node(&node, Some("studio"), at(1))
        .await
        .unwrap();
    node.name = "node-1".to_owned();
    store
        .register_node(&node, Some("studio"), at(2))
        .await
        .unwrap();
    node.name = "node-2".to_owned();
    let refused = store.register_node(&node, Some("other"), at(3)).await;
    assert!(matches!(refused, Err(StoreError::ForeignNode(foreign)) if foreign == id));
    let record = store.node(id).await.unwrap();
    assert_eq!(
        (record.identity.as_str(), record.node.name.as_str()),
        ("studio", "node-1")
    );
    // Where nobody is asked it may say something new, and stays whose it is.
    store.register_node(&node, None, at(4)).await.unwrap();
    let record = store.node(id).await.unwrap();
    assert_eq!(
        (record.identity.as_str(), record.node.name.as_str()),
        ("studio", "node-2")
    );
}

pub(super) async fn tokens_and_sessions_are_kept(store: &Store) {
    use crate::domain::access::{Identity, Proof, Role};
    use crate::domain::token::{SecretHash, SessionRecord, TokenRecord};
    let token = |name: &str, role, expires_at| TokenRecord {
        id: TokenId::generate(),
        identity: Identity {
            name: name.to_owned(),
            role,
        },
        secret: SecretHash::of(name),
        created_at: at(0),
        created_by: "operator".to_owned(),
        expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    let first = token("ann", Role::ReadOnly, Some(at(9)));
    let second = token("studio-1", Role::Node, None);
    for token in [&first, &second] {
        store.create_token(token).await.unwrap();
    }
    let kept = store.token(first.id).await.unwrap().unwrap();
    assert_eq!(format!("{kept:?}"), format!("{first:?}"));
    assert!(kept.secret.is_of("ann") && !kept.secret.is_of("studio-1"));
    assert!(store.token(TokenId::generate()).await.unwrap().is_none());
    let ids = |tokens: Vec<TokenRecord>| -> Vec<TokenId> {
        tokens.iter().map(|token| token.id).collect()
    };
    assert_eq!(
        ids(store.tokens(None, 2).await.unwrap()),
        [second.id, first.id]
    );
    assert_eq!(
        ids(store.tokens(Some(second.id), 1).await.unwrap()),
        [first.id]
    );
    store.token_used(first.id, at(5)).await.unwrap();
    store.token_used(first.id, at(4)).await.unwrap();
    store.revoke_token(first.id, at(6)).await.unwrap();
    store.revoke_token(first.id, at(7)).await.unwrap();
    let kept = store.token(first.id).await.unwrap().unwrap();
    assert_eq!(
        (kept.last_used_at, kept.revoked_at),
        (Some(at(5)), Some(at(6)))
    );
    let unknown = store.revoke_token(TokenId::generate(), at(6)).await;
    assert!(matches!(unknown, Err(StoreError::UnknownToken(_))));

    let session = |secret: &str, identity, proof, seconds| SessionRecord {
        secret: SecretHash::of(secret),
        identity,
        proof,
        mark: "a mark".to_owned(),
        created_at: at(seconds),
        expires_at: at(seconds + 10),
    };
    let ann = session(
        "ann's",
        Some(first.identity.clone()),
        Proof::Token(first.id),
        0,
    );
    let anyone = session("anyone's", None, Proof::BoardKey, 0);
    for session in [&ann, &anyone] {
        store.begin_session(session).await.unwrap();
        let kept = store.session(session.secret).await.unwrap().unwrap();
        assert_eq!(format!("{kept:?}"), format!("{session:?}"));
    }
    store.end_session(ann.secret).await.unwrap();
    assert!(store.session(ann.secret).await.unwrap().is_none());
    // Those that are over go when others begin, and of one identity the oldest beyond 100.
    for number in 0..=100 {
        let next = SessionRecord {
            expires_at: at(1_000),
            ..session(
                &number.to_string(),
                Some(first.identity.clone()),
                Proof::Oidc,
                10 + number,
            )
        };
        store.begin_session(&next).await.unwrap();
    }
    assert!(store.session(anyone.secret).await.unwrap().is_none());
    assert!(store.session(SecretHash::of("0")).await.unwrap().is_none());
    assert!(
        store
            .session(SecretHash::of("100"))
            .await
            .unwrap()
            .is_some()
    );
}
