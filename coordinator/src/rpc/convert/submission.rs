//! What somebody submits.

use atelier_proto::settings::SettingsPatch;
use atelier_proto::v1;

use super::fields::{Parsed, id, required};
use super::grids::priority;
use crate::domain::field::{InvalidField, Problem, check_text};
use crate::domain::grid::{Artist, Draft, Input, Mask, Painting, Photo, Variant};
use crate::domain::node::check_labels;
use crate::domain::share::SUBMITTER_CHARS_MAX;
use crate::submissions::Submission;

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
