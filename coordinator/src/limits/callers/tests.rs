use std::net::Ipv4Addr;

use atelier_proto::clock::Stopwatch;
use jiff::Timestamp;

use super::*;
use crate::domain::access::{Caller, Identity, Proof, Role};

const LIMITS: CallerLimits = CallerLimits {
    client_calls_per_second: 2,
    node_calls_per_second: 100,
    watchers_max: 3,
    caller_watchers_max: 2,
};
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn callers() -> (Callers, Clock) {
    let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
    (Callers::new(LIMITS, clock.clone()), clock)
}

fn known(name: &str, role: Role) -> Admitted {
    Admitted {
        caller: Caller::Known(Identity {
            name: name.to_owned(),
            role,
        }),
        proof: Proof::Certificate,
        until: None,
    }
}

/// Calls until one is refused; how many were not, and the refusal.
fn flood(callers: &Callers, who: Option<&Admitted>, from: IpAddr, call: &str) -> (u32, Exceeded) {
    for made in 0.. {
        if let Err(exceeded) = callers.begin(who, from, call, 1.0) {
            return (made, exceeded);
        }
    }
    unreachable!("every flood ends")
}

#[test]
fn who_calls_too_often_is_told_when_to_come_again_and_nobody_else_is_refused() {
    let (callers, clock) = callers();
    let (ann, bob) = (known("ann", Role::Client), known("bob", Role::Client));
    let (made, exceeded) = flood(&callers, Some(&ann), HERE, "Grids.List");
    assert_eq!(made, 20, "2 a second, 10 s of it at once");
    assert_eq!(exceeded.limit, Limit::Requests);
    assert_eq!(exceeded.after, Duration::from_millis(500));
    assert!(
        exceeded.message.contains("\"client ann\"") && exceeded.message.contains("2 a second"),
        "{exceeded}"
    );
    // Not from elsewhere either, but whoever else calls from there is not she.
    let elsewhere = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    assert!(
        callers
            .begin(Some(&ann), elsewhere, "Grids.List", 1.0)
            .is_err()
    );
    assert!(callers.begin(Some(&bob), HERE, "Grids.List", 1.0).is_ok());
    clock.advance(exceeded.after);
    assert!(callers.begin(Some(&ann), HERE, "Grids.List", 1.0).is_ok());
    assert!(callers.begin(Some(&ann), HERE, "Grids.List", 1.0).is_err());
}

#[test]
fn nodes_have_more_and_strangers_less_and_where_nobody_is_asked_addresses_count() {
    let (callers, _clock) = callers();
    let node = known("n", Role::Node);
    assert_eq!(flood(&callers, Some(&node), HERE, "Nodes.Renew").0, 200);
    let (made, exceeded) = flood(&callers, None, HERE, "Grids.List");
    assert_eq!(made, 300);
    assert!(exceeded.message.contains("say who you are"), "{exceeded}");
    let anyone = Admitted::ANYONE;
    assert_eq!(flood(&callers, Some(&anyone), HERE, "Grids.List").0, 20);
    assert_eq!(flood(&callers, Some(&anyone), HERE, "Nodes.Lease").0, 200);
    // Half an address of IPv6 is one.
    let v6 = |host: u32| -> IpAddr { format!("2001:db8:0:1::{host:x}").parse().unwrap() };
    assert_eq!(flood(&callers, Some(&anyone), v6(1), "Grids.List").0, 20);
    assert_eq!(flood(&callers, Some(&anyone), v6(2), "Grids.List").0, 0);
}

