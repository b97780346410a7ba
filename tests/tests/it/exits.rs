//! Goal: a script that waits for a grid learns by the exit code alone how it ended, or why nobody knows.

use std::time::Duration;

use atelier_proto::v1::CellState;
use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use atelier_tests::programs::{Running, command};
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn each_way_in_which_a_wait_ends_has_its_code() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 1)?;
    let mut cluster = Cluster::coordinator_with(&["--attempts-max", "1"]).await?;
    let grpc = cluster.grpc.clone();
    let submit = [
        "submit",
        "--photos",
        "photos/*.png",
        "--artists",
        "artists",
        "--set",
        "size=32",
        "--wait",
    ];
    let quick = ["--simulated-cell-time", "20ms"];
    let failing = [&quick[..], &["--simulated-failures", "1"]].concat();
    for (number, (node, code)) in [(&quick[..], 0), (&failing, 6)].into_iter().enumerate() {
        cluster.start_simulated(&grpc, node)?;
        let ended = cluster.atelier(work.path(), &submit).await?;
        assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
        let grid = ended.stdout.lines().next().unwrap_or_default();
        let watched = cluster.atelier(work.path(), &["watch", grid]).await?;
        assert_eq!(watched.code(), Some(code), "{}", watched.stderr);
        cluster.nodes[number].kill().await?;
    }

    // Nobody renders these: a wait for one is interrupted, one is cancelled, one deleted, and one left by its coordinator.
    let mut waits = Vec::new();
    for number in 0..4 {
        let mut wait = command("atelier", work.path());
        wait.current_dir(&work)
            .args(["--coordinator", &grpc])
            .args(submit);
        let mut wait = Running::start(&format!("wait-{number}"), &mut wait, &cluster.folder)?;
        let grid = wait.line().await?;
        waits.push((wait, grid));
    }
    let [interrupted, cancelled, deleted, left] = &mut waits[..] else {
        anyhow::bail!("four were started");
    };
    interrupted.0.signal(Signal::INT)?;
    assert_eq!(interrupted.0.wait().await?.code(), Some(130));
    let after = cluster.grid(&interrupted.1).await?;
    assert_eq!(
        after.cells[0].state(),
        CellState::Queued,
        "the grid goes on"
    );

    let cancel = ["cancel", &cancelled.1, "--json"];
    let told = cluster.atelier(work.path(), &cancel).await?.json()?;
    assert_eq!(told["cancelled"], 1, "{told}");
    assert_eq!(cancelled.0.wait().await?.code(), Some(7));
    let after = cluster.grid(&cancelled.1).await?;
    assert_eq!(after.cells[0].state(), CellState::Cancelled);
    let watched = cluster
        .atelier(work.path(), &["watch", &cancelled.1])
        .await?;
    assert_eq!(watched.code(), Some(7), "{}", watched.stderr);

    // Whoever waits hears first that it was cancelled.
    let cancel = ["cancel", &deleted.1];
    cluster.atelier(work.path(), &cancel).await?.success()?;
    assert_eq!(deleted.0.wait().await?.code(), Some(7));
    let delete = ["delete", &deleted.1, "--yes"];
    cluster.atelier(work.path(), &delete).await?.success()?;
    let watched = cluster.atelier(work.path(), &["watch", &deleted.1]).await?;
    assert_eq!(watched.code(), Some(3), "{}", watched.stderr);

    cluster.coordinator.kill().await?;
    // A restart would be waited for; after a minute nobody is.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let log = left.0.log();
    assert!(!log.contains("error:"), "{log}");
    assert_eq!(left.0.wait().await?.code(), Some(4), "{}", left.0.log());
    let nobody = cluster.atelier(work.path(), &["watch", &left.1]).await?;
    assert_eq!(nobody.code(), Some(4), "{}", nobody.stderr);
    Ok(())
}
