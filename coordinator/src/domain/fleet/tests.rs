//! The decisions as a table: what is seen, and what is to be done.

use proptest::prelude::*;

use super::*;

const DOLLAR: f64 = 1.0;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A machine whose node takes work and holds so many cells.
fn working(number: u32, cells_held: u32) -> Machine {
    Machine {
        id: format!("i-{number}"),
        phase: Phase::InService,
        is_protected: true,
        node: Some(AtMachine {
            node: NodeId::generate(),
            phase: NodePhase::Active,
            is_alive: true,
            seen_at: at(0),
            cells_held,
            device: "cuda:0 T4".to_owned(),
        }),
        dollars_per_hour: Some(DOLLAR),
    }
}

fn starting(number: u32) -> Machine {
    Machine {
        node: None,
        ..working(number, 0)
    }
}

fn with_node(mut machine: Machine, change: impl FnOnce(&mut AtMachine)) -> Machine {
    machine.node.iter_mut().for_each(change_once(change));
    machine
}

fn change_once<T>(change: impl FnOnce(&mut T)) -> impl FnMut(&mut T) {
    let mut change = Some(change);
    move |value| {
        if let Some(change) = change.take() {
            change(value);
        }
    }
}

/// A grid of which one node would need so many minutes.
fn grid(cells: u32, minutes: f64) -> GridLeft {
    GridLeft {
        grid: GridId::generate(),
        queued: cells,
        running: 0,
        node_seconds: Some(minutes * 60.0),
        dollars_spent: 0.0,
        is_fitting: None,
    }
}

/// What is seen, and by what it is decided.
struct Scene {
    policy: Policy,
    bounds: Bounds,
    memory: Memory,
    seen: Seen,
}

/// Nothing to do and no machine, at second 1000; a node is to work 10 minutes, and may be idle for 5.
fn scene() -> Scene {
    Scene {
        policy: Policy {
            drain_time: Duration::from_mins(10),
            ..Policy::default()
        },
        bounds: Bounds {
            mode: Mode::Automatic,
            nodes_min: 0,
            nodes_max: 20,
        },
        memory: Memory::default(),
        seen: Seen {
            now: at(1000),
            backlog: Vec::new(),
            cells_runnable: u64::MAX,
            group: Some(Group {
                desired: 0,
                size: (0, 100),
                machines: Vec::new(),
                refusal: None,
            }),
            others: Others::default(),
            machine_dollars: Some(DOLLAR),
        },
    }
}

impl Scene {
    fn with_work(mut self, grids: impl IntoIterator<Item = GridLeft>) -> Self {
        self.seen.backlog.extend(grids);
        self
    }

    fn with_machines(mut self, machines: impl IntoIterator<Item = Machine>) -> Self {
        let group = self.group();
        group.machines.extend(machines);
        group.desired = group.machines.len() as u32;
        self
    }

    fn group(&mut self) -> &mut Group {
        self.seen.group.as_mut().unwrap()
    }

    fn but(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn idle_for(mut self, numbers: &[u32], seconds: i64) -> Self {
        for number in numbers {
            let id = format!("i-{number}");
            self.memory.idle_since.insert(id, at(1000 - seconds));
        }
        self
    }

    fn decided(self) -> (Decision, Memory) {
        decide(self.memory, &self.policy, &self.bounds, &self.seen)
    }

    /// What is done, in a line.
    fn told(self) -> String {
        let (decision, _) = self.decided();
        let mut told = Vec::new();
        if let Some(desired) = decision.desired {
            told.push(format!("ask for {desired}"));
        }
        if !decision.drain.is_empty() {
            told.push(format!("drain {}", decision.drain.len()));
        }
        for (word, machines) in [
            ("terminate", decision.terminate),
            ("protect", decision.protect),
            ("unprotect", decision.unprotect),
        ] {
            if !machines.is_empty() {
                told.push(format!("{word} {}", machines.join(" ")));
            }
        }
        let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
        format!(
            "wanted {}; {}; {}",
            decision.wanted,
            told.join(", "),
            reasons.join("; ")
        )
    }
}

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
    for (number, (scene, expected)) in cases.into_iter().enumerate() {
        assert_eq!(scene.told(), expected, "case {number}");
    }
}

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
    for (number, (scene, expected)) in cases.into_iter().enumerate() {
        assert_eq!(scene.told(), expected, "case {number}");
    }
}

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
    for (number, (scene, expected)) in cases.into_iter().enumerate() {
        assert_eq!(scene.told(), expected, "case {number}");
    }
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
    for (number, (scene, expected)) in cases.into_iter().enumerate() {
        assert_eq!(scene.told(), expected, "case {number}");
    }
}

