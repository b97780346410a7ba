//! What is submitted comes back as it was sent and goes to nodes with what its cells take; what cannot be is refused.

use std::time::Duration;

use atelier_proto::ids::{CellId, Digest, GridId, NodeId, RequestId};
use atelier_proto::v1;
use jiff::Timestamp;

use super::*;
use crate::dispatch::Given;
use crate::domain::effort::Estimate;
use crate::domain::grid::{GridSpec, Position, Subject};
use crate::domain::keys::{CellKeys, GridNames};
use crate::domain::summary::{Counts, GridState, GridSummary};

fn input(name: &str) -> v1::Input {
    v1::Input {
        sha256: Digest::of(name.as_bytes()).to_string(),
        width: 64,
        height: 48,
    }
}

/// One photo with two masks and a start, one artist bound to one of them, everything reconstructed.
pub(in crate::rpc) fn request() -> v1::SubmitRequest {
    let mask = |name: &str| v1::Mask {
        name: name.to_owned(),
        input: Some(input(name)),
    };
    v1::SubmitRequest {
        request_id: RequestId::generate().to_string(),
        name: "Afternoon".to_owned(),
        photos: vec![v1::Photo {
            name: "Sunday".to_owned(),
            input: Some(input("photo")),
            masks: vec![mask("sky"), mask("rider")],
            start: Some(input("sketch")),
        }],
        artists: vec![v1::Artist {
            name: "Monet".to_owned(),
            paintings: vec![v1::Painting {
                name: "a.png".to_owned(),
                input: Some(input("painting")),
                weight: 1.0,
                mask: "rider".to_owned(),
            }],
            settings: Some(v1::RenderSettings {
                start: Some(v1::Start::File.into()),
                ..v1::RenderSettings::default()
            }),
        }],
        reconstructions: true,
        ..v1::SubmitRequest::default()
    }
}

#[test]
fn a_grid_with_masks_starts_and_reconstructions_survives_the_way_in_and_out() {
    let sent = request();
    let submission = submission(sent.clone()).unwrap();
    let spec = GridSpec::accept(submission.draft, 10).unwrap();
    let summary = GridSummary {
        grid: GridId::generate(),
        name: spec.name().to_owned(),
        state: GridState::Active,
        counts: Counts::default(),
        submitted_at: Timestamp::UNIX_EPOCH,
        finished_at: None,
        sequence: 1,
        gallery_complete: false,
        priority: 0,
        submitter: "ann".to_owned(),
        work_open: 1.0,
        seconds_spent: 0.0,
        dollars_spent: 0.0,
    };
    let told = grid(&summary, Estimate::default(), &spec);
    assert_eq!(told.photos, sent.photos);
    assert_eq!(told.artists, sent.artists);
    assert!(told.reconstructions);

    let mut nameless = sent;
    nameless.photos[0].masks[1].input = None;
    let error = super::submission(nameless).unwrap_err();
    assert_eq!(error.field, "photos[0].masks[1].input");
}

#[test]
fn a_leased_cell_names_what_it_takes_and_no_more() {
    let spec = GridSpec::accept(submission(request()).unwrap().draft, 10).unwrap();
    let grid = GridId::generate();
    let names = GridNames::new(grid, &spec);
    let leased = |subject| {
        let position = Position {
            subject,
            variant: 0,
        };
        leased_cell(Given {
            cell: CellId { grid, place: 0 },
            attempt: 1,
            keys: names.cell(position, "jpg").unwrap(),
            work: spec.work(position).unwrap(),
            expires_at: Timestamp::UNIX_EPOCH,
            trace_parent: String::new(),
        })
    };
    let below = |key: &str| format!("grids/{grid}/{key}");

    let transfer = leased(Subject::Transfer {
        photo: 0,
        artist: 0,
    });
    let photo = transfer.photo.unwrap();
    let masks: Vec<&str> = photo.masks.iter().map(|mask| mask.name.as_str()).collect();
    assert_eq!((masks, photo.start), (vec!["rider"], Some(input("sketch"))));
    assert_eq!(transfer.artist.unwrap().paintings[0].mask, "rider");

    let content = leased(Subject::Content { photo: 0 });
    assert_eq!(content.artist, None);
    let photo = content.photo.unwrap();
    assert_eq!((photo.masks, photo.start), (Vec::new(), None));
    assert_eq!(content.settings.unwrap().mode(), v1::Mode::Content);
    assert_eq!(content.picture_key, below("pictures/sunday_content.jpg"));
    assert_eq!(content.artist_original_key, "");

    let style = leased(Subject::Style { artist: 0 });
    assert_eq!(style.photo, None);
    assert_eq!(style.artist.unwrap().paintings[0].mask, "");
    let settings = style.settings.unwrap();
    assert_eq!(
        (settings.mode(), settings.start()),
        (v1::Mode::Style, v1::Start::Noise)
    );
    assert_eq!(style.picture_key, below("pictures/monet_style.jpg"));
    assert_eq!(style.photo_original_key, "");
    let checkpoint = below("checkpoints/monet_style.safetensors");
    assert_eq!(style.checkpoint_key, checkpoint);
    assert_eq!(
        style.artist_original_key,
        below("originals/artist-monet.jpg")
    );
}

