//! What libtorch does on GPUs in more passes through memory than the work needs, in kernels of our own (`gpu/kernels.cu`).
//!
//! Between two convolutions of a VGG stand a rectification, a pooling and a padding, each of which reads and writes whole
//! feature maps; pooling alone took longer in libtorch than the convolutions. Measured on an H200 at 512 pixels, see
//! BENCHMARKS.md.

use std::ffi::CString;
use std::ptr;

use tch::{Device, Kind, TchError, Tensor};

use super::layout::channels_last;
use super::shim::{attempt, made, taken};

/// Compiled for the GPU at hand, at run time.
const SOURCE: &str = include_str!("gpu/kernels.cu");
/// Channels come in multiples of so many, whatever the numbers; an image has as many.
const PACK: i64 = 8;
/// Vectors that [`inner`] takes at most.
pub(super) const VECTORS_MAX: usize = 512;

#[expect(
    unsafe_code,
    reason = "tch has no call for it; the signatures are those of gpu/passes.cpp and gpu/kernels.cpp, which lets no exception out"
)]
mod ours {
    use std::ffi::{c_char, c_int, c_void};

    unsafe extern "C" {
        pub(super) fn atelier_gpu_load(
            device: c_int,
            source: *const c_char,
            message: *mut c_char,
            capacity: usize,
        ) -> bool;

        pub(super) fn atelier_gpu_serves(tensor: *const c_void) -> bool;

        pub(super) fn atelier_gpu_convolve_rectified(
            features: *const c_void,
            kernel: *const c_void,
            turned: *const c_void,
            bias: *const c_void,
            replicates: bool,
            pools: bool,
            rectified: *mut *mut c_void,
            message: *mut c_char,
            capacity: usize,
        ) -> bool;

        pub(super) fn atelier_gpu_image(
            image: *const c_void,
            mean: *const c_void,
            deviation: *const c_void,
            in_bfloat16: bool,
            features: *mut *mut c_void,
            message: *mut c_char,
            capacity: usize,
        ) -> bool;

        pub(super) fn atelier_gpu_pool(
            features: *const c_void,
            pooled: *mut *mut c_void,
            message: *mut c_char,
            capacity: usize,
        ) -> bool;

        pub(super) fn atelier_gpu_moments(
            features: *const c_void,
            second: *mut *mut c_void,
            first: *mut *mut c_void,
            message: *mut c_char,
            capacity: usize,
        ) -> bool;

        pub(super) fn atelier_gpu_inner(
            vectors: *const *const c_void,
            count: i64,
            heads: i64,
            products: *mut *mut c_void,
            message: *mut c_char,
            capacity: usize,
        ) -> bool;

        pub(super) fn atelier_gpu_combine(
            vectors: *const *const c_void,
            count: i64,
            coefficients: *const c_void,
            combined: *mut *mut c_void,
            message: *mut c_char,
            capacity: usize,
        ) -> bool;
    }
}

/// Compiles the kernels for a GPU, which takes a fraction of a second; does nothing on the processors. Without them
/// renders go libtorch's way, slower.
pub(super) fn load(device: Device) {
    let Device::Cuda(number) = device else {
        return;
    };
    let loaded = i32::try_from(number)
        .map_err(|error| error.to_string())
        .and_then(|number| compile(number).map_err(|error| error.to_string()));
    if let Err(error) = loaded {
        tracing::warn!(%error, "no kernels of our own on this GPU: renders take several times as long");
    }
}

fn compile(number: i32) -> Result<(), TchError> {
    let source = CString::new(SOURCE).map_err(|error| TchError::Torch(error.to_string()))?;
    attempt(|message| {
        #[expect(
            unsafe_code,
            reason = "the source outlives the call, and the message is a variable here"
        )]
        unsafe {
            ours::atelier_gpu_load(number, source.as_ptr(), message.as_mut_ptr(), message.len())
        }
    })
}

/// Whether the functions below take a tensor: feature maps, `[batch, channels, height, width]`, with channels in whole
/// packs, or float32 vectors, `[batch, values]`, on a GPU that the kernels were compiled for.
pub(super) fn serves(tensor: &Tensor) -> bool {
    #[expect(unsafe_code, reason = "the tensor outlives the call")]
    unsafe {
        ours::atelier_gpu_serves(tensor.as_ptr().cast())
    }
}

/// A 3×3 kernel for the way there and for the way back.
#[derive(Debug)]
pub(super) struct Convolution {
    kernel: Tensor,
    turned: Tensor,
}

impl Convolution {
    /// Of a kernel, `[out, in, 3, 3]`, and its bias, `[out]`; none where our kernels cannot read what goes in and comes out.
    /// One of three inputs takes what [`image()`] makes.
    pub(super) fn of(kernel: &Tensor, bias: &Tensor) -> Result<Option<Self>, TchError> {
        let (outputs, inputs, _, _) = kernel.size4()?;
        let options = (kernel.kind(), kernel.device());
        let is_first = inputs == 3;
        let has_whole_packs = outputs % PACK == 0 && (is_first || inputs % PACK == 0);
        if !has_whole_packs || !serves(&Tensor::f_zeros([1, PACK, 1, 1], options)?) {
            return Ok(None);
        }
        let kernel = if is_first {
            let nothing = Tensor::f_zeros([outputs, PACK - inputs, 3, 3], options)?;
            Tensor::f_cat(&[kernel, &nothing], 1)?
        } else {
            kernel.shallow_clone()
        };
        let turned = kernel.f_flip([2, 3])?.f_transpose(0, 1)?;
        let convolution = Self {
            kernel: channels_last(&kernel)?,
            turned: channels_last(&turned)?,
        };
        // Whether this libtorch convolves and rectifies at once on this GPU is known when it was tried.
        let trial = Tensor::f_zeros([1, kernel.size()[1], 8, 8], options)?;
        match convolution.convolve_rectified(&trial, bias, true, true) {
            Ok(_) => Ok(Some(convolution)),
            Err(error) => {
                tracing::debug!(%error, "convolutions are rectified in a pass of their own");
                Ok(None)
            }
        }
    }

