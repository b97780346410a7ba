//! Requests from anywhere, from the bytes of their messages to the domain.

#![expect(
    clippy::needless_pass_by_value,
    reason = "each is called with a message of its own"
)]

use std::collections::BTreeSet;

use atelier_gallery::signed::Method;
use atelier_proto::ids::{GridId, NodeId, TokenId};
use atelier_proto::telemetry::context;
use atelier_proto::v1;
use atelier_proto::version::{Peering, difference, peering_with};
use prost::Message;
use uuid::Uuid;

use super::convert;
use crate::domain::access::{Caller, Identity, Role};
use crate::domain::field::InvalidField;
use crate::domain::grid::GridSpec;
use crate::domain::keys::{CellKeys, GridNames};
use crate::domain::rights;

/// Most cells of a grid that is accepted here.
const CELLS_MAX: u32 = 2_000;
/// Longest text of an error: a status travels in headers, whose sum is bounded (16 KiB by default, percent-encoded).
const ERROR_BYTES_MAX: usize = 4_000;

type Outcome = Result<(), InvalidField>;
/// The name of a message, and what becomes of its bytes.
type Request = (&'static str, fn(&[u8]) -> Outcome);

/// The message of each call, and what becomes of it before anything is done; the first byte of an input is a place in it.
const REQUESTS: [Request; 30] = [
    ("SubmitRequest", |it| take(it, submit)),
    ("StorageRequest", |it| {
        take(it, |_: v1::StorageRequest| Ok(()))
    }),
    ("GetRequest", |it| {
        take(it, |it: v1::GetRequest| of_grid(&it.grid_id))
    }),
    ("ListRequest", |it| take(it, list)),
    ("WatchRequest", |it| {
        take(it, |it: v1::WatchRequest| of_grid(&it.grid_id))
    }),
    ("PauseRequest", |it| {
        take(it, |it: v1::PauseRequest| of_grid(&it.grid_id))
    }),
    ("ResumeRequest", |it| {
        take(it, |it: v1::ResumeRequest| of_grid(&it.grid_id))
    }),
    ("CancelRequest", |it| {
        take(it, |it: v1::CancelRequest| of_grid(&it.grid_id))
    }),
    ("RetryRequest", |it| take(it, retry)),
    ("SetPriorityRequest", |it| take(it, set_priority)),
    ("DeleteRequest", |it| {
        take(it, |it: v1::DeleteRequest| of_grid(&it.grid_id))
    }),
    ("RegisterRequest", |it| take(it, register)),
    ("LeaseRequest", |it| take(it, lease)),
    ("RenewRequest", |it| take(it, renew)),
    ("CompleteRequest", |it| take(it, complete)),
    ("FailRequest", |it| take(it, fail)),
    ("ReleaseRequest", |it| take(it, release)),
    ("ListNodesRequest", |it| take(it, list_nodes)),
    ("DrainRequest", |it| take(it, drain)),
    ("UndrainRequest", |it| {
        take(it, |it: v1::UndrainRequest| of_node(&it.node_id))
    }),
    ("QuarantineRequest", |it| take(it, quarantine)),
    ("ScaleRequest", |it| {
        take(it, |it: v1::ScaleRequest| convert::bounds(&it).map(drop))
    }),
    ("DescribeRequest", |it| {
        take(it, |_: v1::DescribeRequest| Ok(()))
    }),
    ("LogsRequest", |it| {
        take(it, |it: v1::LogsRequest| {
            convert::cell_id(&it.cell_id).map(drop)
        })
    }),
    ("SignRequest", |it| take(it, sign)),
    ("ListObjectsRequest", |it| take(it, list_objects)),
    ("CreateTokenRequest", |it| take(it, create_token)),
    ("ListTokensRequest", |it| take(it, list_tokens)),
    ("RevokeTokenRequest", |it| {
        take(it, |it: v1::RevokeTokenRequest| {
            convert::token_id(&it.token_id).map(drop)
        })
    }),
    ("WhoAmIRequest", |it| {
        take(it, |_: v1::WhoAmIRequest| Ok(()))
    }),
];

/// A request of any kind is parsed, or refused with the field that is at fault in words that fit into a status; what is
/// parsed is within its bounds, and a grid that is accepted is the same in the store and has a key of its own for each cell.
///
/// # Panics
/// Where that is not so.
pub fn requests(bytes: &[u8]) {
    if let Some((kind, message)) = bytes.split_first()
        && let Some((_, request)) = REQUESTS.get(usize::from(*kind))
        && let Err(error) = request(message)
    {
        assert!(!error.field.is_empty(), "{error}");
        assert_told(&error);
    }
}

/// What travels beside a call: the version of the caller is told in few words, and a trace that is gone on with is told on as
/// it was.
///
/// # Panics
/// Where that is not so.
pub fn metadata(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if peering_with(Some(&text)) != Peering::Promised {
        assert_told(&difference("a caller", &text));
    }
    if let Some(context) = context::parse(&text) {
        assert!(context.is_valid() && context.is_remote());
        let told = format!("-{}-{}-", context.trace_id(), context.span_id());
        assert_eq!(text.get(2..2 + told.len()), Some(told.as_str()));
    }
}

/// What is no message is refused before anybody here sees it.
fn take<M: Message + Default>(bytes: &[u8], parse: impl FnOnce(M) -> Outcome) -> Outcome {
    M::decode(bytes).map_or(Ok(()), parse)
}

/// What a call is refused with fits into a status.
fn assert_told(error: &impl ToString) {
    let told = error.to_string();
    let bytes = told.len();
    assert!(bytes <= ERROR_BYTES_MAX, "{bytes} bytes: {told}");
    assert_shown(&told);
}

/// What people and logs are shown holds nothing that would confuse a terminal.
fn assert_shown(text: &str) {
    let moves = |letter: char| letter.is_control() && letter != '\n';
    assert!(!text.chars().any(moves), "{text:?}");
}

fn some_node() -> NodeId {
    Uuid::max().into()
}

fn of_grid(grid: &str) -> Outcome {
    convert::grid_id(grid).map(drop)
}

fn of_node(node: &str) -> Outcome {
    convert::node_id(node).map(drop)
}

fn submit(request: v1::SubmitRequest) -> Outcome {
    let submission = convert::submission(request)?;
    let spec = GridSpec::accept(submission.draft, CELLS_MAX)?;
    assert_shown(spec.name());
    let stored = serde_json::to_string(&spec).map(|json| serde_json::from_str::<GridSpec>(&json));
    match stored {
        Ok(Ok(stored)) => assert!(stored == spec, "the store keeps another grid"),
        trouble => panic!("no store keeps it: {trouble:?}"),
    }
    let grid = GridId::from(Uuid::max());
    let names = GridNames::new(grid, &spec);
    let prefix = format!("grids/{grid}/");
    let mut pictures = BTreeSet::new();
    let mut cells = 0;
    for position in spec.positions() {
        cells += 1;
        let Some(keys) = names.cell(position, "png") else {
            panic!("{position:?} has no keys");
        };
        let CellKeys {
            picture,
            thumbnail,
            large_thumbnail,
            checkpoint,
            preview,
            ..
        } = keys;
        for key in [
            &picture,
            &thumbnail,
            &large_thumbnail,
            &checkpoint,
            &preview,
        ] {
            assert!(key.starts_with(&prefix), "{key}");
            assert!(!key.contains("..") && !key.contains("//"), "{key}");
            assert!(
                key.len() <= 1_024 && key.bytes().all(|byte| byte.is_ascii_graphic()),
                "{key}"
            );
        }
        assert!(pictures.insert(picture), "two cells have one picture");
        let size = spec.picture_size(position);
        assert!(size.is_some_and(|(width, height)| width > 0 && height > 0));
        assert!(spec.work(position).is_some());
    }
    assert!(cells <= CELLS_MAX);
    Ok(())
}

fn list(request: v1::ListRequest) -> Outcome {
    let page: convert::Page<GridId> = convert::page(request.page_size, &request.page_token)?;
    assert!((1..=1_000).contains(&page.entries));
    convert::filter(&request, &Caller::Anyone)?;
    let ann = Caller::Known(Identity {
        name: "ann".to_owned(),
        role: Role::Client,
    });
    if let Some(filter) = convert::filter(&request, &ann)? {
        let submitter = filter.submitter.as_deref();
        assert_eq!(submitter, Some("ann"), "a client sees grids of others");
    }
    Ok(())
}

fn list_nodes(request: v1::ListNodesRequest) -> Outcome {
    let page: convert::Page<NodeId> = convert::page(request.page_size, &request.page_token)?;
    assert!((1..=1_000).contains(&page.entries));
    Ok(())
}

fn retry(request: v1::RetryRequest) -> Outcome {
    let grid = convert::grid_id(&request.grid_id)?;
    convert::places(grid, &request.cell_ids).map(drop)
}

fn set_priority(request: v1::SetPriorityRequest) -> Outcome {
    let priority = convert::priority(request.priority)?;
    assert!((-100..=100).contains(&priority));
    of_grid(&request.grid_id)
}

fn register(request: v1::RegisterRequest) -> Outcome {
    let node = convert::node(request)?;
    for text in [&node.name, &node.device, &node.version, &node.instance_id] {
        assert_shown(text);
    }
    assert!(
        node.dollars_per_hour
            .is_none_or(|dollars| dollars.is_finite() && dollars >= 0.0)
    );
    Ok(())
}

fn lease(request: v1::LeaseRequest) -> Outcome {
    let (ask, wait) = convert::lease(&request)?;
    assert!((1..=256).contains(&ask.wanted.cells_max));
    assert!(wait.as_secs() <= 60);
    Ok(())
}

fn renew(request: v1::RenewRequest) -> Outcome {
    if let Some(reason) = convert::leaving(&request.leaving)? {
        assert_shown(reason);
    }
    convert::progress(some_node(), request.cells).map(drop)
}

fn complete(request: v1::CompleteRequest) -> Outcome {
    let (_, holder) = convert::held_cell(some_node(), request.cell)?;
    assert_shown(&convert::log(&request.log));
    // The keys that the cell has are told by the result itself: that they are its own is what is compared first.
    let told = request.result.clone().unwrap_or_default();
    let keys = CellKeys {
        picture: told.picture_key,
        thumbnail: told.thumbnail_key,
        large_thumbnail: told.large_thumbnail_key,
        checkpoint: String::new(),
        preview: String::new(),
        photo_original: None,
        artist_original: None,
    };
    let result = convert::cell_result(request.result, &keys)?;
    assert_eq!(holder.node, some_node());
    assert!(result.loss.is_finite() && result.seconds.is_finite() && result.seconds >= 0.0);
    assert!(result.losses.iter().all(|(_, loss)| loss.is_finite()));
    let stored = serde_json::to_string(&result).map(|json| serde_json::from_str(&json));
    match stored {
        Ok(Ok(stored)) => assert_eq!(result, stored),
        trouble => panic!("no store keeps it: {trouble:?}"),
    }
    Ok(())
}

fn fail(request: v1::FailRequest) -> Outcome {
    convert::held_cell(some_node(), request.cell)?;
    let (_, reason) = convert::failure(request.kind, &request.reason)?;
    assert!(!reason.trim().is_empty() && reason.chars().count() <= 4_000);
    assert_shown(&reason);
    let log = convert::log(&request.log);
    assert!(log.chars().count() <= 16_000);
    assert_shown(&log);
    Ok(())
}

fn release(request: v1::ReleaseRequest) -> Outcome {
    convert::released(some_node(), &request)?;
    of_node(&request.node_id)
}

fn drain(request: v1::DrainRequest) -> Outcome {
    assert_shown(convert::drain(request)?.reason());
    Ok(())
}

fn quarantine(request: v1::QuarantineRequest) -> Outcome {
    assert_shown(convert::quarantine(request)?.reason());
    Ok(())
}

fn sign(request: v1::SignRequest) -> Outcome {
    if !request.node_id.is_empty() {
        of_node(&request.node_id)?;
    }
    for wanted in convert::wanted(request.wanted)? {
        assert_eq!(wanted.content.is_some(), wanted.method == Method::Put);
        let seconds = wanted.valid_for.map(|it| it.as_secs());
        assert!(seconds.is_none_or(|it| (1..=7 * 24 * 3600).contains(&it)));
        for denied in rights::fuzzing::refusals_of(&wanted) {
            assert_told(&denied);
        }
    }
    Ok(())
}

fn list_objects(request: v1::ListObjectsRequest) -> Outcome {
    let (objects, _) = convert::objects_page(&request)?;
    assert!((1..=1_000).contains(&objects));
    of_grid(&request.grid_id)
}

fn create_token(request: v1::CreateTokenRequest) -> Outcome {
    let (identity, valid_for) = convert::new_token(request)?;
    assert_shown(&identity.name);
    assert!((1..=64).contains(&identity.name.chars().count()));
    assert!(valid_for.is_none_or(|it| it.as_secs() >= 60));
    Ok(())
}

fn list_tokens(request: v1::ListTokensRequest) -> Outcome {
    let page: convert::Page<TokenId> = convert::page(request.page_size, &request.page_token)?;
    assert!((1..=1_000).contains(&page.entries));
    Ok(())
}

#[cfg(test)]
pub(crate) mod seeds;
