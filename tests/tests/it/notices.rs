//! Goal: a node whose machine is taken away leaves in time, and nothing is lost by it: no attempt, and no more work than
//! since the last checkpoint. What AWS is to the machine are stubs here; all else is real.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use atelier_proto::clock::Stopwatch;
use atelier_proto::v1::fleet_client::FleetClient;
use atelier_proto::v1::{self, AttemptOutcome, CellState};
use atelier_tests::cluster::Cluster;
use atelier_tests::metadata::{INSTANCE_ID, INSTANCE_TYPE, LifecycleStub, MetadataStub, ZONE};
use atelier_tests::metrics::{scrape, served_at};
use atelier_tests::programs::{PATIENCE, Running, command, run};
use atelier_tests::proxy::{Proxy, Weather};
use rustix::process::Signal;

use crate::checkpoints::{resumed_at, submit};

/// In which a node is gone after a notice, whatever it does.
const GONE_WITHIN: Duration = Duration::from_secs(30);

const HOOK: [&str; 4] = ["--lifecycle-group", "painters", "--lifecycle-hook", "leave"];

/// A coordinator with a grid for which an attempt that is spent is a cell that failed.
async fn strict() -> anyhow::Result<Cluster> {
    Cluster::coordinator_with(&["--attempts-max", "1"]).await
}

/// Starts a node on a machine whose metadata service is at this URL, and whose Auto Scaling group at the other one.
fn start_on_ec2(
    cluster: &mut Cluster,
    metadata: &str,
    aws: Option<&str>,
    args: &[&str],
) -> anyhow::Result<()> {
    let name = format!("node-{}", cluster.nodes.len());
    let mut start = command("atelier-node", cluster.folder.path());
    start
        .env("OMP_NUM_THREADS", "1")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)
        .args(["run", "--coordinator", &cluster.grpc, "--name", &name])
        .args(["--device", "cpu", "--exit-with-stdin", "--ec2"])
        .arg("--cache")
        .arg(cluster.folder.path().join(&name))
        .args(args);
    if let Some(aws) = aws {
        start
            .env("AWS_ENDPOINT_URL", aws)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "stub")
            .env("AWS_SECRET_ACCESS_KEY", "stub")
            .args(HOOK);
    }
    let node = Running::start(&name, &mut start, &cluster.folder)?;
    cluster.nodes.push(node);
    Ok(())
}

/// A node that renders nothing, one cell after the other.
const SIMULATED: [&str; 4] = ["--renderer", "simulated", "--simulated-batch", "2"];

/// Waits until a node has ended, and says how and how soon.
async fn ends(node: &mut Running) -> anyhow::Result<(ExitStatus, Duration)> {
    let begun = Stopwatch::start();
    let status = node.wait().await?;
    Ok((status, begun.elapsed()))
}

/// Waits until a node has left well, in time.
async fn leaves(node: &mut Running) -> anyhow::Result<()> {
    let (status, after) = ends(node).await?;
    ensure!(status.success(), "{status}:\n{}", node.log());
    ensure!(after < GONE_WITHIN, "{after:?}:\n{}", node.log());
    Ok(())
}

