//! What nodes ask for and tell.

use std::time::Duration;

use atelier_proto::ids::{CellId, NodeId};
use atelier_proto::v1;

use super::fields::{Parsed, id, in_range, node_id, required};
use crate::dispatch::Ask;
use crate::domain::block::Wanted;
use crate::domain::cell::{CellResult, Progress};
use crate::domain::field::{InvalidField, Problem, check_count, check_text};
use crate::domain::grid::SIDE_PIXELS_MAX;
use crate::domain::keys::CellKeys;
use crate::domain::lease::Holder;
use crate::domain::node::{Node, TEXT_CHARS_MAX};

/// Longest reason of a failure.
const REASON_CHARS_MAX: usize = 4_000;
/// Longest log of an attempt.
pub(crate) const LOG_CHARS_MAX: usize = 16_000;
/// Most points of a loss curve.
const LOSSES_MAX: usize = 64;
/// Most cells that are renewed or given back in one call.
pub(crate) const HELD_CELLS_MAX: usize = 1_024;
/// Most cells that one lease may bring.
const LEASE_CELLS_MAX: u32 = 256;
/// Most inputs that a node may name as cached.
const CACHED_INPUTS_MAX: usize = 1_024;
/// Longest wait of a lease.
pub(crate) const LEASE_WAIT_MAX: Duration = Duration::from_mins(1);

/// Why a node leaves; `None`: it does not.
pub(crate) fn leaving(reason: &str) -> Parsed<Option<&str>> {
    check_text("leaving", reason, 0, TEXT_CHARS_MAX)?;
    Ok(Some(reason).filter(|reason| !reason.is_empty()))
}

/// What a node says of itself, within the limits.
pub(crate) fn node(request: v1::RegisterRequest) -> Parsed<Node> {
    let node = Node {
        id: node_id(&request.node_id)?,
        name: request.name,
        device: request.device,
        memory_bytes: request.memory_bytes,
        batch_capacity: request.batch_capacity,
        version: request.version,
        instance_id: request.instance_id,
        labels: request.labels.into_iter().collect(),
        dollars_per_hour: request.dollars_per_hour,
    };
    node.check()?;
    Ok(node)
}

/// A request for work, and how long the node waits for it.
pub(crate) fn lease(request: &v1::LeaseRequest) -> Parsed<(Ask, Duration)> {
    let cells_max = request.cells_max;
    in_range(
        "cells_max",
        (1..=LEASE_CELLS_MAX).contains(&cells_max),
        cells_max,
        "from 1 to 256",
    )?;
    if let Some(seconds) = request.seconds_wanted {
        let allowed = seconds.is_finite() && seconds > 0.0;
        in_range("seconds_wanted", allowed, seconds, "above 0")?;
    }
    check_count(
        "cached_inputs",
        request.cached_inputs.len(),
        0,
        CACHED_INPUTS_MAX,
    )?;
    let cached = request.cached_inputs.iter().enumerate();
    let cached = cached.map(|(index, text)| id(&format!("cached_inputs[{index}]"), text));
    let wait = match request.wait {
        None => Duration::ZERO,
        Some(wait) => {
            let range = "from 0 s to 60 s";
            let text = format!("{} s", wait.seconds);
            let wait = Duration::try_from(wait).ok();
            let wait = wait.filter(|wait| *wait <= LEASE_WAIT_MAX);
            in_range("wait", wait.is_some(), text.as_str(), range)?;
            wait.unwrap_or_default()
        }
    };
    let wanted = Wanted {
        cells_max: cells_max as usize,
        cached: cached.collect::<Parsed<_>>()?,
        seconds: request.seconds_wanted,
    };
    let node = node_id(&request.node_id)?;
    Ok((Ask { node, wanted }, wait))
}

/// A cell and who says that it holds it.
pub(crate) fn held_cell(node: NodeId, wire: Option<v1::HeldCell>) -> Parsed<(CellId, Holder)> {
    let wire = required("cell", wire)?;
    held(node, &wire).map_err(|error| error.within("cell"))
}

fn held(node: NodeId, wire: &v1::HeldCell) -> Parsed<(CellId, Holder)> {
    let attempt = wire.attempt;
    Ok((id("cell_id", &wire.cell_id)?, Holder { node, attempt }))
}

/// The cells that a node gives back. Its reason is refused for its length alone.
pub(crate) fn released(
    node: NodeId,
    request: &v1::ReleaseRequest,
) -> Parsed<Vec<(CellId, Holder)>> {
    check_count("cells", request.cells.len(), 0, HELD_CELLS_MAX)?;
    let (chars, least, most) = (request.reason.chars().count(), 0, TEXT_CHARS_MAX);
    if chars > most {
        let problem = Problem::Length { chars, least, most };
        return Err(InvalidField::new("reason", problem));
    }
    let cells = request.cells.iter().enumerate();
    let cells = cells.map(|(index, wire)| {
        held(node, wire).map_err(|error| error.within(&format!("cells[{index}]")))
    });
    cells.collect()
}

