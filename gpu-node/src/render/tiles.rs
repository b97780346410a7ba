//! Pictures looked at tile by tile, when the whole network's memory of one would not fit.
//!
//! The tiling is exact: losses are functions of sums over positions ([`super::statistics`]), so a first pass adds up the
//! sums of all tiles, the loss gives a gradient with respect to the sums, and a second pass carries that back to the
//! pixels of each tile. Every tile is seen with a halo of half the receptive field, and the network pads at the true
//! borders of the picture alone (compare Galerne et al. 2022, <https://arxiv.org/abs/2212.13459>).

use std::collections::BTreeMap;

use atelier_proto::settings::{Layer, Padding, Pooling};
use tch::{TchError, Tensor};

use super::tile_plan::{Rect, Tile};
use super::vgg::Vgg;

/// How the network is to look at a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Look {
    pub(super) pooling: Pooling,
    pub(super) padding: Padding,
}

/// A part of a layer's positions; the whole layer without a place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    place: Option<Rect>,
}

impl Window {
    /// This part of a tensor over the whole layer, `[…, …, height, width]`.
    pub(super) fn of(&self, whole: &Tensor) -> Result<Tensor, TchError> {
        match &self.place {
            None => Ok(whole.shallow_clone()),
            Some(place) => cut(whole, place),
        }
    }

    /// Writes this part of a tensor over the whole layer.
    pub(super) fn fill(&self, whole: &Tensor, part: &Tensor) -> Result<(), TchError> {
        let mut place = self.of(whole)?;
        place.f_copy_(part)
    }
}

/// The pixels of a rectangle.
pub(super) fn cut(tensor: &Tensor, place: &Rect) -> Result<Tensor, TchError> {
    tensor
        .f_narrow(2, place.top, place.height)?
        .f_narrow(3, place.left, place.width)
}

/// The positions of a layer that belong to a tile.
fn window(tile: &Tile, layer: Layer) -> Window {
    Window {
        place: Some(tile.core.at_block(layer.block())),
    }
}

/// Features of a tile with its halo, without those of the halo.
fn core(features: &Tensor, tile: &Tile, layer: Layer) -> Result<Tensor, TchError> {
    cut(features, &tile.core_at_block(layer.block()))
}

/// The features of an image, `[batch, 3, height, width]`, given tile by tile to `seen`: the layer, its features at the
/// positions of a tile, and where these are. Without tiles there is one part, the whole.
pub(super) fn look<E: From<TchError>>(
    vgg: &Vgg,
    image: &Tensor,
    tiles: &[Tile],
    layers: &[Layer],
    look: Look,
    mut seen: impl FnMut(Layer, Tensor, Window) -> Result<(), E>,
) -> Result<(), E> {
    if tiles.is_empty() {
        for (layer, features) in
            vgg.features(image, layers.iter().copied(), look.pooling, look.padding)?
        {
            seen(layer, features, Window::default())?;
        }
        return Ok(());
    }
    for tile in tiles {
        let part = cut(image, &tile.with_halo)?.f_contiguous()?;
        for (layer, features) in
            vgg.features(&part, layers.iter().copied(), look.pooling, look.padding)?
        {
            seen(layer, core(&features, tile, layer)?, window(tile, layer))?;
        }
    }
    Ok(())
}

/// The gradient with respect to an image of a function of sums, whose gradient with respect to the sums is `of_sums`
/// (those of `sums_of`, layer by layer); `[batch, 3, height, width]`.
pub(super) fn carry_back(
    vgg: &Vgg,
    image: &Tensor,
    tiles: &[Tile],
    layers: &[Layer],
    looked: Look,
    of_sums: &BTreeMap<Layer, Vec<Tensor>>,
    sums_of: impl Fn(Layer, &Tensor, &Window) -> Result<Vec<Tensor>, TchError>,
) -> Result<Tensor, TchError> {
    let gradient = image.f_zeros_like()?;
    for tile in tiles {
        let part = cut(image, &tile.with_halo)?
            .f_contiguous()?
            .f_detach()?
            .f_set_requires_grad(true)?;
        let mut along: Option<Tensor> = None;
        for (layer, features) in vgg.features(
            &part,
            layers.iter().copied(),
            looked.pooling,
            looked.padding,
        )? {
            let Some(of_sums) = of_sums.get(&layer) else {
                continue;
            };
            let sums = sums_of(layer, &core(&features, tile, layer)?, &window(tile, layer))?;
            for (sum, direction) in sums.iter().zip(of_sums) {
                let product = sum.f_mul(direction)?.f_sum(None)?;
                along = Some(match along {
                    None => product,
                    Some(before) => before.f_add(&product)?,
                });
            }
        }
        let Some(along) = along else { continue };
        let mut of_part = Tensor::f_run_backward(&[&along], &[&part], false, false)?;
        let mut place = cut(&gradient, &tile.with_halo)?;
        let _ = place.f_add_(&of_part.swap_remove(0))?;
    }
    Ok(gradient)
}
