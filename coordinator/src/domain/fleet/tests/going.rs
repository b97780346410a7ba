//! Which machines go, and which stay.

use super::*;

#[test]
fn machines_without_work_go_and_those_with_work_stay() {
    let busy = || working(1, 3);
    let draining =
        |number: u32| with_node(working(number, 0), |node| node.phase = NodePhase::Draining);
    let cases = [
        // A little of the work is left: by time one node would do, but all have something to do.
        (
            scene()
                .with_work([GridLeft {
                    running: 6,
                    ..grid(0, 2.0)
                }])
                .with_machines([working(1, 2), working(2, 2), working(3, 2)]),
            "wanted 3; ; what is there will be done in 1 min",
        ),
        (
            scene()
                .with_machines([busy(), working(2, 0), working(3, 0)])
                .idle_for(&[2], 299)
                .idle_for(&[3], 300),
            "wanted 1; drain 1, unprotect i-2 i-3; sending away 1 machine without work",
        ),
        // First it leaves, then its machine goes: no cell can come between.
        (
            scene().with_machines([busy(), draining(2)]).but(|scene| {
                scene.memory.drained.insert("i-2".to_owned());
            }),
            "wanted 1; terminate i-2; there is nothing to do",
        ),
        (
            scene()
                .with_machines([with_node(draining(2), |node| node.cells_held = 1)])
                .but(|scene| {
                    scene.memory.drained.insert("i-2".to_owned());
                }),
            "wanted 1; ; there is nothing to do",
        ),
        // A node that says itself that it leaves is the cloud's to take, or an operator's; but not for ever.
        (
            scene().with_machines([draining(2)]).idle_for(&[2], 299),
            "wanted 0; unprotect i-2; there is nothing to do",
        ),
        (
            scene().with_machines([draining(2)]).idle_for(&[2], 300),
            "wanted 0; terminate i-2; there is nothing to do",
        ),
        (
            scene()
                .with_machines([working(1, 0), working(2, 0)])
                .idle_for(&[1, 2], 999)
                .but(|scene| scene.bounds.nodes_min = 1),
            "wanted 1; drain 1, unprotect i-1 i-2; sending away 1 machine without work",
        ),
        // One in quarantine goes before one that works, and another one comes for it.
        (
            scene()
                .with_work([grid(100, 20.0)])
                .with_machines([
                    working(1, 2),
                    with_node(working(2, 0), |node| node.phase = NodePhase::Quarantined),
                ])
                .idle_for(&[2], 60),
            "wanted 2; ask for 3; growing from 2 to 3 machines",
        ),
        (
            scene()
                .with_work([grid(100, 20.0)])
                .with_machines([
                    working(1, 2),
                    with_node(working(2, 0), |node| node.phase = NodePhase::Quarantined),
                    working(3, 2),
                ])
                .idle_for(&[2], 300),
            "wanted 2; drain 1, unprotect i-2; sending away 1 machine without work",
        ),
        (
            scene().with_machines([Machine {
                is_protected: false,
                ..busy()
            }]),
            "wanted 1; protect i-1; there is nothing to do",
        ),
        // What was asked for and has not come is not waited for.
        (
            scene()
                .with_machines([busy()])
                .but(|scene| scene.group().desired = 9),
            "wanted 1; ask for 1; there is nothing to do",
        ),
    ];
    check(cases);
}

#[test]
fn of_many_without_work_few_are_kept() {
    let drained = |machines: u32, seconds: i64| {
        let numbers: Vec<u32> = (0..machines).collect();
        let scene = scene().with_machines(numbers.iter().map(|number| working(*number, 0)));
        scene.idle_for(&numbers, seconds).decided().0.drain.len()
    };
    assert_eq!(drained(5, 60), 0);
    assert_eq!(drained(30, 59), 0);
    assert_eq!(drained(30, 60), 25);
    assert_eq!(drained(100, 60), 90);
    assert_eq!(drained(100, 300), 100);
}
