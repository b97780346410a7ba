//! Goal: whatever dies, hangs, or is cut off, every cell ends with its one picture, and an audit finds nothing wrong.
//!
//! The nodes render nothing here; all else of them is real. So a grid takes seconds, and what goes wrong does so between
//! the steps of its cells' way rather than within a render.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use atelier_proto::fault;
use atelier_proto::ids::RequestId;
use atelier_proto::v1::{self, AttemptOutcome, CellState, GridState};
use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use atelier_tests::postgres::Postgres;
use atelier_tests::proxy::{Proxy, Weather};
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use rustix::process::Signal;
use tempfile::TempDir;

/// Cells of the grids here.
const PHOTOS: u32 = 12;
const ARTISTS: u32 = 5;
const CELLS: usize = (PHOTOS * ARTISTS) as usize;

/// A node that takes 100 ms for a cell and two at once.
const QUICK: [&str; 4] = ["--simulated-cell-time", "100ms", "--simulated-batch", "2"];

/// A cluster with a grid.
struct Farm {
    cluster: Cluster,
    work: TempDir,
    grid: String,
}

impl Farm {
    /// With a coordinator of its own.
    async fn start(args: &[&str]) -> anyhow::Result<Self> {
        Self::with(Cluster::coordinator_with(args).await?).await
    }

    async fn with(cluster: Cluster) -> anyhow::Result<Self> {
        let work = tempfile::tempdir()?;
        pictures::grid(work.path(), PHOTOS, ARTISTS)?;
        let grid = cluster.submit(work.path(), &["--set", "size=32"]).await?;
        Ok(Self {
            cluster,
            work,
            grid,
        })
    }

    /// With two nodes, and a proxy between all of them and the bucket.
    async fn behind_its_bucket() -> anyhow::Result<(Self, Proxy)> {
        let (cluster, proxy) = Cluster::behind_its_bucket().await?;
        let mut farm = Self::with(cluster).await?;
        farm.node()?;
        farm.node()?;
        Ok((farm, proxy))
    }

    /// Has each weather for so long once so many cells are done, and ends well all the same.
    async fn stands(
        &self,
        proxy: &Proxy,
        weathers: &[(usize, Weather)],
        lasting: Duration,
    ) -> anyhow::Result<()> {
        for (cells, weather) in weathers {
            self.done(*cells).await?;
            proxy.set(*weather);
            tokio::time::sleep(lasting).await;
            proxy.set(Weather::Fair);
        }
        self.ends_well().await?;
        Ok(())
    }

    fn node(&mut self) -> anyhow::Result<()> {
        let coordinator = self.cluster.grpc.clone();
        self.cluster.start_simulated(&coordinator, &QUICK)
    }

    /// Waits until so many cells are done.
    async fn done(&self, cells: usize) -> anyhow::Result<v1::GetResponse> {
        let what = format!("{cells} cells done");
        self.cluster
            .until(&self.grid, &what, |answer| {
                let done = |cell: &&v1::Cell| cell.state() == CellState::Done;
                (answer.cells.iter().filter(done).count() >= cells).then(|| answer.clone())
            })
            .await
    }

