use std::time::Duration;

use clap::Parser as _;

use super::*;
use crate::bench::load::Cores;
use crate::bench::options::Options;
use crate::bench::probe::Leases;

fn seen(done: u64) -> Seen {
    Seen {
        seconds: 10.0,
        done,
        slowest: 1_200,
        queued: 5,
        leases: Leases {
            seconds: vec![0.001, 0.002, 0.003],
            failed: 0,
        },
        cores: Cores::default(),
        memory: vec![20 << 20, 25 << 20, 30 << 20],
    }
}

fn measured() -> Measured {
    let loaded = Loaded {
        offered: 4_000.0,
        windows: vec![seen(20_000), seen(15_000), seen(10_000)],
        messages_per_second: Some(470.0),
        watchers_lost: 0,
        failed: 1,
        node_warnings: 2,
        coordinator_warnings: 3,
    };
    let sizes = Sizes {
        cells: 1_000,
        alone: 2_000.0,
        cells_beside: 1_000_000,
        beside: 1_500.0,
    };
    let submission = Submission {
        grid: "g".to_owned(),
        cells: 100_000,
        seconds: 2.0,
        growth: 7 << 20,
    };
    Measured {
        machine: vec![("date", "today".to_owned())],
        scale: Scale {
            window: Duration::from_secs(10),
            ..Options::parse_from(["bench-coordinator"]).scale()
        },
        databases: vec![OnDatabase {
            name: "PostgreSQL",
            submission: Some(submission),
            at_length: Some(Loaded {
                windows: vec![Seen {
                    memory: [10, 12, 30, 32, 40, 42, 50, 52, 60]
                        .map(|mib| mib << 20)
                        .to_vec(),
                    ..seen(20_000)
                }],
                ..loaded.clone()
            }),
            loads: vec![loaded],
            sizes: Some(sizes),
        }],
        graphile: Some(Ok(Graphile {
            version: "1".to_owned(),
            node: "v2".to_owned(),
            rates: vec![("as it comes".to_owned(), 1_000.0)],
        })),
        notes: Vec::new(),
    }
}

#[test]
fn rates_and_ratios_are_those_of_the_windows() {
    let section = measured().section();
    for expected in [
        "**2,000 completions/s on PostgreSQL**; Graphile Worker does 1,000 empty jobs/s there.",
        "| PostgreSQL | 100,000 | 2.00 | 50,000 | 7 |",
        "| PostgreSQL | 4,000 | 2,000 | 1,200 | 2.0 | 3.0 | 3 |",
        // 1,500 against the mean of 2,000 and 1,000.
        "| PostgreSQL | 2,000 | 1,500 | 1,000 | **1.00** | 470 |",
        "| PostgreSQL | 2,000 | 1,500 | **0.75** |",
        // Two of nine seconds to a part, one to the last.
        "| PostgreSQL | 2,000 | 11 | 31 | 41 | 51 | 60 | 60 |",
        "| Graphile Worker: empty jobs, as it comes | 1,000 | 2.00× |",
    ] {
        assert!(section.contains(expected), "{expected}\n{section}");
    }
}

#[test]
fn what_could_not_be_measured_is_told() {
    let mut measured = measured();
    assert!(measured.is_whole());
    measured.graphile = Some(Err("there is no npm".to_owned()));
    assert!(!measured.is_whole());
    measured.databases.clear();
    measured
        .notes
        .push("PostgreSQL: it is not installed".to_owned());
    let section = measured.section();
    assert!(
        section.contains("Graphile Worker: there is no npm."),
        "{section}"
    );
    assert!(section.contains("Not measured: PostgreSQL: it is not installed."));
    assert!(!section.contains("completions/s"));
    measured.graphile = None;
    assert!(!measured.is_whole());
}
