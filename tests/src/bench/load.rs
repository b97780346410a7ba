//! Nodes at work, and what that takes.

use std::time::Duration;

use atelier_proto::clock::Stopwatch;

use super::options::Scale;
use super::probe::{Leases, Probe};
use super::site::{Site, Submission};
use super::watchers::Watchers;
use super::{process, say};
use crate::programs::Running;

/// Seconds of work of a block, and its most cells; a node has some blocks at hand.
const BLOCK_SECONDS: f64 = 45.0;
const BLOCK_CELLS_MAX: f64 = 64.0;
const BLOCKS_HELD_MAX: f64 = 4.0;
/// How long watchers watch before that is measured.
const SETTLE_DURATION: Duration = Duration::from_secs(5);
/// Between two looks at how far it is.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What was seen in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// How long it was, seconds.
    pub seconds: f64,
    /// Cells that were done in it.
    pub done: u64,
    /// Done in its slowest second.
    pub slowest: u64,
    /// Cells that wait for nodes at its end.
    pub queued: u64,
    /// Leases of the probe.
    pub leases: Leases,
    /// Processors that each took: 1 is one core.
    pub cores: Cores,
    /// Resident bytes of the coordinator, second by second.
    pub memory: Vec<u64>,
}

/// Processors that were busy for each part.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cores {
    /// The coordinator.
    pub coordinator: f64,
    /// PostgreSQL.
    pub database: f64,
    /// All nodes.
    pub nodes: f64,
    /// This process: the probe and the watchers.
    pub here: f64,
}

impl Seen {
    /// Cells done in a second.
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.seconds
    }
}

/// Nodes at one speed, measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Cells that the nodes could do in a second.
    pub offered: f64,
    /// The windows: one, or one before, one with and one after the watchers.
    pub windows: Vec<Seen>,
    /// Messages that the watchers got in a second.
    pub messages_per_second: Option<f64>,
    /// Watchers that broke off.
    pub watchers_lost: u64,
    /// Cells that failed.
    pub failed: u64,
    /// Lines of warnings and errors that nodes logged.
    pub node_warnings: usize,
    /// Lines of warnings and errors that the coordinator logged.
    pub coordinator_warnings: usize,
}

/// Puts nodes to work at a coordinator that is new, and measures; the first grid, as it was submitted, too.
///
/// # Errors
/// When a program fails.
pub async fn run(
    site: &mut Site<'_>,
    scale: &Scale,
    cell_time: Duration,
    is_watched: bool,
) -> anyhow::Result<(Submission, Loaded)> {
    let offered = f64::from(scale.nodes) / cell_time.as_secs_f64();
    let first = site.submit(scale.cells).await?;
    say(&format!(
        "  {} cells submitted in {:.2} s",
        first.cells, first.seconds
    ));
    let block = (BLOCK_SECONDS / cell_time.as_secs_f64()).clamp(1.0, BLOCK_CELLS_MAX);
    let held = f64::from(scale.nodes) * block * BLOCKS_HELD_MAX;
    site.queue(
        (held + offered * scale.warm_up.as_secs_f64()) as u64,
        scale.cells,
    )
    .await?;
    let mut nodes = site.start_nodes(scale, cell_time).await?;
    say(&format!("  {} nodes", scale.nodes));
    let before = site.cells().await?.done;
    tokio::time::sleep(scale.warm_up).await;
    // What is done in the first seconds says what the window needs, generously.
    let rate = (site.cells().await?.done - before) as f64 / scale.warm_up.as_secs_f64();
    let of_window = (2.0 * rate).max(offered / 4.0) * scale.window.as_secs_f64();
    let mut loaded = Loaded {
        offered,
        windows: Vec::new(),
        messages_per_second: None,
        watchers_lost: 0,
        failed: 0,
        node_warnings: 0,
        coordinator_warnings: 0,
    };
    let count = if is_watched { 3 } else { 1 };
    for number in 0..count {
        site.queue((of_window + held / BLOCKS_HELD_MAX) as u64, scale.cells)
            .await?;
        let watchers = if number == 1 {
            let watchers = Watchers::start(&site.grpc, &first.grid, scale.watchers).await?;
            say(&format!("  {} watchers", scale.watchers));
            Some(watchers)
        } else {
            None
        };
        tokio::time::sleep(SETTLE_DURATION).await;
        let messages = watchers.as_ref().map(Watchers::messages);
        let seen = window(site, &nodes, scale.window).await?;
        if let (Some(watchers), Some(messages)) = (watchers, messages) {
            let heard = (watchers.messages() - messages) as f64;
            loaded.messages_per_second = Some(heard / seen.seconds);
            loaded.watchers_lost = watchers.lost();
            watchers.stop().await;
        }
        loaded.windows.push(seen);
    }
    loaded.failed = site.cells().await?.failed;
    nodes.kill().await?;
    loaded.node_warnings = warnings(&nodes);
    loaded.coordinator_warnings = warnings(&site.coordinator);
    Ok((first, loaded))
}

async fn window(site: &Site<'_>, nodes: &Running, duration: Duration) -> anyhow::Result<Seen> {
    let coordinator = site.process()?;
    let node = nodes.id().unwrap_or_default();
    let cpu = || -> anyhow::Result<[f64; 4]> {
        Ok([
            process::cpu_seconds(coordinator),
            site.database.cpu_seconds()?,
            process::cpu_seconds(node),
            process::cpu_seconds(std::process::id()),
        ])
    };
    let probe = Probe::start(&site.grpc).await?;
    let mut memory = vec![process::memory(coordinator)?.now];
    let watch = Stopwatch::start();
    let (begun, cpu_before) = (site.cells().await?, cpu()?);
    let (mut last, mut slowest) = ((begun.done, 0.0), f64::MAX);
    while watch.elapsed() < duration {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let (now, seconds) = (site.cells().await?, watch.seconds());
        slowest = slowest.min((now.done - last.0) as f64 / (seconds - last.1));
        last = (now.done, seconds);
        memory.push(process::memory(coordinator)?.now);
    }
    let ended = site.cells().await?;
    let seconds = watch.seconds();
    let cpu_after = cpu()?;
    // It waits for its last answer.
    let leases = probe.stop().await?;
    let cores = |part: usize| (cpu_after[part] - cpu_before[part]) / seconds;
    let seen = Seen {
        seconds,
        done: ended.done - begun.done,
        slowest: slowest as u64,
        queued: ended.queued,
        leases,
        cores: Cores {
            coordinator: cores(0),
            database: cores(1),
            nodes: cores(2),
            here: cores(3),
        },
        memory,
    };
    let milliseconds = |share| 1e3 * seen.leases.quantile(share).unwrap_or(f64::NAN);
    say(&format!(
        "  {:.0} completions/s; Lease {:.1} ms, at most {:.1} for 99 %; {:.2} cores at the coordinator, {:.2} at the \
         database, {:.2} at the nodes, {:.2} here; {} queued",
        seen.rate(),
        milliseconds(0.5),
        milliseconds(0.99),
        seen.cores.coordinator,
        seen.cores.database,
        seen.cores.nodes,
        seen.cores.here,
        seen.queued,
    ));
    Ok(seen)
}

/// Lines of a log that warn.
fn warnings(of: &Running) -> usize {
    let log = of.log();
    let warns = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
    log.lines().filter(warns).count()
}
