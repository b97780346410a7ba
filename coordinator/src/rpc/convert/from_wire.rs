//! From the wire to the domain.

use std::time::Duration;

use atelier_proto::ids::{CellId, GridId, MalformedId, NodeId};
use atelier_proto::settings::SettingsPatch;
use atelier_proto::v1;

use crate::dispatch::Ask;
use crate::domain::access::Caller;
use crate::domain::block::Wanted;
use crate::domain::cell::{CellResult, Progress};
use crate::domain::field::{InvalidField, Problem, check_count, check_text};
use crate::domain::grid::{Artist, Draft, Input, Mask, Painting, Photo, Variant};
use crate::domain::keys::CellKeys;
use crate::domain::lease::Holder;
use crate::domain::node::{Node, NodeState, TEXT_CHARS_MAX, check_labels};
use crate::domain::share::{PRIORITY_MAX, PRIORITY_MIN, SUBMITTER_CHARS_MAX};
use crate::domain::summary::GridState;
use crate::store::Filter;
use crate::submissions::Submission;

/// Longest reason of a failure.
const REASON_CHARS_MAX: usize = 4_000;
/// Longest log of a failure.
pub(crate) const LOG_CHARS_MAX: usize = 16_000;
/// Most cells that one call may have tried again.
const RETRY_CELLS_MAX: usize = 10_000;
/// Most points of a loss curve.
const LOSSES_MAX: usize = 64;
/// Longest text to look for in names.
const NAME_PART_CHARS_MAX: usize = 300;
/// Most cells of one call.
const CELLS_MAX: usize = 1_024;
/// Most cells that one lease may bring.
const LEASE_CELLS_MAX: u32 = 256;
/// Most inputs that a node may name as cached.
const CACHED_INPUTS_MAX: usize = 1_024;
/// Longest wait of a lease.
pub(crate) const LEASE_WAIT_MAX: Duration = Duration::from_mins(1);
/// Entries of a page if the caller does not say, and the most that it may say.
const PAGE_ENTRIES: u32 = 100;
pub(crate) const PAGE_ENTRIES_MAX: u32 = 1_000;

pub(super) type Parsed<T> = Result<T, InvalidField>;

pub(super) fn id<T>(field: &str, text: &str) -> Parsed<T>
where
    T: std::str::FromStr<Err = MalformedId>,
{
    text.parse()
        .map_err(|error| InvalidField::new(field, Problem::Id(error)))
}

pub(super) fn required<T>(field: &str, value: Option<T>) -> Parsed<T> {
    value.ok_or_else(|| InvalidField::new(field, Problem::Missing))
}

pub(super) fn in_range(
    field: &str,
    allowed: bool,
    value: impl std::fmt::Display + Copy,
    range: &'static str,
) -> Parsed<()> {
    if allowed {
        return Ok(());
    }
    let value = value.to_string();
    Err(InvalidField::new(
        field,
        Problem::OutOfRange { value, range },
    ))
}

/// A cell's id.
pub(crate) fn cell_id(wire: &str) -> Parsed<CellId> {
    id("cell_id", wire)
}

/// A grid's id.
pub(crate) fn grid_id(text: &str) -> Parsed<GridId> {
    id("grid_id", text)
}

/// A node's id.
pub(crate) fn node_id(text: &str) -> Parsed<NodeId> {
    id("node_id", text)
}

/// A page of a list.
#[derive(Debug)]
pub(crate) struct Page<T> {
    /// Entries of it.
    pub(crate) entries: u32,
    /// What it starts before.
    pub(crate) before: Option<T>,
}

/// A page, and where it starts.
pub(crate) fn page<T>(page_size: u32, page_token: &str) -> Parsed<Page<T>>
where
    T: std::str::FromStr<Err = MalformedId>,
{
    let entries = match page_size {
        0 => PAGE_ENTRIES,
        entries => entries,
    };
    in_range(
        "page_size",
        entries <= PAGE_ENTRIES_MAX,
        entries,
        "from 1 to 1000, or 0 for 100",
    )?;
    let before = match page_token {
        "" => None,
        token => Some(id("page_token", token)?),
    };
    Ok(Page { entries, before })
}

