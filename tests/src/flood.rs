//! `make bench-flood`: what callers who behave feel while another floods the coordinator.
//!
//! A coordinator that asks who calls serves three: a client and a node that make a call at a time and measure how long it takes
//! ([`caller`]), simulated nodes that keep their leases and deliver, and a flooder in a process of its own who has a valid token
//! and means harm ([`attack`]). Windows with a flood stand between windows without one. [`report`] makes the table; nothing is
//! asserted.

pub mod attack;
pub mod caller;
pub mod report;
pub mod stream;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use atelier_proto::clock::Stopwatch;
use atelier_proto::v1;
use clap::{Parser, ValueEnum as _};
use tempfile::TempDir;
use tokio::process::Command;

use self::attack::{Attack, Sent, TOKEN_VARIABLE};
use self::caller::{Behaved, Calls, register};
use self::report::{Measured, Window};
use crate::bench::{machine, process, watchers};
use crate::identity::{Caller, small_grid};
use crate::metrics::scrape_as;
use crate::programs::{Running, command, folder};

/// Photos and artists of the grids that nodes render meanwhile: 10,000 cells.
const SIDE: u32 = 100;
/// Nodes that deliver meanwhile, and how long each works for a cell.
const NODES: u32 = 50;
const CELL_TIME: Duration = Duration::from_millis(500);
/// What a coordinator is given after a flood before it is looked at again.
const CALM_DURATION: Duration = Duration::from_secs(3);
/// How long after the beginning of a flood the window begins.
const RISE_DURATION: Duration = Duration::from_secs(1);
/// Between two looks at memory.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Measures what callers who behave feel while another floods the coordinator
///
/// The table goes to standard output, what is going on to standard error.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench-flood", version)]
pub struct Options {
    /// Windows of 3 s, to try it out. Nothing is written then
    #[arg(long)]
    pub quick: bool,
    /// How long each flood is looked at [default: 20s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub window: Option<Duration>,
    /// The floods, one after the other [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME")]
    pub attacks: Vec<Attack>,
    /// What the coordinator is told besides, as in --coordinator-arg=--client-rate=100
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub coordinator_arg: Vec<String>,
    /// Put the table into this file, over the last one of its kind
    #[arg(long, value_name = "FILE", conflicts_with = "quick")]
    pub write: Option<PathBuf>,
    /// Flood the coordinator at --grpc until standard input ends, and say what was sent: what this program starts of itself
    #[arg(long, value_name = "NAME", requires_all = ["grpc", "grid"], hide = true)]
    pub flood: Option<Attack>,
    /// URL of the coordinator that is flooded
    #[arg(long, value_name = "URL", hide = true)]
    pub grpc: Option<String>,
    /// A grid of the flooder's
    #[arg(long, value_name = "GRID", hide = true)]
    pub grid: Option<String>,
}

impl Options {
    fn window(&self) -> Duration {
        let seconds = if self.quick { 3 } else { 20 };
        self.window.unwrap_or(Duration::from_secs(seconds))
    }

    fn attacks(&self) -> &[Attack] {
        if self.attacks.is_empty() {
            Attack::value_variants()
        } else {
            &self.attacks
        }
    }
}

/// Measures what the options ask for.
///
/// # Errors
/// When a program fails.
pub async fn run(options: &Options) -> anyhow::Result<Measured> {
    watchers::allow_connections()?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let machine = machine::describe(&workspace, &folder().join("atelier-coordinator"));
    let mut site = Site::start(&options.coordinator_arg).await?;
    let mut windows = vec![site.window(None, options.window()).await?];
    for &attack in options.attacks() {
        windows.push(site.window(Some(attack), options.window()).await?);
        tokio::time::sleep(CALM_DURATION).await;
    }
    windows.push(site.window(None, options.window()).await?);
    site.nodes.kill().await?;
    Ok(Measured {
        machine,
        nodes: NODES,
        rate: f64::from(NODES) / CELL_TIME.as_secs_f64(),
        seconds: options.window().as_secs_f64(),
        coordinator_args: options.coordinator_arg.clone(),
        windows,
    })
}