    /// Waits until every cell is done and the gallery complete, and audits it.
    async fn ends_well(&self) -> anyhow::Result<v1::GetResponse> {
        self.done(CELLS).await?;
        let ended = self.cluster.until_complete(&self.grid).await?;
        let summary = ended.grid.as_ref().and_then(|grid| grid.summary.clone());
        let summary = summary.context("no summary")?;
        assert_eq!(summary.state(), GridState::Finished);
        let audit = ["audit", &self.grid, "--deep"];
        let audit = self.cluster.atelier(self.work.path(), &audit).await?;
        ensure!(
            audit.code() == Some(0),
            "{}{}\n{}",
            audit.stdout,
            audit.stderr,
            self.cluster.coordinator.log()
        );
        Ok(ended)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_or_wakes_as_a_zombie_costs_nothing_but_attempts()
-> anyhow::Result<()> {
    let mut farm = Farm::start(&[]).await?;
    farm.node()?;
    farm.node()?;
    farm.done(5).await?;
    farm.cluster.nodes[0].kill().await?;
    farm.done(15).await?;
    farm.cluster.nodes[1].signal(Signal::STOP)?;
    // Longer than a lease.
    tokio::time::sleep(Duration::from_secs(4)).await;
    farm.node()?;
    farm.done(CELLS - 5).await?;
    farm.cluster.nodes[1].signal(Signal::CONT)?;
    let ended = farm.ends_well().await?;
    let lost = ended.failed_attempts.iter();
    let lost = lost.filter(|attempt| attempt.outcome() == v1::AttemptOutcome::Lost);
    assert!(lost.count() >= 2, "{:?}", ended.failed_attempts);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_killed_again_and_again_goes_on_where_it_was() -> anyhow::Result<()> {
    let mut farm = Farm::start(&[]).await?;
    farm.node()?;
    farm.node()?;
    for cells in [5, 20, 40] {
        farm.done(cells).await?;
        farm.cluster.restart_coordinator().await?;
    }
    let ended = farm.ends_well().await?;
    let most = ended.cells.iter().map(|cell| cell.attempts).max();
    assert!(most <= Some(3), "no node was lost: {most:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_restarts_and_cuts_connections_and_nothing_is_lost() -> anyhow::Result<()> {
    let Some(mut postgres) = Postgres::start()? else {
        return Ok(());
    };
    let url = postgres.database()?;
    let mut farm = Farm::start(&["--database", &url]).await?;
    farm.node()?;
    farm.node()?;
    farm.done(5).await?;
    postgres.cut_connections()?;
    farm.done(20).await?;
    postgres.restart(true)?;
    farm.done(40).await?;
    postgres.restart(false)?;
    farm.ends_well().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_speaks_tls_to_a_postgres_that_it_can_trust_and_to_no_other()
-> anyhow::Result<()> {
    let Some((postgres, authority)) = Postgres::start_with_tls()? else {
        return Ok(());
    };
    let url = postgres.database()?.replace("127.0.0.1", "localhost");
    let trusted = format!(
        "{url}?sslmode=verify-full&sslrootcert={}",
        authority.display()
    );
    let mut farm = Farm::start(&["--database", &trusted]).await?;
    farm.node()?;
    farm.ends_well().await?;
    let plain = "SELECT count(*) FILTER (WHERE NOT ssl) || ' of ' || count(*) \
        FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname LIKE 'atelier%'";
    let plain = postgres.execute("postgres", plain)?;
    assert!(
        plain.starts_with("0 of ") && plain.trim() != "0 of 0",
        "{plain}"
    );

    // Nobody vouches for it there.
    let untrusted = format!("{url}?sslmode=verify-full");
    let mut command = atelier_tests::programs::command("atelier-coordinator", farm.work.path());
    command
        .args(["--database", &untrusted])
        .current_dir(farm.work.path());
    let refused = atelier_tests::programs::run(&mut command).await?;
    assert_ne!(refused.code(), Some(0));
    assert!(
        refused.stderr.contains("certificate") && refused.stderr.contains("sslrootcert"),
        "{}",
        refused.stderr
    );
    Ok(())
}

/// Two coordinators over one PostgreSQL, and their URLs. That of the cluster lends them its bucket, and has a database of its own.
async fn two_coordinators(postgres: &Postgres) -> anyhow::Result<(Cluster, [String; 2])> {
    let mut cluster = Cluster::coordinator().await?;
    let lent = cluster.lends().await?;
    let url = postgres.database()?;
    let args = [&["--database", &url][..], &lent.args()].concat();
    let first = cluster.start_beside(&args, &lent.environment()).await?;
    let second = cluster.start_beside(&args, &lent.environment()).await?;
    Ok((cluster, [first, second]))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_coordinators_dies_and_the_other_one_goes_on() -> anyhow::Result<()> {
    let Some(postgres) = Postgres::start()? else {
        return Ok(());
    };
    let (mut cluster, [first, second]) = two_coordinators(&postgres).await?;
    let both = format!("{first},{second}");

    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), PHOTOS, ARTISTS)?;
    let client = |args: &[&str]| {
        let mut command = atelier_tests::programs::command("atelier", work.path());
        command
            .args(["--coordinator", &both])
            .args(args)
            .current_dir(work.path());
        command
    };
    let run = async |args: &[&str]| atelier_tests::programs::run(&mut client(args)).await;
    // Waits at one coordinator for what comes in at the other.
    let mut node = atelier_tests::programs::command("atelier-node", work.path());
    node.args(["run", "--coordinator", &format!("{second},{first}")])
        .args(["--renderer", "simulated", "--exit-with-stdin"])
        .args(QUICK)
        .arg("--cache")
        .arg(work.path().join("cache"));
    let mut node = atelier_tests::programs::Running::start("node", &mut node, &work)?;
    node.line().await?;

    let what = ["submit", "--photos", "photos/*.png", "--artists", "artists"];
    let set = ["--set", "size=32", "--json"];
    let args: Vec<&str> = what.into_iter().chain(set).collect();
    let submitted = run(&args).await?.json()?;
    let grid = submitted["grid_id"].as_str().context("no id")?.to_owned();
    let watch = ["watch", &grid, "--json"];
    let watching = run(&watch);
    let killing = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        cluster.beside[0].kill().await
    };
    let (watched, killed) = tokio::join!(watching, killing);
    killed?;
    let watched = watched?;
    ensure!(
        watched.code() == Some(0),
        "{}{}",
        watched.stdout,
        watched.stderr
    );

    // Each cell was told done once, by whichever of the two.
    let mut cells = std::collections::BTreeMap::new();
    for line in watched.stdout.lines() {
        let change: serde_json::Value = serde_json::from_str(line)?;
        // The last line tells of the grid alone.
        let told = change["cells"].as_array();
        let done = told.into_iter().flatten();
        for cell in done.filter(|cell| cell["state"] == "done") {
            let id = cell["cell_id"].as_str().context("no id")?;
            *cells.entry(id.to_owned()).or_insert(0) += 1;
        }
    }
    assert_eq!(cells.len(), CELLS);
    assert!(cells.values().all(|times| *times == 1), "{cells:?}");
    // An operator looks at the bucket with keys of their own.
    let mut audit = client(&["audit", &grid, "--deep"]);
    let audit = audit.envs(cluster.lends().await?.environment());
    let audit = atelier_tests::programs::run(audit).await?;
    ensure!(audit.code() == Some(0), "{}{}", audit.stdout, audit.stderr);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_lose_few_calls_and_no_picture_to_a_coordinator_that_died() -> anyhow::Result<()> {
    /// They share the ways to both coordinators, as they are of one process.
    const NODES: usize = 20;
    let Some(postgres) = Postgres::start()? else {
        return Ok(());
    };
    let (mut cluster, [living, mortal]) = two_coordinators(&postgres).await?;
    let nodes = NODES.to_string();
    let simulated = ["--simulated-nodes", &nodes, "--simulated-batch", "1"];
    cluster.start_simulated(&format!("{living},{mortal}"), &simulated)?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 25, 10)?;
    // Whom the test itself asks.
    cluster.grpc = living;
    let grid = cluster.submit(work.path(), &["--set", "size=32"]).await?;
    cluster
        .until(&grid, "a cell that is done", |answer| {
            let cells = answer.grid.as_ref()?.summary.as_ref()?.cells.as_ref()?;
            (cells.done > 0).then_some(())
        })
        .await?;

    cluster.beside[1].kill().await?;
    let ended = cluster.until_done(&grid).await?;
    let log = cluster.nodes[0].log();
    // What it had leased out and not told waits until the lease is over; nothing else is rendered in vain.
    let has_untold = log.contains("no lease");
    let mut outcomes = ended.failed_attempts.iter().map(v1::Attempt::outcome);
    assert!(
        outcomes.all(|outcome| outcome == AttemptOutcome::Lost && has_untold),
        "{:?}\n{log}",
        ended.failed_attempts
    );
    // Were it asked at every second call, each node would lose a renewal every second.
    let lost = log.matches("leases not renewed").count();
    assert!(lost <= NODES, "{lost} renewals:\n{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_slow_silent_or_gone_is_waited_for() -> anyhow::Result<()> {
    let (farm, proxy) = Farm::behind_its_bucket().await?;
    let weathers = [
        (5, Weather::Cut),
        (15, Weather::Slow(Duration::from_millis(50))),
        (30, Weather::Silent),
    ];
    farm.stands(&proxy, &weathers, Duration::from_secs(3)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_or_does_what_it_does_not_answer_costs_no_picture()
-> anyhow::Result<()> {
    let (farm, proxy) = Farm::behind_its_bucket().await?;
    let weathers = [
        (5, Weather::Refusing(500)),
        (15, Weather::Refusing(503)),
        // A picture is put, and its node does not hear of it.
        (30, Weather::Deaf),
    ];
    farm.stands(&proxy, &weathers, Duration::from_secs(2)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_for() -> anyhow::Result<()> {
    const DISK_BYTES: u64 = 64 << 20;
    let Some(cluster) = Cluster::coordinator_on_disk(DISK_BYTES).await? else {
        eprintln!("not tested: this user may not mount a file system");
        return Ok(());
    };
    let mut farm = Farm::with(cluster).await?;
    farm.node()?;
    farm.node()?;
    farm.done(5).await?;
    // Database and bucket lie on it.
    let ballast = farm.cluster.data_folder()?.join("ballast");
    let mut file = std::fs::File::create(&ballast)?;
    let full = loop {
        if let Err(error) = file.write_all(&[1; 1 << 12]) {
            break error;
        }
    };
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let done = farm.done(0).await?;
    let cells = done.cells.iter();
    let done = cells.filter(|cell| cell.state() == CellState::Done).count();
    assert!(done < CELLS, "the disk was not full");
    drop(file);
    std::fs::remove_file(&ballast)?;
    farm.ends_well().await?;
    let log = farm.cluster.coordinator.log();
    assert!(log.contains("full") || log.contains("space"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_may_die_at_every_station_of_a_cell() -> anyhow::Result<()> {
    try_join_all(fault::OF_NODE.map(|station| async move {
        let mut farm = Farm::start(&[]).await?;
        let (coordinator, dies) = (farm.cluster.grpc.clone(), station.at(3));
        let environment = [(fault::VARIABLE, dies.as_str())];
        let cluster = &mut farm.cluster;
        cluster.start_simulated_in(&coordinator, &QUICK, &environment)?;
        let ended = cluster.nodes[0].wait().await.context(dies.clone())?;
        ensure!(!ended.success(), "{dies}: {ended}");
        farm.node()?;
        farm.ends_well().await.context(dies)
    }))
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_may_die_at_every_station_of_a_cell() -> anyhow::Result<()> {
    // Of the objects, the inputs come first, before there is a grid.
    let inputs = PHOTOS + ARTISTS;
    let of_bucket = fault::OF_BUCKET.map(|station| station.at(inputs + 3));
    let all = fault::OF_COORDINATOR.map(|station| station.at(3));
    try_join_all(all.into_iter().chain(of_bucket).map(|dies| async move {
        let environment = [(fault::VARIABLE, dies.as_str())];
        let cluster = Cluster::coordinator_in(&[], &environment).await?;
        let mut farm = Farm::with(cluster).await?;
        farm.node()?;
        let ended = farm
            .cluster
            .coordinator
            .wait()
            .await
            .context(dies.clone())?;
        ensure!(!ended.success(), "{dies}: {ended}");
        farm.cluster.coordinator_again().await?;
        farm.ends_well().await.context(dies)
    }))
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_is_replaced_while_nodes_render() -> anyhow::Result<()> {
    let mut farm = Farm::start(&[]).await?;
    farm.node()?;
    farm.node()?;
    for cells in [5, 30] {
        farm.done(cells).await?;
        farm.cluster.replace_coordinator().await?;
    }
    let ended = farm.ends_well().await?;
    let failed = ended.failed_attempts.iter();
    let failed = failed.filter(|attempt| attempt.outcome() == v1::AttemptOutcome::Failed);
    assert_eq!(failed.count(), 0, "{:?}", ended.failed_attempts);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_whose_way_to_the_coordinator_is_cut_or_silent_come_back() -> anyhow::Result<()> {
    let mut farm = Farm::start(&[]).await?;
    let proxy = Proxy::to(&farm.cluster.grpc).await?;
    farm.cluster.start_simulated(&proxy.url(), &QUICK)?;
    farm.node()?;
    let weathers = [
        (5, Weather::Cut),
        (15, Weather::Slow(Duration::from_millis(100))),
        // Longer than a lease: what the node holds goes to the other one, and it comes back as a zombie.
        (25, Weather::Silent),
        // What it says arrives, and it does not hear so.
        (40, Weather::Deaf),
    ];
    farm.stands(&proxy, &weathers, Duration::from_secs(4)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_submissions_of_one_request_make_one_grid() -> anyhow::Result<()> {
    const CALLS: usize = 10_000;
    /// As many as one caller may have in hand.
    const AT_ONCE: usize = 256;
    let farm = Farm::start(&["--client-calls-per-second", "1000000"]).await?;
    let answer = farm.cluster.grid(&farm.grid).await?;
    let grid = answer.grid.context("no grid")?;
    let request = v1::SubmitRequest {
        request_id: RequestId::generate().to_string(),
        name: "Once".to_owned(),
        photos: grid.photos,
        artists: grid.artists,
        ..v1::SubmitRequest::default()
    };
    let clients = try_join_all((0..50).map(|_| farm.cluster.grids())).await?;
    let calls = (0..CALLS).map(|number| {
        let mut client = clients[number % clients.len()].clone();
        let request = request.clone();
        async move {
            let answer = client.submit(request).await?.into_inner();
            Ok::<_, tonic::Status>((answer.grid_id, answer.created))
        }
    });
    let answers = futures::stream::iter(calls).buffer_unordered(AT_ONCE);
    let answers: Vec<_> = answers.try_collect().await?;
    let created = answers.iter().filter(|(_, created)| *created).count();
    assert_eq!(created, 1);
    assert!(answers.iter().all(|(grid, _)| *grid == answers[0].0));
    Ok(())
}
