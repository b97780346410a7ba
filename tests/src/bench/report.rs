//! The Markdown of a measurement.

use super::graphile::Graphile;
use super::load::{Loaded, Seen};
use super::options::Scale;
use super::site::{NODES_SPREAD, Submission};
use super::sizes::Sizes;
use crate::markdown::{grouped, mebibytes, table};

/// Parts of a long window whose memory is told.
const MEMORY_PARTS: usize = 5;

/// What was measured on one database.
#[derive(Debug, Clone, PartialEq)]
pub struct OnDatabase {
    /// What people call it.
    pub name: &'static str,
    /// A grid, as it was submitted to a new coordinator.
    pub submission: Option<Submission>,
    /// Load by load.
    pub loads: Vec<Loaded>,
    /// The lightest load for longer.
    pub at_length: Option<Loaded>,
    /// With little and with much in it.
    pub sizes: Option<Sizes>,
}

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Names and values.
    pub machine: Vec<(&'static str, String)>,
    /// What was done.
    pub scale: Scale,
    /// Database by database.
    pub databases: Vec<OnDatabase>,
    /// What is compared with, or why it is not.
    pub graphile: Option<Result<Graphile, String>>,
    /// What could not be measured.
    pub notes: Vec<String>,
}

impl OnDatabase {
    /// Most completions a second that were seen without watchers.
    fn rate(&self) -> Option<f64> {
        let windows = self.loads.iter().filter_map(|load| load.windows.first());
        windows.map(Seen::rate).reduce(f64::max)
    }
}

impl Measured {
    /// What tells this kind of measurement from others.
    pub fn key(&self) -> String {
        format!("{} nodes", self.scale.nodes)
    }

    /// Whether all was measured that was asked for.
    pub fn is_whole(&self) -> bool {
        self.notes.is_empty() && !matches!(self.graphile, Some(Err(_)))
    }

    /// The section.
    pub fn section(&self) -> String {
        let scale = &self.scale;
        let mut lines = vec![
            format!(
                "## One coordinator, {} nodes, grids of {} cells",
                grouped(f64::from(scale.nodes)),
                grouped(f64::from(scale.cells))
            ),
            String::new(),
        ];
        if let Some(headline) = self.headline() {
            lines.extend([headline, String::new()]);
        }
        lines.extend(
            self.machine
                .iter()
                .map(|(name, value)| format!("- {name}: {value}")),
        );
        if let Some(Ok(graphile)) = &self.graphile {
            lines.push(format!(
                "- Graphile Worker: {}, Node.js {}",
                graphile.version, graphile.node
            ));
        }
        lines.push(format!(
            "- nodes: `atelier-node run --renderer simulated --simulated-nodes {} --simulated-uploads off \
             --simulated-batch {} --simulated-spread {NODES_SPREAD}`; windows of {} s",
            scale.nodes,
            scale.batch,
            scale.window.as_secs()
        ));
        let parts = [
            self.submissions(),
            self.loads(),
            self.watched(),
            self.at_length(),
            self.sizes(),
            self.compared(),
        ];
        for part in parts.into_iter().flatten() {
            lines.extend([String::new(), part]);
        }
        if !self.notes.is_empty() {
            lines.push(String::new());
            lines.extend(
                self.notes
                    .iter()
                    .map(|note| format!("Not measured: {note}.")),
            );
        }
        lines.join("\n") + "\n"
    }

    fn headline(&self) -> Option<String> {
        let rates = self.databases.iter().filter_map(|database| {
            let rate = grouped(database.rate()?);
            Some(format!("{rate} completions/s on {}", database.name))
        });
        let rates: Vec<String> = rates.collect();
        if rates.is_empty() {
            return None;
        }
        let peer = match &self.graphile {
            Some(Ok(graphile)) => {
                let mut rates: Vec<f64> = graphile.rates.iter().map(|(_, rate)| *rate).collect();
                rates.sort_by(f64::total_cmp);
                let ends = match &rates[..] {
                    [least, .., most] => vec![grouped(*least), grouped(*most)],
                    few => few.iter().map(|rate| grouped(*rate)).collect(),
                };
                format!(
                    "; Graphile Worker does {} empty jobs/s there",
                    ends.join(" to ")
                )
            }
            Some(Err(_)) | None => String::new(),
        };
        Some(format!("**{}**{peer}.", rates.join(", ")))
    }

    fn submissions(&self) -> Option<String> {
        let rows = self.databases.iter().filter_map(|database| {
            let submission = database.submission.as_ref()?;
            let cells = f64::from(submission.cells);
            Some(vec![
                database.name.to_owned(),
                grouped(cells),
                format!("{:.2}", submission.seconds),
                grouped(cells / submission.seconds),
                mebibytes(submission.growth),
            ])
        });
        let headings = [
            "submitting",
            "cells",
            "seconds",
            "cells/s",
            "coordinator grows by, MiB",
        ];
        table(&headings, rows.collect())
    }

    fn loads(&self) -> Option<String> {
        let mut rows = Vec::new();
        for database in &self.databases {
            for load in &database.loads {
                rows.extend(
                    load.windows
                        .first()
                        .map(|seen| load_row(database.name, load, seen)),
                );
            }
        }
        let headings = [
            "at work",
            "offered/s",
            "completions/s",
            "slowest second",
            "Lease p50, ms",
            "p99, ms",
            "leases",
            "cores: coordinator",
            "database",
            "nodes",
            "coordinator, MiB",
            "failed",
            "warnings",
        ];
        let table = table(&headings, rows)?;
        Some(format!(
            "A Lease is of one cell, had work waiting for it, and was given back. Nodes, database and this measurement \
             share the processors with the coordinator. Memory is at the beginning and at the end of a window; warnings \
             are lines that the nodes and the coordinator logged.\n\n{table}"
        ))
    }

