//! Pictures to tensors and back. Tensors of images are `[1, 3, height, width]`, red, green and blue in 0..=1, sRGB as
//! the files have it.

use image::RgbImage;
use image::imageops;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rand_distr::{Distribution as _, Normal, NormalError};
use tch::{Device, Kind, TchError, Tensor};

/// A picture this many times larger than needed is first averaged down in 8 bits, so that a photo of 200 megapixels is
/// never held as floats.
const REDUCE_ABOVE: u32 = 4;
/// Noise starts as grey with this deviation, so that nearly all of it is within the range of colours.
const NOISE_MEAN: f32 = 0.5;
const NOISE_DEVIATION: f32 = 0.2;

/// A picture at another size, by an antialiased bicubic filter in float.
pub(super) fn to_tensor(
    picture: &RgbImage,
    width: u32,
    height: u32,
    device: Device,
) -> Result<Tensor, TchError> {
    let reduced;
    let picture = if picture.width() / width.max(1) > REDUCE_ABOVE
        && picture.height() / height.max(1) > REDUCE_ABOVE
    {
        reduced = imageops::thumbnail(picture, width * 2, height * 2);
        &reduced
    } else {
        picture
    };
    let shape = [i64::from(picture.height()), i64::from(picture.width()), 3];
    let image = Tensor::f_from_data_size(picture.as_raw(), &shape, Kind::Uint8)?
        .f_to_device(device)?
        .f_permute([2, 0, 1])?
        .f_unsqueeze(0)?
        .f_to_kind(Kind::Float)?
        .f_div_scalar(255.0)?
        .f_contiguous()?;
    if (picture.width(), picture.height()) == (width, height) {
        return Ok(image);
    }
    let size = [i64::from(height), i64::from(width)];
    // The filter overshoots at edges; colours do not.
    image
        .f_internal_upsample_bicubic2d_aa(size, false, None, None)?
        .f_clamp(0.0, 1.0)
}

/// An image of a coarser scale at the size of the next one; values are kept as they come, in or out of range.
pub(super) fn enlarge(image: &Tensor, width: u32, height: u32) -> Result<Tensor, TchError> {
    let size = [i64::from(height), i64::from(width)];
    image.f_upsample_bicubic2d(size, false, None, None)
}

/// Gaussian noise around grey; one seed, one noise, on every machine.
pub(super) fn noise(
    seed: u64,
    width: u32,
    height: u32,
    device: Device,
) -> Result<Tensor, TchError> {
    let values = gaussian(
        seed,
        3 * width as usize * height as usize,
        NOISE_MEAN,
        NOISE_DEVIATION,
    );
    Tensor::f_from_slice(&values)?
        .f_view([1, 3, i64::from(height), i64::from(width)])?
        .f_to_device(device)
}

/// `count` Gaussian numbers fixed by the seed. `ChaCha` is the same on every machine and in every version.
pub(super) fn gaussian(seed: u64, count: usize, mean: f32, deviation: f32) -> Vec<f32> {
    let normal: Result<Normal<f32>, NormalError> = Normal::new(mean, deviation);
    let random = ChaCha8Rng::seed_from_u64(seed);
    match normal {
        Ok(normal) => normal.sample_iter(random).take(count).collect(),
        // Only an infinite deviation is refused, and there is none.
        Err(_) => vec![mean; count],
    }
}

/// The first row of a batch as a picture; colours out of range become the nearest that a screen can show.
pub(super) fn to_picture(image: &Tensor) -> Result<RgbImage, TchError> {
    let (_, _, height, width) = image.size4()?;
    let bytes = image
        .f_narrow(0, 0, 1)?
        .f_squeeze_dim(0)?
        .f_clamp(0.0, 1.0)?
        .f_mul_scalar(255.0)?
        .f_round()?
        .f_to_kind(Kind::Uint8)?
        .f_to_device(Device::Cpu)?
        .f_permute([1, 2, 0])?
        .f_contiguous()?;
    let mut buffer = vec![0; bytes.numel()];
    bytes.f_copy_data(&mut buffer, bytes.numel())?;
    RgbImage::from_raw(width as u32, height as u32, buffer)
        .ok_or_else(|| TchError::Shape(format!("{width} × {height} is no picture")))
}
