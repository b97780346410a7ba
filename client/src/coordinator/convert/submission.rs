//! What is sent: a plan, and which grids are wanted.

use std::path::Path;

use atelier_proto::ids::RequestId;
use atelier_proto::v1;

use crate::coordinator::GridFilter;
use crate::coordinator::view::GridState;
use crate::inputs::{CheckedInput, CheckedInputs};
use crate::plan::Plan;

/// What Submit is sent.
pub(in crate::coordinator) fn submission(
    request_id: RequestId,
    plan: &Plan,
    inputs: &CheckedInputs,
) -> v1::SubmitRequest {
    let (submitter, user) = plan.submitter.wire();
    let input = |path: &Path| inputs.get(path).map(wire_input);
    let photos = plan.photos.iter().map(|photo| v1::Photo {
        name: photo.name.clone(),
        input: input(&photo.path),
        masks: photo
            .masks
            .iter()
            .map(|mask| v1::Mask {
                name: mask.name.clone(),
                input: input(&mask.path),
            })
            .collect(),
        start: photo.start.as_deref().and_then(input),
    });
    let artists = plan.artists.iter().map(|artist| v1::Artist {
        name: artist.name.clone(),
        paintings: artist
            .paintings
            .iter()
            .map(|painting| v1::Painting {
                name: painting.name.clone(),
                input: input(&painting.path),
                weight: painting.weight,
                mask: match &painting.mask {
                    Some(bound) => bound.name.clone(),
                    None => String::new(),
                },
            })
            .collect(),
        settings: Some((&artist.settings).into()),
    });
    let variants = plan.variants.iter().map(|variant| v1::Variant {
        name: variant.name.clone(),
        settings: Some((&variant.settings).into()),
    });
    v1::SubmitRequest {
        request_id: request_id.to_string(),
        name: plan.name.clone(),
        photos: photos.collect(),
        artists: artists.collect(),
        variants: variants.collect(),
        settings: Some((&plan.settings).into()),
        reconstructions: plan.reconstructions,
        submitter,
        user,
        priority: plan.priority,
        labels: plan.labels.clone().into_iter().collect(),
    }
}

fn wire_input(input: &CheckedInput) -> v1::Input {
    v1::Input {
        sha256: input.sha256.to_string(),
        width: input.width,
        height: input.height,
    }
}

/// What List is sent.
pub(in crate::coordinator) fn page_wanted(
    filter: &GridFilter,
    page_size: u32,
    page_token: String,
) -> v1::ListRequest {
    let user = filter.mine.clone();
    let states = filter.states.iter().map(|state| match state {
        GridState::Active => v1::GridState::Active,
        GridState::Paused => v1::GridState::Paused,
        GridState::Finished => v1::GridState::Finished,
        GridState::Cancelled => v1::GridState::Cancelled,
        GridState::Deleted => v1::GridState::Deleted,
    });
    v1::ListRequest {
        page_size,
        page_token,
        states: states.map(i32::from).collect(),
        submitter: filter.submitter.clone(),
        name_contains: filter.name.clone(),
        mine: user.is_some(),
        user: user.unwrap_or_default(),
    }
}