/// How far a node is with each of its cells; `None` for one that waits at the node.
pub(crate) fn progress(
    node: NodeId,
    cells: Vec<v1::CellProgress>,
) -> Parsed<Vec<(CellId, Holder, Option<Progress>)>> {
    check_count("cells", cells.len(), 0, HELD_CELLS_MAX)?;
    let parsed = cells.into_iter().enumerate().map(|(index, wire)| {
        let (cell, holder) =
            held_cell(node, wire.cell).map_err(|error| error.within(&format!("cells[{index}]")))?;
        let progress = Progress {
            evaluations: wire.evaluations,
            planned: wire.evaluations_planned,
            loss: wire.loss,
        };
        Ok((cell, holder, wire.rendering.then_some(progress)))
    });
    parsed.collect()
}

/// What a node delivers for the cell that has these keys.
pub(crate) fn cell_result(wire: Option<v1::CellResult>, keys: &CellKeys) -> Parsed<CellResult> {
    let wire = required("result", wire)?;
    let has_large_thumbnail = !wire.large_thumbnail_key.is_empty();
    let given_keys = [
        ("result.picture_key", &wire.picture_key, &keys.picture),
        ("result.thumbnail_key", &wire.thumbnail_key, &keys.thumbnail),
        (
            "result.large_thumbnail_key",
            &wire.large_thumbnail_key,
            &keys.large_thumbnail,
        ),
    ];
    let count = if has_large_thumbnail { 3 } else { 2 };
    for (field, given, expected) in given_keys.into_iter().take(count) {
        if given != expected {
            let problem = Problem::ForeignKey {
                given: given.chars().take(TEXT_CHARS_MAX).collect(),
                expected: expected.clone(),
            };
            return Err(InvalidField::new(field, problem));
        }
    }
    let bytes_allowed = (1..=i64::MAX as u64).contains(&wire.bytes);
    in_range("result.bytes", bytes_allowed, wire.bytes, "1 or more")?;
    let sides = [("result.width", wire.width), ("result.height", wire.height)];
    for (field, side) in sides {
        let allowed = (1..=SIDE_PIXELS_MAX).contains(&side);
        in_range(field, allowed, side, "from 1 to 30000")?;
    }
    let seconds_allowed = wire.seconds.is_finite() && wire.seconds >= 0.0;
    in_range("result.seconds", seconds_allowed, wire.seconds, "0 or more")?;
    // Every reader of the gallery would stumble over it; a picture with such a loss is none anyway.
    in_range("result.loss", wire.loss.is_finite(), wire.loss, "a number")?;
    check_count("result.losses", wire.losses.len(), 0, LOSSES_MAX)?;
    let losses = wire.losses.iter().enumerate().map(|(index, point)| {
        let field = format!("result.losses[{index}].loss");
        in_range(&field, point.loss.is_finite(), point.loss, "a number")?;
        Ok((point.evaluations, point.loss))
    });
    let losses = losses.collect::<Parsed<_>>()?;
    check_text("result.network", &wire.network, 0, TEXT_CHARS_MAX)?;
    check_text("result.device", &wire.device, 0, TEXT_CHARS_MAX)?;
    Ok(CellResult {
        sha256: id("result.sha256", &wire.sha256)?,
        bytes: wire.bytes,
        width: wire.width,
        height: wire.height,
        seconds: wire.seconds,
        evaluations: wire.evaluations,
        loss: wire.loss,
        network: wire.network,
        device: wire.device,
        has_large_thumbnail,
        losses,
    })
}

/// Whether every attempt would end like this one, and the reason, made fit to be shown.
pub(crate) fn failure(kind: i32, reason: &str) -> Parsed<(bool, String)> {
    let refused = match v1::FailureKind::try_from(kind) {
        Ok(v1::FailureKind::Refused) => true,
        Ok(v1::FailureKind::Transient) => false,
        Ok(v1::FailureKind::Unspecified) | Err(_) => {
            let problem = Problem::UnknownValue { value: kind };
            return Err(InvalidField::new("kind", problem));
        }
    };
    // A failure must reach the cell even if its words do not: they are shortened, not refused.
    let shown = shown(reason.chars().take(REASON_CHARS_MAX));
    let reason = if shown.trim().is_empty() {
        "the node gave no reason".to_owned()
    } else {
        shown
    };
    Ok((refused, reason))
}

/// The end of a node's log, made fit to be shown.
pub(crate) fn log(log: &str) -> String {
    let skipped = log.chars().count().saturating_sub(LOG_CHARS_MAX);
    shown(log.chars().skip(skipped))
}

/// Text without what would confuse a terminal.
fn shown(text: impl Iterator<Item = char>) -> String {
    text.map(|letter| {
        if letter.is_control() && letter != '\n' {
            ' '
        } else {
            letter
        }
    })
    .collect()
}
