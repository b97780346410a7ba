//! How far images are from their targets, and which way is nearer.
//!
//! With `loss = "gatys"` the formula is that of the authors' published code
//! (<https://github.com/leongatys/PytorchNeuralStyleTransfer>): the mean squared difference of features, and 1000 / C²
//! times that of Gram matrices. With `loss = "relative"` content and style are compared without their scale and the
//! weights of layers are shares of their sum, so the same settings give the same balance whatever the scale of the
//! weights file and however many layers are named.

use std::collections::BTreeMap;

use atelier_proto::settings::{Layer, LayerWeights, LossKind, RenderSettings};
use tch::{TchError, Tensor};

use super::statistics::{mean_square, statistics, structure};
use super::targets::{Target, Targets};
use super::vgg::Vgg;

/// Weight of the mean squared distance of colours from 0..=1, where no screen can show them.
const RANGE_WEIGHT: f64 = 10.0;

/// What a batch of images is optimised for.
#[derive(Debug)]
pub(super) struct Objective<'a> {
    vgg: &'a Vgg,
    settings: &'a RenderSettings,
    targets: Targets,
    content: BTreeMap<Layer, f64>,
    style: BTreeMap<Layer, f64>,
}

/// Losses of a batch, each `[batch]`; the parts are weighted and add up to the total but for total variation and range.
#[derive(Debug)]
pub(super) struct Losses {
    pub(super) total: Tensor,
    pub(super) content: Tensor,
    pub(super) style: Tensor,
}

impl<'a> Objective<'a> {
    /// `settings` name their layers.
    pub(super) fn new(vgg: &'a Vgg, settings: &'a RenderSettings, targets: Targets) -> Self {
        Self {
            vgg,
            settings,
            targets,
            content: weights(
                &settings.content_layers,
                settings.content_weight,
                settings.loss,
            ),
            style: weights(&settings.style_layers, settings.style_weight, settings.loss),
        }
    }

    /// Losses of images, `[batch, 3, height, width]`, and their gradients, of the same shape.
    pub(super) fn evaluate(&self, images: &Tensor) -> Result<(Losses, Tensor), TchError> {
        let images = images.f_detach()?.f_set_requires_grad(true)?;
        let losses = self.losses(&images)?;
        // Rows share nothing, so the gradient of the sum has each row's own gradient in its place.
        let sum = losses.total.f_sum(None)?;
        let mut gradients = Tensor::f_run_backward(&[&sum], &[&images], false, false)?;
        let gradient = gradients.swap_remove(0);
        Ok((losses, gradient))
    }

    fn losses(&self, images: &Tensor) -> Result<Losses, TchError> {
        let layers = self.content.keys().chain(self.style.keys()).copied();
        let features =
            self.vgg
                .features(images, layers, self.settings.pooling, self.settings.padding)?;
        let nothing = Tensor::f_zeros([images.size()[0]], (images.kind(), images.device()))?;
        let mut content = nothing.shallow_clone();
        let mut style = nothing;
        for (layer, features) in &features {
            if let Some(weight) = self.content.get(layer)
                && let Some(target) = self.targets.content.get(layer)
            {
                let structure = structure(features, self.settings.loss)?;
                let distance = distance(&[&structure], target)?;
                content = content.f_add(&distance.f_mul_scalar(*weight)?)?;
            }
            if let Some(weight) = self.style.get(layer)
                && let Some(target) = self.targets.style.get(layer)
            {
                let values = statistics(features, self.settings.loss)?;
                let distance = distance(&values.iter().collect::<Vec<_>>(), target)?;
                style = style.f_add(&distance.f_mul_scalar(*weight)?)?;
            }
        }
        let mut total = content.f_add(&style)?;
        if self.settings.tv_weight > 0.0 {
            total = total.f_add(&variation(images)?.f_mul_scalar(self.settings.tv_weight)?)?;
        }
        if self.settings.loss == LossKind::Relative {
            total = total.f_add(&out_of_range(images)?.f_mul_scalar(RANGE_WEIGHT)?)?;
        }
        Ok(Losses {
            total,
            content,
            style,
        })
    }
}

/// The factor of each layer, weight of the whole loss included. A loss without weight asks for no layer.
fn weights(layers: &LayerWeights, weight: f64, loss: LossKind) -> BTreeMap<Layer, f64> {
    if weight == 0.0 {
        return BTreeMap::new();
    }
    let sum = match loss {
        LossKind::Gatys => 1.0,
        LossKind::Relative => layers.iter().map(|(_, weight)| weight).sum(),
    };
    layers
        .iter()
        .map(|(layer, of_layer)| (layer, weight * of_layer / sum))
        .collect()
}

pub(super) fn distance(values: &[&Tensor], target: &Target) -> Result<Tensor, TchError> {
    let mut distance: Option<Tensor> = None;
    for (value, part) in values.iter().zip(&target.parts) {
        let of_part = mean_square(&value.f_sub(&part.value)?)?.f_mul(&part.factor)?;
        distance = Some(match distance {
            None => of_part,
            Some(sum) => sum.f_add(&of_part)?,
        });
    }
    distance.ok_or_else(|| TchError::Shape("a target without parts".to_owned()))
}

/// Mean squared difference of horizontal and of vertical neighbours, added: `[batch]`.
fn variation(images: &Tensor) -> Result<Tensor, TchError> {
    let (_, _, height, width) = images.size4()?;
    let mut variation = Tensor::f_zeros([images.size()[0]], (images.kind(), images.device()))?;
    for (axis, length) in [(2, height), (3, width)] {
        // One row of pixels has no neighbours in this direction.
        if length > 1 {
            let ahead = images.f_narrow(axis, 1, length - 1)?;
            let behind = images.f_narrow(axis, 0, length - 1)?;
            variation = variation.f_add(&mean_square(&ahead.f_sub(&behind)?)?)?;
        }
    }
    Ok(variation)
}

/// Mean squared distance of colours from 0..=1: `[batch]`.
fn out_of_range(images: &Tensor) -> Result<Tensor, TchError> {
    mean_square(&images.f_sub(&images.f_clamp(0.0, 1.0)?)?)
}
