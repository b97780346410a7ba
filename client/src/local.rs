//! A whole atelier on this machine: the real programs as child processes, started and stopped in order.
//!
//! However this process dies, its children end with it: each has a pipe as its standard input, whose other end
//! only this process holds, and leaves when the pipe ends. They are told everything by arguments and nothing
//! by the environment. Ctrl-C reaches this process alone, so that nodes can give back what they hold before the
//! coordinator goes.

mod error;
mod program;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

pub use self::error::LocalError;
use self::program::Program;
pub use self::program::program;
use crate::printer::Printer;
use crate::text::{printable, shortened};

/// How long a coordinator may take until it serves. It may have a large database to look through.
const READY_TIMEOUT: Duration = Duration::from_mins(1);
/// Where the coordinator keeps the board's key, in its data folder.
const BOARD_KEY_FILE: &str = "board-key";
/// How long a node may take to give back its cells and leave.
const NODE_GRACE: Duration = Duration::from_secs(30);
/// How long the coordinator may take to leave.
const COORDINATOR_GRACE: Duration = Duration::from_secs(10);
/// A node that lived for less died quickly.
const QUICK_DEATH: Duration = Duration::from_secs(30);
/// Quick deaths in a row after which a node is not started again.
const QUICK_DEATHS_MAX: u32 = 3;
/// The wait before a node is started again; it grows with each quick death.
const RESTART_WAIT: Duration = Duration::from_secs(1);

/// What an atelier on this machine is like.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// Database, objects, caches and logs.
    pub data: PathBuf,
    /// Address of the coordinator; port 0 takes any that is free.
    pub listen: String,
    /// Address of its S3 endpoint.
    pub s3_listen: String,
    /// Address of its board.
    pub board_listen: String,
    /// How many nodes.
    pub nodes: u32,
    /// Which network they paint with: a file, `untrained` or `auto`.
    pub weights: String,
    /// What they render on: `auto`, `cpu` or `cuda:N`.
    pub device: String,
}

/// A coordinator and its nodes, running.
#[derive(Debug)]
pub struct Atelier {
    config: LocalConfig,
    ready: Ready,
    coordinator: Program,
    nodes: Vec<Node>,
    /// Nodes of one machine choose the same network, so one of them tells of it for all.
    notice_told: AtomicBool,
}

#[derive(Debug)]
struct Node {
    number: u32,
    program: Program,
    alive: Stopwatch,
    quick_deaths: u32,
}

/// What the coordinator prints when it serves.
#[derive(Debug, Deserialize)]
struct ReadyLine {
    ready: Ready,
}

#[derive(Debug, Deserialize)]
struct Ready {
    grpc: String,
    #[serde(default)]
    s3: String,
    #[serde(default)]
    board: String,
}

/// What a node prints when it can render.
#[derive(Debug, Deserialize)]
struct NodeReadyLine {
    ready: NodeReady,
}

#[derive(Debug, Deserialize)]
struct NodeReady {
    /// Why it paints with another network than people expect.
    notice: Option<String>,
}

impl Node {
    /// Passes on what the node has to say, until it ends. May be dropped and called again.
    async fn ended(&mut self, printer: &Printer, notice_told: &AtomicBool) -> Option<ExitStatus> {
        while let Some(line) = self.program.line().await {
            let notice = serde_json::from_str(&line)
                .ok()
                .and_then(|NodeReadyLine { ready }| ready.notice);
            if let Some(notice) = notice
                && !notice_told.swap(true, Ordering::Relaxed)
            {
                printer.warn(&printable(&notice));
            }
        }
        self.program.ended().await
    }
}

impl Atelier {
    /// Starts a coordinator, waits until it serves, and starts its nodes, which need some moments more. `None` when
    /// `shutdown` came first; nothing runs then.
    ///
    /// # Errors
    /// A program that is not there or does not start.
    pub async fn start(
        config: LocalConfig,
        shutdown: &CancellationToken,
    ) -> Result<Option<Self>, LocalError> {
        let mut coordinator = start_coordinator(&config)?;
        let waiting = shutdown.run_until_cancelled(wait_until_ready(&mut coordinator));
        let Some(ready) = waiting.await.transpose()? else {
            coordinator.stop(COORDINATOR_GRACE).await;
            return Ok(None);
        };
        let mut atelier = Self {
            config,
            ready,
            coordinator,
            nodes: Vec::new(),
            notice_told: AtomicBool::new(false),
        };
        for number in 1..=atelier.config.nodes {
            let program = atelier.start_node(number)?;
            atelier.nodes.push(Node {
                number,
                program,
                alive: Stopwatch::start(),
                quick_deaths: 0,
            });
        }
        Ok(Some(atelier))
    }

    /// URL of the coordinator.
    pub fn url(&self) -> &str {
        &self.ready.grpc
    }

    /// URL of its board.
    pub fn board_url(&self) -> &str {
        &self.ready.board
    }

