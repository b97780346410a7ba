//! Whether GPUs may round float32 to TF32: said for the process, not left to libtorch's defaults.
//!
//! TF32 has the exponent of float32 and 10 bits of mantissa, three more than bfloat16, and is several times as fast as
//! float32 on the GPUs that have it (NVIDIA A100 Tensor Core GPU Architecture, 2020).

use super::RenderError;

#[expect(
    unsafe_code,
    reason = "tch has no call for it; the signature is that of tf32.cpp, which lets no exception out"
)]
mod shim {
    unsafe extern "C" {
        pub(super) safe fn atelier_set_tf32(convolutions: bool) -> bool;
    }
}

/// Lets the convolutions of GPUs round float32 to TF32, or forbids it; matrix products, of which Gram matrices are made,
/// never may. It holds for the whole process and changes nothing on the processors.
///
/// # Errors
/// When libtorch does not take it on.
pub(super) fn allow_in_convolutions(allowed: bool) -> Result<(), RenderError> {
    if shim::atelier_set_tf32(allowed) {
        Ok(())
    } else {
        Err(RenderError::Tf32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtorch_has_it_as_it_was_said() {
        // Its own default allows the one and forbids the other; each call asks libtorch what it has become.
        for allowed in [false, true, false] {
            allow_in_convolutions(allowed).unwrap();
        }
        allow_in_convolutions(true).unwrap();
    }
}
