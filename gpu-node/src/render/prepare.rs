//! From jobs to tensors: the objective of a batch at one scale, and the images that it starts from.

use std::collections::BTreeMap;

use atelier_proto::settings::{
    Colour, Features, Layer, LayerWeights, LossKind, RenderSettings, fit,
};
use tch::{Device, Kind, TchError, Tensor};

use super::aims::{Aim, ContentAim, Part, StyleAim};
use super::job::PaintingInput;
use super::loss::Objective;
use super::memory::Memory;
use super::rows::{Region, Row};
use super::statistics::{FLATNESS_SHARE, Wanted, mean_square};
use super::targets::{Of, OfLayers, TargetCache, TargetKey, compute};
use super::tile_plan::Tile;
use super::tiles::Look;
use super::vgg::Vgg;
use super::{Input, RenderError, colour, pixels};

/// What preparing needs of the renderer.
pub(super) struct Preparer<'a> {
    /// The network in its exact numbers: what is aimed at is never rounded.
    pub(super) vgg: &'a Vgg,
    pub(super) device: Device,
    pub(super) cache: &'a mut TargetCache,
    /// What features of each layer are to be multiplied by, where settings ask for it.
    pub(super) feature_factors: &'a BTreeMap<Layer, f64>,
    pub(super) memory: &'a Memory,
}

