//! How far images are from their aims, and which way is nearer.
//!
//! With `loss = "gatys"` the formula is that of the authors' published code
//! (<https://github.com/leongatys/PytorchNeuralStyleTransfer>): the mean squared difference of features, and 1000 / C²
//! times that of Gram matrices. With `loss = "neural-style"` it is that of Johnson's code and of the source article
//! (<https://github.com/jcjohnson/neural-style>): the same differences, of Gram matrices divided by channels too. With
//! `loss = "relative"` content and style are compared without their scale and the weights of layers are shares of their
//! sum, so the same settings give the same balance whatever the scale of the weights file and however many layers are
//! named.

use std::collections::BTreeMap;

use atelier_proto::settings::Layer;
use tch::{TchError, Tensor};

use super::aims::Aim;
use super::statistics::mean_square;
use super::tile_plan::Tile;
use super::tiles::{self, Look, Window};
use super::vgg::Vgg;

/// What a batch of images is optimised for.
#[derive(Debug)]
pub(super) struct Objective {
    pub(super) look: Look,
    pub(super) aims: BTreeMap<Layer, Aim>,
    /// Weight of total variation, `[batch]`; none where no row has any.
    pub(super) variation_weight: Option<Tensor>,
    /// What the mean squared distance of colours from 0..=1 counts, `[batch]`; none where it counts in no row.
    pub(super) range_weight: Option<Tensor>,
    /// Where images may move, `[batch, 1, height, width]`, 1 or 0; none: everywhere.
    pub(super) movable: Option<Tensor>,
    /// How a picture is looked at; empty: as a whole.
    pub(super) tiles: Vec<Tile>,
}

/// Losses of a batch, each `[batch]`; the parts are weighted and add up to the total but for total variation and range.
#[derive(Debug)]
pub(super) struct Losses {
    pub(super) total: Tensor,
    pub(super) content: Tensor,
    pub(super) style: Tensor,
}

type Sums = BTreeMap<Layer, Vec<Tensor>>;

impl Objective {
    /// Losses of images, `[batch, 3, height, width]`, and their gradients, of the same shape; these are 0 where images may
    /// not move.
    pub(super) fn evaluate(
        &self,
        vgg: &Vgg,
        images: &Tensor,
    ) -> Result<(Losses, Tensor), TchError> {
        let (losses, gradient) = self.evaluate_everywhere(vgg, images)?;
        let gradient = match &self.movable {
            None => gradient,
            Some(movable) => gradient.f_mul(&movable.f_to_kind(gradient.kind())?)?,
        };
        Ok((losses, gradient))
    }

    fn evaluate_everywhere(
        &self,
        vgg: &Vgg,
        images: &Tensor,
    ) -> Result<(Losses, Tensor), TchError> {
        let images = images.f_detach()?.f_set_requires_grad(true)?;
        if self.tiles.is_empty() {
            let losses = self.losses(&images, &self.sums(vgg, &images)?)?;
            let gradient = gradient_of(&losses.total, &images)?;
            return Ok((losses, gradient));
        }
        // The tiles' sums are leaves here: the gradient stops at them and is carried on tile by tile.
        let sums = tch::no_grad(|| self.sums(vgg, &images))?;
        let sums: Sums = sums
            .into_iter()
            .map(|(layer, sums)| {
                let leaves = sums
                    .iter()
                    .map(|sum| sum.f_detach()?.f_set_requires_grad(true));
                Ok((layer, leaves.collect::<Result<_, _>>()?))
            })
            .collect::<Result<_, TchError>>()?;
        let losses = self.losses(&images, &sums)?;
        let total = losses.total.f_sum(None)?;
        let mut leaves: Vec<&Tensor> = sums.values().flatten().collect();
        let looks_at_pixels = self.variation_weight.is_some() || self.range_weight.is_some();
        if looks_at_pixels {
            leaves.push(&images);
        }
        let gradients = Tensor::f_run_backward(&[&total], &leaves, false, false)?;
        let mut gradients = gradients.into_iter();
        let of_sums: Sums = sums
            .iter()
            .map(|(layer, sums)| (*layer, gradients.by_ref().take(sums.len()).collect()))
            .collect();
        let layers: Vec<Layer> = self.aims.keys().copied().collect();
        let through_network = tiles::carry_back(
            vgg,
            &images,
            &self.tiles,
            &layers,
            self.look,
            &of_sums,
            |layer, features, window| self.sums_at(layer, features, window),
        )?;
        let gradient = match gradients.next() {
            Some(of_pixels) => of_pixels.f_add(&through_network)?,
            None => through_network,
        };
        Ok((losses, gradient))
    }

