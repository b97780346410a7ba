//! Goal: a node at fault is found out, what is stuck goes elsewhere, and people learn how long a grid takes and what it
//! costs.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use atelier_proto::v1::{self, AttemptOutcome};
use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use atelier_tests::programs::PATIENCE;
use atelier_tests::proxy::Weather;
use serde_json::Value;

const SMALL: [&str; 2] = ["--set", "size=32"];

/// What `atelier` says with `--json`, or one of the values, once that is what is looked for.
async fn until(
    cluster: &Cluster,
    folder: &Path,
    args: &[&str],
    is_it: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let asking = async {
        loop {
            let said = cluster.atelier(folder, args).await?.json()?;
            let values = match said {
                Value::Array(values) => values,
                value => vec![value],
            };
            if let Some(found) = values.into_iter().find(&is_it) {
                return Ok::<_, anyhow::Error>(found);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, asking).await;
    waited.with_context(|| format!("{args:?} never said it"))?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_fails_whatever_it_gets_is_put_into_quarantine_until_it_is_lifted()
-> anyhow::Result<()> {
    let mut cluster = Cluster::coordinator_with(&["--attempts-max", "9"]).await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 1)?;
    let mut grids = Vec::new();
    for _ in 0..3 {
        grids.push(cluster.submit(work.path(), &SMALL).await?);
    }
    let grpc = cluster.grpc.clone();
    let broken = [
        "--simulated-failures",
        "1",
        "--simulated-cell-time",
        "20ms",
        "--simulated-batch",
        "1",
    ];
    cluster.start_simulated(&grpc, &broken)?;
    let nodes = ["nodes", "--json"];
    let node = until(&cluster, work.path(), &nodes, |node| {
        node["state"] == "quarantined"
    })
    .await?;
    let reason = node["reason"].as_str().context("no reason")?;
    assert!(reason.contains("a simulated failure"), "{reason}");
    // It gets no more, and another one does.
    cluster.start_simulated(&grpc, &["--simulated-cell-time", "20ms"])?;
    for grid in &grids {
        let ended = cluster.until_done(grid).await?;
        assert!(!ended.failed_attempts.is_empty());
    }
    let id = node["node_id"].as_str().context("no id")?;
    let lift = ["fleet", "quarantine", id, "--lift"];
    cluster.atelier(work.path(), &lift).await?.success()?;
    until(&cluster, work.path(), &nodes, |node| {
        node["node_id"] == id && node["state"] == "active"
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_costs_no_attempt_and_no_node_its_good_name() -> anyhow::Result<()> {
    let (mut cluster, proxy) = Cluster::behind_its_bucket().await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 3, 2)?;
    let mut grids = Vec::new();
    for _ in 0..3 {
        grids.push(cluster.submit(work.path(), &SMALL).await?);
    }
    let grpc = cluster.grpc.clone();
    let node = [
        "--simulated-cell-time",
        "500ms",
        "--simulated-batch",
        "6",
        "--bucket-patience",
        "500ms",
    ];
    cluster.start_simulated(&grpc, &node)?;
    let leased = |answer: &v1::GetResponse| {
        let mut cells = answer.cells.iter();
        cells.any(|cell| cell.attempts > 0).then_some(())
    };
    cluster.until(&grids[0], "a leased cell", leased).await?;
    proxy.set(Weather::Cut);
    let given_back = |answer: &v1::GetResponse| {
        let mut failed = answer.failed_attempts.iter();
        let released = failed.find(|attempt| attempt.outcome() == AttemptOutcome::Released)?;
        Some(released.reason.clone())
    };
    let reason = async {
        loop {
            for grid in &grids {
                if let Some(reason) = given_back(&cluster.grid(grid).await?) {
                    return Ok::<_, anyhow::Error>(reason);
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let reason = tokio::time::timeout(PATIENCE, reason).await??;
    assert!(reason.contains("S3 endpoint"), "{reason}");
    // Its bucket is away, so the node has no use for what it just gave back.
    tokio::time::sleep(Duration::from_secs(2)).await;
    proxy.set(Weather::Fair);
    for grid in &grids {
        let ended = cluster.until_done(grid).await?;
        let mut outcomes = ended.failed_attempts.iter().map(v1::Attempt::outcome);
        assert!(
            outcomes.all(|outcome| outcome == AttemptOutcome::Released),
            "{:?}",
            ended.failed_attempts
        );
        let mut cells = ended.cells.iter();
        assert!(cells.all(|cell| cell.attempts <= 3), "{:?}", ended.cells);
    }
    let nodes = ["nodes", "--json"];
    until(&cluster, work.path(), &nodes, |node| {
        node["state"] == "active"
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_that_makes_no_evaluations_is_taken_from_its_node() -> anyhow::Result<()> {
    let mut cluster = Cluster::coordinator_with(&["--stall-duration", "1s"]).await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 1)?;
    let grid = cluster.submit(work.path(), &SMALL).await?;
    let grpc = cluster.grpc.clone();
    // Its first evaluation takes minutes, and it says all the time that it is there.
    cluster.start_simulated(&grpc, &["--simulated-cell-time", "1day"])?;
    cluster
        .until(&grid, "a stuck attempt", |answer| {
            let mut failed = answer.failed_attempts.iter();
            failed.find(|attempt| attempt.outcome() == AttemptOutcome::Stuck)?;
            Some(())
        })
        .await?;
    cluster.nodes[0].kill().await?;
    cluster.start_simulated(&grpc, &["--simulated-cell-time", "20ms"])?;
    cluster.until_done(&grid).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_learn_how_long_a_grid_takes_and_what_it_costs() -> anyhow::Result<()> {
    const DOLLARS_PER_HOUR: f64 = 36.0;
    let mut cluster = Cluster::coordinator().await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 8, 5)?;
    let grid = cluster.submit(work.path(), &SMALL).await?;
    let grpc = cluster.grpc.clone();
    let node = [
        "--simulated-cell-time",
        "200ms",
        "--simulated-batch",
        "1",
        "--dollars-per-hour",
        "36",
    ];
    cluster.start_simulated(&grpc, &node)?;
    let show = ["show", &grid, "--json"];
    let told = until(&cluster, work.path(), &show, |told| {
        !told["grid"]["dollars_expected"].is_null()
    })
    .await?;
    let number = |name: &str| {
        told["grid"][name]
            .as_f64()
            .with_context(|| format!("{name}: {told}"))
    };
    // 40 cells of 200 ms and some more; whatever else the machine does, they take no less.
    let (spent, expected) = (number("dollars_spent")?, number("dollars_expected")?);
    assert!(expected > spent, "{told}");
    assert!(
        expected > 40.0 * 0.2 / 3600.0 * DOLLARS_PER_HOUR * 0.9,
        "{told}"
    );
    let left = number("time_left_seconds")?;
    assert!(left > 0.0 && left < 40.0 * 0.2 * 10.0, "{told}");

    let ended = cluster.until_done(&grid).await?;
    let results = ended.cells.iter().filter_map(|cell| cell.result.as_ref());
    let seconds: f64 = results.map(|result| result.seconds).sum();
    let told = cluster.atelier(work.path(), &show).await?.json()?;
    let spent = told["grid"]["dollars_spent"].as_f64().context("no cost")?;
    assert!(
        (spent - seconds / 3600.0 * DOLLARS_PER_HOUR).abs() < 1e-6,
        "{told}"
    );
    Ok(())
}
