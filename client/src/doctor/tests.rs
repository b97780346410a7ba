use super::judge::{FREE_BYTES_GOOD, NODES_TOLD_MAX};
use super::*;
use crate::commands::doctor::lines;
use crate::coordinator::tests::node;
use crate::coordinator::view::{FleetBounds, NodeState, ScaleMode};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A cluster at which nothing is the matter.
fn healthy() -> Facts {
    let mut one = node("01890a5d-ac96-774b-bcce-b302099a8057", "studio-1");
    one.device = "cuda:0 NVIDIA H100".to_owned();
    "0.1.0".clone_into(&mut one.version);
    Facts {
        now: at("2026-06-01T10:00:00Z"),
        version: "0.1.0".to_owned(),
        profile: Some("studio".to_owned()),
        coordinators: vec![CoordinatorFacts {
            url: "https://atelier.example.com".to_owned(),
            certificate: Some(Ok(Certificate {
                names: vec!["atelier.example.com".to_owned(), "10.0.0.7".to_owned()],
                issuer: "Example CA".to_owned(),
                expires_at: at("2026-08-30T10:00:00Z"),
            })),
            answer: Ok(Answer {
                version: "0.1.3".to_owned(),
                ahead: Some(SignedDuration::from_millis(40)),
                round_trip: Duration::from_millis(3),
                is_serving: Some(true),
            }),
        }],
        fleet: Some(FleetView {
            driver: "none".to_owned(),
            ..FleetView::default()
        }),
        nodes: Some(Ok(vec![one])),
        bucket: Some(Ok(BucketFacts {
            name: "galleries".to_owned(),
            endpoint: None,
            round_trip: Duration::from_millis(25),
        })),
        local: LocalFacts {
            missing_programs: Vec::new(),
            weights: vec!["vgg16.h5".to_owned()],
            data: Some("/home/ann/.local/share/atelier".into()),
            free_bytes: Some(20 << 30),
        },
    }
}

fn answer(facts: &mut Facts) -> &mut Answer {
    facts.coordinators[0].answer.as_mut().unwrap()
}

fn nodes(facts: &mut Facts) -> &mut Vec<NodeView> {
    facts.nodes.as_mut().unwrap().as_mut().unwrap()
}

#[test]
fn a_healthy_cluster_has_nothing_to_mend() {
    let findings = judge(&healthy());
    assert!(
        findings
            .iter()
            .all(|it| it.level == Level::Good && it.hint.is_none())
    );
    insta::assert_snapshot!("healthy", lines(&findings));
}

#[test]
fn a_sick_one_is_told_what_and_what_to_do() {
    let mut facts = healthy();
    facts.coordinators.push(CoordinatorFacts {
        url: "http://b:7878".to_owned(),
        certificate: None,
        answer: Err(
            "cannot reach the coordinator at http://b:7878: Connection refused\nhint: start one"
                .to_owned(),
        ),
    });
    facts.coordinators[0]
        .certificate
        .as_mut()
        .unwrap()
        .as_mut()
        .unwrap()
        .expires_at = at("2026-06-04T10:00:00Z");
    answer(&mut facts).version = "0.3.0".to_owned();
    answer(&mut facts).ahead = Some(SignedDuration::from_secs(-400));
    facts.bucket = Some(Err(
        "the S3 endpoint cannot be reached\nhint: is it there?".to_owned()
    ));
    let (mut bad, mut gone) = (nodes(&mut facts)[0].clone(), nodes(&mut facts)[0].clone());
    (bad.state, bad.reason) = (
        NodeState::Quarantined,
        "cells of 3 grids failed\nthere".to_owned(),
    );
    (gone.state, gone.cells_held) = (NodeState::Lost, 2);
    *nodes(&mut facts) = vec![bad, gone];
    facts.fleet.as_mut().unwrap().trouble =
        "AWS refuses SetDesiredCapacity\nhint: check the coordinator's role".to_owned();
    facts.local.weights.clear();
    facts.local.free_bytes = Some(50 << 20);
    insta::assert_snapshot!("sick", lines(&judge(&facts)));
}

/// What is found of one check after something has changed.
fn levels(check: &str, change: impl FnOnce(&mut Facts)) -> Vec<Level> {
    let mut facts = healthy();
    change(&mut facts);
    let findings = judge(&facts);
    let of_check = findings.iter().filter(|it| it.check == check);
    of_check.map(|it| it.level).collect()
}

