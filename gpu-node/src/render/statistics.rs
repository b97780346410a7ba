//! What style is measured by: which features occur together, wherever they occur.

use atelier_proto::settings::LossKind;
use tch::{TchError, Tensor};

/// The statistics that a loss compares, each `[batch, …]`.
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
