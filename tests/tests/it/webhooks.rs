//! Goal: whoever an operator names is told of each end of a grid, signed and by one id, whatever happens meanwhile; and a
//! receiver that is slow, broken or elsewhere holds up no other.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use atelier_proto::clock::{Clock, Stopwatch};
use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use atelier_tests::programs::{PATIENCE, command, run};
use atelier_tests::receiver::{Manner, Receiver, Told};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ONE_CELL: [&str; 4] = ["--set", "size=32", "--name", "Sunday ride"];

/// A file of webhooks at these paths of a receiver, each with further lines.
fn webhooks(folder: &Path, receiver: &Receiver, hooks: &[(&str, &str)]) -> anyhow::Result<String> {
    let entries = hooks.iter().map(|(path, rest)| {
        let url = receiver.url(path);
        format!(
            "[[webhook]]\nname = \"{path}\"\nurl = \"{url}\"\nsecret_file = \"secret\"\n{rest}\n"
        )
    });
    std::fs::write(folder.join("secret"), SECRET)?;
    let path = folder.join("webhooks.toml");
    std::fs::write(&path, entries.collect::<String>())?;
    Ok(path.display().to_string())
}

fn kind(told: &Told) -> anyhow::Result<String> {
    let body = told.json()?;
    Ok(body["type"].as_str().context("no type")?.to_owned())
}