/// Which grids are listed of those that a caller may see; `None`: there can be none.
pub(crate) fn filter(request: &v1::ListRequest, caller: &Caller) -> Parsed<Option<Filter>> {
    let states = request.states.iter().enumerate().map(|(index, value)| {
        match v1::GridState::try_from(*value) {
            Ok(v1::GridState::Active) => Ok(GridState::Active),
            Ok(v1::GridState::Paused) => Ok(GridState::Paused),
            Ok(v1::GridState::Finished) => Ok(GridState::Finished),
            Ok(v1::GridState::Cancelled) => Ok(GridState::Cancelled),
            Ok(v1::GridState::Deleted | v1::GridState::Unspecified) | Err(_) => {
                let problem = Problem::UnknownValue { value: *value };
                Err(InvalidField::new(format!("states[{index}]"), problem))
            }
        }
    });
    if let Some(submitter) = &request.submitter {
        check_text("submitter", submitter, 0, SUBMITTER_CHARS_MAX)?;
    }
    check_text("user", &request.user, 0, SUBMITTER_CHARS_MAX)?;
    let submitter = match (&request.submitter, request.mine) {
        (Some(_), true) => {
            let problem = Problem::OutOfRange {
                value: "set".to_owned(),
                range: "unset with `mine`",
            };
            return Err(InvalidField::new("submitter", problem));
        }
        (Some(submitter), false) => Some(submitter.as_str()),
        (None, true) => Some(caller.name().unwrap_or(&request.user)),
        (None, false) => None,
    };
    check_text(
        "name_contains",
        &request.name_contains,
        0,
        NAME_PART_CHARS_MAX,
    )?;
    let states = states.collect::<Parsed<_>>()?;
    if submitter.is_some_and(|submitter| !caller.reaches(submitter)) {
        return Ok(None);
    }
    Ok(Some(Filter {
        states,
        submitter: submitter.or(caller.confined_to()).map(str::to_owned),
        name_contains: request.name_contains.clone(),
    }))
}

/// A priority within its range.
pub(crate) fn priority(priority: i32) -> Parsed<i32> {
    let allowed = (PRIORITY_MIN..=PRIORITY_MAX).contains(&priority);
    in_range("priority", allowed, priority, "from -100 to 100")?;
    Ok(priority)
}

/// The places of a grid's cells; `None` if none is named.
pub(crate) fn places(grid: GridId, cells: &[String]) -> Parsed<Option<Vec<u32>>> {
    check_count("cell_ids", cells.len(), 0, RETRY_CELLS_MAX)?;
    let places = cells.iter().enumerate().map(|(index, text)| {
        let field = format!("cell_ids[{index}]");
        let cell: CellId = id(&field, text)?;
        if cell.grid == grid {
            Ok(cell.place)
        } else {
            let problem = Problem::ForeignCell { grid };
            Err(InvalidField::new(field, problem))
        }
    });
    let places: Vec<u32> = places.collect::<Parsed<_>>()?;
    Ok(Some(places).filter(|places| !places.is_empty()))
}

/// What an operator says of a node, as its state.
pub(crate) fn quarantine(request: v1::QuarantineRequest) -> Parsed<NodeState> {
    if request.lift {
        return Ok(NodeState::Active);
    }
    check_text("reason", &request.reason, 1, TEXT_CHARS_MAX)?;
    Ok(NodeState::Quarantined {
        reason: request.reason,
    })
}

/// Why a node leaves; `None`: it does not.
pub(crate) fn leaving(reason: &str) -> Parsed<Option<&str>> {
    check_text("leaving", reason, 0, TEXT_CHARS_MAX)?;
    Ok(Some(reason).filter(|reason| !reason.is_empty()))
}

