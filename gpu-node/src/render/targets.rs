//! What a picture is to come near: the photo's features, and the statistics of the artist's paintings.

use std::collections::BTreeMap;

use atelier_proto::settings::{Layer, LossKind, RenderSettings};
use tch::{TchError, Tensor};

use super::statistics::{FLATNESS_SHARE, mean_square, statistics, structure};
use super::vgg::Vgg;

/// What the rows of a batch aim at.
#[derive(Debug)]
pub(super) struct Targets {
    pub(super) content: BTreeMap<Layer, Target>,
    pub(super) style: BTreeMap<Layer, Target>,
}

/// What one layer is to come near. The distance of a row is the sum, over the parts, of the mean squared difference
/// times the part's factor.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) parts: Vec<Part>,
}

#[derive(Debug)]
pub(super) struct Part {
    /// `[batch, …]`.
    pub(super) value: Tensor,
    /// `[batch]`.
    pub(super) factor: Tensor,
}

impl Targets {
    /// Targets of one cell: the photo and each painting are `[1, 3, height, width]`, at sizes of their own.
    pub(super) fn of(
        vgg: &Vgg,
        settings: &RenderSettings,
        photo: &Tensor,
        paintings: &[(Tensor, f64)],
    ) -> Result<Self, TchError> {
        tch::no_grad(|| {
            Ok(Self {
                content: content(vgg, settings, photo)?,
                style: style(vgg, settings, paintings)?,
            })
        })
    }
}

fn content(
    vgg: &Vgg,
    settings: &RenderSettings,
    photo: &Tensor,
) -> Result<BTreeMap<Layer, Target>, TchError> {
    let layers = settings.content_layers.iter().map(|(layer, _)| layer);
    let features = vgg.features(photo, layers, settings.pooling, settings.padding)?;
    let targets = features.into_iter().map(|(layer, features)| {
        let value = structure(&features, settings.loss)?;
        let factor = same_for_all(&value, 1.0)?;
        let parts = vec![Part { value, factor }];
        Ok((layer, Target { parts }))
    });
    targets.collect()
}

/// The paintings' statistics, averaged by weight.
fn style(
    vgg: &Vgg,
    settings: &RenderSettings,
    paintings: &[(Tensor, f64)],
) -> Result<BTreeMap<Layer, Target>, TchError> {
    let weight_sum: f64 = paintings.iter().map(|(_, weight)| weight).sum();
    let mut averages: BTreeMap<Layer, Vec<Tensor>> = BTreeMap::new();
    for (painting, weight) in paintings {
        let share = weight / weight_sum;
        let layers = settings.style_layers.iter().map(|(layer, _)| layer);
        for (layer, features) in
            vgg.features(painting, layers, settings.pooling, settings.padding)?
        {
            let values = statistics(&features, settings.loss)?
                .into_iter()
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
    averages
        .into_iter()
        .map(|(layer, values)| Ok((layer, style_target(values, settings.loss)?)))
        .collect()
}

fn style_target(values: Vec<Tensor>, loss: LossKind) -> Result<Target, TchError> {
    let factors = if let (LossKind::Relative, [covariance, mean]) = (loss, values.as_slice()) {
        // The mean square of the Gram matrix that the means alone would make is the square of theirs.
        let (spread, level) = (mean_square(covariance)?, mean_square(mean)?);
        let flat = level.f_square()?.f_mul_scalar(FLATNESS_SHARE)?;
        let dark = spread.f_sqrt()?.f_mul_scalar(FLATNESS_SHARE)?;
        vec![
            spread.f_add(&flat)?.f_reciprocal()?,
            level.f_add(&dark)?.f_reciprocal()?,
        ]
    } else {
        // As in the authors' published code.
        let factor = |value: &Tensor| same_for_all(value, 1e3 / (value.size()[1] as f64).powi(2));
        values.iter().map(factor).collect::<Result<_, _>>()?
    };
    let parts = values.into_iter().zip(factors);
    Ok(Target {
        parts: parts
            .map(|(value, factor)| Part { value, factor })
            .collect(),
    })
}

/// The same factor for every row of `like`.
fn same_for_all(like: &Tensor, factor: f64) -> Result<Tensor, TchError> {
    Tensor::f_full([like.size()[0]], factor, (like.kind(), like.device()))
}
