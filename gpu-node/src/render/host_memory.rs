//! How much memory of the host a render may count on: what Linux can give without swapping, and no more than the control groups
//! of this process let it have, as in containers.

use std::fs::read_to_string;
use std::path::Path;

/// Bytes that can be had now; `None` where Linux does not say.
pub(super) fn available_bytes() -> Option<u64> {
    let of_host = of_host(&read_to_string("/proc/meminfo").ok()?)?;
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_groups = of_groups(Path::new("/sys/fs/cgroup"), &groups);
    Some(of_groups.map_or(of_host, |bytes| bytes.min(of_host)))
}

fn of_host(meminfo: &str) -> Option<u64> {
    let mut lines = meminfo.lines();
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The least that a control group of version 2 leaves, from that of this process up to the root
/// (<https://docs.kernel.org/admin-guide/cgroup-v2.html>); `None` without a limit.
fn of_groups(root: &Path, groups: &str) -> Option<u64> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // Seen from within a container, a group may seem to lie outside of it: then the root is its own.
    let own = if own.starts_with("..") { "" } else { own };
    let folder = root.join(own);
    let groups = folder.ancestors().take_while(|it| it.starts_with(root));
    groups.filter_map(room).min()
}

/// What a group may still take: files that it has cached give way.
fn room(group: &Path) -> Option<u64> {
    let number = |name| {
        read_to_string(group.join(name))
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    // Without a limit it says `max`.
    let limit = number("memory.max")?;
    let used = number("memory.current").unwrap_or(0);
    let stat = read_to_string(group.join("memory.stat")).unwrap_or_default();
    let mut lines = stat.lines();
    let cached = lines.find_map(|line| line.strip_prefix("inactive_file ")?.parse().ok());
    Some(limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_group_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let told = |groups: &str| of_groups(root.path(), groups);
        let own = "1:name=systemd:/\n0::/pods/node\n";
        assert_eq!(told(own), None);
        write("pods/node/memory.max", "max\n");
        write("pods/memory.max", "4000\n");
        assert_eq!(told(own), Some(4000));
        write("pods/memory.current", "1500\n");
        write(
            "pods/memory.stat",
            "anon 900\ninactive_file 500\nslab 100\n",
        );
        assert_eq!(told(own), Some(3000));
        write("pods/node/memory.max", "2000\n");
        write("pods/node/memory.current", "2500\n");
        assert_eq!(told(own), Some(0));
        // In a container with a view of its own, the root is its group.
        write("memory.max", "700\n");
        for within in ["0::/\n", "0::/../elsewhere\n"] {
            assert_eq!(told(within), Some(700), "{within}");
        }
        assert_eq!(told("5:memory:/old\n"), None);
    }

    #[test]
    fn linux_says_what_it_has() {
        assert_eq!(
            of_host("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(of_host("MemTotal: 9 kB\n"), None);
        assert!(available_bytes().unwrap() > 0);
    }
}