    fn watched(&self) -> Option<String> {
        let mut rows = Vec::new();
        for database in &self.databases {
            for load in &database.loads {
                let [before, with, after] = &load.windows[..] else {
                    continue;
                };
                let without = f64::midpoint(before.rate(), after.rate());
                rows.push(vec![
                    database.name.to_owned(),
                    grouped(before.rate()),
                    grouped(with.rate()),
                    grouped(after.rate()),
                    format!("**{:.2}**", with.rate() / without),
                    load.messages_per_second.map_or(String::new(), grouped),
                    load.watchers_lost.to_string(),
                    format!("{} → {}", first(&before.memory), last(&after.memory)),
                ]);
            }
        }
        let with = format!("with {} watchers", grouped(f64::from(self.scale.watchers)));
        let headings = [
            "watched, completions/s",
            "before",
            &with,
            "after",
            "ratio",
            "messages/s",
            "watchers lost",
            "coordinator, MiB",
        ];
        table(&headings, rows)
    }

    /// Memory in five parts of a long window: what grows without end grows from each to the next.
    fn at_length(&self) -> Option<String> {
        let loads = self.databases.iter();
        let loads =
            loads.filter_map(|database| Some((database.name, database.at_length.as_ref()?)));
        let rows = loads.filter_map(|(name, load)| {
            let seen = load.windows.first()?;
            let mut row = vec![name.to_owned(), grouped(seen.rate())];
            let part = seen.memory.len().div_ceil(MEMORY_PARTS).max(1);
            row.extend(seen.memory.chunks(part).map(|part| {
                let mean = part.iter().sum::<u64>() / part.len() as u64;
                mebibytes(mean)
            }));
            row.resize(2 + MEMORY_PARTS, String::new());
            row.push(mebibytes(seen.memory.iter().copied().max()?));
            Some(row)
        });
        let minutes = self.scale.memory_window.as_secs_f64() / 60.0;
        let heading = format!("{minutes:.0} minutes at work, mean MiB of the coordinator");
        let headings = [
            &heading,
            "completions/s",
            "first fifth",
            "second",
            "third",
            "fourth",
            "last",
            "highest",
        ];
        table(&headings, rows.collect())
    }

    fn sizes(&self) -> Option<String> {
        let measured = |database: &OnDatabase| Some((database.name, database.sizes?));
        let sizes: Vec<(&str, Sizes)> = self.databases.iter().filter_map(measured).collect();
        let (_, first) = sizes.first()?;
        let alone = format!("{} cells", grouped(f64::from(first.cells)));
        let beside = format!("and {} beside them", grouped(first.cells_beside as f64));
        let rows = sizes.iter().map(|(name, sizes)| {
            vec![
                (*name).to_owned(),
                grouped(sizes.alone),
                grouped(sizes.beside),
                format!("**{:.2}**", sizes.beside / sizes.alone),
            ]
        });
        let headings = ["in the database, completions/s", &alone, &beside, "ratio"];
        table(&headings, rows.collect())
    }

    fn compared(&self) -> Option<String> {
        let graphile = match self.graphile.as_ref()? {
            Ok(graphile) => graphile,
            Err(problem) => return Some(format!("Not compared with Graphile Worker: {problem}.")),
        };
        let ours = self
            .databases
            .iter()
            .find(|database| database.name == "PostgreSQL");
        let ours = ours.and_then(OnDatabase::rate);
        let mut rows = Vec::new();
        if let Some(ours) = ours {
            rows.push(vec![
                "Atelier: completions, with leases and renewals".to_owned(),
                grouped(ours),
                "1.00×".to_owned(),
            ]);
        }
        for (name, rate) in &graphile.rates {
            rows.push(vec![
                format!("Graphile Worker: empty jobs, {name}"),
                grouped(*rate),
                ours.map_or(String::new(), |ours| format!("{:.2}×", ours / rate)),
            ]);
        }
        table(
            &["on the same PostgreSQL", "a second", "Atelier against it"],
            rows,
        )
    }
}

fn load_row(name: &str, load: &Loaded, seen: &Seen) -> Vec<String> {
    let milliseconds = |share| {
        let seconds = seen.leases.quantile(share);
        seconds.map_or(String::new(), |seconds| format!("{:.1}", 1e3 * seconds))
    };
    let ran_dry = if seen.queued == 0 { " (ran dry)" } else { "" };
    let cores = &seen.cores;
    vec![
        name.to_owned(),
        grouped(load.offered),
        format!("{}{ran_dry}", grouped(seen.rate())),
        grouped(seen.slowest as f64),
        milliseconds(0.5),
        milliseconds(0.99),
        seen.leases.seconds.len().to_string(),
        format!("{:.2}", cores.coordinator),
        format!("{:.2}", cores.database),
        format!("{:.2}", cores.nodes),
        format!("{} → {}", first(&seen.memory), last(&seen.memory)),
        load.failed.to_string(),
        format!("{} and {}", load.node_warnings, load.coordinator_warnings),
    ]
}

fn first(memory: &[u64]) -> String {
    mebibytes(memory.first().copied().unwrap_or_default())
}

fn last(memory: &[u64]) -> String {
    mebibytes(memory.last().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests;