    /// The same for whoever may act there: with the key that the coordinator keeps in its data folder.
    pub fn board_url_to_act(&self) -> String {
        let key = std::fs::read_to_string(self.data().join(BOARD_KEY_FILE));
        key.map_or_else(
            |_| self.ready.board.clone(),
            |key| {
                format!(
                    "{}/#key={}",
                    self.ready.board.trim_end_matches('/'),
                    key.trim()
                )
            },
        )
    }

    /// URL of its S3 endpoint.
    pub fn s3_url(&self) -> &str {
        &self.ready.s3
    }

    /// Where it keeps everything.
    pub fn data(&self) -> &Path {
        &self.config.data
    }

    /// Starts nodes again that died, until that helps no more or the coordinator dies; may be dropped at any time.
    pub async fn supervise(&mut self, printer: &Printer) -> LocalError {
        loop {
            let nodes = self
                .nodes
                .iter_mut()
                .map(|node| Box::pin(node.ended(printer, &self.notice_told)));
            let nodes: Vec<_> = nodes.collect();
            let node_ended = async {
                if nodes.is_empty() {
                    std::future::pending().await
                } else {
                    let (status, index, _) = futures::future::select_all(nodes).await;
                    (index, status)
                }
            };
            let (index, status) = tokio::select! {
                status = self.coordinator.ended() => {
                    return LocalError::CoordinatorDied(self.coordinator.last_words(status));
                }
                node_ended = node_ended => node_ended,
            };
            if let Err(error) = self.restart(printer, index, status).await {
                return error;
            }
        }
    }

    async fn restart(
        &mut self,
        printer: &Printer,
        index: usize,
        status: Option<ExitStatus>,
    ) -> Result<(), LocalError> {
        let node = &mut self.nodes[index];
        let is_quick = node.alive.elapsed() < QUICK_DEATH;
        let quick_deaths = if is_quick { node.quick_deaths + 1 } else { 1 };
        let words = node.program.last_words(status);
        if words.is_for_good() || quick_deaths >= QUICK_DEATHS_MAX {
            return Err(LocalError::NodeDied(words));
        }
        printer.warn(&format!(
            "node-{} died ({}) and is started again; its log is {}",
            node.number,
            words.ended,
            words.log.display()
        ));
        tokio::time::sleep(RESTART_WAIT * quick_deaths).await;
        let number = node.number;
        let program = self.start_node(number)?;
        let node = &mut self.nodes[index];
        *node = Node {
            number,
            program,
            alive: Stopwatch::start(),
            quick_deaths,
        };
        Ok(())
    }

    /// Stops the nodes, which give back what they hold, and then the coordinator.
    pub async fn stop(mut self) {
        let nodes = self.nodes.iter_mut();
        futures::future::join_all(nodes.map(|node| node.program.stop(NODE_GRACE))).await;
        self.coordinator.stop(COORDINATOR_GRACE).await;
    }

    fn start_node(&self, number: u32) -> Result<Program, LocalError> {
        let config = &self.config;
        let name = format!("node-{number}");
        let cache = config.data.join("cache").join(&name);
        let mut command = program::command("atelier-node")?;
        command
            .args(["run", "--exit-with-stdin"])
            .args(["--coordinator", self.url()])
            .args(["--name", &name])
            .args(["--weights", &config.weights])
            .args(["--device", &config.device])
            .arg("--cache")
            .arg(cache);
        if config.nodes > 1 {
            // Each would take every core otherwise, and all of them wait for one another.
            let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
            let threads = (cores / config.nodes as usize).max(1).to_string();
            for variable in ["OMP_NUM_THREADS", "MKL_NUM_THREADS"] {
                command.env(variable, &threads);
            }
        }
        Program::start(&name, command, &config.data)
    }
}

fn start_coordinator(config: &LocalConfig) -> Result<Program, LocalError> {
    let mut command = program::command("atelier-coordinator")?;
    command
        .arg("--exit-with-stdin")
        .args(["--listen", &config.listen])
        .args(["--s3-listen", &config.s3_listen])
        .args(["--board-listen", &config.board_listen])
        .arg("--data")
        .arg(&config.data);
    Program::start("coordinator", command, &config.data)
}

async fn wait_until_ready(coordinator: &mut Program) -> Result<Ready, LocalError> {
    let line = match tokio::time::timeout(READY_TIMEOUT, coordinator.line()).await {
        Ok(Some(line)) => line,
        Ok(None) => {
            let status = coordinator.ended().await;
            return Err(LocalError::NotStarted(coordinator.last_words(status)));
        }
        Err(_) => return Err(LocalError::NotReady(coordinator.last_words(None))),
    };
    match serde_json::from_str(&line) {
        Ok(ReadyLine { ready }) => Ok(ready),
        Err(_) => Err(LocalError::StrangeAnswer {
            line: shortened(&printable(&line), 200),
        }),
    }
}
