//! Goal: several coordinators over one PostgreSQL are one to those who name them all, also when one of them dies.

use anyhow::Context as _;
use atelier_proto::v1::AttemptOutcome;
use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use atelier_tests::postgres::Postgres;
use atelier_tests::programs::{command, run};

/// Nodes that share the ways to both coordinators, as they are of one process.
const NODES: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_one_of_two_coordinators_costs_few_calls_and_no_cell() -> anyhow::Result<()> {
    let Some(postgres) = Postgres::start()? else {
        return Ok(());
    };
    // It lends its bucket, and has no other part in this.
    let mut cluster = Cluster::coordinator().await?;
    let lent = cluster.lends().await?;
    let url = postgres.database()?;
    let args = [&["--database", &url][..], &lent.args()].concat();
    let living = cluster.start_beside(&args, &lent.environment()).await?;
    let mortal = cluster.start_beside(&args, &lent.environment()).await?;
    let both = format!("{living},{mortal}");

    let nodes = NODES.to_string();
    let simulated = ["--simulated-nodes", &nodes, "--simulated-batch", "1"];
    cluster.start_simulated(&both, &simulated)?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 25, 10)?;
    // Whom the test itself asks.
    cluster.grpc = living;
    let grid = cluster.submit(work.path(), &["--set", "size=32"]).await?;
    let mut watch = command("atelier", work.path());
    watch.args(["--coordinator", &both, "watch", &grid]);
    let watched = tokio::spawn(async move { run(&mut watch).await });
    cluster
        .until(&grid, "a cell that is done", |answer| {
            let cells = answer.grid.as_ref()?.summary.as_ref()?.cells.as_ref()?;
            (cells.done > 0).then_some(())
        })
        .await?;

    let dead = cluster.beside.last_mut().context("no coordinator")?;
    dead.kill().await?;
    watched.await??.success()?;
    let ended = cluster.until_complete(&grid).await?;
    let log = cluster.nodes[0].log();
    // What it had leased out and not told is waited for until the lease is over; nothing else is rendered in vain.
    let untold = log.matches("no lease").count();
    let mut outcomes = ended.failed_attempts.iter().map(|it| it.outcome());
    assert!(
        outcomes.all(|outcome| outcome == AttemptOutcome::Lost && untold > 0),
        "{:?}\n{log}",
        ended.failed_attempts
    );
    // Were it asked at every second call, each node would lose one of them every two seconds.
    let lost = log.matches("leases not renewed").count();
    assert!(lost <= NODES, "{lost} renewals:\n{log}");
    Ok(())
}
