//! One job in a batch: what it asks for, checked and complete, and what it can share with others.

use std::collections::BTreeSet;

use atelier_proto::ids::Digest;
use atelier_proto::settings::{
    Colour, Features, Layer, LayerWeights, Mode, PictureFormat, RenderSettings, Start, fit,
};

use super::job::{MaskInput, PaintingInput, RenderJob};
use super::{Input, RenderError};

/// A job with its settings complete.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// Its place among the jobs that were asked for.
    pub(super) number: usize,
    pub(super) job: &'a RenderJob,
    /// With the network's own layers where none were named.
    pub(super) settings: RenderSettings,
    /// Size of the picture at its full scale, pixels.
    pub(super) size: (u32, u32),
    pub(super) regions: Vec<Region<'a>>,
}

/// A part of the picture with the paintings that apply there.
#[derive(Debug)]
pub(super) struct Region<'a> {
    /// None: everywhere.
    pub(super) mask: Option<&'a MaskInput>,
    pub(super) paintings: Vec<&'a PaintingInput>,
}

/// What the rows of a batch have in common: each would be optimised in the same way, evaluation by evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shared {
    size: (u32, u32),
    /// Those of a row without what each row has for itself.
    settings: RenderSettings,
    content_layers: Vec<Layer>,
    style_layers: Vec<Layer>,
    has_variation: bool,
    keeps_range: bool,
    /// Whether each region has a mask.
    regions: Vec<bool>,
    /// A row that goes on from a checkpoint is in step with no other.
    resumed: Option<usize>,
}

impl<'a> Row<'a> {
    /// `settings` are the job's, with their layers named.
    pub(super) fn new(
        number: usize,
        job: &'a RenderJob,
        settings: RenderSettings,
    ) -> Result<Self, RenderError> {
        let first_painting = job.paintings.first().map(|painting| &painting.input);
        let lacks = |what| RenderError::Lacks {
            what,
            mode: settings.mode,
        };
        let shape_of = match settings.mode {
            Mode::Transfer => {
                first_painting.ok_or(lacks("a painting"))?;
                job.photo.as_ref().ok_or(lacks("a photo"))?
            }
            Mode::Content => job.photo.as_ref().ok_or(lacks("a photo"))?,
            Mode::Style => first_painting.ok_or(lacks("a painting"))?,
        };
        let size = fit(
            shape_of.picture.width(),
            shape_of.picture.height(),
            settings.size,
        );
        let row = Self {
            number,
            job,
            size,
            regions: regions(job, settings.mode),
            settings,
        };
        if let Some(weights) = row.settings.missing_weight() {
            return Err(RenderError::Weightless { weights });
        }
        row.start_input()?;
        Ok(row)
    }

    /// Weight of the content loss in this row's mode.
    pub(super) fn content_weight(&self) -> f64 {
        match self.settings.mode {
            Mode::Transfer | Mode::Content => self.settings.content_weight,
            Mode::Style => 0.0,
        }
    }

    /// Weight of the style loss in this row's mode.
    pub(super) fn style_weight(&self) -> f64 {
        match self.settings.mode {
            Mode::Transfer | Mode::Style => self.settings.style_weight,
            Mode::Content => 0.0,
        }
    }

    /// The layers that its content is taken from; none where it does not count.
    pub(super) fn content_layers(&self) -> Vec<Layer> {
        counting(&self.settings.content_layers, self.content_weight())
    }

    /// The layers that its style is taken from; none where it does not count.
    pub(super) fn style_layers(&self) -> Vec<Layer> {
        counting(&self.settings.style_layers, self.style_weight())
    }