#[test]
fn each_fact_is_judged_by_itself() {
    use Level::{Broken, Good, Warning};
    let skewed = |seconds: f64, trip: u64| {
        levels("clock", |facts| {
            answer(facts).ahead = Some(SignedDuration::try_from_secs_f64(seconds).unwrap());
            answer(facts).round_trip = Duration::from_secs(trip);
        })
    };
    for (seconds, level) in [
        (5.0, Good),
        (5.1, Warning),
        (-5.1, Warning),
        (300.0, Warning),
        (-301.0, Broken),
    ] {
        assert_eq!(skewed(seconds, 0), [level], "{seconds}");
    }
    assert_eq!(
        skewed(8.0, 8),
        [Good],
        "the answer may have been on its way for so long"
    );

    let expiring = |time: &str| {
        levels("certificate", |facts| {
            let certificate = facts.coordinators[0].certificate.as_mut().unwrap();
            certificate.as_mut().unwrap().expires_at = at(time);
        })
    };
    assert_eq!(expiring("2026-06-15T10:00:00Z"), [Good]);
    assert_eq!(expiring("2026-06-15T09:59:59Z"), [Warning]);
    assert_eq!(expiring("2026-06-01T10:00:00Z"), [Broken]);
    let plain = |facts: &mut Facts| facts.coordinators[0].certificate = None;
    assert_eq!(levels("certificate", plain), []);

    let coordinator =
        |change: fn(&mut Answer)| levels("coordinator", |facts| change(answer(facts)));
    assert_eq!(coordinator(|it| it.version = "0.2.9".to_owned()), [Good]);
    assert_eq!(coordinator(|it| it.version = "0.3.0".to_owned()), [Warning]);
    assert_eq!(coordinator(|it| it.version = "1.1.0".to_owned()), [Warning]);
    assert_eq!(coordinator(|it| it.version = "abc".to_owned()), [Good]);
    assert_eq!(coordinator(|it| it.version.clear()), [Good]);
    assert_eq!(coordinator(|it| it.is_serving = None), [Good]);
    assert_eq!(coordinator(|it| it.is_serving = Some(false)), [Broken]);

    let of_nodes = |change: fn(&mut Facts)| levels("nodes", change);
    assert_eq!(of_nodes(|it| nodes(it).clear()), [Broken]);
    assert_eq!(
        of_nodes(|it| nodes(it)[0].state = NodeState::Draining),
        [Broken]
    );
    assert_eq!(
        of_nodes(|it| nodes(it)[0].version = "0.3.0".to_owned()),
        [Good, Warning]
    );
    assert_eq!(
        of_nodes(|it| it.nodes = Some(Err("denied".to_owned()))),
        [Warning]
    );
    let scaled = |mode: ScaleMode, nodes_max| {
        levels("nodes", |facts| {
            nodes(facts).clear();
            let fleet = facts.fleet.as_mut().unwrap();
            "asg".clone_into(&mut fleet.driver);
            fleet.bounds = FleetBounds {
                mode,
                nodes_min: 0,
                nodes_max,
            };
        })
    };
    assert_eq!(scaled(ScaleMode::Automatic, 5), [Good]);
    assert_eq!(scaled(ScaleMode::Automatic, 0), [Broken]);
    assert_eq!(scaled(ScaleMode::Off, 5), [Broken]);

    let local =
        |check, change: fn(&mut LocalFacts)| levels(check, |facts| change(&mut facts.local));
    assert_eq!(
        local("disk", |it| it.free_bytes = Some(FREE_BYTES_GOOD)),
        [Good]
    );
    assert_eq!(
        local("disk", |it| it.free_bytes = Some(FREE_BYTES_GOOD - 1)),
        [Warning]
    );
    assert_eq!(local("disk", |it| it.free_bytes = Some(0)), [Broken]);
    assert_eq!(local("weights", |it| it.weights.clear()), [Warning]);
    // Where there is no atelier to run, nobody misses its weights.
    let only_client = |it: &mut LocalFacts| it.missing_programs = vec!["atelier-node"];
    assert_eq!(local("weights", only_client), []);
    assert_eq!(local("local", only_client), [Good]);
}

#[test]
fn one_coordinator_that_answers_is_enough() {
    let away = |facts: &mut Facts| {
        facts.coordinators.push(CoordinatorFacts {
            url: "http://b:7878".to_owned(),
            certificate: None,
            answer: Err("cannot reach it".to_owned()),
        });
    };
    assert_eq!(levels("coordinator", away), [Level::Good, Level::Warning]);
    let all_away = |facts: &mut Facts| {
        away(facts);
        facts.coordinators.remove(0);
        (facts.fleet, facts.nodes, facts.bucket) = (None, None, None);
    };
    assert_eq!(levels("coordinator", all_away), [Level::Broken]);
    assert_eq!(levels("bucket", all_away), []);
}

#[test]
fn many_nodes_are_told_by_their_number() {
    let found = levels("nodes", |facts| {
        let mut bad = nodes(facts)[0].clone();
        bad.state = NodeState::Quarantined;
        nodes(facts).extend(std::iter::repeat_n(bad, 50));
    });
    assert_eq!(found.len(), 1 + NODES_TOLD_MAX + 1);
}
