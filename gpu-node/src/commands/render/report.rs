//! `--report`: how a picture came to be, as JSON.

use std::path::{Path, PathBuf};

use atelier_gallery::picture::Picture;
use atelier_proto::ids::Digest;
use atelier_proto::settings::RenderSettings;
use serde::Serialize;

use crate::render::Evaluation;

/// What `--report` writes.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    pub(super) version: &'static str,
    #[serde(flatten)]
    pub(super) inputs: InputsReport,
    pub(super) settings: &'a RenderSettings,
    pub(super) network: String,
    /// SHA-256 of the weights file; none: the network is untrained.
    pub(super) weights_sha256: Option<String>,
    pub(super) device: String,
    /// "float32" or "bfloat16".
    pub(super) precision: String,
    pub(super) picture: PictureReport<'a>,
    pub(super) loss: f64,
    /// Of the device, from the first evaluation on, over all runs.
    pub(super) seconds: f64,
    /// Evaluations that runs before this one made; none: this one began anew.
    pub(super) resumed_at: Option<u32>,
    /// Those of this run.
    pub(super) evaluations: Vec<Evaluation>,
}

/// What the picture was made of.
#[derive(Debug, Serialize)]
pub(super) struct InputsReport {
    pub(super) photo: Option<InputReport>,
    pub(super) paintings: Vec<PaintingReport>,
    pub(super) start: Option<InputReport>,
}

/// One file that was read.
#[derive(Debug, Clone, Serialize)]
pub(super) struct InputReport {
    pub(super) path: PathBuf,
    pub(super) sha256: Digest,
    /// Pixels, upright.
    pub(super) width: u32,
    pub(super) height: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct PaintingReport {
    #[serde(flatten)]
    pub(super) input: InputReport,
    /// Relative to its siblings.
    pub(super) weight: f64,
    pub(super) mask: Option<InputReport>,
}

/// The file that was written.
#[derive(Debug, Serialize)]
pub(super) struct PictureReport<'a> {
    path: &'a Path,
    sha256: Digest,
    width: u32,
    height: u32,
}

impl<'a> PictureReport<'a> {
    pub(super) fn new(path: &'a Path, picture: &Picture, bytes: &[u8]) -> Self {
        Self {
            path,
            sha256: Digest::of(bytes),
            width: picture.width(),
            height: picture.height(),
        }
    }
}
