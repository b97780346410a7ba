//! From the wire to the domain.

use std::time::Duration;

use atelier_proto::ids::{CellId, GridId, MalformedId, NodeId, RequestId};
use atelier_proto::settings::SettingsPatch;
use atelier_proto::v1;

use crate::domain::block::Wanted;
use crate::domain::cell::{CellResult, Progress};
use crate::domain::field::{InvalidField, Problem, check_count, check_text};
use crate::domain::grid::{Artist, Draft, Input, Mask, Painting, Photo, Variant};
use crate::domain::keys::CellKeys;
use crate::domain::lease::Holder;
use crate::domain::node::{Node, TEXT_CHARS_MAX};

/// Longest reason of a failure.
const REASON_CHARS_MAX: usize = 4_000;
/// Most cells of one call.
const CELLS_MAX: usize = 1_024;
/// Most cells that one lease may bring.
const LEASE_CELLS_MAX: u32 = 256;
/// Most inputs that a node may name as cached.
const CACHED_INPUTS_MAX: usize = 1_024;
/// Longest wait of a lease.
const LEASE_WAIT_MAX: Duration = Duration::from_mins(1);
/// Entries of a page if the caller does not say, and the most that it may say.
const PAGE_ENTRIES: u32 = 100;
const PAGE_ENTRIES_MAX: u32 = 1_000;

type Parsed<T> = Result<T, InvalidField>;

fn id<T>(field: &str, text: &str) -> Parsed<T>
where
    T: std::str::FromStr<Err = MalformedId>,
{
    text.parse()
        .map_err(|error| InvalidField::new(field, Problem::Id(error)))
}

fn required<T>(field: &str, value: Option<T>) -> Parsed<T> {
    value.ok_or_else(|| InvalidField::new(field, Problem::Missing))
}

fn in_range(
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

/// A grid's id.
pub(crate) fn grid_id(text: &str) -> Parsed<GridId> {
    id("grid_id", text)
}

/// A node's id.
pub(crate) fn node_id(text: &str) -> Parsed<NodeId> {
    id("node_id", text)
}

/// Entries of a page, and the grid before which it starts.
pub(crate) fn page_of(request: &v1::ListRequest) -> Parsed<(u32, Option<GridId>)> {
    let entries = match request.page_size {
        0 => PAGE_ENTRIES,
        entries => entries,
    };
    in_range(
        "page_size",
        entries <= PAGE_ENTRIES_MAX,
        entries,
        "from 1 to 1000, or 0 for 100",
    )?;
    let before = match request.page_token.as_str() {
        "" => None,
        token => Some(id("page_token", token)?),
    };
    Ok((entries, before))
}

/// What somebody would like to be a grid, and the id by which it is known when it is sent again.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) request: RequestId,
    pub(crate) draft: Draft,
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
    Ok(Submission {
        request: id("request_id", &request.request_id)?,
        draft: Draft {
            name: request.name,
            photos: photos.collect::<Parsed<_>>()?,
            artists: artists.collect::<Parsed<_>>()?,
            variants: variants.collect::<Parsed<_>>()?,
            settings: settings("settings", request.settings)?,
            reconstructions: request.reconstructions,
        },
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
    };
    node.check()?;
    Ok(node)
}

/// What a node asks for, and how long it waits.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) node: NodeId,
    pub(crate) wanted: Wanted,
    pub(crate) wait: Duration,
}

/// A request for work. `seconds_wanted` is checked and otherwise passed over: nothing is known yet of how long cells
/// take.
pub(crate) fn lease(request: &v1::LeaseRequest) -> Parsed<Lease> {
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
    Ok(Lease {
        node: node_id(&request.node_id)?,
        wanted: Wanted {
            cells_max: cells_max as usize,
            cached: cached.collect::<Parsed<_>>()?,
        },
        wait,
    })
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
    for (field, given, expected) in [
        ("result.picture_key", &wire.picture_key, &keys.picture),
        ("result.thumbnail_key", &wire.thumbnail_key, &keys.thumbnail),
    ] {
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
    let shown = reason.chars().take(REASON_CHARS_MAX);
    let shown: String = shown
        .map(|letter| {
            if letter.is_control() && letter != '\n' {
                ' '
            } else {
                letter
            }
        })
        .collect();
    let reason = if shown.trim().is_empty() {
        "the node gave no reason".to_owned()
    } else {
        shown
    };
    Ok((refused, reason))
}
