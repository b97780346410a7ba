//! What growth may cost.

use super::*;

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
        // So do the nodes of people.
        (
            three().with_work([grid(100, 100.0)]).but(|scene| {
                scene.seen.others.dollars_per_hour = 2.0;
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
    check(cases);
}