impl Preparer<'_> {
    /// What rows that share a batch are optimised for at a scale of this long side.
    pub(super) fn objective(
        &mut self,
        rows: &[&Row<'_>],
        side: u32,
        tiles: Vec<Tile>,
    ) -> Result<Objective, RenderError> {
        let mut aims: BTreeMap<Layer, Vec<Aim>> = BTreeMap::new();
        for row in rows {
            for (layer, aim) in self.aims(row, side, &tiles)? {
                aims.entry(layer).or_default().push(aim);
            }
        }
        let mut together = BTreeMap::new();
        for (layer, aims) in &aims {
            let aims: Vec<&Aim> = aims.iter().collect();
            if let Some(aim) = Aim::together(&aims)? {
                together.insert(*layer, aim);
            }
        }
        let settings = rows.first().map(|row| &row.settings);
        let settings = settings.ok_or(RenderError::NoScale)?;
        Ok(Objective {
            look: look(settings),
            aims: together,
            variation_weight: self.weights(rows, |settings| settings.tv_weight)?,
            range_weight: self.weights(rows, |settings| settings.range_weight)?,
            movable: self.movable(rows, side)?,
            tiles,
        })
    }

    /// A weight of each row; none where all are 0.
    fn weights(
        &self,
        rows: &[&Row<'_>],
        weight: fn(&RenderSettings) -> f64,
    ) -> Result<Option<Tensor>, TchError> {
        let weights: Vec<f64> = rows.iter().map(|row| weight(&row.settings)).collect();
        let counts = weights.iter().any(|weight| *weight > 0.0);
        counts.then(|| self.row_values(&weights)).transpose()
    }

    /// The photo as a row looks at it.
    pub(super) fn photo(
        &self,
        row: &Row<'_>,
        photo: &Input,
        size: (u32, u32),
    ) -> Result<Tensor, TchError> {
        let image = pixels::to_tensor(&photo.picture, size.0, size.1, self.device)?;
        match row.settings.colour {
            // Colours come back at the end; until then brightness alone is painted.
            Colour::Photo => colour::grey(&image),
            Colour::Painting | Colour::Matched | Colour::MatchedAfter => Ok(image),
        }
    }

    fn aims(
        &mut self,
        row: &Row<'_>,
        side: u32,
        tiles: &[Tile],
    ) -> Result<BTreeMap<Layer, Aim>, RenderError> {
        let mut aims = BTreeMap::new();
        let loss = row.settings.loss;
        let aim = || Aim {
            content: None,
            style: Vec::new(),
            loss,
        };
        if row.content_weight() > 0.0
            && let Some(photo) = row.photo()
        {
            let weights = weights(&row.settings.content_layers, row.content_weight(), loss);
            for (layer, target) in self.content(row, photo, side, tiles)? {
                let Some(value) = target.into_iter().next() else {
                    continue;
                };
                let weight = weights.get(&layer).copied().unwrap_or_default();
                let scale = self.feature_factor(&row.settings, layer);
                let wanted = match loss {
                    LossKind::Relative => Some(Wanted::of(&value)?),
                    LossKind::Gatys | LossKind::NeuralStyle => None,
                };
                let content = ContentAim {
                    value,
                    factor: self.row_values(&[weight * scale.powi(2)])?,
                    wanted,
                };
                aims.entry(layer).or_insert_with(aim).content = Some(content);
            }
        }
        if row.style_weight() > 0.0 {
            let weights = weights(&row.settings.style_layers, row.style_weight(), loss);
            for region in &row.regions {
                for (layer, values) in self.style(row, region, side)? {
                    let weight = weights.get(&layer).copied().unwrap_or_default();
                    let style = self.style_aim(row, region, side, layer, values, weight)?;
                    aims.entry(layer).or_insert_with(aim).style.push(style);
                }
            }
        }
        Ok(aims)
    }

    fn content(
        &mut self,
        row: &Row<'_>,
        photo: &Input,
        side: u32,
        tiles: &[Tile],
    ) -> Result<OfLayers, RenderError> {
        let shape = row.size_at(side);
        let key = TargetKey {
            of: Of::Content,
            input: photo.digest,
            recoloured: (row.settings.colour == Colour::Photo)
                .then_some((Colour::Photo, photo.digest)),
            size: shape,
            layers: row.content_layers(),
            look: look(&row.settings),
            loss: row.settings.loss,
        };
        let image = self.photo(row, photo, shape)?;
        let vgg = self.vgg;
        Ok(self
            .cache
            .get(key, |key| compute(vgg, key, &image, tiles))?)
    }

    /// Statistics of a region's paintings, averaged by weight.
    fn style(
        &mut self,
        row: &Row<'_>,
        region: &Region<'_>,
        side: u32,
    ) -> Result<OfLayers, RenderError> {
        let weight_sum: f64 = region
            .paintings
            .iter()
            .map(|painting| painting.weight)
            .sum();
        let mut averages = OfLayers::new();
        for painting in &region.paintings {
            let share = painting.weight / weight_sum;
            for (layer, values) in self.statistics_of(row, painting, side)? {
                let values = values
                    .iter()
                    .map(|value| value.f_mul_scalar(share))
                    .collect::<Result<Vec<_>, _>>()?;
                match averages.get_mut(&layer) {
                    None => drop(averages.insert(layer, values)),
                    Some(sums) => {
                        for (sum, value) in sums.iter_mut().zip(values) {
                            *sum = sum.f_add(&value)?;
                        }
                    }
                }
            }
        }
        Ok(averages)
    }

    fn statistics_of(
        &mut self,
        row: &Row<'_>,
        painting: &PaintingInput,
        side: u32,
    ) -> Result<OfLayers, RenderError> {
        let settings = &row.settings;
        let picture = &painting.input.picture;
        let side_of_painting = (f64::from(side) * settings.style_scale).round().max(1.0) as u32;
        let shape = fit(picture.width(), picture.height(), side_of_painting);
        let recoloured = match (settings.colour, row.photo()) {
            (Colour::Photo | Colour::Matched, Some(photo)) => Some((settings.colour, photo)),
            _ => None,
        };
        let key = TargetKey {
            of: Of::Style,
            input: painting.input.digest,
            recoloured: recoloured.map(|(colour, photo)| (colour, photo.digest)),
            size: shape,
            layers: row.style_layers(),
            look: look(settings),
            loss: settings.loss,
        };
        let (vgg, device, memory) = (self.vgg, self.device, self.memory);
        self.cache
            .get(key, |key| {
                let image = pixels::to_tensor(picture, shape.0, shape.1, device)?;
                let image = match recoloured {
                    None => image,
                    Some((colour, photo)) => {
                        let (width, height) = row.size_at(side);
                        let photo = pixels::to_tensor(&photo.picture, width, height, device)?;
                        match colour {
                            Colour::Photo => colour::luminance_matched(&image, &photo)?,
                            Colour::Painting | Colour::Matched | Colour::MatchedAfter => {
                                colour::matched(&image, &photo)?.f_clamp(0.0, 1.0)?
                            }
                        }
                    }
                };
                let tiles = memory.tiles_to_look_at(vgg, &key.layers, shape);
                compute(vgg, key, &image, &tiles)
            })
            .map_err(RenderError::from)
    }

    fn style_aim(
        &self,
        row: &Row<'_>,
        region: &Region<'_>,
        side: u32,
        layer: Layer,
        values: Vec<Tensor>,
        weight: f64,
    ) -> Result<StyleAim, RenderError> {
        let (width, height) = row.size_at(side);
        let halve = |pixels: u32| (pixels >> (layer.block() - 1)).max(1);
        let (width_here, height_here) = (halve(width), halve(height));
        let all = f64::from(width_here) * f64::from(height_here);
        let (guidance, positions) = match region.mask {
            None => (None, all),
            Some(mask) => {
                let guidance =
                    pixels::mask_tensor(&mask.mask, width_here, height_here, self.device)?;
                let positions = guidance.f_sum(Kind::Double)?.f_double_value(&[])?;
                (Some(guidance), positions)
            }
        };
        // A region counts by its share of the picture, so that it is painted as strongly as the whole would be.
        let share = positions / all;
        let scale = self.feature_factor(&row.settings, layer);
        let factor = weight * share * scale.powi(4);
        let parts = parts(values, row.settings.loss, factor)?;
        Ok(StyleAim {
            guidance,
            // A mask that is black here has no statistics, and no weight either.
            positions: self.row_values(&[positions.max(1e-6)])?.f_view([1, 1, 1])?,
            parts,
        })
    }

    fn feature_factor(&self, settings: &RenderSettings, layer: Layer) -> f64 {
        match (settings.features, settings.loss) {
            // Where losses are relative, the scale of features cancels.
            (Features::Raw, _) | (_, LossKind::Relative) => 1.0,
            (Features::Normalised, LossKind::Gatys | LossKind::NeuralStyle) => {
                self.feature_factors.get(&layer).copied().unwrap_or(1.0)
            }
        }
    }

    fn row_values(&self, values: &[f64]) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(values)?
            .f_to_kind(self.vgg.numbers().of_images())?
            .f_to_device(self.device)
    }
}