#[tokio::test]
async fn what_a_client_has_in_hand_is_bounded_and_worked_on_in_turn() {
    let limits = CallerLimits {
        client_calls_per_second: 1_000,
        ..LIMITS
    };
    let callers = Callers::new(limits, Clock::system());
    let ann = known("ann", Role::Client);
    let begin = || callers.begin(Some(&ann), HERE, "Grids.Get", 1.0);
    let mut turns: Vec<Turn> = (0..CLIENT_CALLS_MAX).map(|_| begin().unwrap()).collect();
    let exceeded = begin().unwrap_err();
    assert_eq!(exceeded.limit, Limit::CallsInHand);
    let mut running = Vec::new();
    for turn in turns.iter().take(CLIENT_CALLS_RUNNING_MAX) {
        running.push(turn.run().await.unwrap());
    }
    let last = turns.pop().unwrap();
    let mut waiting = Box::pin(last.run());
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    running.pop();
    assert!(waiting.as_mut().await.is_some());
    drop(waiting);
    drop(last);
    assert!(begin().is_ok(), "a place is free again");
}

#[test]
fn streams_are_bounded_for_each_and_for_all() {
    let (callers, _clock) = callers();
    let watch = |name: &str| {
        let caller = known(name, Role::Client);
        let turn = callers.begin(Some(&caller), HERE, "Grids.Watch", 1.0);
        turn.unwrap().watch()
    };
    let mut watching = vec![watch("ann").unwrap(), watch("ann").unwrap()];
    let exceeded = watch("ann").unwrap_err();
    assert!(
        exceeded.message.contains("--caller-watchers-max"),
        "{exceeded}"
    );
    watching.push(watch("bob").unwrap());
    let exceeded = watch("eve").unwrap_err();
    assert!(
        exceeded.message.contains("raise --watchers-max"),
        "{exceeded}"
    );
    watching.remove(0);
    assert!(watch("eve").is_ok());
}

#[test]
fn what_a_call_carries_is_charged_and_callers_are_remembered_only_while_they_must_be() {
    let (callers, clock) = callers();
    let ann = known("ann", Role::Client);
    let turn = callers.begin(Some(&ann), HERE, "Grids.Get", 1.0).unwrap();
    turn.charge(29.0);
    let (made, exceeded) = flood(&callers, Some(&ann), HERE, "Grids.Get");
    assert_eq!((made, exceeded.after), (0, Duration::from_millis(5_500)));

    let call_from = |host: u32| {
        let from = IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + host));
        callers.begin(Some(&Admitted::ANYONE), from, "Grids.List", 1.0)
    };
    for host in 0..30_000 {
        let _ = call_from(host);
    }
    let count = || callers.seen().by_key.len();
    assert!(count() <= CALLERS_MAX + 3, "{}", count());
    // Those for whom there was no place have what one has, together.
    let exceeded = call_from(99_999).unwrap_err();
    assert!(exceeded.message.contains("with many others"), "{exceeded}");
    // Ann has a call in hand, and is remembered.
    clock.advance(Duration::from_mins(1));
    assert!(call_from(99_999).is_ok());
    assert!(count() < 10, "{}", count());
    let key = Key::Identity(Kind::Client, "client ann".to_owned());
    assert!(callers.seen().by_key.contains_key(&key));
    drop(turn);
}

#[tokio::test]
async fn who_goes_on_regardless_is_refused_later_and_who_stops_at_once_again() {
    let (callers, clock) = callers();
    let ann = known("ann", Role::Client);
    let refused = || {
        callers
            .begin(Some(&ann), HERE, "Grids.List", 1.0)
            .unwrap_err()
    };
    flood(&callers, Some(&ann), HERE, "Grids.List");
    for _ in 1..PROMPT_REFUSALS_MAX {
        assert!(!refused().is_flood);
    }
    let exceeded = refused();
    assert!(exceeded.is_flood);
    let begun = Stopwatch::start();
    callers.hold(&exceeded).await;
    assert!(begun.elapsed() >= REFUSAL_HELD);

    // Nobody has more of them held than there is room for.
    let room = u32::try_from(REFUSALS_HELD_MAX).unwrap();
    let all = callers.0.held.clone().try_acquire_many_owned(room).unwrap();
    let begun = Stopwatch::start();
    callers.hold(&exceeded).await;
    assert!(begun.elapsed() < REFUSAL_HELD);
    drop(all);

    clock.advance(Duration::from_secs(2));
    flood(&callers, Some(&ann), HERE, "Grids.List");
    assert!(!refused().is_flood);
}