/// Why an operator drains a node.
pub(crate) fn drain(request: v1::DrainRequest) -> Parsed<NodeState> {
    check_text("reason", &request.reason, 0, TEXT_CHARS_MAX)?;
    Ok(NodeState::Draining {
        reason: request.reason,
    })
}

/// A submission; whether it keeps to the limits is the domain's to say.
pub(crate) fn submission(request: v1::SubmitRequest) -> Parsed<Submission> {
    let photos = request.photos.into_iter().enumerate().map(|(index, wire)| {
        photo(wire).map_err(|error| error.within(&format!("photos[{index}]")))
    });
    let artists = request
        .artists
        .into_iter()
        .enumerate()
        .map(|(index, wire)| {
            artist(wire).map_err(|error| error.within(&format!("artists[{index}]")))
        });
    let variants = request
        .variants
        .into_iter()
        .enumerate()
        .map(|(index, wire)| {
            let settings = settings(&format!("variants[{index}].settings"), wire.settings)?;
            let name = wire.name;
            Ok(Variant { name, settings })
        });
    check_text("submitter", &request.submitter, 0, SUBMITTER_CHARS_MAX)?;
    check_text("user", &request.user, 0, SUBMITTER_CHARS_MAX)?;
    let labels = request.labels.into_iter().collect();
    check_labels(&labels)?;
    Ok(Submission {
        request: id("request_id", &request.request_id)?,
        submitter: request.submitter,
        user: request.user,
        priority: priority(request.priority)?,
        draft: Draft {
            labels,
            name: request.name,
            photos: photos.collect::<Parsed<_>>()?,
            artists: artists.collect::<Parsed<_>>()?,
            variants: variants.collect::<Parsed<_>>()?,
            settings: settings("settings", request.settings)?,
            reconstructions: request.reconstructions,
        },
        trace_parent: String::new(),
    })
}

fn settings(field: &str, wire: Option<v1::RenderSettings>) -> Parsed<SettingsPatch> {
    wire.unwrap_or_default()
        .try_into()
        .map_err(|error| InvalidField::new(field, Problem::Setting(error)))
}

fn photo(wire: v1::Photo) -> Parsed<Photo> {
    let masks = wire.masks.into_iter().enumerate().map(|(index, wire)| {
        let path = format!("masks[{index}].input");
        Ok(Mask {
            input: input(&path, wire.input)?,
            name: wire.name,
        })
    });
    Ok(Photo {
        input: input("input", wire.input)?,
        masks: masks.collect::<Parsed<_>>()?,
        start: match wire.start {
            None => None,
            start => Some(input("start", start)?),
        },
        name: wire.name,
    })
}

fn artist(wire: v1::Artist) -> Parsed<Artist> {
    let paintings = wire.paintings.into_iter().enumerate().map(|(index, wire)| {
        let path = format!("paintings[{index}].input");
        Ok(Painting {
            input: input(&path, wire.input)?,
            name: wire.name,
            weight: wire.weight,
            mask: Some(wire.mask).filter(|mask| !mask.is_empty()),
        })
    });
    Ok(Artist {
        paintings: paintings.collect::<Parsed<_>>()?,
        settings: settings("settings", wire.settings)?,
        name: wire.name,
    })
}

fn input(path: &str, wire: Option<v1::Input>) -> Parsed<Input> {
    let wire = required(path, wire)?;
    Ok(Input {
        sha256: id(&format!("{path}.sha256"), &wire.sha256)?,
        width: wire.width,
        height: wire.height,
    })
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
    let cell = id("cell.cell_id", &wire.cell_id)?;
    let attempt = wire.attempt;
    Ok((cell, Holder { node, attempt }))
}

/// How far a node is with each of its cells; `None` for one that waits at the node.
pub(crate) fn progress(
    node: NodeId,
    cells: Vec<v1::CellProgress>,
) -> Parsed<Vec<(CellId, Holder, Option<Progress>)>> {
    check_count("cells", cells.len(), 0, CELLS_MAX)?;
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
        let allowed = (1..=crate::domain::grid::SIDE_PIXELS_MAX).contains(&side);
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
