//! Goal: an atelier of several coordinators on PostgreSQL stands faults at random for a long time, and an audit of every
//! grid finds nothing wrong. `make soak` runs it; `ATELIER_SOAK` names how long,
//! `ATELIER_SOAK_SEED` repeats one.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use atelier_proto::clock::Stopwatch;
use atelier_proto::v1;
use atelier_proto::v1::grids_client::GridsClient;
use atelier_tests::cluster::{Cluster, Lent};
use atelier_tests::pictures;
use atelier_tests::postgres::Postgres;
use atelier_tests::programs::{Ran, Running, command, run};
use atelier_tests::proxy::{Proxy, Weather};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use rustix::process::Signal;
use tempfile::TempDir;

const COORDINATORS: usize = 2;
const NODES: usize = 4;
/// How long what a node puts late may come late, and how long a node may be stopped: shorter, so that nothing comes later.
const GRACE: Duration = Duration::from_mins(1);
const STOPPED_MAX: Duration = Duration::from_secs(30);
/// How long after that the collector may take to look through a grid: it does so once a minute.
const COLLECTED_MAX: Duration = Duration::from_secs(90);
/// How long the nodes may take for what is left when all is well again.
const REST: Duration = Duration::from_mins(5);

struct Soak {
    rng: ChaCha8Rng,
    postgres: Postgres,
    /// Lends its bucket.
    lender: Cluster,
    proxy: Proxy,
    work: TempDir,
    args: Vec<String>,
    lent: Lent,
    /// Addresses and programs; none while one is down.
    coordinators: Vec<(String, Option<Running>)>,
    nodes: Vec<Option<Running>>,
    /// Since when each node is stopped that is.
    stopped: [Option<Stopwatch>; NODES],
    grids: Vec<String>,
    faults: u32,
}

