//! What content and style are measured by: which features occur where, and which occur together wherever they occur.

use atelier_proto::settings::LossKind;
use tch::{TchError, Tensor};

/// The share of the whole energy of features below which the variance of one channel counts as none: what is nearly flat
/// (a grey photo, a painting of one colour) would otherwise be held on to without end.
pub(super) const FLATNESS_SHARE: f64 = 1e-3;

/// What a loss compares of the content, of the same shape as the features, `[batch, channels, height, width]`.
///
/// `Gatys`: the features themselves. `Relative`: each channel brought to mean 0 and variance 1 over its positions, which
/// keeps where things are and how they are shaped, and leaves colours and contrast to the style (the instance
/// normalisation of Ulyanov et al. 2016, <https://arxiv.org/abs/1607.08022>, here in the loss).
pub(super) fn structure(features: &Tensor, loss: LossKind) -> Result<Tensor, TchError> {
    match loss {
        LossKind::Gatys => Ok(features.shallow_clone()),
        LossKind::Relative => {
            let positions = [2, 3].as_slice();
            let centred = features.f_sub(&features.f_mean_dim(positions, true, None)?)?;
            let variance = centred.f_square()?.f_mean_dim(positions, true, None)?;
            let flat = mean_square(features)?.f_mul_scalar(FLATNESS_SHARE)?;
            let deviation = variance.f_add(&flat.f_view([-1, 1, 1, 1])?)?.f_sqrt()?;
            centred.f_div(&deviation)
        }
    }
}

/// What a loss compares of the style, each `[batch, …]`.
///
/// `Gatys`: the Gram matrix. `Relative`: the covariance, then the mean — the Gram matrix taken apart, because the mean
/// of rectified features is large and alike for most pictures: with random filters it would drown what tells pictures
/// apart.
pub(super) fn statistics(features: &Tensor, loss: LossKind) -> Result<Vec<Tensor>, TchError> {
    match loss {
        LossKind::Gatys => Ok(vec![gram(features)?]),
        LossKind::Relative => {
            let mean = features.f_flatten(2, 3)?.f_mean_dim(2, true, None)?;
            let covariance = gram(features)?.f_sub(&mean.f_bmm(&mean.f_transpose(1, 2)?)?)?;
            Ok(vec![covariance, mean])
        }
    }
}

/// Gram matrix of feature maps, divided by the number of positions.
///
/// Keeps which features occur together and forgets where, which is why style uses it and content does not (Gatys et
/// al. 2015, eq. 3, <https://arxiv.org/abs/1508.06576>).
///
/// # Shapes
/// - `features`: `[batch, channels, height, width]`
/// - returns: `[batch, channels, channels]`, symmetric
pub(super) fn gram(features: &Tensor) -> Result<Tensor, TchError> {
    let flat = features.f_flatten(2, 3)?;
    let positions = flat.size()[2] as f64;
    flat.f_bmm(&flat.f_transpose(1, 2)?)?
        .f_div_scalar(positions)
}

/// Mean of squares within each row: `[batch, …]` → `[batch]`.
pub(super) fn mean_square(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor
        .f_square()?
        .f_flatten(1, -1)?
        .f_mean_dim(1, false, None)
}
