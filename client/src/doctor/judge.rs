//! What there is to say of what was seen.

use std::collections::BTreeSet;
use std::time::Duration;

use atelier_proto::version::{Peering, peering};
use indicatif::HumanBytes;
use jiff::{SignedDuration, Timestamp};

use super::{BucketFacts, CoordinatorFacts, Facts, Finding, Level, LocalFacts};
use crate::coordinator::view::{NodeState, NodeView, ScaleMode};
use crate::text::{counted, printable, printable_lines, rough_duration, shortened};

/// Clocks that differ by more are told: leases and links live by them.
const SKEW_WORTH_A_WORD: SignedDuration = SignedDuration::from_secs(5);
/// By more, signatures of requests are soon refused.
const SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);
/// A certificate that is valid for less is to be renewed.
const CERTIFICATE_DAYS_MIN: i64 = 14;
/// Room for galleries and the database of an atelier on this machine, bytes.
pub(super) const FREE_BYTES_GOOD: u64 = 2 << 30;
const FREE_BYTES_MIN: u64 = 100 << 20;
/// Nodes that are told of by name.
pub(super) const NODES_TOLD_MAX: usize = 5;

/// What there is to say of what was seen, in the order in which one thing rests on the other.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![client(facts)];
    let one_answers = facts.coordinators.iter().any(|it| it.answer.is_ok());
    for coordinator in &facts.coordinators {
        findings.extend(of_certificate(coordinator, facts.now));
        findings.extend(of_coordinator(coordinator, &facts.version, one_answers));
    }
    if let Some(bucket) = &facts.bucket {
        findings.push(of_bucket(bucket));
    }
    if let Some(nodes) = &facts.nodes {
        findings.extend(of_nodes(nodes, facts));
    }
    if let Some(fleet) = &facts.fleet
        && !fleet.trouble.is_empty()
    {
        let trouble = printable_lines(&fleet.trouble);
        let text = format!("the fleet cannot be scaled: {trouble}");
        findings.push(Finding::of_error(Level::Warning, "fleet", &text));
    }
    findings.extend(of_local(&facts.local));
    findings
}

fn client(facts: &Facts) -> Finding {
    let profile = facts.profile.as_ref().map(|it| format!(", profile {it}"));
    let text = format!("atelier {}{}", facts.version, profile.unwrap_or_default());
    Finding::new(Level::Good, "client", text)
}

fn of_certificate(coordinator: &CoordinatorFacts, now: Timestamp) -> Option<Finding> {
    let url = &coordinator.url;
    Some(match coordinator.certificate.as_ref()? {
        Err(problem) => {
            let text = format!("{url} shows no certificate: {problem}");
            Finding::new(Level::Broken, "certificate", text)
        }
        Ok(certificate) => {
            let days = certificate.expires_at.duration_since(now).as_hours() / 24;
            let (level, valid) = match days {
                _ if certificate.expires_at <= now => (Level::Broken, "expired".to_owned()),
                ..CERTIFICATE_DAYS_MIN => (Level::Warning, days_left(days)),
                _ => (Level::Good, days_left(days)),
            };
            let names = printable(&certificate.names.join(", "));
            let issuer = printable(&certificate.issuer);
            let text = format!("{url}: for {names}, by {issuer}, {valid}");
            let finding = Finding::new(level, "certificate", text);
            match level {
                Level::Good => finding,
                Level::Warning | Level::Broken => {
                    finding.hint("whoever runs the coordinator must renew it")
                }
            }
        }
    })
}

fn days_left(days: i64) -> String {
    format!("{} left", counted(days.unsigned_abs() as usize, "day"))
}