    /// Convolves finite features, `[batch, in, height, width]`, with their borders once more around them or zeros there,
    /// adds the bias, `[out]`, rectifies and, where asked, takes the mean of two by two positions; sides are at least 2
    /// then. The gradient goes through the features alone.
    pub(super) fn convolve_rectified(
        &self,
        features: &Tensor,
        bias: &Tensor,
        replicates: bool,
        pools: bool,
    ) -> Result<Tensor, TchError> {
        made(|rectified, message| {
            #[expect(
                unsafe_code,
                reason = "the tensors outlive the call, and all other pointers are to variables here"
            )]
            unsafe {
                ours::atelier_gpu_convolve_rectified(
                    features.as_ptr().cast(),
                    self.kernel.as_ptr().cast(),
                    self.turned.as_ptr().cast(),
                    bias.as_ptr().cast(),
                    replicates,
                    pools,
                    rectified,
                    message.as_mut_ptr(),
                    message.len(),
                )
            }
        })
    }
}

/// An image, `[batch, 3, height, width]`, float32, less the mean of colours, by their deviation (`[1, 3, 1, 1]` each,
/// float32), for the first convolution: `[batch, 8, height, width]`, in bfloat16 or float32.
pub(super) fn image(
    image: &Tensor,
    mean: &Tensor,
    deviation: &Tensor,
    kind: Kind,
) -> Result<Tensor, TchError> {
    made(|features, message| {
        #[expect(
            unsafe_code,
            reason = "the tensors outlive the call, and all other pointers are to variables here"
        )]
        unsafe {
            ours::atelier_gpu_image(
                image.as_ptr().cast(),
                mean.as_ptr().cast(),
                deviation.as_ptr().cast(),
                kind == Kind::BFloat16,
                features,
                message.as_mut_ptr(),
                message.len(),
            )
        }
    })
}

/// The mean of two by two positions of feature maps whose sides are at least 2.
pub(super) fn pool(features: &Tensor) -> Result<Tensor, TchError> {
    made(|pooled, message| {
        #[expect(
            unsafe_code,
            reason = "the tensor outlives the call, and all other pointers are to variables here"
        )]
        unsafe {
            ours::atelier_gpu_pool(
                features.as_ptr().cast(),
                pooled,
                message.as_mut_ptr(),
                message.len(),
            )
        }
    })
}

/// Sums over the positions of feature maps, float32: Σ f fᵀ, `[batch, channels, channels]`, and, if wanted, Σ f, `[batch,
/// channels, 1]`.
pub(super) fn moments(
    features: &Tensor,
    wants_first: bool,
) -> Result<(Tensor, Option<Tensor>), TchError> {
    let (mut second, mut first) = (ptr::null_mut(), ptr::null_mut());
    attempt(|message| {
        #[expect(
            unsafe_code,
            reason = "the tensor outlives the call, and all other pointers are null or to variables here"
        )]
        unsafe {
            ours::atelier_gpu_moments(
                features.as_ptr().cast(),
                &raw mut second,
                if wants_first {
                    &raw mut first
                } else {
                    ptr::null_mut()
                },
                message.as_mut_ptr(),
                message.len(),
            )
        }
    })?;
    Ok((taken(second), wants_first.then(|| taken(first))))
}

/// Products within rows of all vectors, `[batch, values]` each, at most [`VECTORS_MAX`], with the last `heads` (at most 3)
/// of them: `[batch, vectors, heads]`, float64.
pub(super) fn inner(vectors: &[&Tensor], heads: usize) -> Result<Tensor, TchError> {
    let pointers: Vec<_> = vectors
        .iter()
        .map(|vector| vector.as_ptr().cast())
        .collect();
    made(|products, message| {
        #[expect(
            unsafe_code,
            reason = "the tensors outlive the call, and all other pointers are to variables here"
        )]
        unsafe {
            ours::atelier_gpu_inner(
                pointers.as_ptr(),
                pointers.len() as i64,
                heads as i64,
                products,
                message.as_mut_ptr(),
                message.len(),
            )
        }
    })
}

/// The sum of vectors, `[batch, values]` each, times coefficients, `[batch, vectors]`.
pub(super) fn combine(vectors: &[&Tensor], coefficients: &Tensor) -> Result<Tensor, TchError> {
    let pointers: Vec<_> = vectors
        .iter()
        .map(|vector| vector.as_ptr().cast())
        .collect();
    made(|combined, message| {
        #[expect(
            unsafe_code,
            reason = "the tensors outlive the call, and all other pointers are to variables here"
        )]
        unsafe {
            ours::atelier_gpu_combine(
                pointers.as_ptr(),
                pointers.len() as i64,
                coefficients.as_ptr().cast(),
                combined,
                message.as_mut_ptr(),
                message.len(),
            )
        }
    })
}

#[cfg(test)]
mod tests;