/// Waits until the metrics have these lines: an answer is counted a moment after it was given.
async fn until_counted(cluster: &Cluster, lines: &[&str]) -> anyhow::Result<()> {
    let since = Stopwatch::start();
    loop {
        let metrics = reqwest::get(format!("{}/metrics", cluster.board)).await?;
        let metrics = metrics.text().await?;
        let Some(missing) = lines.iter().find(|line| !metrics.contains(**line)) else {
            return Ok(());
        };
        ensure!(since.elapsed() < PATIENCE, "{missing} is not in {metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How often these told of a grid.
fn times_of(told: &[Told], grid: &str) -> usize {
    told.iter().filter(|told| told.body.contains(grid)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_of_a_grid_is_told_once_signed_and_to_those_who_want_it() -> anyhow::Result<()> {
    let (work, receiver) = (tempfile::tempdir()?, Receiver::start().await?);
    pictures::grid(work.path(), 1, 1)?;
    let hooks = [
        ("all", ""),
        ("failures", "events = [\"grid.failed\"]"),
        ("bobs", "submitters = [\"bob\"]"),
        ("slow", ""),
        ("moved", ""),
    ];
    let file = webhooks(work.path(), &receiver, &hooks)?;
    receiver.set("slow", Manner::Silent);
    receiver.set("moved", Manner::Redirects);
    let args = ["--webhooks", &file, "--attempts-max", "1"];
    let mut cluster = Cluster::coordinator_with(&args).await?;
    let grpc = cluster.grpc.clone();
    let ann = [&ONE_CELL[..], &["--submitter", "ann", "--label", "zone=a"]].concat();

    // Its only cell fails; tried again, it is done.
    let broken = [
        "--simulated-failures",
        "1",
        "--simulated-cell-time",
        "20ms",
        "--label",
        "zone=a",
    ];
    cluster.start_simulated(&grpc, &broken)?;
    let grid = cluster.submit(work.path(), &ann).await?;
    let failed = receiver.until_told("all", 1).await?.remove(0);
    cluster.nodes[0].kill().await?;
    let body = failed.json()?;
    assert_eq!(body["type"], "grid.failed");
    assert_eq!(body["data"]["grid_id"], grid.as_str());
    assert_eq!(body["data"]["name"], "Sunday ride");
    assert_eq!(body["data"]["submitter"], "ann");
    assert_eq!(body["data"]["labels"]["zone"], "a");
    assert_eq!(body["data"]["cells"]["failed"], 1);
    let gallery = format!("grids/{grid}/gallery.json");
    assert_eq!(body["data"]["gallery"], gallery.as_str());
    assert_eq!(body["data"]["gallery_complete"], true);
    assert!(cluster.bucket().await?.head(&gallery).await?.is_some());
    let now = Clock::system().now().as_second();
    assert!((now - failed.timestamp.parse::<i64>()?).abs() < 60);

    let good = [
        "--simulated-cell-time",
        "20ms",
        "--label",
        "zone=a",
        "--dollars-per-hour",
        "36",
    ];
    cluster.start_simulated(&grpc, &good)?;
    let retry = ["retry", &grid];
    cluster.atelier(work.path(), &retry).await?.success()?;
    let done = receiver.until_told("all", 2).await?.remove(1);
    assert_eq!(kind(&done)?, "grid.done");
    assert_ne!(done.id, failed.id);
    assert!(
        done.json()?["data"]["dollars"]
            .as_f64()
            .context("no cost")?
            > 0.0
    );

    cluster.nodes[1].kill().await?;
    let bob = [&ONE_CELL[..], &["--submitter", "bob"]].concat();
    let grid = cluster.submit(work.path(), &bob).await?;
    let cancel = ["cancel", &grid];
    cluster.atelier(work.path(), &cancel).await?.success()?;
    let told = receiver.until_told("bobs", 1).await?;
    assert_eq!(kind(&told[0])?, "grid.cancelled");

    // The slow one has not answered yet, and the one that moved is not followed.
    let all = receiver.until_told("all", 3).await?;
    receiver.until_told("moved", 3).await?;
    assert!(!receiver.told("slow").is_empty());
    assert_eq!(receiver.told("elsewhere").len(), 0);
    assert_eq!(receiver.told("failures").len(), 1);
    assert_eq!(receiver.told("bobs").len(), 1);
    assert_eq!(all.len(), 3, "each once: {all:?}");
    for told in &all {
        assert!(told.is_signed_with(SECRET)?, "{told:?}");
        let other = Told {
            body: told.body.replace("ride", "tour"),
            ..told.clone()
        };
        assert!(!other.is_signed_with(SECRET)?);
    }
    until_counted(
        &cluster,
        &[
            "atelier_webhook_deliveries_total{webhook=\"all\"} 3\n",
            "atelier_webhook_failures_total{webhook=\"moved\"} 3\n",
            "atelier_webhook_deliveries_pending{webhook=\"slow\"} 3\n",
        ],
    )
    .await?;
    let log = cluster.coordinator.log();
    assert!(log.contains("redirects are not followed"), "{log}");
    assert!(
        !log.contains(&SECRET[6..]) && !log.contains(&receiver.url("slow")),
        "{log}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_taken_is_told_by_the_same_id_after_the_coordinator_was_killed()
-> anyhow::Result<()> {
    let (work, receiver) = (tempfile::tempdir()?, Receiver::start().await?);
    pictures::grid(work.path(), 1, 1)?;
    let file = webhooks(work.path(), &receiver, &[("late", "")])?;
    receiver.set("late", Manner::Refuses);
    let mut cluster = Cluster::coordinator_with(&["--webhooks", &file]).await?;
    let grid = cluster.submit(work.path(), &ONE_CELL).await?;
    let cancel = ["cancel", &grid];
    cluster.atelier(work.path(), &cancel).await?.success()?;
    let first = receiver.until_told("late", 1).await?.remove(0);
    cluster.restart_coordinator().await?;
    receiver.set("late", Manner::Takes);
    until_counted(
        &cluster,
        &["atelier_webhook_deliveries_total{webhook=\"late\"} 1\n"],
    )
    .await?;
    let told = receiver.told("late");
    assert!(told.len() >= 2, "{told:?}");
    for told in &told {
        assert_eq!((&told.id, &told.body), (&first.id, &first.body));
        assert!(told.is_signed_with(SECRET)?, "{told:?}");
    }

    // A grid ends, and the coordinator dies before anybody has taken that.
    receiver.set("late", Manner::Silent);
    let grid = cluster.submit(work.path(), &ONE_CELL).await?;
    let cancel = ["cancel", &grid];
    cluster.atelier(work.path(), &cancel).await?.success()?;
    cluster.coordinator.kill().await?;
    let before = times_of(&receiver.told("late"), &grid);
    receiver.set("late", Manner::Takes);
    cluster.coordinator_again().await?;
    let is_told_again = |told: &[Told]| times_of(told, &grid) > before;
    receiver.until("late", is_told_again).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_names_no_webhook_well_keeps_the_coordinator_from_starting()
-> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let file = work.path().join("webhooks.toml");
    let entry = "[[webhook]]\nurl = \"http://hooks.example.com/\"\nsecret_env = \"HOOK_SECRET\"\n";
    std::fs::write(&file, entry)?;
    let mut start = command("atelier-coordinator", work.path());
    start
        .current_dir(&work)
        .env("HOOK_SECRET", SECRET)
        .arg("--webhooks")
        .arg(&file);
    let refused = run(&mut start).await?;
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("webhook 1: "), "{}", refused.stderr);
    assert!(refused.stderr.contains("\nhint: "), "{}", refused.stderr);
    assert!(!work.path().join("atelier-data").exists());
    Ok(())
}
