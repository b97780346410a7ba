//! What a process takes, as the kernel counts it.

use anyhow::Context as _;

/// Ticks of a second in `/proc`, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory of a process, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Resident now.
    pub now: u64,
    /// Most that was ever resident.
    pub peak: u64,
}

/// How much memory a process has.
///
/// # Errors
/// When there is no such process.
pub fn memory(process: u32) -> anyhow::Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    Ok(Memory {
        now: kibibytes(&status, "VmRSS:")? << 10,
        peak: kibibytes(&status, "VmHWM:")? << 10,
    })
}

/// Lets the peak of its memory be told from now on.
///
/// # Errors
/// When there is no such process of this user.
pub fn forget_peak(process: u32) -> anyhow::Result<()> {
    // See `clear_refs` in proc(5).
    Ok(std::fs::write(format!("/proc/{process}/clear_refs"), "5")?)
}

/// Files and connections that a process has open.
///
/// # Errors
/// When there is no such process of this user.
pub fn open_files(process: u32) -> anyhow::Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{process}/fd"))?.count())
}

fn kibibytes(status: &str, field: &str) -> anyhow::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let value = line.and_then(|line| line.trim().strip_suffix("kB"));
    Ok(value
        .with_context(|| format!("no {field}"))?
        .trim()
        .parse()?)
}

/// Seconds that a process has had of the processors so far; 0 when it has ended.
pub fn cpu_seconds(process: u32) -> f64 {
    times(process).map_or(0.0, |times| times.cpu_seconds)
}

/// The same with its children.
pub fn cpu_seconds_of_family(parent: u32) -> f64 {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let family = processes.filter_map(|process: u32| {
        let times = times(process)?;
        (process == parent || times.parent == parent).then_some(times.cpu_seconds)
    });
    family.sum()
}

struct Times {
    parent: u32,
    cpu_seconds: f64,
}

fn times(process: u32) -> Option<Times> {
    parse_times(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

fn parse_times(stat: &str) -> Option<Times> {
    // The name of the program, in brackets, may have anything in it.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    Some(Times {
        parent: fields.get(1)?.parse().ok()?,
        cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_brackets_and_spaces() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194560 1 0 0 0 150 50 9 9 20 0 1 0 1 1 1";
        let times = parse_times(stat).unwrap();
        assert_eq!(times.parent, 3);
        assert!((times.cpu_seconds - 2.0).abs() < 1e-9);
    }

    #[test]
    fn this_process_has_memory_and_has_had_more() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.now > 0 && memory.peak >= memory.now);
        assert!(super::memory(u32::MAX).is_err());
    }
}
