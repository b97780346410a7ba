//! What is told late, and what is done in parts.

use super::*;

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
    check(cases);
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
