//! What goes wrong, what others do, and what is remembered of it.

use super::*;

#[test]
fn what_goes_wrong_is_survived_and_said() {
    let seen_ago = |number: u32, seconds: i64| {
        with_node(working(number, 0), |node| {
            node.is_alive = false;
            node.seen_at = at(1000 - seconds);
        })
    };
    let since = |scene: &mut Scene, seconds: i64| {
        let group = scene.seen.group.as_ref().unwrap();
        for machine in &group.machines {
            let then = at(1000 - seconds);
            scene.memory.since.insert(machine.id.clone(), then);
        }
    };
    let cases = [
        // What was asked for counts until it can be seen, or for half a minute.
        (
            scene()
                .with_work([grid(100, 60.0)])
                .but(|scene| scene.memory.asked = Some((6, at(971)))),
            "wanted 6; ; what is there is enough",
        ),
        (
            scene()
                .with_work([grid(100, 60.0)])
                .but(|scene| scene.memory.asked = Some((6, at(970)))),
            "wanted 6; ask for 6; growing from 0 to 6 machines",
        ),
        (
            scene()
                .with_work([grid(100, 60.0)])
                .with_machines([starting(1)])
                .but(|scene| {
                    scene.group().desired = 3;
                    scene.group().refusal = Some("no g6.xlarge in eu-central-1a".to_owned());
                }),
            "wanted 6; ; the cloud starts no machine: no g6.xlarge in eu-central-1a",
        ),
        (
            scene().with_work([grid(1, 1.0)]).but(|scene| {
                scene.group().desired = 1;
                scene.group().refusal = Some("none to be had".to_owned());
            }),
            "wanted 1; ; the cloud starts no machine: none to be had",
        ),
        (
            scene()
                .with_work([grid(1, 1.0)])
                .with_machines([starting(1)])
                .but(|scene| since(scene, 899)),
            "wanted 1; ; what is there is enough",
        ),
        (
            scene()
                .with_work([grid(1, 1.0)])
                .with_machines([starting(1)])
                .but(|scene| since(scene, 900)),
            "wanted 1; terminate i-1; what is there is enough",
        ),
        // What was terminated is told of for some time, and then tried once more.
        (
            scene()
                .with_machines([starting(1), starting(2)])
                .but(|scene| {
                    since(scene, 999);
                    scene.memory.terminated =
                        [("i-1".to_owned(), at(971)), ("i-2".to_owned(), at(970))].into();
                }),
            "wanted 0; terminate i-2; there is nothing to do",
        ),
        (
            scene()
                .with_machines([seen_ago(1, 899), seen_ago(2, 900)])
                .but(|scene| since(scene, 999)),
            "wanted 0; terminate i-2; there is nothing to do",
        ),
        (
            scene().with_work([grid(100, 60.0)]).but(|scene| {
                scene.memory.silent_in_a_row = 3;
                scene.memory.silent_at = Some(at(401));
            }),
            "wanted 6; ; 3 machines in a row never registered a node: growing by one at a time; look at their logs",
        ),
        (
            scene().with_work([grid(100, 60.0)]).but(|scene| {
                scene.memory.silent_in_a_row = 3;
                scene.memory.silent_at = Some(at(400));
            }),
            "wanted 6; ask for 1; growing from 0 to 1 machines; 3 machines in a row never registered a node: growing by one at a time; look at their logs",
        ),
    ];
    check(cases);
}

#[test]
fn what_others_did_to_the_group_is_seen_and_what_fits_nowhere_starts_nothing() {
    let cases = [
        // Somebody made the group smaller or larger by hand.
        (
            scene()
                .with_work([grid(100, 60.0)])
                .with_machines([working(1, 1), working(2, 1)])
                .but(|scene| scene.memory.asked = Some((6, at(900)))),
            "wanted 6; ask for 6; growing from 2 to 6 machines",
        ),
        (
            scene()
                .with_machines((1..=3).map(|number| working(number, 0)))
                .but(|scene| scene.memory.asked = Some((0, at(900))))
                .idle_for(&[1, 2, 3], 301),
            "wanted 0; drain 3, unprotect i-1 i-2 i-3; sending away 3 machines without work",
        ),
        (
            scene().with_work([GridLeft {
                is_fitting: Some(false),
                ..grid(100, 60.0)
            }]),
            "wanted 0; ; no growth for 1 grid that no machine here has the labels or the memory for",
        ),
    ];
    check(cases);
}

#[test]
fn what_happened_is_remembered() {
    let scene = scene().with_machines([working(1, 0), starting(2), working(3, 1)]);
    let memory = scene
        .but(|scene| {
            scene.memory.since.insert("i-1".to_owned(), at(900));
            scene.memory.since.insert("gone".to_owned(), at(900));
            scene.memory.silent_in_a_row = 2;
        })
        .decided()
        .1;
    let expected = [("i-1", 900), ("i-2", 1000), ("i-3", 1000)];
    let expected = expected.map(|(id, seconds)| (id.to_owned(), at(seconds)));
    assert_eq!(memory.since, expected.into());
    assert_eq!(memory.idle_since, [("i-1".to_owned(), at(1000))].into());
    // Only of the first is known since when it was there.
    assert_eq!(memory.boot_seconds, Some(100.0));
    assert_eq!(memory.silent_in_a_row, 0);
    assert_eq!(memory.devices, ["cuda:0 T4".to_owned()].into());
}

#[test]
fn one_silent_machine_of_many_that_came_is_chance() {
    let silent_in_a_row = |registered: i64| {
        let scene = scene().with_machines([starting(1)]).but(|scene| {
            scene.memory.since.insert("i-1".to_owned(), at(100));
            scene.memory.registered_at = Some(at(registered));
        });
        let (decision, memory) = scene.decided();
        assert_eq!(decision.terminate, ["i-1"]);
        memory.silent_in_a_row
    };
    assert_eq!(silent_in_a_row(99), 1);
    assert_eq!(silent_in_a_row(100), 0);
}
