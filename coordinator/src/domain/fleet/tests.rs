//! The decisions as a table: what is seen, and what is to be done.

mod any;
mod ceilings;
mod going;
mod growing;
mod late;
mod trouble;

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
    if let Some(node) = &mut machine.node {
        change(node);
    }
    machine
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

/// Each scene has what is said of it done.
fn check<const CASES: usize>(cases: [(Scene, &str); CASES]) {
    for (number, (scene, expected)) in cases.into_iter().enumerate() {
        assert_eq!(scene.told(), expected, "case {number}");
    }
}
