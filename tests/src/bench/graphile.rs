//! Empty jobs of Graphile Worker, a job queue in PostgreSQL, as its own performance test runs them.

use std::path::{Path, PathBuf};
use std::process::{Command as Blocking, Stdio};

use anyhow::{Context as _, ensure};
use atelier_proto::clock::Stopwatch;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::machine::output;
use super::options::Scale;
use super::say;
use crate::postgres::Postgres;

/// Jobs that a process has in hand at once.
const CONCURRENCY: u32 = 24;
/// Jobs that a process takes at once where that is allowed.
const LOCAL_QUEUE_SIZE: u32 = 500;
/// So many times as many jobs where they are done in batches, so that it takes long enough to be measured.
const JOBS_OF_BATCHES: u32 = 10;

/// Jobs that are added at once.
const JOBS_OF_TRANSACTION: usize = 5_000;

/// What it does in a second.
#[derive(Debug, Clone, PartialEq)]
pub struct Graphile {
    /// Its version.
    pub version: String,
    /// The version of Node.js.
    pub node: String,
    /// How it was run, and jobs a second.
    pub rates: Vec<(String, f64)>,
}

struct Way {
    name: &'static str,
    processes: u32,
    local_queue: u32,
}

const WAYS: [Way; 3] = [
    Way {
        name: "1 process, as it comes",
        processes: 1,
        local_queue: 0,
    },
    Way {
        name: "1 process, jobs taken 500 at a time and completed in batches",
        processes: 1,
        local_queue: LOCAL_QUEUE_SIZE,
    },
    Way {
        name: "4 processes, jobs taken 500 at a time and completed in batches",
        processes: 4,
        local_queue: LOCAL_QUEUE_SIZE,
    },
];

/// Runs it in databases of its own.
///
/// # Errors
/// When npm or Node.js is missing, or does not do what it should.
pub async fn run(server: &Postgres, workspace: &Path, scale: &Scale) -> anyhow::Result<Graphile> {
    let node = output(Blocking::new("node").arg("--version"));
    ensure!(!node.is_empty(), "there is no Node.js");
    let installed = Installed::here(workspace)?;
    let mut rates = Vec::new();
    for way in WAYS {
        let rate = installed.measure(server, &way, scale.jobs).await?;
        say(&format!("  {}: {rate:.0} jobs/s", way.name));
        rates.push((way.name.to_owned(), rate));
    }
    Ok(Graphile {
        version: installed.version,
        node,
        rates,
    })
}

struct Installed {
    folder: PathBuf,
    version: String,
}

impl Installed {
    /// Installs the version that `package.json` pins, unless it is there.
    fn here(workspace: &Path) -> anyhow::Result<Self> {
        let sources = workspace.join("tests/bench/graphile");
        let folder = workspace.join(".tools/graphile");
        std::fs::create_dir_all(&folder)?;
        for file in ["package.json", "package-lock.json", "worker.cjs"] {
            std::fs::copy(sources.join(file), folder.join(file)).context(file)?;
        }
        let package: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("package.json"))?)?;
        let version = package["dependencies"]["graphile-worker"].as_str();
        let version = version.context("no version is pinned")?.to_owned();
        let stamp = folder.join(format!("version-{version}"));
        if !stamp.exists() {
            say(&format!(
                "installing Graphile Worker {version} into .tools/"
            ));
            let mut npm = Blocking::new("npm");
            npm.args(["ci", "--silent", "--no-audit", "--no-fund"])
                .current_dir(&folder)
                .stdout(Stdio::null());
            let installed = npm.status().context("there is no npm")?;
            ensure!(installed.success(), "npm ci: {installed}");
            std::fs::write(stamp, "")?;
        }
        Ok(Self { folder, version })
    }

    /// Jobs a second, from the moment when every process is ready to the end of the last one.
    async fn measure(&self, server: &Postgres, way: &Way, jobs: u32) -> anyhow::Result<f64> {
        let jobs = if way.local_queue > 0 {
            jobs * JOBS_OF_BATCHES
        } else {
            jobs
        };
        let url = server.database()?;
        let mut workers = vec![self.start(&url, way).await?];
        let (_, database) = url.rsplit_once('/').context("no database")?;
        // In one transaction the time grows with the square of the jobs.
        for first in (1..=jobs).step_by(JOBS_OF_TRANSACTION) {
            let last = jobs.min(first + JOBS_OF_TRANSACTION as u32 - 1);
            let add = format!(
                "DO $$ BEGIN
                     PERFORM graphile_worker.add_job('nothing', json_build_object('id', i))
                     FROM generate_series({first}, {last}) i;
                 END $$"
            );
            server.execute(database, &add)?;
        }
        while workers.len() < way.processes as usize {
            workers.push(self.start(&url, way).await?);
        }
        let watch = Stopwatch::start();
        for worker in &mut workers {
            let mut stdin = worker.child.stdin.take().context("it is piped")?;
            stdin.write_all(b"go\n").await?;
        }
        let mut done = 0;
        for worker in &mut workers {
            let line = worker.line().await?;
            let told: serde_json::Value = serde_json::from_str(&line)?;
            done += told["jobs"].as_u64().context("no jobs")?;
        }
        let seconds = watch.seconds();
        ensure!(done == u64::from(jobs), "{done} of {jobs} jobs were done");
        Ok(f64::from(jobs) / seconds)
    }

    async fn start(&self, url: &str, way: &Way) -> anyhow::Result<Worker> {
        let mut command = Command::new("node");
        command
            .arg("worker.cjs")
            .args([CONCURRENCY.to_string(), way.local_queue.to_string()])
            .env("DATABASE_URL", url)
            .env("NO_LOG_SUCCESS", "1")
            .current_dir(&self.folder)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("node")?;
        let stdout = child.stdout.take().context("it is piped")?;
        let mut worker = Worker {
            child,
            stdout: BufReader::new(stdout).lines(),
        };
        let line = worker.line().await?;
        ensure!(line == "ready", "Graphile Worker says {line:?}");
        Ok(worker)
    }
}

struct Worker {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    async fn line(&mut self) -> anyhow::Result<String> {
        let line = self.stdout.next_line().await?;
        line.context("Graphile Worker ended")
    }
}