/// How a network looks at pictures with these settings.
pub(super) fn look(settings: &RenderSettings) -> Look {
    Look {
        pooling: settings.pooling,
        padding: settings.padding,
    }
}

/// The factor of each layer, weight of the whole loss included.
fn weights(layers: &LayerWeights, weight: f64, loss: LossKind) -> BTreeMap<Layer, f64> {
    let sum = match loss {
        LossKind::Gatys | LossKind::NeuralStyle => 1.0,
        LossKind::Relative => layers.iter().map(|(_, weight)| weight).sum(),
    };
    layers
        .iter()
        .map(|(layer, of_layer)| (layer, weight * of_layer / sum))
        .collect()
}

/// Statistics with what the distance from each counts.
fn parts(values: Vec<Tensor>, loss: LossKind, factor: f64) -> Result<Vec<Part>, TchError> {
    let constant = |like: &Tensor, factor: f64| {
        Tensor::f_full([like.size()[0]], factor, (like.kind(), like.device()))
    };
    let factors = match (loss, values.as_slice()) {
        (LossKind::Relative, [covariance, mean]) => {
            // The mean square of the Gram matrix that the means alone would make is the square of theirs.
            let (spread, level) = (mean_square(covariance)?, mean_square(mean)?);
            let flat = level.f_square()?.f_mul_scalar(FLATNESS_SHARE)?;
            let dark = spread.f_sqrt()?.f_mul_scalar(FLATNESS_SHARE)?;
            vec![
                spread.f_add(&flat)?.f_reciprocal()?.f_mul_scalar(factor)?,
                level.f_add(&dark)?.f_reciprocal()?.f_mul_scalar(factor)?,
            ]
        }
        _ => values
            .iter()
            .map(|value| {
                let of_formula = match loss {
                    LossKind::Gatys => 1e3 / (value.size()[1] as f64).powi(2),
                    LossKind::NeuralStyle | LossKind::Relative => 1.0,
                };
                constant(value, of_formula * factor)
            })
            .collect::<Result<_, _>>()?,
    };
    Ok(values
        .into_iter()
        .zip(factors)
        .map(|(value, factor)| Part { value, factor })
        .collect())
}
