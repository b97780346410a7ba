//! What a renderer is asked, and what it answers.

use std::ops::ControlFlow;
use std::sync::Arc;

use atelier_gallery::picture::Picture;
use atelier_proto::ids::Digest;
use atelier_proto::settings::RenderSettings;
use image::{GrayImage, RgbImage};
use serde::Serialize;

use super::Checkpoint;

/// Long side of previews, pixels.
pub const PREVIEW_SIDE: u32 = 256;

/// A picture with the digest of the file that it came from, by which targets are kept; clones share it.
#[derive(Debug, Clone)]
pub struct Input {
    /// The picture.
    pub picture: Arc<Picture>,
    /// Of its file.
    pub digest: Digest,
}

/// A style image.
#[derive(Debug, Clone)]
pub struct PaintingInput {
    /// The picture.
    pub input: Input,
    /// Its share in the artist's style, above 0.
    pub weight: f64,
    /// Where in the photo it applies; everywhere without.
    pub mask: Option<MaskInput>,
}

/// Where a painting applies: white is where, grey is by halves. It is brought to the size of the picture.
#[derive(Debug, Clone)]
pub struct MaskInput {
    /// The mask.
    pub mask: Arc<GrayImage>,
    /// Of its file; paintings with the same mask are one region.
    pub digest: Digest,
}

/// One cell to render.
#[derive(Debug, Clone)]
pub struct RenderJob {
    /// The content image; none only when an artist's texture is reconstructed.
    pub photo: Option<Input>,
    /// The style images; none only when a photo is reconstructed.
    pub paintings: Vec<PaintingInput>,
    /// The picture that `start = "file"` begins from.
    pub start: Option<Input>,
    /// How it is rendered.
    pub settings: RenderSettings,
    /// Where an earlier attempt at the same job was; the render goes on from there.
    pub checkpoint: Option<Checkpoint>,
}

/// One evaluation of the loss, as reports have it. Its parts are weighted, so that with the small total
/// variation and range terms they add up to `total`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Which scale, the coarsest being 1.
    pub scale: u32,
    /// Size of the picture at this scale, pixels.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// Counted over all scales, from 1.
    pub number: u32,
    /// How many there will be over all scales, unless a plateau ends one early.
    pub planned: u32,
    /// What the optimiser minimises.
    pub total: f64,
    /// The part of `total` that holds on to the photo.
    pub content: f64,
    /// The part of `total` that holds on to the paintings.
    pub style: f64,
    /// Seconds of the device that this job took so far: in a batch, its share.
    pub seconds: f64,
}

/// A finished picture.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The picture with the lowest loss at the full scale.
    pub picture: Picture,
    /// Seconds of the device that it took: in a batch, its share.
    pub seconds: f64,
    /// Evaluations made.
    pub evaluations: u32,
    /// Loss of the picture, before it was rounded to whole colours.
    pub loss: f64,
}

/// Whoever watches jobs from the renderer's thread.
pub trait Watch {
    /// After each evaluation of a job; a break ends that job alone, with [`super::RenderError::Cancelled`].
    fn evaluated(&mut self, job: usize, evaluation: &Evaluation) -> ControlFlow<()>;

    /// Whether a checkpoint of a job is wanted now. Asked after each evaluation.
    fn wants_checkpoint(&mut self, _job: usize) -> bool {
        false
    }

    /// Takes the checkpoint that was wanted.
    fn checkpoint(&mut self, _job: usize, _checkpoint: Checkpoint) {}

    /// Whether it is wanted now to see what a job has become so far. Asked after each evaluation.
    fn wants_preview(&mut self, _job: usize) -> bool {
        false
    }

    /// Takes the preview that was wanted: the best picture so far, at most [`PREVIEW_SIDE`] pixels long.
    fn preview(&mut self, _job: usize, _preview: RgbImage) {}
}

/// A watch that lets everything go on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn evaluated(&mut self, _: usize, _: &Evaluation) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
