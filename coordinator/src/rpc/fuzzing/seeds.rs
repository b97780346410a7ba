//! What fuzzers of requests begin with: one of each, as full as it may be.

use std::collections::{BTreeMap, BTreeSet};

use atelier_gallery::keys::{input_key, weights_key};
use atelier_gallery::signed::{Content, Method, Right, Wanted};
use atelier_proto::ids::{CellId, Digest};
use prost_types::FileDescriptorSet;

use super::{Message, REQUESTS, convert, v1};
use crate::domain::rights::fuzzing::HELD;

#[test]
fn every_call_has_its_request_here() {
    let set = FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).unwrap();
    let services = set.file.iter().flat_map(|file| &file.service);
    let methods = services.flat_map(|service| &service.method);
    let called: BTreeSet<&str> = methods
        .map(|method| method.input_type().rsplit('.').next().unwrap())
        .collect();
    let here: BTreeSet<&str> = REQUESTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(here, called);
}

pub(crate) fn metadata() -> impl Iterator<Item = (String, Vec<u8>)> {
    let seeds = [
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("own", "0.1.0"),
        ("newer", "1.20.3-rc.1+build"),
    ];
    seeds
        .into_iter()
        .map(|(name, seed)| (name.to_owned(), seed.into()))
}

/// What every id is, of grids as of nodes.
const GRID: &str = "0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b";

fn cell_id() -> String {
    format!("{GRID}/3")
}

fn held() -> v1::HeldCell {
    v1::HeldCell {
        cell_id: cell_id(),
        attempt: 2,
    }
}

pub(crate) fn requests() -> Vec<(String, Vec<u8>)> {
    // Messages of one id, or of nothing, are alike.
    let only_id = v1::GetRequest {
        grid_id: GRID.to_owned(),
    };
    let only_id = only_id.encode_to_vec();
    let alike = REQUESTS.iter().map(|(name, _)| (*name, only_id.clone()));
    let mut seeds: BTreeMap<&str, Vec<u8>> = alike.collect();
    let mut submit = convert::tests::request();
    submit.request_id = GRID.to_owned();
    seeds.insert("SubmitRequest", submit.encode_to_vec());
    seeds.extend(of_people());
    seeds.extend(of_nodes());
    seeds.extend(of_fleet());
    seeds.extend(of_others());
    let place = |name: &str| REQUESTS.iter().position(|(of, _)| *of == name).unwrap() as u8;
    let seeds = seeds
        .into_iter()
        .map(|(name, message)| (name.to_owned(), [vec![place(name)], message].concat()));
    seeds.collect()
}

