//! Goal: the fleet follows the backlog from nothing to as many machines as it takes and back, whatever AWS does meanwhile.
//!
//! moto keeps the group, a stub of ours in front of it has the bad days ([`atelier_tests::aws`]), and for every machine that is
//! there the test starts a real node program that renders nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use atelier_tests::aws::{Aws, GROUP};
use atelier_tests::browser::Browser;
use atelier_tests::cluster::Cluster;
use atelier_tests::moto::Moto;
use atelier_tests::postgres::Postgres;
use atelier_tests::programs::{PATIENCE, Ran, Running, command, run};
use atelier_tests::{pictures, tools};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// Of which a machine costs $0.21 an hour by the table that is shipped.
const INSTANCE_TYPE: &str = "g4dn.xlarge";

/// Coordinators whose fleet is a group of AWS, and the nodes on its machines.
struct Farm {
    cluster: Cluster,
    /// URLs of the coordinators.
    coordinators: String,
    /// What clients and nodes need to reach the bucket.
    aws: Aws,
    work: TempDir,
    nodes: BTreeMap<String, Running>,
    /// Machines that ever were there.
    seen: BTreeSet<String>,
    /// Machines on which no node is ever started.
    dead: usize,
    /// Most machines at once.
    most: usize,
    was_protected: bool,
}

/// What a coordinator is told, so that a test sees a fleet come and go.
const FLEET: [&str; 12] = [
    "--fleet-driver",
    "asg",
    "--fleet-group",
    GROUP,
    "--fleet-drain-time",
    "5s",
    "--fleet-idle-time",
    "2s",
    "--fleet-register-timeout",
    "12s",
    "--fleet-step-interval",
    "1s",
];

async fn aws() -> anyhow::Result<Option<Aws>> {
    let Some(moto) = tools::moto() else {
        return Ok(None);
    };
    let moto = Moto::start(&moto).await?;
    Ok(Some(Aws::start(moto, INSTANCE_TYPE, 20).await?))
}

impl Farm {
    /// One coordinator with all that it needs.
    async fn start(args: &[&str]) -> anyhow::Result<Option<Self>> {
        let Some(aws) = aws().await? else {
            return Ok(None);
        };
        let args = [&FLEET[..], args].concat();
        let cluster = Cluster::coordinator_in(&args, &aws.environment()).await?;
        let coordinators = cluster.grpc.clone();
        Ok(Some(Self::of(cluster, coordinators, aws)?))
    }

    /// Two coordinators over one PostgreSQL; a third one lends its bucket.
    async fn of_two(postgres: &Postgres) -> anyhow::Result<Option<Self>> {
        let Some(aws) = aws().await? else {
            return Ok(None);
        };
        let url = postgres.database()?;
        let mut cluster = Cluster::coordinator().await?;
        let lent = cluster.lends().await?;
        let args = [&FLEET[..], &["--database", &url], &lent.args()].concat();
        // moto takes any keys; the bucket takes its own.
        let of_aws = aws.environment();
        let both: Vec<(&str, &str)> = of_aws.into_iter().chain(lent.environment()).collect();
        let first = cluster.start_beside(&args, &both).await?;
        let second = cluster.start_beside(&args, &both).await?;
        let coordinators = format!("{first},{second}");
        Ok(Some(Self::of(cluster, coordinators, aws)?))
    }

    fn of(cluster: Cluster, coordinators: String, aws: Aws) -> anyhow::Result<Self> {
        Ok(Self {
            cluster,
            coordinators,
            aws,
            work: tempfile::tempdir()?,
            nodes: BTreeMap::new(),
            seen: BTreeSet::new(),
            dead: 0,
            most: 0,
            was_protected: false,
        })
    }

    /// Runs `atelier` against the coordinators.
    async fn atelier(&self, folder: &Path, args: &[&str]) -> anyhow::Result<Ran> {
        let mut command = command("atelier", self.work.path());
        command
            .args(["--coordinator", &self.coordinators])
            .args(args)
            .current_dir(folder);
        run(&mut command).await
    }

