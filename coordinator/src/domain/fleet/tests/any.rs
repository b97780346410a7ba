//! What holds whatever is seen.

use proptest::prelude::*;

use super::*;

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