/// Of the services that people call about grids.
fn of_people() -> [(&'static str, Vec<u8>); 4] {
    [
        (
            "ListRequest",
            v1::ListRequest {
                page_size: 7,
                page_token: GRID.to_owned(),
                states: vec![1, 2],
                submitter: Some("ann".to_owned()),
                name_contains: "a".to_owned(),
                mine: false,
                user: "ann".to_owned(),
            }
            .encode_to_vec(),
        ),
        (
            "WatchRequest",
            v1::WatchRequest {
                grid_id: GRID.to_owned(),
                after_sequence: 9,
                summary_only: true,
            }
            .encode_to_vec(),
        ),
        (
            "RetryRequest",
            v1::RetryRequest {
                grid_id: GRID.to_owned(),
                cell_ids: vec![cell_id()],
            }
            .encode_to_vec(),
        ),
        (
            "SetPriorityRequest",
            v1::SetPriorityRequest {
                grid_id: GRID.to_owned(),
                priority: -100,
            }
            .encode_to_vec(),
        ),
    ]
}

/// Of nodes.
fn of_nodes() -> [(&'static str, Vec<u8>); 6] {
    [
        (
            "RegisterRequest",
            v1::RegisterRequest {
                node_id: GRID.to_owned(),
                name: "n".to_owned(),
                device: "cuda".to_owned(),
                memory_bytes: 9,
                batch_capacity: 4,
                version: "0.1.0".to_owned(),
                instance_id: "i-1".to_owned(),
                dollars_per_hour: Some(1.5),
                labels: [("gpu".to_owned(), "h100".to_owned())].into(),
            }
            .encode_to_vec(),
        ),
        (
            "LeaseRequest",
            v1::LeaseRequest {
                node_id: GRID.to_owned(),
                cells_max: 8,
                cached_inputs: vec![Digest::of(b"a").to_string()],
                wait: Some(prost_types::Duration {
                    seconds: 20,
                    nanos: 5,
                }),
                seconds_wanted: Some(45.0),
            }
            .encode_to_vec(),
        ),
        (
            "RenewRequest",
            v1::RenewRequest {
                node_id: GRID.to_owned(),
                leaving: "spot".to_owned(),
                cells: vec![v1::CellProgress {
                    cell: Some(held()),
                    evaluations: 3,
                    evaluations_planned: 9,
                    loss: 0.5,
                    rendering: true,
                }],
            }
            .encode_to_vec(),
        ),
        (
            "CompleteRequest",
            v1::CompleteRequest {
                node_id: GRID.to_owned(),
                cell: Some(held()),
                log: "a".to_owned(),
                result: Some(v1::CellResult {
                    picture_key: "grids/a".to_owned(),
                    thumbnail_key: "grids/b".to_owned(),
                    large_thumbnail_key: "grids/c".to_owned(),
                    sha256: Digest::of(b"p").to_string(),
                    bytes: 9,
                    width: 8,
                    height: 6,
                    seconds: 2.5,
                    evaluations: 100,
                    loss: 0.25,
                    network: "vgg16".to_owned(),
                    device: "cpu".to_owned(),
                    losses: vec![v1::LossPoint {
                        evaluations: 1,
                        loss: 9.0,
                    }],
                }),
            }
            .encode_to_vec(),
        ),
        (
            "FailRequest",
            v1::FailRequest {
                node_id: GRID.to_owned(),
                cell: Some(held()),
                kind: 1,
                reason: "out of\tmemory".to_owned(),
                log: "a\nb\u{1b}[0m".to_owned(),
            }
            .encode_to_vec(),
        ),
        (
            "ReleaseRequest",
            v1::ReleaseRequest {
                node_id: GRID.to_owned(),
                cells: vec![held()],
                reason: "leaves".to_owned(),
            }
            .encode_to_vec(),
        ),
    ]
}

/// Of the fleet.
fn of_fleet() -> [(&'static str, Vec<u8>); 4] {
    [
        (
            "ListNodesRequest",
            v1::ListNodesRequest {
                page_size: 5,
                page_token: GRID.to_owned(),
                include_lost: true,
            }
            .encode_to_vec(),
        ),
        (
            "DrainRequest",
            v1::DrainRequest {
                node_id: GRID.to_owned(),
                reason: "disk".to_owned(),
            }
            .encode_to_vec(),
        ),
        (
            "QuarantineRequest",
            v1::QuarantineRequest {
                node_id: GRID.to_owned(),
                reason: "hot".to_owned(),
                lift: false,
            }
            .encode_to_vec(),
        ),
        (
            "ScaleRequest",
            v1::ScaleRequest {
                mode: 1,
                nodes_min: 1,
                nodes_max: 9,
            }
            .encode_to_vec(),
        ),
    ]
}

/// Of the bucket, tokens and logs.
fn of_others() -> [(&'static str, Vec<u8>); 5] {
    [
        (
            "LogsRequest",
            v1::LogsRequest { cell_id: cell_id() }.encode_to_vec(),
        ),
        (
            "SignRequest",
            v1::SignRequest {
                node_id: GRID.to_owned(),
                wanted: wanted(),
            }
            .encode_to_vec(),
        ),
        (
            "ListObjectsRequest",
            v1::ListObjectsRequest {
                grid_id: GRID.to_owned(),
                page_size: 9,
                page_token: "pictures/a.png".to_owned(),
            }
            .encode_to_vec(),
        ),
        (
            "CreateTokenRequest",
            v1::CreateTokenRequest {
                name: "studio-1".to_owned(),
                role: v1::Role::Node.into(),
                valid_for: Some(prost_types::Duration {
                    seconds: 3_600,
                    nanos: 0,
                }),
                never_expires: false,
            }
            .encode_to_vec(),
        ),
        (
            "ListTokensRequest",
            v1::ListTokensRequest {
                page_size: 5,
                page_token: GRID.to_owned(),
            }
            .encode_to_vec(),
        ),
    ]
}

/// Everything that may be signed of a cell that is held, and an input of each kind of right.
fn wanted() -> Vec<v1::Wanted> {
    let held = &*HELD;
    let grid = held.facts.grid;
    let cell = CellId { grid, place: 0 };
    let signed = |method, key: &str, right, content: Option<Content>| {
        v1::Wanted::from(&Wanted {
            content,
            ..Wanted::new(method, key, right)
        })
    };
    let of_cell = Right::Cell { cell, attempt: 1 };
    let put = |key: &str, content_type| {
        let about = [
            ("seconds", "2.5".to_owned()),
            ("network", "vgg16".to_owned()),
        ];
        let content = match content_type {
            "image/png" => Content::of_type(content_type)
                .of_bytes(Digest::of(b"p"), 9)
                .with_metadata(&about),
            other => Content::of_type(other),
        };
        let is_kept = [&held.keys.checkpoint, &held.keys.preview].contains(&&key.to_owned());
        let is_preview = key == held.keys.preview;
        let content = Content {
            if_absent: !is_kept,
            cache_control: is_preview.then(|| "no-cache".to_owned()),
            ..content
        };
        signed(Method::Put, key, of_cell, Some(content))
    };
    let digest = held.inputs.iter().min().copied().unwrap();
    let input = input_key(&digest);
    let sent = Content {
        if_absent: true,
        ..Content::of_type("image/jpeg").of_bytes(digest, 9)
    };
    let keys = &held.keys;
    vec![
        put(&keys.picture, "image/png"),
        put(&keys.thumbnail, "image/jpeg"),
        put(keys.photo_original.as_deref().unwrap(), "image/jpeg"),
        put(&keys.checkpoint, "application/octet-stream"),
        put(&keys.preview, "image/jpeg"),
        signed(Method::Delete, &keys.checkpoint, of_cell, None),
        signed(Method::Get, &input, of_cell, None),
        signed(Method::Get, &input, Right::Grid(grid), None),
        signed(Method::Put, &input, Right::Own, Some(sent)),
        v1::Wanted {
            valid_for: Some(prost_types::Duration {
                seconds: 3_600,
                nanos: 0,
            }),
            ..signed(Method::Get, &keys.picture, Right::Grid(grid), None)
        },
        signed(Method::Get, &weights_key(&digest), Right::Own, None),
        signed(Method::Head, "", Right::Own, None),
    ]
}