fn any_keys() -> CellKeys {
    CellKeys {
        picture: "grids/g/pictures/p.jpg".to_owned(),
        thumbnail: "grids/g/thumbnails/p.jpg".to_owned(),
        large_thumbnail: "grids/g/thumbnails/p.large.jpg".to_owned(),
        checkpoint: "grids/g/checkpoints/p.safetensors".to_owned(),
        preview: "grids/g/previews/p.jpg".to_owned(),
        photo_original: None,
        artist_original: None,
    }
}

fn result() -> v1::CellResult {
    v1::CellResult {
        picture_key: any_keys().picture,
        thumbnail_key: any_keys().thumbnail,
        sha256: "a".repeat(64),
        bytes: 1,
        width: 1,
        height: 1,
        loss: 0.5,
        ..v1::CellResult::default()
    }
}

#[test]
fn a_node_cannot_report_a_picture_of_another_cell_or_none() {
    type Change = fn(&mut v1::CellResult);
    assert!(cell_result(Some(result()), &any_keys()).is_ok());
    let cases: [(&str, Change); 8] = [
        ("result.picture_key", |wire| {
            wire.picture_key = "grids/h/x.jpg".to_owned();
        }),
        ("result.sha256", |wire| wire.sha256 = "A".repeat(64)),
        ("result.bytes", |wire| wire.bytes = 0),
        ("result.width", |wire| wire.width = 0),
        ("result.loss", |wire| wire.loss = f64::NAN),
        ("result.large_thumbnail_key", |wire| {
            wire.large_thumbnail_key = "grids/g/thumbnails/p.jpg".to_owned();
        }),
        ("result.losses", |wire| {
            wire.losses = vec![v1::LossPoint::default(); 65];
        }),
        ("result.losses[0].loss", |wire| {
            let (evaluations, loss) = (1, f64::INFINITY);
            wire.losses = vec![v1::LossPoint { evaluations, loss }];
        }),
    ];
    for (field, change) in cases {
        let mut wire = result();
        change(&mut wire);
        assert_eq!(
            cell_result(Some(wire), &any_keys()).unwrap_err().field,
            field
        );
    }
}

#[test]
fn a_setting_is_named_with_its_place() {
    let artist = v1::Artist {
        settings: Some(v1::RenderSettings {
            size: Some(0),
            ..v1::RenderSettings::default()
        }),
        ..v1::Artist::default()
    };
    let request = v1::SubmitRequest {
        request_id: RequestId::generate().to_string(),
        artists: vec![artist],
        ..v1::SubmitRequest::default()
    };
    assert_eq!(
        submission(request).unwrap_err().to_string(),
        "artists[0].settings: setting `size` is 0, but must be from 16 to 8192"
    );
}

#[test]
fn a_lease_may_not_wait_for_ever() {
    let mut request = v1::LeaseRequest {
        node_id: NodeId::generate().to_string(),
        cells_max: 1,
        ..v1::LeaseRequest::default()
    };
    assert_eq!(lease(&request).unwrap().1, Duration::ZERO);
    for seconds in [61, -1, i64::MAX] {
        request.wait = Some(prost_types::Duration { seconds, nanos: 0 });
        assert_eq!(lease(&request).unwrap_err().field, "wait");
    }
}

#[test]
fn a_cell_that_is_given_back_is_named_with_its_place() {
    let held = |cell_id: &str| v1::HeldCell {
        cell_id: cell_id.to_owned(),
        attempt: 1,
    };
    let grid = GridId::generate();
    let mut request = v1::ReleaseRequest {
        cells: vec![held(&format!("{grid}/0")), held("nonsense")],
        ..v1::ReleaseRequest::default()
    };
    let node = NodeId::generate();
    let refused = released(node, &request).unwrap_err();
    assert_eq!(refused.field, "cells[1].cell_id");
    request.cells.pop();
    assert_eq!(released(node, &request).unwrap().len(), 1);
    request.reason = "x".repeat(301);
    assert_eq!(released(node, &request).unwrap_err().field, "reason");
}

#[test]
fn a_page_is_cut_where_a_further_one_begins() {
    let page: Page<GridId> = page(2, "").unwrap();
    let cut = |read: &[u32]| {
        let mut read = read.to_vec();
        let token = page.cut(&mut read, |last| *last);
        (read, token)
    };
    assert_eq!(page.read_max(), 3);
    assert_eq!(cut(&[7, 8, 9]), (vec![7, 8], "8".to_owned()));
    assert_eq!(cut(&[7, 8]), (vec![7, 8], String::new()));
    assert_eq!(cut(&[]), (Vec::new(), String::new()));
}