fn of_coordinator(
    coordinator: &CoordinatorFacts,
    version: &str,
    one_answers: bool,
) -> Vec<Finding> {
    const CHECK: &str = "coordinator";
    let url = &coordinator.url;
    let answer = match &coordinator.answer {
        Ok(answer) => answer,
        Err(problem) => {
            // The others take its work.
            let level = if one_answers {
                Level::Warning
            } else {
                Level::Broken
            };
            return vec![Finding::of_error(level, CHECK, problem)];
        }
    };
    let took = answer.round_trip.as_millis();
    let text = match answer.version.as_str() {
        "" => format!("{url} answers in {took} ms"),
        theirs => format!("{url}: version {}, answers in {took} ms", printable(theirs)),
    };
    let finding = if answer.is_serving == Some(false) {
        let text = format!("{text}, and says that it cannot do its work");
        let finding = Finding::new(Level::Broken, CHECK, text);
        finding.hint("its log says why: the database or the bucket may be out of its reach")
    } else if !work_together(&answer.version, version) {
        let text = format!("{text}; this client is {version}");
        let finding = Finding::new(Level::Warning, CHECK, text);
        finding.hint("use a client and a coordinator that are at most one minor version apart")
    } else {
        Finding::new(Level::Good, CHECK, text)
    };
    let mut findings = vec![finding];
    findings.extend(answer.ahead.map(|ahead| of_clock(ahead, answer.round_trip)));
    findings
}

/// Whether programs of these versions work together, as far as both are known.
fn work_together(one: &str, other: &str) -> bool {
    match (one.parse(), other.parse()) {
        (Ok(one), Ok(other)) => peering(one, other) == Peering::Promised,
        _ => true,
    }
}

fn of_clock(ahead: SignedDuration, round_trip: Duration) -> Finding {
    // Nobody knows when within the round trip the coordinator looked at its clock.
    let unknown = SignedDuration::try_from(round_trip / 2).unwrap_or_default();
    let surely = ahead.abs().saturating_sub(unknown);
    let level = match surely {
        _ if surely > SKEW_MAX => Level::Broken,
        _ if surely > SKEW_WORTH_A_WORD => Level::Warning,
        _ => Level::Good,
    };
    if level == Level::Good {
        return Finding::new(
            level,
            "clock",
            "this machine and the coordinator agree on the time",
        );
    }
    let by = rough_duration(ahead.unsigned_abs());
    let direction = if ahead.is_positive() {
        "ahead of"
    } else {
        "behind"
    };
    let text = format!("the coordinator's clock is {by} {direction} this machine's");
    let finding = Finding::new(level, "clock", text);
    finding.hint("have both keep time by NTP: signed requests are refused where clocks differ")
}

fn of_bucket(bucket: &Result<BucketFacts, String>) -> Finding {
    match bucket {
        Err(problem) => Finding::of_error(Level::Broken, "bucket", problem),
        Ok(facts) => {
            let endpoint = facts.endpoint.as_deref().unwrap_or("AWS");
            let took = facts.round_trip.as_millis();
            let text = format!(
                "{} at {}: written and found in {took} ms",
                printable(&facts.name),
                printable(endpoint)
            );
            Finding::new(Level::Good, "bucket", text)
        }
    }
}

fn of_nodes(nodes: &Result<Vec<NodeView>, String>, facts: &Facts) -> Vec<Finding> {
    const CHECK: &str = "nodes";
    let nodes = match nodes {
        Ok(nodes) => nodes,
        Err(problem) => return vec![Finding::of_error(Level::Warning, CHECK, problem)],
    };
    let in_state = |state| nodes.iter().filter(move |node| node.state == state);
    let active = in_state(NodeState::Active).count();
    let mut findings = vec![if active > 0 {
        let devices: BTreeSet<String> = in_state(NodeState::Active)
            .map(|node| printable(&shortened(&node.device, 40)))
            .collect();
        let devices: Vec<String> = devices.into_iter().collect();
        let text = format!("{}: {}", counted(active, "active node"), devices.join(", "));
        Finding::new(Level::Good, CHECK, text)
    } else {
        without_nodes(facts)
    }];
    let told = |findings: &mut Vec<Finding>, state, say: &dyn Fn(&NodeView) -> Finding| {
        findings.extend(in_state(state).take(NODES_TOLD_MAX).map(say));
        let untold = in_state(state).count().saturating_sub(NODES_TOLD_MAX);
        if untold > 0 {
            let text = format!("{} more {state}", counted(untold, "node"));
            findings
                .push(Finding::new(Level::Warning, CHECK, text).hint("`atelier nodes` lists all"));
        }
    };
    told(&mut findings, NodeState::Quarantined, &|node| {
        let name = printable(&shortened(&node.name, 40));
        let reason = printable(&shortened(&node.reason, 200));
        let text = format!("{name} is in quarantine: {reason}");
        let finding = Finding::new(Level::Warning, CHECK, text);
        finding.hint("once it is mended: `atelier fleet quarantine NODE --lift`")
    });
    told(&mut findings, NodeState::Lost, &|node| {
        let name = printable(&shortened(&node.name, 40));
        let held = counted(node.cells_held as usize, "cell");
        let text = format!("{name} is heard of no more, and holds {held}");
        let finding = Finding::new(Level::Warning, CHECK, text);
        finding.hint("its cells go to other nodes when their leases are over")
    });
    findings.extend(of_versions(nodes, facts));
    findings
}