    /// The loss of the only image of a batch, `[1, 3, height, width]`.
    pub(super) fn loss(&self, vgg: &Vgg, image: &Tensor) -> Result<f64, TchError> {
        tch::no_grad(|| {
            let losses = self.losses(image, &self.sums(vgg, image)?)?;
            losses.total.f_double_value(&[0])
        })
    }

    /// What the rows of `rows` (`[rows]`, int64) are optimised for.
    pub(super) fn kept(&self, rows: &Tensor) -> Result<Self, TchError> {
        let aims = self
            .aims
            .iter()
            .map(|(layer, aim)| Ok((*layer, aim.kept(rows)?)));
        let of_rows = |weight: &Option<Tensor>| {
            let weight = weight.as_ref();
            weight
                .map(|weight| weight.f_index_select(0, rows))
                .transpose()
        };
        Ok(Self {
            look: self.look,
            aims: aims.collect::<Result<_, TchError>>()?,
            variation_weight: of_rows(&self.variation_weight)?,
            range_weight: of_rows(&self.range_weight)?,
            movable: of_rows(&self.movable)?,
            tiles: self.tiles.clone(),
        })
    }

    fn sums_at(
        &self,
        layer: Layer,
        features: &Tensor,
        window: &Window,
    ) -> Result<Vec<Tensor>, TchError> {
        match self.aims.get(&layer) {
            Some(aim) => aim.sums(features, window),
            None => Ok(Vec::new()),
        }
    }

    fn sums(&self, vgg: &Vgg, images: &Tensor) -> Result<Sums, TchError> {
        let layers: Vec<Layer> = self.aims.keys().copied().collect();
        let mut sums = Sums::new();
        tiles::look(
            vgg,
            images,
            &self.tiles,
            &layers,
            self.look,
            |layer, features, window| {
                let of_tile = self.sums_at(layer, &features, &window)?;
                match sums.get_mut(&layer) {
                    None => drop(sums.insert(layer, of_tile)),
                    Some(sums) => {
                        for (sum, of_tile) in sums.iter_mut().zip(of_tile) {
                            *sum = sum.f_add(&of_tile)?;
                        }
                    }
                }
                Ok::<_, TchError>(())
            },
        )?;
        Ok(sums)
    }

    fn losses(&self, images: &Tensor, sums: &Sums) -> Result<Losses, TchError> {
        // 0, or not a number where a pixel is none: rectification on its way may make that 0, and no loss would show it.
        let nothing = images.f_detach()?.f_mul_scalar(0.0)?.f_flatten(1, -1)?;
        let nothing = nothing.f_sum_dim_intlist(1, false, None)?;
        let mut content = nothing.shallow_clone();
        let mut style = nothing;
        for (layer, aim) in &self.aims {
            let Some(sums) = sums.get(layer) else {
                continue;
            };
            let distances = aim.distances(sums)?;
            if let Some(distance) = distances.content {
                content = content.f_add(&distance)?;
            }
            if let Some(distance) = distances.style {
                style = style.f_add(&distance)?;
            }
        }
        let mut total = content.f_add(&style)?;
        if let Some(weight) = &self.variation_weight {
            total = total.f_add(&variation(images)?.f_mul(weight)?)?;
        }
        if let Some(weight) = &self.range_weight {
            total = total.f_add(&out_of_range(images)?.f_mul(weight)?)?;
        }
        Ok(Losses {
            total,
            content,
            style,
        })
    }
}

/// Rows share nothing, so the gradient of the sum has each row's own gradient in its place.
fn gradient_of(losses: &Tensor, images: &Tensor) -> Result<Tensor, TchError> {
    let sum = losses.f_sum(None)?;
    let mut gradients = Tensor::f_run_backward(&[&sum], &[images], false, false)?;
    Ok(gradients.swap_remove(0))
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
