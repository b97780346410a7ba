//! How many machines the backlog asks for.

use super::*;

#[test]
fn the_fleet_grows_with_the_backlog() {
    let cases = [
        (scene(), "wanted 0; ; there is nothing to do"),
        // At once, whatever the time since the last step.
        (
            scene()
                .with_work([grid(1, 0.1)])
                .but(|scene| scene.memory.stepped_at = Some(at(999))),
            "wanted 1; ask for 1; growing from 0 to 1 machines",
        ),
        (
            scene().with_work([grid(100, 60.0)]),
            "wanted 6; ask for 6; growing from 0 to 6 machines",
        ),
        (
            scene().with_work([grid(100, 60.0), grid(100, 15.0)]),
            "wanted 8; ask for 8; growing from 0 to 8 machines",
        ),
        // No more nodes than cells.
        (
            scene().with_work([grid(3, 60.0)]),
            "wanted 3; ask for 3; growing from 0 to 3 machines",
        ),
        (
            scene().with_work([GridLeft {
                node_seconds: None,
                ..grid(500, 0.0)
            }]),
            "wanted 1; ask for 1; growing from 0 to 1 machines; one node finds out how long these cells take",
        ),
        (
            scene().with_work([
                grid(100, 20.0),
                GridLeft {
                    node_seconds: None,
                    ..grid(500, 0.0)
                },
            ]),
            "wanted 3; ask for 3; growing from 0 to 3 machines",
        ),
        (
            scene().with_work([grid(1000, 1000.0)]),
            "wanted 20; ask for 20; growing from 0 to 20 machines; at the bound of 20 nodes",
        ),
        (
            scene()
                .with_work([grid(1000, 1000.0)])
                .but(|scene| scene.policy.step_max = 5),
            "wanted 20; ask for 5; growing from 0 to 5 machines; at the bound of 20 nodes",
        ),
        (
            scene()
                .with_work([grid(100, 60.0)])
                .with_machines([working(1, 4)])
                .but(|scene| scene.memory.stepped_at = Some(at(980))),
            "wanted 6; ; the next step up comes in 10 s",
        ),
        (
            scene()
                .with_work([grid(100, 60.0)])
                .with_machines([working(1, 4)])
                .but(|scene| scene.memory.stepped_at = Some(at(970))),
            "wanted 6; ask for 6; growing from 1 to 6 machines",
        ),
        // People's nodes count.
        (
            scene().with_work([grid(100, 60.0)]).but(|scene| {
                scene.seen.others.active = 4;
            }),
            "wanted 6; ask for 2; growing from 0 to 2 machines",
        ),
        (
            scene().but(|scene| scene.bounds.nodes_min = 2),
            "wanted 2; ask for 2; growing from 0 to 2 machines",
        ),
        (
            scene()
                .with_work([grid(100, 200.0)])
                .but(|scene| scene.group().size = (0, 4)),
            "wanted 20; ask for 4; growing from 0 to 4 machines; the group takes no more than 4 machines: raise its maximum size",
        ),
        (
            scene()
                .with_work([grid(100, 60.0)])
                .but(|scene| scene.bounds.mode = Mode::Off),
            "wanted 6; ; scaling is off",
        ),
        (
            scene()
                .with_work([grid(100, 60.0)])
                .but(|scene| scene.seen.group = None),
            "wanted 6; ; nothing starts machines here: 6 nodes more would be of use",
        ),
        // Its submitter may have no more than two cells at once.
        (
            scene()
                .with_work([grid(100, 60.0)])
                .but(|scene| scene.seen.cells_runnable = 2),
            "wanted 2; ask for 2; growing from 0 to 2 machines",
        ),
    ];
    check(cases);
}
