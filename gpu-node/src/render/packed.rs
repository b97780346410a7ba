//! Convolutions on the processors with kernels that lie ready as oneDNN wants them.
//!
//! libtorch's own convolution brings its kernel into oneDNN's order each time, on the way there and on the way back. That
//! is half of the time of small pictures, and a tenth of that of larger ones.

use std::ptr;

use tch::{Kind, TchError, Tensor};

use super::precision::processors_have_avx512;
use super::shim::{attempt, made, taken};

/// A 3×3 kernel, ready for the way there and for the way back.
#[derive(Debug)]
pub(super) struct PackedKernel {
    forward: Tensor,
    backward: Tensor,
}

#[expect(
    unsafe_code,
    reason = "tch has no call for it; the signatures are those of packed.cpp, which lets no exception out"
)]
mod ours {
    use std::ffi::{c_char, c_void};

    unsafe extern "C" {
        pub(super) fn atelier_pack(
            kernel: *const c_void,
            forward: *mut *mut c_void,
            backward: *mut *mut c_void,
            message: *mut c_char,
            capacity: usize,
        ) -> bool;

        pub(super) fn atelier_convolve_rectified(
            features: *const c_void,
            forward: *const c_void,
            backward: *const c_void,
            bias: *const c_void,
            margin: i64,
            rectified: *mut *mut c_void,
            message: *mut c_char,
            capacity: usize,
        ) -> bool;
    }
}

impl PackedKernel {
    /// Of a kernel, `[out, in, 3, 3]`; none where oneDNN does not convolve: on GPUs, in float64, in a libtorch without it. None
    /// without AVX-512 either: there the order that is wanted depends on the size of the picture, and to bring a kernel from
    /// one such order into another takes longer than to convolve.
    pub(super) fn of(kernel: &Tensor) -> Result<Option<Self>, TchError> {
        let is_ours = matches!(kernel.kind(), Kind::Float | Kind::BFloat16);
        if kernel.device().is_cuda() || !is_ours || !processors_have_avx512() {
            return Ok(None);
        }
        Self::pack(kernel)
    }

    /// The same wherever oneDNN convolves, whether that gains anything or not.
    fn pack(kernel: &Tensor) -> Result<Option<Self>, TchError> {
        let (mut forward, mut backward) = (ptr::null_mut(), ptr::null_mut());
        attempt(|message| {
            #[expect(
                unsafe_code,
                reason = "the kernel outlives the call, and all other pointers are to variables here"
            )]
            unsafe {
                ours::atelier_pack(
                    kernel.as_ptr().cast(),
                    &raw mut forward,
                    &raw mut backward,
                    message.as_mut_ptr(),
                    message.len(),
                )
            }
        })?;
        if forward.is_null() || backward.is_null() {
            return Ok(None);
        }
        Ok(Some(Self {
            forward: taken(forward),
            backward: taken(backward),
        }))
    }

    /// Convolves finite features, `[batch, in, height, width]`, whose borders are padded by `margin` positions (0 or 1), adds the
    /// bias, `[out]`, and rectifies; channels lie side by side in what comes out. The gradient goes through the features
    /// alone.
    pub(super) fn convolve_rectified(
        &self,
        features: &Tensor,
        bias: &Tensor,
        margin: i64,
    ) -> Result<Tensor, TchError> {
        made(|rectified, message| {
            #[expect(
                unsafe_code,
                reason = "the tensors outlive the call, and all other pointers are to variables here"
            )]
            unsafe {
                ours::atelier_convolve_rectified(
                    features.as_ptr().cast(),
                    self.forward.as_ptr().cast(),
                    self.backward.as_ptr().cast(),
                    bias.as_ptr().cast(),
                    margin,
                    rectified,
                    message.as_mut_ptr(),
                    message.len(),
                )
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    /// ‖found − expected‖ / ‖expected‖.
    fn relative_l2(found: &Tensor, expected: &Tensor) -> f64 {
        let distance = (found - expected).norm().double_value(&[]);
        distance / expected.norm().double_value(&[])
    }

    fn noise(shape: &[i64]) -> Tensor {
        Tensor::randn(shape, (Kind::Float, Device::Cpu))
    }

    /// What comes out and the gradient with respect to the features of its product with `upstream`.
    fn both_ways(
        features: &Tensor,
        upstream: &Tensor,
        convolve: impl FnOnce(&Tensor) -> Tensor,
    ) -> (Tensor, Tensor) {
        let leaf = features.copy().set_requires_grad(true);
        let rectified = convolve(&leaf);
        (&rectified * upstream).sum(None).backward();
        (rectified.detach(), leaf.grad())
    }

    #[test]
    fn it_is_the_plain_convolution_and_has_its_gradient() {
        tch::manual_seed(4);
        for (channels, margin) in [(3, 0), (3, 1), (16, 0), (16, 1)] {
            let kernel = noise(&[24, channels, 3, 3]);
            let bias = noise(&[24]);
            let features = noise(&[1, channels, 9, 7]);
            let upstream = noise(&[1, 24, 7 + 2 * margin, 5 + 2 * margin]);
            let packed = PackedKernel::pack(&kernel)
                .unwrap()
                .expect("oneDNN is in the libtorch of the tests");

            let (plain, plain_gradient) = both_ways(&features, &upstream, |features| {
                features
                    .conv2d(&kernel, Some(&bias), 1, margin, 1, 1)
                    .relu()
            });
            let (rectified, gradient) = both_ways(&features, &upstream, |features| {
                packed.convolve_rectified(features, &bias, margin).unwrap()
            });

            assert_eq!(rectified.size(), plain.size());
            let errors = [
                relative_l2(&rectified, &plain),
                relative_l2(&gradient, &plain_gradient),
            ];
            assert!(
                errors.iter().all(|&error| error < 1e-5),
                "{errors:?} with {channels} channels and margin {margin}"
            );
        }
    }

    #[test]
    fn float64_is_left_to_libtorch() {
        let kernel = noise(&[4, 4, 3, 3]).to_kind(Kind::Double);
        assert!(PackedKernel::of(&kernel).unwrap().is_none());
    }

    #[test]
    fn what_libtorch_says_becomes_the_error() {
        let packed = PackedKernel::pack(&noise(&[8, 4, 3, 3])).unwrap().unwrap();
        // Two channels for a kernel of four.
        let refused = packed.convolve_rectified(&noise(&[1, 2, 8, 8]), &noise(&[8]), 1);
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("channels"), "{message}");
    }
}
