//! The table of the floods.

use std::collections::BTreeMap;

use super::attack::{Attack, Sent};
use super::caller::{Calls, quantile};
use crate::markdown::{grouped, mebibytes, table};

/// A time with a flood, or without.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The flood.
    pub attack: Option<Attack>,
    /// How long it was.
    pub seconds: f64,
    /// What callers who behave measured.
    pub calls: Calls,
    /// Cells that nodes completed in a second.
    pub completions: f64,
    /// Processors that the coordinator took.
    pub cores: f64,
    /// Most resident bytes of the coordinator.
    pub peak: u64,
    /// Files and connections that the coordinator had open: before, at most, and some seconds after.
    pub files: [usize; 3],
    /// What the coordinator refused, by limit.
    pub refused: BTreeMap<String, u64>,
    /// What the flooder sent, from the beginning to the end of the flood.
    pub sent: Option<Sent>,
}

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Names and values.
    pub machine: Vec<(&'static str, String)>,
    /// Nodes that delivered meanwhile.
    pub nodes: u32,
    /// Cells that they could do in a second.
    pub rate: f64,
    /// Seconds of a window.
    pub seconds: f64,
    /// What the coordinator was told beyond its defaults.
    pub coordinator_args: Vec<String>,
    /// Window by window.
    pub windows: Vec<Window>,
}

impl Window {
    /// Milliseconds of all calls of those who behave that this share did not exceed.
    fn milliseconds(&self, share: f64) -> Option<f64> {
        let mut all = [&self.calls.client[..], &self.calls.node].concat();
        all.sort_by(f64::total_cmp);
        Some(1e3 * quantile(&all, share)?)
    }

    fn failed(&self) -> u64 {
        self.calls.failed.values().sum()
    }

    /// A line, for whoever waits.
    pub fn in_short(&self) -> String {
        format!(
            "{} ms, at most {} for 99 %, {} of {} failed {:?}; {} completions/s; {} MiB, {:.2} cores, files {:?}; refused {:?}; {:?}",
            told(self.milliseconds(0.5)),
            told(self.milliseconds(0.99)),
            self.failed(),
            self.calls.client.len() + self.calls.node.len(),
            self.calls.failed,
            grouped(self.completions),
            mebibytes(self.peak),
            self.cores,
            self.files,
            self.refused,
            self.sent,
        )
    }
}

/// Milliseconds, or nothing.
fn told(milliseconds: Option<f64>) -> String {
    milliseconds.map_or(String::new(), |it| format!("{it:.1}"))
}

/// Arguments as they stand behind others.
fn told_args(args: &[String]) -> String {
    args.iter()
        .fold(String::new(), |told, arg| told + " `" + arg + "`")
}

impl Measured {
    /// The section.
    pub fn section(&self) -> String {
        let worst = |is_flooded: bool| {
            let windows = self.windows.iter();
            let windows = windows.filter(|window| window.attack.is_some() == is_flooded);
            let milliseconds = windows.filter_map(|window| window.milliseconds(0.99));
            told(milliseconds.reduce(f64::max))
        };
        let mut lines = vec![
            "## One coordinator, flooded".to_owned(),
            String::new(),
            format!(
                "**Calls of others take at most {} ms for 99 % under the worst flood**, {} ms without one.",
                worst(true),
                worst(false)
            ),
            String::new(),
        ];
        let machine = self.machine.iter();
        lines.extend(machine.map(|(name, value)| format!("- {name}: {value}")));
        lines.push(format!(
            "- {} simulated nodes that could do {} cells/s, on SQLite; `--identity required`{}; windows of {:.0} s",
            self.nodes,
            grouped(self.rate),
            told_args(&self.coordinator_args),
            self.seconds
        ));
        lines.extend([String::new(), self.felt(), String::new(), self.did()]);
        lines.join("\n") + "\n"
    }

    /// What those who behave felt.
    fn felt(&self) -> String {
        let rows = self.windows.iter().map(|window| {
            let of = |seconds: &[f64], share| told(quantile(seconds, share).map(|it| 1e3 * it));
            vec![
                window.attack.map_or("none".to_owned(), Attack::description),
                of(&window.calls.client, 0.5),
                format!("**{}**", of(&window.calls.client, 0.99)),
                of(&window.calls.node, 0.5),
                format!("**{}**", of(&window.calls.node, 0.99)),
                told(window.milliseconds(1.0)),
                (window.calls.client.len() + window.calls.node.len()).to_string(),
                window.failed().to_string(),
                grouped(window.completions),
            ]
        });
        let headings = [
            "flood",
            "client p50, ms",
            "p99",
            "node p50, ms",
            "p99",
            "longest",
            "calls",
            "failed",
            "completions/s",
        ];
        table(&headings, rows.collect()).unwrap_or_default()
    }

    /// What the flooder did, and what it cost the coordinator.
    fn did(&self) -> String {
        let rows = self.windows.iter().map(|window| {
            let sent = window.sent.unwrap_or_default();
            let count = |count: u64| window.sent.map_or(String::new(), |_| grouped(count as f64));
            let [before, most, after] = window.files;
            let limits = window.refused.iter();
            let limits: Vec<String> = limits
                .map(|(limit, count)| format!("{limit} {}", grouped(*count as f64)))
                .collect();
            vec![
                window.attack.map_or("none", Attack::name).to_owned(),
                count(sent.sent),
                count(sent.answered),
                count(sent.refused),
                count(sent.broken),
                limits.join(", "),
                format!("{:.2}", window.cores),
                mebibytes(window.peak),
                format!("{before} → {most} → {after}"),
            ]
        });
        let headings = [
            "flood",
            "sent",
            "answered",
            "refused",
            "broken",
            "at the limits in the window",
            "coordinator, cores",
            "peak, MiB",
            "open files: before, most, after",
        ];
        table(&headings, rows.collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(attack: Option<Attack>, milliseconds: f64) -> Window {
        let seconds = milliseconds / 1e3;
        Window {
            attack,
            seconds: 20.0,
            calls: Calls {
                client: vec![seconds / 2.0, seconds],
                node: vec![seconds / 4.0],
                failed: BTreeMap::from([("Unavailable".to_owned(), 3)]),
            },
            completions: 100.0,
            cores: 0.5,
            peak: 80 << 20,
            files: [40, 1_040, 41],
            refused: BTreeMap::from([("requests".to_owned(), 12_000)]),
            sent: attack.map(|_| Sent {
                sent: 13_000,
                answered: 1_000,
                refused: 12_000,
                broken: 0,
            }),
        }
    }

    #[test]
    fn the_headline_is_of_the_worst_flood() {
        let measured = Measured {
            machine: vec![("date", "today".to_owned())],
            nodes: 50,
            rate: 100.0,
            seconds: 20.0,
            coordinator_args: Vec::new(),
            windows: vec![
                window(None, 8.0),
                window(Some(Attack::Calls), 90.0),
                window(Some(Attack::Silent), 20.0),
                window(None, 10.0),
            ],
        };
        let section = measured.section();
        for expected in [
            "at most 90.0 ms for 99 % under the worst flood**, 10.0 ms without one",
            "| none | 8.0 | **8.0** | 2.0 | **2.0** | 8.0 | 3 | 3 | 100 |",
            "| calls | 13,000 | 1,000 | 12,000 | 0 | requests 12,000 | 0.50 | 80 | 40 → 1040 → 41 |",
        ] {
            assert!(section.contains(expected), "{expected}\n{section}");
        }
    }
}
