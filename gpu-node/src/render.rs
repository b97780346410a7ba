//! The renderer: the only code of Atelier that names tch.
//!
//! [`Renderer`] holds a network on a device and turns a [`RenderJob`] into a picture. Inside, everything is
//! batched: images are `[batch, 3, height, width]`, and each row has losses and an optimiser history of its own.
//!
//! - [`vgg`]: the network, cut after the deepest layer that is asked for; [`untrained`]: one that needs no file
//! - [`statistics`]: what style is measured by; [`targets`]: what is aimed at; [`loss`]: how far a picture is from it
//! - [`lbfgs`]: the optimiser; [`descent`]: the loop around it, with recovery and the best picture so far
//! - [`pixels`]: pictures to tensors and back; [`device`], [`cuda`]: what it all runs on

mod cuda;
mod descent;
mod device;
mod error;
mod lbfgs;
mod loss;
mod pixels;
mod statistics;
mod targets;
mod untrained;
mod vgg;

use std::ops::ControlFlow;

use atelier_proto::clock::Stopwatch;
use atelier_proto::settings::{Layer, LayerWeights, RenderSettings, Start, fit};
use image::RgbImage;
use serde::Serialize;
use tch::Tensor;

use self::descent::Descent;
pub use self::device::{DeviceChoice, UnknownDevice};
pub use self::error::RenderError;
use self::loss::Objective;
use self::targets::Targets;
use self::vgg::Vgg;
use crate::weights::{Network, VggWeights};

/// One cell to render.
#[derive(Debug, Clone)]
pub struct RenderJob {
    /// The content image.
    pub photo: RgbImage,
    /// The style images, each with its share of the artist's style; at least one, weights above 0.
    pub paintings: Vec<(RgbImage, f64)>,
    /// How it is rendered.
    pub settings: RenderSettings,
}

/// One evaluation of the loss, as reports have it. The three parts are weighted, so that with the small total
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
    /// How many there will be over all scales.
    pub planned: u32,
    /// What the optimiser minimises.
    pub total: f64,
    /// The part of `total` that holds on to the photo.
    pub content: f64,
    /// The part of `total` that holds on to the paintings.
    pub style: f64,
    /// Seconds since the render began.
    pub seconds: f64,
}

/// A finished picture.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The picture with the lowest loss at the full scale.
    pub picture: RgbImage,
    /// Seconds from the photo to the picture.
    pub seconds: f64,
    /// Evaluations made.
    pub evaluations: u32,
    /// Loss of the picture, before it was rounded to 8 bits.
    pub loss: f64,
}

/// A network on a device, ready to render.
#[derive(Debug)]
pub struct Renderer {
    vgg: Vgg,
    network: String,
    device: device::Selected,
    /// The layers of this network where the settings name none.
    content_layers: LayerWeights,
    style_layers: LayerWeights,
}

impl Renderer {
    /// Puts a network on a device; an untrained one is calibrated on the way, which takes about a second.
    ///
    /// # Errors
    /// When the device is not there or libtorch refuses.
    pub fn load(network: Network, choice: DeviceChoice) -> Result<Self, RenderError> {
        let device = device::select(choice)?;
        let name = network_name(&network);
        let (weights, content) = match network {
            Network::Trained(weights) => (weights, TRAINED_CONTENT),
            Network::Untrained { seed } => (untrained::calibrated(seed)?, UNTRAINED_CONTENT),
        };
        Ok(Self {
            vgg: Vgg::load(&weights, device.torch)?,
            network: name,
            device,
            content_layers: layers(content),
            style_layers: layers(STYLE),
        })
    }

    /// Which network paints: "vgg16 untrained", "vgg19 sha256:…".
    pub fn network(&self) -> &str {
        &self.network
    }

    /// "cpu" or "cuda:0 NVIDIA H100".
    pub fn device(&self) -> &str {
        &self.device.name
    }

    /// Bytes that the device can give to a render; 0 where it does not tell.
    pub fn memory_bytes(&self) -> u64 {
        self.device.memory_bytes
    }