impl Soak {
    async fn start(seed: u64) -> anyhow::Result<Option<Self>> {
        let Some(postgres) = Postgres::start()? else {
            return Ok(None);
        };
        let lender = Cluster::coordinator().await?;
        let direct = lender.lends().await?;
        let proxy = Proxy::to(&direct.endpoint).await?;
        let lent = Lent {
            endpoint: proxy.url(),
            ..direct
        };
        let args = [
            ("--database", postgres.database()?),
            ("--grace-period", format!("{}s", GRACE.as_secs())),
            ("--lease-duration", "3s".to_owned()),
            ("--attempts-max", "100".to_owned()),
            ("--failed-nodes-max", "100".to_owned()),
        ];
        let work = tempfile::tempdir()?;
        pictures::grid(work.path(), 10, 3)?;
        let mut soak = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            postgres,
            lender,
            proxy,
            work,
            args: args
                .into_iter()
                .flat_map(|(name, value)| [name.to_owned(), value])
                .collect(),
            lent,
            coordinators: Vec::new(),
            nodes: Vec::new(),
            stopped: [const { None }; NODES],
            grids: Vec::new(),
            faults: 0,
        };
        for _ in 0..COORDINATORS {
            let free = std::net::TcpListener::bind("127.0.0.1:0")?;
            let address = free.local_addr()?.to_string();
            soak.coordinators.push((address, None));
        }
        soak.all_well().await?;
        Ok(Some(soak))
    }

    fn one_of(&mut self, many: usize) -> usize {
        (self.rng.next_u64() % many as u64) as usize
    }

    fn urls(&self) -> String {
        let urls: Vec<String> = self
            .coordinators
            .iter()
            .map(|(address, _)| format!("http://{address}"))
            .collect();
        urls.join(",")
    }

    /// Brings everything back that is down.
    async fn all_well(&mut self) -> anyhow::Result<()> {
        self.proxy.set(Weather::Fair);
        for number in 0..COORDINATORS {
            self.raise_coordinator(number).await?;
        }
        self.nodes.resize_with(NODES, || None);
        for number in 0..NODES {
            match &self.nodes[number] {
                Some(_) => self.wake(number)?,
                None => self.raise_node(number)?,
            }
        }
        Ok(())
    }

    async fn raise_coordinator(&mut self, number: usize) -> anyhow::Result<()> {
        let (address, running) = &mut self.coordinators[number];
        if running.is_some() {
            return Ok(());
        }
        let folder = self.work.path().join(format!("coordinator-{number}"));
        let mut start = command("atelier-coordinator", self.work.path());
        start
            .args(["--listen", address.as_str(), "--no-board"])
            .args(["--exit-with-stdin", "--data"])
            .arg(folder)
            .args(&self.args)
            .args(self.lent.args())
            .envs(self.lent.environment());
        let name = format!("coordinator-{number}-{}", self.faults);
        let mut coordinator = Running::start(&name, &mut start, &self.work)?;
        coordinator.line().await?;
        *running = Some(coordinator);
        Ok(())
    }

    fn wake(&mut self, number: usize) -> anyhow::Result<()> {
        self.stopped[number] = None;
        match &self.nodes[number] {
            Some(node) => node.signal(Signal::CONT),
            None => Ok(()),
        }
    }

    fn raise_node(&mut self, number: usize) -> anyhow::Result<()> {
        let mut start = command("atelier-node", self.work.path());
        start
            .args(["run", "--coordinator", &self.urls(), "--exit-with-stdin"])
            .args(["--renderer", "simulated", "--simulated-cell-time", "200ms"])
            .args(["--simulated-failures", "0.05", "--simulated-batch", "4"])
            .arg("--cache")
            .arg(self.work.path().join(format!("cache-{number}")));
        let name = format!("node-{number}-{}", self.faults);
        self.nodes[number] = Some(Running::start(&name, &mut start, &self.work)?);
        Ok(())
    }

    async fn atelier(&self, args: &[&str]) -> anyhow::Result<Ran> {
        let mut atelier = command("atelier", self.work.path());
        atelier
            .args(["--coordinator", &self.urls()])
            .args(args)
            // For audits.
            .envs(self.lent.environment())
            .current_dir(self.work.path());
        run(&mut atelier).await
    }

    async fn submit(&mut self) -> anyhow::Result<()> {
        let what = ["submit", "--photos", "photos/*.png", "--artists", "artists"];
        let set = ["--set", "size=32", "--json"];
        let args: Vec<&str> = what.into_iter().chain(set).collect();
        // Whether it could just now be had is not what is looked at.
        let submitted = self.atelier(&args).await?;
        if submitted.code() == Some(0) {
            let submitted = submitted.json()?;
            let grid = submitted["grid_id"].as_str().context("no id")?;
            self.grids.push(grid.to_owned());
        }
        Ok(())
    }

    /// One thing that happens.
    async fn step(&mut self) -> anyhow::Result<&'static str> {
        self.faults += 1;
        for number in 0..NODES {
            let stopped = self.stopped[number].as_ref();
            if stopped.is_some_and(|since| since.elapsed() > STOPPED_MAX) {
                self.wake(number)?;
            }
        }
        let happens = self.one_of(14);
        let node = self.one_of(NODES);
        let coordinator = self.one_of(COORDINATORS);
        Ok(match happens {
            0 | 1 => {
                self.submit().await?;
                "a grid is submitted"
            }
            2 => {
                if let Some(mut running) = self.nodes[node].take() {
                    running.kill().await?;
                    "a node is killed"
                } else {
                    self.raise_node(node)?;
                    "a node comes back"
                }
            }
            3 => {
                if let Some(running) = &self.nodes[node] {
                    running.signal(Signal::STOP)?;
                    self.stopped[node].get_or_insert_with(Stopwatch::start);
                }
                "a node is stopped"
            }
            4 => {
                self.wake(node)?;
                "a node is woken"
            }
            5 => {
                if let Some(mut running) = self.coordinators[coordinator].1.take() {
                    running.kill().await?;
                    "a coordinator is killed"
                } else {
                    self.raise_coordinator(coordinator).await?;
                    "a coordinator comes back"
                }
            }
            6 => {
                self.postgres.cut_connections()?;
                "PostgreSQL's connections are cut"
            }
            7 => {
                let rudely = self.one_of(2) == 0;
                self.postgres.restart(rudely)?;
                "PostgreSQL is restarted"
            }
            8 => {
                self.proxy.set(Weather::Cut);
                tokio::time::sleep(Duration::from_secs(2)).await;
                self.proxy.set(Weather::Fair);
                "the bucket was gone for 2 s"
            }
            9 => {
                self.proxy.set(Weather::Silent);
                tokio::time::sleep(Duration::from_secs(3)).await;
                self.proxy.set(Weather::Fair);
                "the bucket was silent for 3 s"
            }
            10..=12 if !self.grids.is_empty() => {
                let number = self.one_of(self.grids.len());
                let grid = self.grids[number].clone();
                let (word, what) = [
                    ("pause", "a grid is paused"),
                    ("resume", "a grid is resumed"),
                    ("cancel", "a grid is cancelled"),
                    ("retry", "a grid is tried again"),
                ][self.one_of(4)];
                self.atelier(&[word, &grid]).await?;
                what
            }
            _ => {
                self.all_well().await?;
                "all is well"
            }
        })
    }

    /// Lets everything end and looks whether it did so well.
    async fn end(&mut self) -> anyhow::Result<()> {
        self.all_well().await?;
        for grid in self.grids.clone() {
            self.atelier(&["resume", &grid]).await?;
        }
        let resting = async {
            let url = format!("http://{}", self.coordinators[0].0);
            let mut client = GridsClient::connect(url).await?;
            loop {
                let request = v1::ListRequest {
                    page_size: 1000,
                    ..v1::ListRequest::default()
                };
                let grids = client.list(request).await?.into_inner().grids;
                if grids.iter().all(|grid| grid.gallery_complete) {
                    return Ok::<_, anyhow::Error>(grids.len());
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let ended = tokio::time::timeout(REST, resting);
        let ended = ended.await.context("some grid never ended")??;
        ensure!(ended >= self.grids.len(), "grids are missing");
        // What lies where nothing refers to it is removed some time after the end.
        tokio::time::sleep(GRACE + COLLECTED_MAX).await;
        for grid in &self.grids {
            let audit = self.atelier(&["audit", grid, "--deep"]).await?;
            ensure!(audit.code() == Some(0), "{}{}", audit.stdout, audit.stderr);
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes: make soak"]
async fn faults_at_random_for_a_long_time() -> anyhow::Result<()> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seconds: u64 = number("ATELIER_SOAK").unwrap_or(600);
    let seed: u64 = match number("ATELIER_SOAK_SEED") {
        Some(seed) => seed,
        None => u64::from(std::process::id()),
    };
    println!("soak: {seconds} s with the seed {seed}; repeat it with ATELIER_SOAK_SEED={seed}");
    let Some(mut soak) = Soak::start(seed).await? else {
        return Ok(());
    };
    let running = Stopwatch::start();
    soak.submit().await?;
    while running.elapsed() < Duration::from_secs(seconds) {
        let what = soak.step().await?;
        println!("soak: {:>4} s: {what}", running.elapsed().as_secs());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    soak.end().await?;
    println!(
        "soak: {} faults, {} grids, nothing wrong",
        soak.faults,
        soak.grids.len()
    );
    drop(soak.lender);
    Ok(())
}