/// That there is nobody to render.
fn without_nodes(facts: &Facts) -> Finding {
    let starts_machines = facts.fleet.as_ref().is_some_and(|fleet| {
        fleet.driver != "none"
            && fleet.bounds.mode == ScaleMode::Automatic
            && fleet.bounds.nodes_max > 0
    });
    if starts_machines {
        let text = "no node is there now; machines are started when there is work";
        return Finding::new(Level::Good, "nodes", text);
    }
    let answering = facts.coordinators.iter().find(|it| it.answer.is_ok());
    let url = answering.map_or("URL", |it| it.url.as_str());
    let text = "there is no active node: grids wait until there is one";
    let finding = Finding::new(Level::Broken, "nodes", text);
    finding.hint(format!(
        "start one with `atelier-node run --coordinator {url}`"
    ))
}

fn of_versions(nodes: &[NodeView], facts: &Facts) -> Option<Finding> {
    let mut answers = facts
        .coordinators
        .iter()
        .filter_map(|it| it.answer.as_ref().ok());
    let version = &answers.next()?.version;
    let others: BTreeSet<&str> = nodes
        .iter()
        .filter(|node| node.state != NodeState::Lost && !work_together(&node.version, version))
        .map(|node| node.version.as_str())
        .collect();
    if others.is_empty() {
        return None;
    }
    let others: Vec<&str> = others.into_iter().collect();
    let others = printable(&others.join(", "));
    let text = format!("some nodes are of version {others}, and the coordinator of {version}");
    let finding = Finding::new(Level::Warning, "nodes", text);
    Some(finding.hint("use nodes and a coordinator that are at most one minor version apart"))
}

fn of_local(local: &LocalFacts) -> Vec<Finding> {
    if !local.missing_programs.is_empty() {
        let missing = local.missing_programs.join(" and ");
        let text =
            format!("no `atelier local` here: there is no {missing} beside atelier or on the PATH");
        return vec![Finding::new(Level::Good, "local", text)];
    }
    let mut findings = vec![if local.weights.is_empty() {
        let text = "nodes of this machine have no trained weights in their cache";
        let finding = Finding::new(Level::Warning, "weights", text);
        finding.hint("get some with `atelier-node weights fetch`")
    } else {
        let text = format!("in the cache: {}", printable(&local.weights.join(", ")));
        Finding::new(Level::Good, "weights", text)
    }];
    if let (Some(folder), Some(free)) = (&local.data, local.free_bytes) {
        let level = match free {
            ..FREE_BYTES_MIN => Level::Broken,
            FREE_BYTES_MIN..FREE_BYTES_GOOD => Level::Warning,
            _ => Level::Good,
        };
        let free = HumanBytes(free);
        let folder = printable(&folder.display().to_string());
        let text = format!("{free} free for `atelier local` in {folder}");
        let finding = Finding::new(level, "disk", text);
        findings.push(match level {
            Level::Good => finding,
            Level::Warning | Level::Broken => finding
                .hint("make room there, or name another folder with `atelier local --data DIR`"),
        });
    }
    findings
}
