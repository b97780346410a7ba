//! What content and style are measured by, as sums over positions.
//!
//! Every loss of this renderer is a function of sums over the positions of feature maps: which features occur together,
//! how strong each is, how well each agrees with the photo's. Sums of parts add up to the sum of the whole, so a picture
//! may be looked at tile by tile and still have the loss and the gradient of the whole (see [`super::tiles`]).

use atelier_proto::settings::LossKind;
use tch::{Kind, TchError, Tensor};

use super::gpu;

/// The share of the whole energy of features below which the variance of one channel counts as none: what is nearly flat
/// (a grey photo, a painting of one colour) would otherwise be held on to without end.
pub(super) const FLATNESS_SHARE: f64 = 1e-3;

/// Sums over positions of what style looks at.
#[derive(Debug)]
pub(super) struct Moments {
    /// Σ f fᵀ, `[batch, channels, channels]`.
    pub(super) second: Tensor,
    /// Σ f, `[batch, channels, 1]`; none where the formula does not ask for it.
    pub(super) first: Option<Tensor>,
}

impl Moments {
    /// Of features `[batch, channels, height, width]`, summed up in float32 or float64; each position counts as much as
    /// `guidance`, `[batch, 1, height, width]`, says there, or else 1.
    pub(super) fn of(
        features: &Tensor,
        guidance: Option<&Tensor>,
        loss: LossKind,
    ) -> Result<Self, TchError> {
        if guidance.is_none() && gpu::serves(features) {
            let (second, first) = gpu::moments(features, loss == LossKind::Relative)?;
            return Ok(Self { second, first });
        }
        let features = single(features)?;
        // One row a position: with channels side by side in memory neither this nor its gradient is copied about.
        let flat = features.f_permute([0, 2, 3, 1])?.f_flatten(1, 2)?;
        let weighted = match guidance {
            Some(guidance) => flat.f_mul(&guidance.f_permute([0, 2, 3, 1])?.f_flatten(1, 2)?)?,
            None => flat.shallow_clone(),
        };
        // Both factors are the features, so the gradient is twice that through one of them: half the work on the way back.
        let product = products(&flat.f_detach()?.f_transpose(1, 2)?, &weighted)?;
        Ok(Self {
            second: product.f_mul_scalar(2.0)?.f_sub(&product.f_detach()?)?,
            first: match loss {
                LossKind::Relative => Some(by_row(&weighted, |row| {
                    row.f_sum_dim_intlist(1, true, None)?.f_transpose(1, 2)
                })?),
                LossKind::Gatys | LossKind::NeuralStyle => None,
            },
        })
    }

    /// What a loss compares of the style, each `[batch, …]`, when the sums went over `positions` (`[batch, 1, 1]`).
    ///
    /// The published formulas compare the Gram matrix, which keeps which features occur together and forgets where
    /// (Gatys et al. 2015, eq. 3, <https://arxiv.org/abs/1508.06576>). `Relative` compares the covariance and the mean,
    /// the Gram matrix taken apart, because the mean of rectified features is large and alike for most pictures: with
    /// random filters it would drown what tells pictures apart.
    pub(super) fn statistics(
        &self,
        positions: &Tensor,
        loss: LossKind,
    ) -> Result<Vec<Tensor>, TchError> {
        let gram = self.second.f_div(positions)?;
        match &self.first {
            None if loss == LossKind::NeuralStyle => {
                let channels = gram.size()[1] as f64;
                Ok(vec![gram.f_div_scalar(channels)?])
            }
            None => Ok(vec![gram]),
            Some(first) => {
                let mean = first.f_div(positions)?;
                let covariance = gram.f_sub(&mean.f_mul(&mean.f_transpose(1, 2)?)?)?;
                Ok(vec![covariance, mean])
            }
        }
    }
}

/// Each channel brought to mean 0 and variance 1 over its positions, `[batch, channels, height, width]`: keeps where
/// things are and how they are shaped, and leaves colours and contrast to the style (the instance normalisation of
/// Ulyanov et al. 2016, <https://arxiv.org/abs/1607.08022>, here in the loss).
pub(super) fn structure(features: &Tensor) -> Result<Tensor, TchError> {
    let positions = [2, 3].as_slice();
    let centred = features.f_sub(&features.f_mean_dim(positions, true, None)?)?;
    let variance = centred.f_square()?.f_mean_dim(positions, true, None)?;
    let flat = mean_square(features)?.f_mul_scalar(FLATNESS_SHARE)?;
    let deviation = variance.f_add(&flat.f_view([-1, 1, 1, 1])?)?.f_sqrt()?;
    centred.f_div(&deviation)
}

/// Sums over positions of how features agree with a structure that they are to have, each `[batch, channels]`.
#[derive(Debug)]
pub(super) struct Agreement {
    /// Σ f.
    pub(super) first: Tensor,
    /// Σ f².
    pub(super) square: Tensor,
    /// Σ f t, `t` being the structure.
    pub(super) cross: Tensor,
}