/// Waits until a node has logged these words so many times.
async fn logged(node: &Running, words: &str, times: usize) -> anyhow::Result<()> {
    let asking = async {
        while node.log().matches(words).count() < times {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, asking).await;
    found.with_context(|| format!("never saw {words:?} in\n{}", node.log()))
}

fn states(answer: &v1::GetResponse, state: CellState) -> usize {
    let cells = answer.cells.iter();
    cells.filter(|cell| cell.state() == state).count()
}

/// Waits until the node has cells on its device.
async fn until_rendering(cluster: &Cluster, grid: &str) -> anyhow::Result<()> {
    let is_rendering =
        |cell: &v1::Cell| cell.state() == CellState::Rendering && cell.evaluations > 0;
    let renders = |answer: &v1::GetResponse| answer.cells.iter().any(is_rendering).then_some(());
    cluster.until(grid, "a cell on its device", renders).await
}

/// Why attempts that brought no picture ended; all of them were given back.
fn given_back(answer: &v1::GetResponse) -> Vec<&str> {
    let failed = answer.failed_attempts.iter();
    failed
        .map(|attempt| {
            assert_eq!(attempt.outcome(), AttemptOutcome::Released, "{attempt:?}");
            attempt.reason.as_str()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_node_hands_its_cells_to_the_next_which_repeats_nothing()
-> anyhow::Result<()> {
    const ITERATIONS: u32 = 150;
    let mut cluster = strict().await?;
    let (metadata, aws) = (MetadataStub::start().await?, LifecycleStub::start().await?);
    // So seldom that there is no checkpoint but the one on leaving.
    let args = [
        "--weights",
        "untrained",
        "--batch",
        "1",
        "--checkpoint-interval",
        "1h",
        "--label",
        "zone=here",
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    start_on_ec2(&mut cluster, &metadata.url, Some(&aws.url), &args)?;
    let metrics = served_at(&mut cluster.nodes[0]).await?;
    let work = tempfile::tempdir()?;
    let grid = submit(&cluster, work.path(), 2, ITERATIONS).await?;
    until_rendering(&cluster, &grid).await?;
    let mut fleet = FleetClient::connect(cluster.grpc.clone()).await?;
    let nodes = fleet.list_nodes(v1::ListNodesRequest::default()).await?;
    let [node] = &nodes.into_inner().nodes[..] else {
        anyhow::bail!("there is one node");
    };
    assert_eq!(node.instance_id, INSTANCE_ID);
    let label = |name: &str| node.labels.get(name).map(String::as_str);
    assert_eq!(label("instance-type"), Some(INSTANCE_TYPE));
    assert_eq!(label("capacity"), Some("spot"));
    assert_eq!(label("zone"), Some("here"), "the operator's, not {ZONE}");
    let told = scrape(&metrics).await?;
    for phase in [
        "boot",
        "metadata",
        "weights",
        "device",
        "register",
        "first_lease",
    ] {
        let name = format!("atelier_node_start_seconds{{phase=\"{phase}\"}}");
        let seconds = told.get(&name).with_context(|| format!("no {name}"))?;
        assert!(seconds.parse::<f64>()? >= 0.0);
    }
    logged(&cluster.nodes[0], "seconds of each phase of the start", 1).await?;

    metadata.interrupt("terminate");
    leaves(&mut cluster.nodes[0]).await?;
    let completed = aws.asked();
    assert_eq!(completed.len(), 1, "{}", cluster.nodes[0].log());
    for part in [
        "Action=CompleteLifecycleAction",
        "AutoScalingGroupName=painters",
        "LifecycleHookName=leave",
        &format!("InstanceId={INSTANCE_ID}"),
        "LifecycleActionResult=CONTINUE",
    ] {
        assert!(
            completed[0].contains(part),
            "{part} is not in {completed:?}"
        );
    }
    let left = cluster.grid(&grid).await?;
    assert_eq!(states(&left, CellState::Queued), 2, "{:?}", left.cells);
    assert!(
        given_back(&left)
            .iter()
            .all(|why| *why == "spot interruption")
    );

    let alone = ["--batch", "1", "--metrics-listen", "127.0.0.1:0"];
    cluster.start_node_with(&alone)?;
    let metrics = served_at(&mut cluster.nodes[1]).await?;
    let ended = cluster.until_done(&grid).await?;
    for cell in ended.cells {
        assert_eq!(cell.result.context("no result")?.evaluations, ITERATIONS);
    }
    let made = &scrape(&metrics).await?["atelier_node_evaluations_total"];
    let resumed = resumed_at(&cluster.nodes[1]).await?;
    assert!(resumed > 0);
    assert_eq!(made.parse::<u32>()?, 2 * ITERATIONS - resumed);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_may_be_taken_away_finishes_what_it_holds_and_another_does_the_rest()
-> anyhow::Result<()> {
    let mut cluster = strict().await?;
    let (metadata, aws) = (MetadataStub::start().await?, LifecycleStub::start().await?);
    let slow = [&SIMULATED[..], &["--simulated-cell-time", "1500ms"]].concat();
    start_on_ec2(&mut cluster, &metadata.url, Some(&aws.url), &slow)?;
    let work = tempfile::tempdir()?;
    let grid = submit(&cluster, work.path(), 12, 20).await?;
    until_rendering(&cluster, &grid).await?;
    metadata.recommend_rebalance();
    // It has left while its machine still runs, and waits to tell the group.
    logged(
        &cluster.nodes[0],
        "left; waiting for the end of the machine",
        1,
    )
    .await?;
    let left = cluster.grid(&grid).await?;
    let done = states(&left, CellState::Done);
    assert!(done > 0, "{:?}", left.cells);
    assert_eq!(
        states(&left, CellState::Queued),
        12 - done,
        "{:?}",
        left.cells
    );
    assert!(given_back(&left).is_empty());
    assert!(aws.asked().is_empty());
    metadata.terminate();
    leaves(&mut cluster.nodes[0]).await?;
    assert_eq!(aws.asked().len(), 1);

    // Another one is told so, and that its time is over before it has finished.
    let slower = [&SIMULATED[..], &["--simulated-cell-time", "1day"]].concat();
    let other = MetadataStub::start().await?;
    other.recommend_rebalance();
    start_on_ec2(&mut cluster, &other.url, None, &slower)?;
    logged(&cluster.nodes[1], "drained", 1).await?;
    let busy = MetadataStub::start().await?;
    // Nobody is there to be told, which keeps it no longer.
    let nobody = Some("http://127.0.0.1:9");
    start_on_ec2(&mut cluster, &busy.url, nobody, &slower)?;
    logged(&cluster.nodes[2], "seconds of each phase of the start", 1).await?;
    busy.recommend_rebalance();
    logged(&cluster.nodes[2], "drained", 1).await?;
    busy.interrupt("hibernate");
    leaves(&mut cluster.nodes[2]).await?;
    let log = cluster.nodes[2].log();
    assert!(log.contains("lifecycle action not completed"), "{log}");

    let grpc = cluster.grpc.clone();
    cluster.start_simulated(&grpc, &["--simulated-cell-time", "20ms"])?;
    let ended = cluster.until_done(&grid).await?;
    let reasons = given_back(&ended);
    assert!(reasons.contains(&"spot interruption"), "{reasons:?}");
    // Or those that were on their way to a node when it stopped listening.
    let expected = [
        "spot interruption",
        "the node was gone before it heard of it",
    ];
    assert!(
        reasons.iter().all(|why| expected.contains(why)),
        "{reasons:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metadata_service_that_is_away_ends_no_node_and_its_notices_are_heard_afterwards()
-> anyhow::Result<()> {
    let mut cluster = strict().await?;
    let (metadata, aws) = (MetadataStub::start().await?, LifecycleStub::start().await?);
    let proxy = Proxy::to(&metadata.url).await?;
    let args = [&SIMULATED[..], &["--simulated-cell-time", "300ms"]].concat();
    start_on_ec2(&mut cluster, &proxy.url(), Some(&aws.url), &args)?;
    let work = tempfile::tempdir()?;
    let grid = submit(&cluster, work.path(), 6, 20).await?;
    let some_done = |answer: &v1::GetResponse| (states(answer, CellState::Done) > 0).then_some(());
    cluster.until(&grid, "a picture", some_done).await?;
    let trouble = "the EC2 metadata service does not answer as it should";
    for (number, weather) in [Weather::Silent, Weather::Refusing(500), Weather::Cut]
        .into_iter()
        .enumerate()
    {
        proxy.set(weather);
        // Of three questions.
        logged(&cluster.nodes[0], trouble, 3 * (number + 1)).await?;
    }
    // Said once, however often it is so.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let log = cluster.nodes[0].log();
    assert_eq!(log.matches(trouble).count(), 9, "{log}");
    cluster.until_done(&grid).await?;
    metadata.set("spot/instance-action", "<html>a captive portal</html>");
    proxy.set(Weather::Fair);
    logged(&cluster.nodes[0], "a captive portal", 1).await?;
    metadata.forget_tokens();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(cluster.nodes[0].id().is_some(), "it stays");
    metadata.terminate();
    leaves(&mut cluster.nodes[0]).await?;
    assert_eq!(aws.asked().len(), 1);
    let log = cluster.nodes[0].log();
    assert!(!log.contains("answered with status 401"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_told_to_leave_does_so_in_time_though_its_bucket_is_silent()
-> anyhow::Result<()> {
    const LEAVE_TIMEOUT: Duration = Duration::from_secs(4);
    let (mut cluster, proxy) = Cluster::behind_its_bucket().await?;
    let grpc = cluster.grpc.clone();
    let args = [
        "--simulated-cell-time",
        "300ms",
        "--simulated-batch",
        "2",
        "--leave-timeout",
        "4s",
    ];
    cluster.start_simulated(&grpc, &args)?;
    cluster.start_simulated(&grpc, &args)?;
    let work = tempfile::tempdir()?;
    let grid = submit(&cluster, work.path(), 40, 20).await?;
    // Both have what they need to make pictures: what waits for its inputs stops at once.
    for node in &cluster.nodes {
        logged(node, ": done", 1).await?;
    }
    proxy.set(Weather::Silent);
    // Until pictures are made that cannot be put.
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Whoever does not want to wait has a second signal.
    cluster.nodes[1].signal(Signal::TERM)?;
    logged(&cluster.nodes[1], "leaving", 1).await?;
    cluster.nodes[1].signal(Signal::INT)?;
    let (status, after) = ends(&mut cluster.nodes[1]).await?;
    assert_eq!(status.code(), Some(130), "{}", cluster.nodes[1].log());
    assert!(after < LEAVE_TIMEOUT / 2, "{after:?}");

    cluster.nodes[0].signal(Signal::TERM)?;
    let (status, after) = ends(&mut cluster.nodes[0]).await?;
    let log = cluster.nodes[0].log();
    assert!(status.success(), "{status}: {log}");
    // Some more, because the machine is shared.
    assert!(after < LEAVE_TIMEOUT + Duration::from_secs(2), "{after:?}");
    assert!(log.contains("given back before they had stopped"), "{log}");
    let left = cluster.grid(&grid).await?;
    let released = left.failed_attempts.iter();
    let released = released.filter(|attempt| attempt.outcome() == AttemptOutcome::Released);
    let reasons: Vec<_> = released.map(|attempt| attempt.reason.as_str()).collect();
    assert!(!reasons.is_empty());
    assert!(reasons.iter().all(|why| *why == "SIGTERM"), "{reasons:?}");
    proxy.set(Weather::Fair);
    cluster.start_simulated(&grpc, &["--simulated-cell-time", "20ms"])?;
    cluster.until_done(&grid).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_no_instance_is_told_so() -> anyhow::Result<()> {
    let mut cluster = Cluster::coordinator().await?;
    start_on_ec2(&mut cluster, "http://127.0.0.1:9", None, &SIMULATED)?;
    let (status, _) = ends(&mut cluster.nodes[0]).await?;
    let log = cluster.nodes[0].log();
    assert_eq!(status.code(), Some(6), "{log}");
    assert!(log.contains("hint: leave --ec2 out"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_go_together_is_refused() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let several = ["--renderer", "simulated", "--simulated-nodes", "2"];
    let cases = [
        (
            [&several[..], &["--instance-id", "i-0"]].concat(),
            "--instance-id is for one node",
        ),
        ([&several[..], &["--ec2"]].concat(), "--ec2 is for one node"),
        (HOOK.to_vec(), "add --ec2"),
        (HOOK[..2].to_vec(), "--lifecycle-hook <NAME>"),
        (HOOK[2..].to_vec(), "--lifecycle-group <NAME>"),
        (vec!["--instance-id", ""], "from 1 to 255 characters"),
        (
            vec!["--weights", "bucket:vgg.h5"],
            "64 lower-case hex digits",
        ),
    ];
    for (args, told) in cases {
        let mut node = command("atelier-node", home.path());
        let ran = run(node.arg("run").args(&args)).await?;
        assert_eq!(ran.code(), Some(2), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{args:?}: {}", ran.stderr);
    }
    Ok(())
}