    /// The photo, where this row's mode looks at it.
    pub(super) fn photo(&self) -> Option<&'a Input> {
        match self.settings.mode {
            Mode::Transfer | Mode::Content => self.job.photo.as_ref(),
            Mode::Style => None,
        }
    }

    /// The picture that the start needs; none where it is noise alone.
    pub(super) fn start_input(&self) -> Result<Option<&'a Input>, RenderError> {
        let painting = self.job.paintings.first().map(|painting| &painting.input);
        let (input, what) = match self.settings.start {
            Start::Noise => return Ok(None),
            Start::Photo | Start::Mix => (self.photo(), "the photo"),
            Start::Painting => (painting, "a painting"),
            Start::File => (self.job.start.as_ref(), "a start picture"),
        };
        match input {
            Some(input) => Ok(Some(input)),
            None => Err(RenderError::NoStart {
                start: self.settings.start,
                what,
            }),
        }
    }

    /// Width and height at a scale of this long side, pixels.
    pub(super) fn size_at(&self, side: u32) -> (u32, u32) {
        fit(self.size.0, self.size.1, side)
    }

    /// What a checkpoint of this row belongs to: everything that fixes its picture besides the network.
    pub(super) fn identity(&self, network: &str) -> Digest {
        let mut parts = vec![network.to_owned(), format!("{:?}", self.settings)];
        let pictures = self.job.photo.iter().chain(&self.job.start);
        parts.extend(pictures.map(|input| input.digest.to_string()));
        parts.extend(self.job.paintings.iter().map(|painting| {
            let mask = painting.mask.as_ref().map(|mask| mask.digest.to_string());
            let mask = mask.unwrap_or_default();
            format!("{} {} {mask}", painting.input.digest, painting.weight)
        }));
        Digest::of(parts.join("\n").as_bytes())
    }

    /// What another row must have too, to share a batch with this one.
    pub(super) fn shared(&self) -> Shared {
        let own = RenderSettings::default();
        Shared {
            size: self.size,
            content_layers: self.content_layers(),
            style_layers: self.style_layers(),
            has_variation: self.settings.tv_weight > 0.0,
            keeps_range: self.settings.range_weight > 0.0,
            regions: self
                .regions
                .iter()
                .map(|region| region.mask.is_some())
                .collect(),
            resumed: self.job.checkpoint.as_ref().map(|_| self.number),
            settings: RenderSettings {
                content_weight: own.content_weight,
                style_weight: own.style_weight,
                tv_weight: own.tv_weight,
                range_weight: own.range_weight,
                content_layers: LayerWeights::default(),
                style_layers: LayerWeights::default(),
                style_scale: own.style_scale,
                start: Start::Noise,
                noise_level: own.noise_level,
                noise_share: own.noise_share,
                seed: 0,
                plateau: own.plateau,
                mode: Mode::Transfer,
                features: Features::Normalised,
                colour: Colour::Painting,
                format: PictureFormat::Jpeg,
                ..self.settings.clone()
            },
        }
    }
}

fn counting(layers: &LayerWeights, weight: f64) -> Vec<Layer> {
    let counting = layers.iter().filter(|_| weight > 0.0);
    counting.map(|(layer, _)| layer).collect()
}

/// Every layer that some row looks at.
pub(super) fn looked_at(rows: &[&Row<'_>]) -> Vec<Layer> {
    let style = rows.iter().flat_map(|row| row.style_layers());
    let layers: BTreeSet<Layer> = held(rows).into_iter().chain(style).collect();
    layers.into_iter().collect()
}

/// Every layer whose features the rows' targets have.
pub(super) fn held(rows: &[&Row<'_>]) -> Vec<Layer> {
    let layers: BTreeSet<Layer> = rows.iter().flat_map(|row| row.content_layers()).collect();
    layers.into_iter().collect()
}

/// Paintings by their masks, in the order in which the masks come first.
fn regions(job: &RenderJob, mode: Mode) -> Vec<Region<'_>> {
    let mut regions: Vec<Region<'_>> = Vec::new();
    if mode == Mode::Content {
        return regions;
    }
    for painting in &job.paintings {
        // A texture has no places.
        let mask = painting.mask.as_ref().filter(|_| mode == Mode::Transfer);
        let same = |region: &&mut Region<'_>| {
            region.mask.map(|mask| mask.digest) == mask.map(|mask| mask.digest)
        };
        match regions.iter_mut().find(same) {
            Some(region) => region.paintings.push(painting),
            None => regions.push(Region {
                mask,
                paintings: vec![painting],
            }),
        }
    }
    regions
}