#[test]
fn ceilings_hold_growth_and_say_so() {
    let three = || scene().with_machines((1..=3).map(|number| working(number, 1)));
    let cases = [
        (
            three()
                .with_work([grid(100, 100.0)])
                .but(|scene| scene.policy.dollars_per_hour_max = Some(5.5)),
            "wanted 10; ask for 5; growing from 3 to 5 machines; no growth: the machines cost $3.00 an hour, and one more would be above $5.50",
        ),
        (
            three().with_work([grid(100, 100.0)]).but(|scene| {
                scene.policy.dollars_per_hour_max = Some(3.9);
            }),
            "wanted 10; ; no growth: the machines cost $3.00 an hour, and one more would be above $3.90",
        ),
        // Those that are asked for cost, too.
        (
            three().with_work([grid(100, 100.0)]).but(|scene| {
                scene.group().desired = 5;
                scene.policy.dollars_per_hour_max = Some(5.9);
            }),
            "wanted 10; ; no growth: the machines cost $5.00 an hour, and one more would be above $5.90",
        ),
        (
            three().with_work([grid(100, 100.0)]).but(|scene| {
                scene.seen.machine_dollars = None;
                scene.policy.dollars_per_hour_max = Some(50.0);
            }),
            "wanted 10; ; no growth: there is a ceiling for dollars an hour, but nobody knows what a machine costs: name its price with --prices",
        ),
        // A grid that has cost enough has no more machines started for it; those that work on it stay.
        (
            three()
                .with_work([
                    GridLeft {
                        dollars_spent: 8.0,
                        ..grid(100, 100.0)
                    },
                    grid(100, 40.0),
                ])
                .but(|scene| scene.policy.grid_dollars_max = Some(8.0)),
            "wanted 4; ask for 4; growing from 3 to 4 machines; no growth for 1 grid that cost $8.00 already",
        ),
    ];
    for (number, (scene, expected)) in cases.into_iter().enumerate() {
        assert_eq!(scene.told(), expected, "case {number}");
    }
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

fn machine() -> impl Strategy<Value = Machine> {
    let node = (0..3_u8, any::<bool>(), 0..3_u32, 0..2_000_i64);
    let phase = prop_oneof![
        Just(Phase::Pending),
        Just(Phase::InService),
        Just(Phase::Leaving)
    ];
    (
        0..1_000_u32,
        phase,
        any::<bool>(),
        proptest::option::of(node),
    )
        .prop_map(|(number, phase, is_protected, node)| {
            let mut machine = Machine {
                phase,
                is_protected,
                ..starting(number)
            };
            if let Some((state, is_alive, cells_held, seconds)) = node {
                machine.node = working(number, cells_held).node;
                machine = with_node(machine, |node| {
                    node.is_alive = is_alive;
                    node.seen_at = at(1000 - seconds);
                    node.phase = [
                        NodePhase::Active,
                        NodePhase::Draining,
                        NodePhase::Quarantined,
                    ][usize::from(state)];
                });
            }
            machine
        })
}

#[test]
fn what_is_told_late_is_not_acted_on_twice() {
    let draining = || with_node(working(1, 0), |node| node.phase = NodePhase::Draining);
    let going = || {
        scene().with_machines([draining()]).but(|scene| {
            scene.memory.drained.insert("i-1".to_owned());
        })
    };
    let told = |seconds: i64| {
        going().but(|scene| {
            let id = "i-1".to_owned();
            scene.memory.terminated.insert(id, at(1000 - seconds));
        })
    };
    let cases = [
        (told(29), "wanted 0; ; there is nothing to do"),
        (told(30), "wanted 0; terminate i-1; there is nothing to do"),
        // A number that is asked for after the terminations would start as many anew.
        (
            going().but(|scene| scene.group().desired = 4),
            "wanted 0; terminate i-1; there is nothing to do",
        ),
        (
            told(29).but(|scene| scene.group().desired = 4),
            "wanted 0; ; there is nothing to do",
        ),
    ];
    for (number, (scene, expected)) in cases.into_iter().enumerate() {
        assert_eq!(scene.told(), expected, "case {number}");
    }
}

#[test]
fn terminations_are_spread_over_several_looks() {
    let scene = scene().with_machines((0..300).map(starting)).but(|scene| {
        let since = (0..300).map(|number| (format!("i-{number}"), at(0)));
        scene.memory.since = since.collect();
    });
    let (decision, memory) = scene.decided();
    assert_eq!(decision.terminate.len(), 200);
    assert_eq!((memory.terminated.len(), memory.taken_back), (200, 200));
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

proptest! {
    /// Whatever is seen: nothing that works is touched, and no bound is overstepped.
    #[test]
    fn no_decision_breaks_a_promise(
        machines in proptest::collection::vec(machine(), 0..12),
        minutes in proptest::collection::vec(0.0..500.0_f64, 0..4),
        (nodes_min, nodes_max) in (0..6_u32, 6..15_u32),
        size_max in 0..15_u32,
        dollars in proptest::option::of(0.0..15.0_f64),
        idle_seconds in 0..900_i64,
    ) {
        let numbers: Vec<u32> = machines
            .iter()
            .map(|machine| machine.id[2..].parse().unwrap())
            .collect();
        let scene = scene()
            .with_work(minutes.iter().map(|minutes| grid(30, *minutes)))
            .with_machines(machines.clone())
            .idle_for(&numbers, idle_seconds)
            .but(|scene| {
                scene.bounds.nodes_min = nodes_min;
                scene.bounds.nodes_max = nodes_max;
                scene.group().size.1 = size_max;
                scene.policy.dollars_per_hour_max = dollars;
            });
        let desired_before = scene.seen.group.as_ref().unwrap().desired;
        let (decision, memory) = scene.decided();
        prop_assert!((nodes_min..=nodes_max).contains(&decision.wanted));
        prop_assert!(!decision.reasons.is_empty());
        let is_alive_and_busy = |id: &MachineId| machines.iter().any(|machine| {
            machine.id == *id && machine.alive().is_some() && machine.is_busy()
        });
        prop_assert!(!decision.terminate.iter().any(is_alive_and_busy));
        for machine in machines.iter().filter(|machine| machine.is_busy()) {
            let node = machine.node.as_ref().unwrap().node;
            prop_assert!(!decision.drain.contains(&node));
        }
        if let Some(desired) = decision.desired.filter(|desired| *desired > desired_before) {
            prop_assert!(desired <= size_max);
            if let Some(most) = dollars {
                prop_assert!(f64::from(desired) * DOLLAR <= most + 1e-6);
            }
        }
        // Memory is of what is there, so it cannot grow without end.
        prop_assert!(memory.since.len() <= machines.len());
        prop_assert!(memory.idle_since.len() <= machines.len());
    }
}