    /// Submits a grid of so many photos and artists; its id.
    async fn submit(&self, photos: u32, artists: u32) -> anyhow::Result<String> {
        let folder = tempfile::tempdir_in(&self.work)?.keep();
        pictures::grid(&folder, photos, artists)?;
        let inputs = ["submit", "--photos", "photos/*.png", "--artists", "artists"];
        let submit = [&inputs[..], &["--set", "size=32", "--json"]].concat();
        let submitted = self.atelier(&folder, &submit).await?.json()?;
        Ok(submitted["grid_id"].as_str().context("no id")?.to_owned())
    }

    fn start_node(&self, machine: &str) -> anyhow::Result<Running> {
        let mut start = command("atelier-node", self.work.path());
        start
            .args([
                "run",
                "--coordinator",
                &self.coordinators,
                "--name",
                machine,
            ])
            .args(["--renderer", "simulated", "--simulated-cell-time", "400ms"])
            .args(["--simulated-batch", "1", "--instance-id", machine])
            .args(["--label", &format!("instance-type={INSTANCE_TYPE}")])
            .args(["--label", "capacity=spot", "--exit-with-stdin"])
            .arg("--cache")
            .arg(self.work.path().join(machine));
        Running::start(machine, &mut start, &self.work)
    }

    /// Does what the machines do: a node comes with each, and goes with it.
    async fn turn(&mut self) -> anyhow::Result<()> {
        let there = self.aws.machines().await?;
        self.most = self.most.max(there.len());
        self.was_protected |= !self.aws.protected().await?.is_empty();
        let gone: Vec<String> = self
            .nodes
            .keys()
            .filter(|machine| !there.contains(*machine))
            .cloned()
            .collect();
        for machine in gone {
            if let Some(mut node) = self.nodes.remove(&machine) {
                node.kill().await?;
            }
        }
        for machine in there {
            if self.seen.insert(machine.clone()) {
                if self.dead > 0 {
                    self.dead -= 1;
                    continue;
                }
                let node = self.start_node(&machine)?;
                self.nodes.insert(machine, node);
            }
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
        Ok(())
    }

    /// What `atelier fleet status` says.
    async fn status(&self) -> anyhow::Result<Value> {
        let args = ["fleet", "status", "--json"];
        self.atelier(self.work.path(), &args).await?.json()
    }

    /// Goes on until it says what is looked for.
    async fn until(
        &mut self,
        what: &str,
        is_it: impl Fn(&Self, &Value) -> bool,
    ) -> anyhow::Result<Value> {
        let mut last = Value::Null;
        for _ in 0..PATIENCE.as_millis() / 150 {
            self.turn().await?;
            last = self.status().await?;
            if is_it(self, &last) {
                return Ok(last);
            }
        }
        anyhow::bail!(
            "never saw {what}; the fleet is {last:#}; coordinators:\n{}",
            self.log()
        )
    }

    /// What the coordinators have logged.
    fn log(&self) -> String {
        let of_beside = self.cluster.beside.iter().map(Running::log);
        let logs = of_beside.chain([self.cluster.coordinator.log()]);
        logs.collect::<Vec<_>>().join("\n\n")
    }

    /// Whether every cell of it brought a picture.
    async fn is_done(&self, grid: &str) -> anyhow::Result<bool> {
        let listed = self
            .atelier(self.work.path(), &["list", "--json"])
            .await?
            .json()?;
        let grids = listed.as_array().context("a list")?;
        let found = grids.iter().find(|listed| listed["grid_id"] == grid);
        let cells = found.and_then(|found| found["cells"].as_object());
        let cells = cells.with_context(|| format!("no grid in {listed}"))?;
        let others = cells.iter().filter(|(state, _)| *state != "done");
        Ok(others.map(|(_, count)| count).all(|count| *count == 0))
    }

    async fn until_done(&mut self, grid: &str) -> anyhow::Result<()> {
        let has_work = |status: &Value| status["cells_queued"] != 0 || status["cells_running"] != 0;
        self.until("the end of the grid", |_, status| !has_work(status))
            .await?;
        anyhow::ensure!(self.is_done(grid).await?, "a cell brought no picture");
        Ok(())
    }
}

fn says(status: &Value, words: &str) -> bool {
    status.to_string().contains(words)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_grows_with_the_backlog_and_is_gone_when_all_is_done() -> anyhow::Result<()> {
    let Some(mut farm) = Farm::start(&["--fleet-max", "5"]).await? else {
        return Ok(());
    };
    let quiet = farm
        .until("a look", |_, status| says(status, "nothing to do"))
        .await?;
    assert_eq!(quiet["machines"]["desired"], 0, "{quiet}");
    let grid = farm.submit(10, 12).await?;
    // The first cell does not wait for the next look.
    farm.until("the first machine", |farm, _| farm.nodes.len() == 1)
        .await?;
    let grown = farm
        .until("growth", |farm, _| farm.nodes.len() >= 3)
        .await?;
    assert!(
        grown["nodes_wanted"].as_u64().context("a number")? >= 3,
        "{grown}"
    );
    let priced = farm
        .until("prices", |farm, status| {
            let cents = status["dollars_per_hour"]
                .as_f64()
                .map(|dollars| dollars * 100.0);
            cents.is_some_and(|cents| (cents - farm.nodes.len() as f64 * 21.0).abs() < 22.0)
        })
        .await?;
    assert!(priced["grids"][0]["name"].is_string(), "{priced}");

    // People see it on the board, too.
    if let Some(chromium) = tools::chromium() {
        let mut browser = Browser::start(&chromium, 1200, 800).await?;
        browser.go(&farm.cluster.board).await?;
        let told = "document.querySelector('#fleet').textContent";
        browser
            .until(&format!("{told}.includes('wanted by the backlog')"))
            .await?;
        browser.until(&format!("{told}.includes('busy')")).await?;
    }

    // The spot market takes one away in the middle of its work, and another one comes.
    let lost = farm.nodes.keys().next().context("a machine")?.clone();
    farm.aws.lose(&lost).await?;
    farm.until("another machine", |farm, _| !farm.nodes.contains_key(&lost))
        .await?;
    // Somebody makes the group smaller by hand than the work wants.
    farm.aws.set_desired_by_hand(1).await?;
    farm.until_done(&grid).await?;
    assert!(farm.most <= 5, "{} machines", farm.most);
    assert!(farm.was_protected, "what works is protected");
    farm.until("an empty fleet", |farm, status| {
        farm.nodes.is_empty() && status["machines"]["desired"] == 0
    })
    .await?;
    let log = farm.log();
    assert!(
        log.contains("terminating"),
        "idle machines go by their id: {log}"
    );
    // No cell was lost with a machine that the fleet itself took away.
    assert!(farm.is_done(&grid).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_survives_bad_days_of_the_cloud_and_says_what_is_the_matter() -> anyhow::Result<()>
{
    let ceiling = ["--fleet-dollars-per-hour-max", "0.5"];
    let Some(mut farm) = Farm::start(&ceiling).await? else {
        return Ok(());
    };
    farm.aws.throttle(true);
    let grid = farm.submit(6, 8).await?;
    farm.until("that it is throttled", |_, status| {
        says(status, "AWS wants fewer calls")
    })
    .await?;
    farm.aws.throttle(false);
    farm.aws.refuse(true).await?;
    farm.until("that there is no capacity", |_, status| {
        says(status, "InsufficientInstanceCapacity") && status["trouble"] == ""
    })
    .await?;
    assert_eq!(farm.seen.len(), 0, "there was no machine to be had");
    let asked = farm.aws.calls("SetDesiredCapacity");
    assert!(asked <= 2, "asked {asked} times although it was refused");

    // The first machine that comes starts no node: it is taken back, and another one does the work.
    farm.dead = 1;
    farm.aws.refuse(false).await?;
    let status = farm
        .until("that one was taken back", |_, status| {
            status["machines_taken_back"] == 1
        })
        .await?;
    assert!(says(&status, "taken_back"), "{status}");
    // Two machines cost $0.42 an hour, a third one would be above the ceiling.
    farm.until("the ceiling", |_, status| {
        says(status, "one more would be above $0.50")
    })
    .await?;
    farm.until_done(&grid).await?;
    assert!(farm.most <= 2, "{} machines", farm.most);

    // An operator has the last word.
    let scale = ["fleet", "scale", "--min", "1", "--max", "1"];
    let said = farm.atelier(farm.work.path(), &scale).await?;
    assert!(said.stderr.contains("from 1 to 1 node"), "{}", said.stderr);
    farm.until("one machine that stays", |farm, status| {
        status["nodes_min"] == 1 && farm.nodes.len() == 1 && status["machines"]["desired"] == 1
    })
    .await?;
    let off = ["fleet", "scale", "--off"];
    farm.cluster
        .atelier(farm.work.path(), &off)
        .await?
        .success()?;
    farm.until("that it is off", |_, status| says(status, "scaling is off"))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_coordinator_takes_the_fleet_over() -> anyhow::Result<()> {
    let Some(postgres) = Postgres::start()? else {
        return Ok(());
    };
    let Some(mut farm) = Farm::of_two(&postgres).await? else {
        return Ok(());
    };
    let grid = farm.submit(8, 8).await?;
    farm.until("two machines", |farm, _| farm.nodes.len() >= 2)
        .await?;
    let acts = |log: &str| log.contains("asking for machines") || log.contains("terminating");
    let second = farm.cluster.beside[1].log();
    assert!(!acts(&second), "one acts for both: {second}");
    farm.cluster.beside[0].kill().await?;
    farm.until_done(&grid).await?;
    farm.until("an empty fleet", |farm, status| {
        farm.nodes.is_empty() && status["machines"]["desired"] == 0
    })
    .await?;
    let second = farm.cluster.beside[1].log();
    assert!(second.contains("terminating"), "{second}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_is_told_to_whatever_else_scales() -> anyhow::Result<()> {
    let mut cluster = Cluster::coordinator_with(&["--fleet-max", "3"]).await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 2, 2)?;
    cluster.submit(work.path(), &["--set", "size=32"]).await?;
    let asked = format!("{}/metrics", cluster.board);
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut text = String::new();
    for _ in 0..100 {
        text = http.get(&asked).send().await?.text().await?;
        if text.contains("atelier_fleet_nodes_wanted 1\n") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for line in [
        "atelier_fleet_nodes_wanted 1\n",
        "atelier_fleet_cells_queued 4\n",
        "atelier_fleet_nodes{state=\"active\"} 0\n",
        "# EOF\n",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    let health = http
        .get(format!("{}/healthz", cluster.board))
        .send()
        .await?;
    assert!(health.status().is_success());
    let scaled = cluster
        .atelier(work.path(), &["fleet", "scale", "--max", "2"])
        .await?;
    assert!(
        scaled.stderr.contains("starts no machines"),
        "{}",
        scaled.stderr
    );
    refuses(&cluster, work.path(), &["--min", "5"], "nodes_min").await?;
    cluster.coordinator.signal(Signal::TERM)?;
    assert!(cluster.coordinator.wait().await?.success());
    Ok(())
}

async fn refuses(
    cluster: &Cluster,
    folder: &Path,
    args: &[&str],
    word: &str,
) -> anyhow::Result<()> {
    let scale = [&["fleet", "scale"], args].concat();
    let ran = cluster.atelier(folder, &scale).await?;
    assert_eq!(ran.code(), Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains(word), "{}", ran.stderr);
    Ok(())
}