impl Agreement {
    /// Of features and the structure at their place, `[batch, channels, height, width]` each.
    pub(super) fn of(features: &Tensor, structure: &Tensor) -> Result<Self, TchError> {
        let sum = |values: &Tensor| {
            by_row(values, |row| {
                row.f_sum_dim_intlist([2, 3].as_slice(), false, None)
            })
        };
        Ok(Self {
            first: sum(features)?,
            square: sum(&features.f_square()?)?,
            cross: sum(&features.f_mul(structure)?)?,
        })
    }

    /// Mean squared difference between the structure of the features and the wanted one, `[batch]`, without making the
    /// former: with c = (f - μ) / σ the mean of (c - t)² is that of c² - 2 c t + t², and each of these is a sum.
    ///
    /// `of_wanted` is what [`Wanted`] knows of `t`.
    pub(super) fn distance(&self, of_wanted: &Wanted) -> Result<Tensor, TchError> {
        let positions = of_wanted.positions;
        let mean = self.first.f_div_scalar(positions)?;
        let energy = self.square.f_div_scalar(positions)?;
        let variance = energy.f_sub(&mean.f_square()?)?.f_clamp_min(0.0)?;
        let flat =
            by_row(&energy, |row| row.f_mean_dim(1, true, None))?.f_mul_scalar(FLATNESS_SHARE)?;
        let scale = variance.f_add(&flat)?;
        let own = variance.f_div(&scale)?;
        let agreement = self
            .cross
            .f_div_scalar(positions)?
            .f_sub(&mean.f_mul(&of_wanted.mean)?)?
            .f_div(&scale.f_sqrt()?)?;
        let distances = own
            .f_sub(&agreement.f_mul_scalar(2.0)?)?
            .f_add(&of_wanted.square)?;
        by_row(&distances, |row| row.f_mean_dim(1, false, None))
    }
}

/// What is known beforehand of a structure that features are to have.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Positions of the whole picture.
    pub(super) positions: f64,
    /// Mean over positions, `[batch, channels]`; 0 but for rounding.
    pub(super) mean: Tensor,
    /// Mean square over positions, `[batch, channels]`; 1 but for channels that are nearly flat.
    pub(super) square: Tensor,
}

impl Wanted {
    /// Of a structure, `[batch, channels, height, width]`.
    pub(super) fn of(structure: &Tensor) -> Result<Self, TchError> {
        let axes = [2, 3].as_slice();
        let (_, _, height, width) = structure.size4()?;
        Ok(Self {
            positions: (height * width) as f64,
            mean: structure.f_mean_dim(axes, false, None)?,
            square: structure.f_square()?.f_mean_dim(axes, false, None)?,
        })
    }
}

/// Features in numbers that sums are taken in: float32 where they are bfloat16.
pub(super) fn single(features: &Tensor) -> Result<Tensor, TchError> {
    match features.kind() {
        Kind::BFloat16 => features.f_to_kind(Kind::Float),
        _ => Ok(features.shallow_clone()),
    }
}

/// Mean of squares within each row: `[batch, …]` → `[batch]`.
pub(super) fn mean_square(tensor: &Tensor) -> Result<Tensor, TchError> {
    by_row(&tensor.f_square()?.f_flatten(1, -1)?, |row| {
        row.f_mean_dim(1, false, None)
    })
}

/// Matrix products of rows: `[batch, n, k]` and `[batch, k, m]` → `[batch, n, m]`; see [`by_row`].
fn products(left: &Tensor, right: &Tensor) -> Result<Tensor, TchError> {
    if left.device().is_cuda() || left.size()[0] == 1 {
        return left.f_bmm(right);
    }
    let rows = left.f_split(1, 0)?.into_iter().zip(right.f_split(1, 0)?);
    let done = rows.map(|(left, right)| left.f_bmm(&right));
    Tensor::f_cat(&done.collect::<Result<Vec<_>, _>>()?, 0)
}

/// What `operation` makes of each row of a batch.
///
/// On the processors libtorch and oneDNN choose how to split a sum by the shape of the whole batch, and rounding follows
/// the split. Row by row a picture has the same sums, to the last bit, whatever its neighbours, and no processor is idle
/// by that; on a GPU one call for all is worth more.
pub(super) fn by_row(
    batch: &Tensor,
    operation: impl Fn(&Tensor) -> Result<Tensor, TchError>,
) -> Result<Tensor, TchError> {
    if batch.device().is_cuda() || batch.size()[0] == 1 {
        return operation(batch);
    }
    let rows = batch.f_split(1, 0)?;
    let done: Vec<Tensor> = rows.iter().map(operation).collect::<Result<_, _>>()?;
    Tensor::f_cat(&done, 0)
}
