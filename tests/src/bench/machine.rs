//! What was measured on, and what was measured.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use atelier_proto::clock::{Clock, Stopwatch};

/// How often something is written through, to tell what that costs.
const SYNCS: usize = 100;
/// For how long the processors are watched before anything is started.
const BUSY_DURATION: Duration = Duration::from_secs(2);
/// File systems that keep nothing: see `linux/magic.h`.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// Names and values for the head of a section.
pub fn describe(workspace: &Path, coordinator: &Path) -> Vec<(&'static str, String)> {
    let version = output(Command::new(coordinator).arg("--version"));
    let version = version.split_whitespace().nth(1).unwrap_or("unknown");
    let describe = ["describe", "--always", "--dirty", "--abbrev=12"];
    let commit = output(Command::new("git").args(describe).current_dir(workspace));
    let busy = 100.0 * busy_share();
    vec![
        (
            "date",
            Clock::system().now().strftime("%Y-%m-%d").to_string(),
        ),
        ("processor", processor()),
        ("memory", memory()),
        (
            "system",
            format!("{}; {busy:.0} % busy before the run", system()),
        ),
        ("disk", disk(&std::env::temp_dir())),
        ("Atelier", format!("{version} {commit}").trim().to_owned()),
    ]
}

/// What a command says; nothing where there is no such command.
pub fn output(command: &mut Command) -> String {
    let ran = command.output().ok().filter(|ran| ran.status.success());
    let said = ran.map(|ran| String::from_utf8_lossy(&ran.stdout).trim().to_owned());
    said.unwrap_or_default()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// What follows a word at the beginning of a line.
fn after(text: &str, word: &str) -> Option<String> {
    let rest = text.lines().find_map(|line| line.strip_prefix(word))?;
    let rest = rest.trim_matches(|it: char| it.is_whitespace() || matches!(it, ':' | '=' | '"'));
    Some(rest.to_owned())
}

fn processor() -> String {
    let name = after(&read("/proc/cpuinfo"), "model name");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!(
        "{}, {cores} cores",
        name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
    )
}

fn memory() -> String {
    let total = after(&read("/proc/meminfo"), "MemTotal");
    let kibibytes = total.and_then(|total| total.split(' ').next()?.parse::<f64>().ok());
    kibibytes.map_or("unknown".to_owned(), |it| {
        format!("{:.0} GiB", it / f64::from(1 << 20))
    })
}

fn system() -> String {
    let name = after(&read("/etc/os-release"), "PRETTY_NAME");
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    format!(
        "{}, kernel {release}",
        name.unwrap_or_else(|| "Linux".to_owned())
    )
}

/// What it costs to write through where the databases lie.
fn disk(folder: &Path) -> String {
    let kind = rustix::fs::statfs(folder).map_or(0, |found| found.f_type);
    let warning = if kind == TMPFS_MAGIC {
        ": memory, where it costs nothing"
    } else {
        ""
    };
    match median_sync(folder) {
        Ok(median) => format!(
            "writing 4 KiB through takes {:.2} ms{warning}",
            1e3 * median
        ),
        Err(error) => format!("unknown: {error}"),
    }
}

/// Seconds.
fn median_sync(folder: &Path) -> std::io::Result<f64> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[1; 4096])?;
        let waited = Stopwatch::start();
        file.sync_data()?;
        times.push(waited.seconds());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[SYNCS / 2])
}

/// Share of the processors' time that other programs take now; the load average would still count what was built a
/// minute ago.
fn busy_share() -> f64 {
    let before = times();
    std::thread::sleep(BUSY_DURATION);
    let after = times();
    let all = after.0 - before.0;
    if all > 0.0 {
        1.0 - (after.1 - before.1) / all
    } else {
        0.0
    }
}

/// Ticks of all processors, and those of them that were idle or waited for a disk.
fn times() -> (f64, f64) {
    let line = after(&read("/proc/stat"), "cpu ").unwrap_or_default();
    let counts: Vec<f64> = line
        .split_whitespace()
        .filter_map(|it| it.parse().ok())
        .collect();
    let idle = counts.iter().skip(3).take(2).sum();
    (counts.iter().take(8).sum(), idle)
}
