//! How maps and kernels lie in memory.

use tch::{TchError, Tensor};

/// The same values, `[a, b, height, width]`, with the second dimension side by side in memory, as libraries for convolutions
/// prefer channels. (The bindings cannot ask for a memory format; a contiguous copy of the turned tensor, turned back, has
/// it.)
pub(super) fn channels_last(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor
        .f_permute([0, 2, 3, 1])?
        .f_contiguous()?
        .f_permute([0, 3, 1, 2])
}