    /// Renders one cell; `on_evaluation` sees every evaluation and may end the render.
    ///
    /// # Errors
    /// [`RenderError::Cancelled`] when it was ended; a refusal when the settings ask what this network cannot do;
    /// what libtorch says otherwise.
    pub fn render(
        &self,
        job: &RenderJob,
        on_evaluation: &mut dyn FnMut(&Evaluation) -> ControlFlow<()>,
    ) -> Result<Rendered, RenderError> {
        let watch = Stopwatch::start();
        let settings = self.complete(&job.settings);
        self.vgg.check_layers(&settings)?;
        if settings.content_weight == 0.0 && settings.style_weight == 0.0 {
            return Err(RenderError::Weightless);
        }
        let (photo_width, photo_height) = job.photo.dimensions();
        let sides = settings.scale_sides();
        let mut evaluations = 0;
        let planned = settings.evaluations_planned();
        // The image as the scale before left it.
        let mut image: Option<Tensor> = None;
        let mut loss = f64::INFINITY;
        for (scale, (side, budget)) in
            (1..).zip(sides.into_iter().zip(settings.evaluations_per_scale()))
        {
            let (width, height) = fit(photo_width, photo_height, side);
            let objective = self.objective(job, &settings, side)?;
            let start = match &image {
                Some(coarser) => pixels::enlarge(coarser, width, height)?,
                None => self.start(job, &settings, width, height)?,
            };
            let mut descent = Descent::begin(start, settings.history)?;
            for _ in 0..budget {
                let losses = descent.advance(&objective)?;
                evaluations += 1;
                let evaluation = Evaluation {
                    scale,
                    width,
                    height,
                    number: evaluations,
                    planned,
                    total: losses.total[0],
                    content: losses.content[0],
                    style: losses.style[0],
                    seconds: watch.seconds(),
                };
                if on_evaluation(&evaluation).is_break() {
                    return Err(RenderError::Cancelled);
                }
            }
            let best = descent.finish();
            loss = best.losses[0];
            image = Some(best.image);
        }
        let image = image.ok_or(RenderError::NoScale)?;
        Ok(Rendered {
            picture: pixels::to_picture(&image)?,
            seconds: watch.seconds(),
            evaluations,
            loss,
        })
    }

    /// The settings with this network's own layers where none are named.
    fn complete(&self, settings: &RenderSettings) -> RenderSettings {
        let mut settings = settings.clone();
        let fill = |layers: &mut LayerWeights, default: &LayerWeights| {
            if layers.is_empty() {
                layers.clone_from(default);
            }
        };
        fill(&mut settings.content_layers, &self.content_layers);
        fill(&mut settings.style_layers, &self.style_layers);
        settings
    }

    /// What a picture of this long side is measured by.
    fn objective<'a>(
        &'a self,
        job: &RenderJob,
        settings: &'a RenderSettings,
        side: u32,
    ) -> Result<Objective<'a>, RenderError> {
        let device = self.device.torch;
        let (width, height) = fit(job.photo.width(), job.photo.height(), side);
        let photo = pixels::to_tensor(&job.photo, width, height, device)?;
        let mut paintings = Vec::with_capacity(job.paintings.len());
        for (painting, weight) in &job.paintings {
            let side = (f64::from(side) * settings.style_scale).round().max(1.0) as u32;
            let (width, height) = fit(painting.width(), painting.height(), side);
            paintings.push((pixels::to_tensor(painting, width, height, device)?, *weight));
        }
        let targets = Targets::of(&self.vgg, settings, &photo, &paintings)?;
        Ok(Objective::new(&self.vgg, settings, targets))
    }

    /// The image before the first evaluation.
    fn start(
        &self,
        job: &RenderJob,
        settings: &RenderSettings,
        width: u32,
        height: u32,
    ) -> Result<Tensor, RenderError> {
        let device = self.device.torch;
        Ok(match settings.start {
            Start::Photo => pixels::to_tensor(&job.photo, width, height, device)?,
            Start::Noise => pixels::noise(settings.seed, width, height, device)?,
        })
    }
}

/// Block and index of a layer.
type Place = (u8, u8);
/// Gatys et al. 2015 take the content of trained networks from here.
const TRAINED_CONTENT: &[Place] = &[(4, 2)];
/// Random filters forget positions sooner: deeper layers no longer tell what was in the photo.
const UNTRAINED_CONTENT: &[Place] = &[(2, 2), (3, 1)];
/// Gatys et al. 2015, section 2.
const STYLE: &[Place] = &[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)];

/// Layers that count alike.
fn layers(places: &[Place]) -> LayerWeights {
    let layers = places
        .iter()
        .filter_map(|(block, index)| Some((Layer::new(*block, *index)?, 1.0)));
    LayerWeights::new(layers.collect()).unwrap_or_default()
}

fn network_name(network: &Network) -> String {
    match network {
        Network::Trained(VggWeights {
            architecture,
            digest,
            ..
        }) => format!("{architecture} sha256:{digest}"),
        Network::Untrained { .. } => "vgg16 untrained".to_owned(),
    }
}

#[cfg(test)]
mod tests;