/// A coordinator with everybody who calls it.
struct Site {
    folder: TempDir,
    coordinator: Running,
    grpc: String,
    metrics: String,
    operator: Caller,
    client: Caller,
    node: Caller,
    node_id: String,
    flooder: Caller,
    /// A grid of the client, of one cell, and its twin of 10,000 that nodes render.
    small: v1::SubmitRequest,
    large: v1::SubmitRequest,
    /// A grid of the flooder.
    target: String,
    nodes: Running,
}

impl Site {
    async fn start(args: &[String]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("atelier-flood").tempdir()?;
        let data = folder.path().join("data");
        let mut start = command("atelier-coordinator", folder.path());
        start
            .args(["--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"])
            .args(["--metrics-listen", "127.0.0.1:0", "--no-board"])
            .args(["--identity", "required", "--exit-with-stdin", "--data"])
            .arg(&data)
            .args(args);
        let mut coordinator = Running::start("coordinator", &mut start, &folder)?;
        let ready: serde_json::Value = serde_json::from_str(&coordinator.line().await?)?;
        let url = |name: &str| {
            let url = ready["ready"][name].as_str().map(str::to_owned);
            url.with_context(|| format!("no URL of {name} in {ready}"))
        };
        let (grpc, metrics) = (url("grpc")?, url("metrics")?);
        let operator = Caller::operator(&grpc, &data).await?;
        let (client, _) = operator
            .new_token(&grpc, "client", v1::Role::Client)
            .await?;
        let (node, _) = operator.new_token(&grpc, "node", v1::Role::Node).await?;
        let (flooder, _) = operator
            .new_token(&grpc, "flooder", v1::Role::Client)
            .await?;
        let small = small_grid(&operator.bucket().await?, "small").await?;
        let large = large_grid(&small);
        client.grids().submit(large.clone()).await?;
        let answer = flooder.grids().submit(large_grid(&small)).await?;
        let target = answer.into_inner().grid_id;
        let node_id = register(&node).await?;
        let nodes = start_nodes(&folder, &grpc, &node).await?;
        Ok(Self {
            folder,
            coordinator,
            grpc,
            metrics,
            operator,
            client,
            node,
            node_id,
            flooder,
            small,
            large,
            target,
            nodes,
        })
    }

    async fn window(
        &mut self,
        attack: Option<Attack>,
        duration: Duration,
    ) -> anyhow::Result<Window> {
        let name = attack.map_or("none", Attack::name);
        say(&format!("flood: {name}"));
        // What was rendered is queued again, so that no window runs dry.
        self.large.request_id = small_id();
        self.client.grids().submit(self.large.clone()).await?;
        let process = self.coordinator.id().context("the coordinator ended")?;
        process::forget_peak(process)?;
        let files_before = process::open_files(process)?;
        let mut flooding = match attack {
            Some(attack) => Some(self.flood(attack)?),
            None => None,
        };
        tokio::time::sleep(RISE_DURATION).await;
        let (done_before, refused_before) = self.counted().await?;
        let cpu_before = process::cpu_seconds(process);
        let watch = Stopwatch::start();
        let behaved = Behaved {
            client: self.client.clone(),
            node: self.node.clone(),
            node_id: self.node_id.clone(),
            grid: self.small.clone(),
        };
        let behaving = tokio::spawn(behaved.call_for(duration));
        let mut files_most = files_before;
        while watch.elapsed() < duration {
            tokio::time::sleep(LOOK_INTERVAL).await;
            files_most = files_most.max(process::open_files(process)?);
        }
        let seconds = watch.seconds();
        let cores = (process::cpu_seconds(process) - cpu_before) / seconds;
        let (done, refused) = self.counted().await?;
        let calls: Calls = behaving.await?;
        let sent = match &mut flooding {
            Some(flooding) => Some(ended(flooding).await?),
            None => None,
        };
        let peak = process::memory(process)?.peak;
        tokio::time::sleep(CALM_DURATION).await;
        let window = Window {
            attack,
            seconds,
            calls,
            completions: (done - done_before) / seconds,
            cores,
            peak,
            files: [files_before, files_most, process::open_files(process)?],
            refused: refused
                .into_iter()
                .filter_map(|(limit, count)| {
                    let before = refused_before.get(&limit).copied().unwrap_or(0.0);
                    (count > before).then_some((limit, (count - before) as u64))
                })
                .collect(),
            sent,
        };
        say(&format!("  {}", window.in_short()));
        Ok(window)
    }

