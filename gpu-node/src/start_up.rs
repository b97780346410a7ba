//! How long a node takes from its machine's start to its first cells, phase by phase: what a new machine costs before it
//! earns anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use atelier_proto::clock::Stopwatch;

use crate::metrics::Metrics;

/// Ticks of a second in /proc. The kernel counts otherwise, and tells so on every processor that Rust's Linux targets have.
const TICKS_PER_SECOND: f64 = 100.0;

/// A part of the start. Metadata, weights and device overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// From the start of the kernel to that of this process.
    Boot,
    /// Asking the cloud what this machine is.
    Metadata,
    /// Finding, fetching and reading the network.
    Weights,
    /// Putting it on the device and trying it out there.
    Device,
    /// Reaching coordinator and bucket.
    Register,
    /// Waiting for the first cells.
    FirstLease,
}

impl Phase {
    /// As people and metrics read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Metadata => "metadata",
            Self::Weights => "weights",
            Self::Device => "device",
            Self::Register => "register",
            Self::FirstLease => "first_lease",
        }
    }
}

/// The account of a start; clones are the same one, which several nodes of one process share.
#[derive(Debug, Clone)]
pub struct StartUp(Arc<Account>);

#[derive(Debug)]
struct Account {
    metrics: Metrics,
    seconds: Mutex<BTreeMap<Phase, f64>>,
    /// Runs since the first node is registered.
    registered: OnceLock<Stopwatch>,
    told: OnceLock<()>,
}

impl StartUp {
    /// Begins, with what was before this process.
    pub fn new(metrics: Metrics) -> Self {
        let start_up = Self(Arc::new(Account {
            metrics,
            seconds: Mutex::default(),
            registered: OnceLock::new(),
            told: OnceLock::new(),
        }));
        let stat = std::fs::read_to_string("/proc/self/stat");
        if let Some(seconds) = stat.ok().and_then(|stat| started_after(&stat)) {
            start_up.note(Phase::Boot, seconds);
        }
        start_up
    }

    /// A phase has ended, which began with this stopwatch.
    pub fn took(&self, phase: Phase, since: Stopwatch) {
        self.note(phase, since.seconds());
    }

    /// A node is registered, which began to with this stopwatch.
    pub fn registered(&self, since: Stopwatch) {
        if self.0.registered.set(Stopwatch::start()).is_ok() {
            self.took(Phase::Register, since);
        }
    }

    /// A node has cells. The first time it is told how long everything took.
    pub fn leased(&self) {
        if self.0.told.set(()).is_err() {
            return;
        }
        if let Some(registered) = self.0.registered.get() {
            self.took(Phase::FirstLease, *registered);
        }
        let seconds = self.seconds().clone();
        let of = |phase| seconds.get(&phase).copied();
        tracing::info!(
            boot = of(Phase::Boot),
            metadata = of(Phase::Metadata),
            weights = of(Phase::Weights),
            device = of(Phase::Device),
            register = of(Phase::Register),
            first_lease = of(Phase::FirstLease),
            "first cells; seconds of each phase of the start"
        );
    }

    fn note(&self, phase: Phase, seconds: f64) {
        // More would not be read, and no clock here is so exact.
        let seconds = (seconds * 1000.0).round() / 1000.0;
        self.0.metrics.phase_took(phase.name(), seconds);
        self.seconds().insert(phase, seconds);
    }

    fn seconds(&self) -> MutexGuard<'_, BTreeMap<Phase, f64>> {
        // Every change is one insertion, so a panic elsewhere leaves it whole.
        let seconds = self.0.seconds.lock();
        seconds.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds from the start of the kernel to that of a process, as /proc/PID/stat has them in its 22nd field
/// (<https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>). The second one, its name in brackets, may contain
/// anything.
fn started_after(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    Some(ticks as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_process_is_found_behind_any_name() {
        let stat = "7 (a) b (c 1 2) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4217 2 3 4";
        assert_eq!(started_after(stat), Some(42.17));
        assert_eq!(started_after("7 (a) S 1"), None);
        assert_eq!(started_after(""), None);
    }

    #[test]
    fn each_phase_is_told_once() {
        let metrics = Metrics::default();
        let start_up = StartUp::new(metrics.clone());
        start_up.took(Phase::Weights, Stopwatch::start());
        start_up.registered(Stopwatch::start());
        start_up.leased();
        let text = metrics.text();
        let phase = |name: &str| {
            let line = format!("atelier_node_start_seconds{{phase=\"{name}\"}} ");
            let (_, rest) = text.split_once(&line)?;
            rest.lines().next()?.parse::<f64>().ok()
        };
        assert!(phase("boot") > Some(0.0), "{text}");
        for name in ["weights", "register", "first_lease"] {
            assert!(phase(name) < Some(10.0) && phase(name).is_some(), "{text}");
        }
        assert_eq!(phase("metadata"), None);
        let before = start_up.seconds().clone();
        std::thread::sleep(std::time::Duration::from_millis(5));
        start_up.registered(Stopwatch::start());
        start_up.leased();
        assert_eq!(*start_up.seconds(), before, "of the first node alone");
    }
}