    fn flood(&self, attack: Attack) -> anyhow::Result<Running> {
        let mut start = Command::new(std::env::current_exe()?);
        start
            .args(["--flood", attack.name()])
            .args(["--grpc", &self.grpc, "--grid", &self.target])
            .env(TOKEN_VARIABLE, &self.flooder.token)
            .kill_on_drop(true);
        Running::start("flooder", &mut start, &self.folder)
    }

    /// What the coordinator counts: cells that were done, and refusals by limit.
    async fn counted(&self) -> anyhow::Result<(f64, BTreeMap<String, f64>)> {
        const DONE: &str = "atelier_coordinator_attempts_total{outcome=\"done\"}";
        const REFUSALS: &str = "atelier_coordinator_refusals_total{limit=\"";
        let values = scrape_as(&self.metrics, &self.operator.token).await?;
        let done = values.get(DONE).map_or(Ok(0.0), |value| value.parse())?;
        let refused = values.iter().filter_map(|(name, value)| {
            let limit = name.strip_prefix(REFUSALS)?.strip_suffix("\"}")?;
            Some((limit.to_owned(), value.parse().ok()?))
        });
        Ok((done, refused.collect()))
    }
}

async fn ended(flooding: &mut Running) -> anyhow::Result<Sent> {
    flooding.end_stdin();
    Ok(serde_json::from_str(&flooding.line().await?)?)
}

fn small_id() -> String {
    atelier_proto::ids::RequestId::generate().to_string()
}

/// A grid of 10,000 cells of what another has.
fn large_grid(small: &v1::SubmitRequest) -> v1::SubmitRequest {
    let photos = small.photos.iter().cycle().zip(0..SIDE);
    let artists = small.artists.iter().cycle().zip(0..SIDE);
    v1::SubmitRequest {
        request_id: small_id(),
        name: "large".to_owned(),
        photos: photos
            .map(|(photo, number)| v1::Photo {
                name: format!("photo {number}"),
                ..photo.clone()
            })
            .collect(),
        artists: artists
            .map(|(artist, number)| v1::Artist {
                name: format!("artist {number}"),
                ..artist.clone()
            })
            .collect(),
        ..small.clone()
    }
}

async fn start_nodes(folder: &TempDir, grpc: &str, node: &Caller) -> anyhow::Result<Running> {
    let mut start = command("atelier-node", folder.path());
    start
        .args(["run", "--coordinator", grpc, "--name", "node"])
        .args(["--log", "warn", "--exit-with-stdin"])
        .args(["--renderer", "simulated", "--simulated-uploads", "off"])
        .args(["--simulated-nodes", &NODES.to_string()])
        .args([
            "--simulated-cell-time",
            &format!("{}ms", CELL_TIME.as_millis()),
        ])
        .env(atelier_proto::connect::TOKEN_VARIABLE, &node.token);
    let mut nodes = Running::start("nodes", &mut start, folder)?;
    nodes.line().await?;
    Ok(nodes)
}

/// What is going on, for whoever waits.
fn say(text: &str) {
    // Whoever waits may have closed it; the table is what counts.
    let _ = writeln!(std::io::stderr(), "bench-flood: {text}");
}
