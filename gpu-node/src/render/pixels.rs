//! Pictures to tensors and back. Tensors of images are `[1, 3, height, width]`, red, green and blue in 0..=1, sRGB as
//! the files have it.

use atelier_gallery::picture::{Colours, Picture, Rgb16Image};
use atelier_proto::settings::{PictureFormat, fit};
use image::{GrayImage, RgbImage, imageops};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rand_distr::{Distribution as _, Normal, NormalError};
use tch::{Device, Kind, TchError, Tensor};

use super::PREVIEW_SIDE;

/// A picture this many times larger than needed is first averaged down in whole numbers, so that a photo of 200 megapixels is
/// never held as floats.
const REDUCE_ABOVE: u32 = 4;
/// Noise is around this grey.
const NOISE_MEAN: f32 = 0.5;

/// A picture at another size, by an antialiased bicubic filter in float.
pub(super) fn to_tensor(
    picture: &Picture,
    width: u32,
    height: u32,
    device: Device,
) -> Result<Tensor, TchError> {
    let reduces = picture.width() / width.max(1) > REDUCE_ABOVE
        && picture.height() / height.max(1) > REDUCE_ABOVE;
    let image = match picture.colours() {
        Colours::Eight(pixels) if reduces => {
            bytes(&imageops::thumbnail(pixels, width * 2, height * 2), device)?
        }
        Colours::Eight(pixels) => bytes(pixels, device)?,
        Colours::Sixteen(pixels) if reduces => {
            words(&imageops::thumbnail(pixels, width * 2, height * 2), device)?
        }
        Colours::Sixteen(pixels) => words(pixels, device)?,
    };
    resized(&image, width, height)
}

fn bytes(pixels: &RgbImage, device: Device) -> Result<Tensor, TchError> {
    let shape = [i64::from(pixels.height()), i64::from(pixels.width()), 3];
    Tensor::f_from_data_size(pixels.as_raw(), &shape, Kind::Uint8)?
        .f_to_device(device)?
        .f_permute([2, 0, 1])?
        .f_unsqueeze(0)?
        .f_to_kind(Kind::Float)?
        .f_div_scalar(255.0)?
        .f_contiguous()
}

fn words(pixels: &Rgb16Image, device: Device) -> Result<Tensor, TchError> {
    // libtorch knows no unsigned 16-bit pictures.
    let values: Vec<f32> = pixels
        .as_raw()
        .iter()
        .map(|word| f32::from(*word) / 65_535.0)
        .collect();
    Tensor::f_from_slice(&values)?
        .f_view([i64::from(pixels.height()), i64::from(pixels.width()), 3])?
        .f_to_device(device)?
        .f_permute([2, 0, 1])?
        .f_unsqueeze(0)?
        .f_contiguous()
}

/// An image at another size; colours stay within their range, though the filter overshoots at edges.
fn resized(image: &Tensor, width: u32, height: u32) -> Result<Tensor, TchError> {
    let size = [i64::from(height), i64::from(width)];
    if image.size().get(2..) == Some(size.as_slice()) {
        return Ok(image.shallow_clone());
    }
    image
        .f_internal_upsample_bicubic2d_aa(size, false, None, None)?
        .f_clamp(0.0, 1.0)
}

/// The middle of a picture, as much of it as has the proportions of `width` × `height`, at that size.
pub(super) fn covering(
    picture: &Picture,
    width: u32,
    height: u32,
    device: Device,
) -> Result<Tensor, TchError> {
    // The largest part with these proportions, a pixel at least.
    let scale = (f64::from(picture.width()) / f64::from(width))
        .min(f64::from(picture.height()) / f64::from(height));
    let part = |side: u32, of: u32| ((f64::from(side) * scale).round() as u32).clamp(1, of);
    let wide = part(width, picture.width());
    let high = part(height, picture.height());
    let (left, top) = ((picture.width() - wide) / 2, (picture.height() - high) / 2);
    let colours = match picture.colours() {
        Colours::Eight(pixels) => {
            Colours::Eight(imageops::crop_imm(pixels, left, top, wide, high).to_image())
        }
        Colours::Sixteen(pixels) => {
            Colours::Sixteen(imageops::crop_imm(pixels, left, top, wide, high).to_image())
        }
    };
    to_tensor(&Picture::new(colours, None), width, height, device)
}

/// A mask at another size, `[1, 1, height, width]` in 0..=1.
pub(super) fn mask_tensor(
    mask: &GrayImage,
    width: u32,
    height: u32,
    device: Device,
) -> Result<Tensor, TchError> {
    let shape = [1, 1, i64::from(mask.height()), i64::from(mask.width())];
    let image = Tensor::f_from_data_size(mask.as_raw(), &shape, Kind::Uint8)?
        .f_to_device(device)?
        .f_to_kind(Kind::Float)?
        .f_div_scalar(255.0)?;
    image.f_adaptive_avg_pool2d([i64::from(height), i64::from(width)])
}

/// An image of a coarser scale at the size of the next one; values are kept as they come, in or out of range.
pub(super) fn enlarge(image: &Tensor, width: u32, height: u32) -> Result<Tensor, TchError> {
    let size = [i64::from(height), i64::from(width)];
    image.f_upsample_bicubic2d(size, false, None, None)
}

/// What of an image is lost at the size of a coarser one.
pub(super) fn detail(image: &Tensor, coarser: &Tensor) -> Result<Tensor, TchError> {
    let (_, _, height, width) = image.size4()?;
    let (_, _, coarse_height, coarse_width) = coarser.size4()?;
    let coarse =
        image.f_internal_upsample_bicubic2d_aa([coarse_height, coarse_width], false, None, None)?;
    image.f_sub(&coarse.f_upsample_bicubic2d([height, width], false, None, None)?)
}

/// Gaussian noise around grey with the standard deviation `level`; one seed, one noise, on every machine.
pub(super) fn noise(
    seed: u64,
    level: f64,
    width: u32,
    height: u32,
    device: Device,
) -> Result<Tensor, TchError> {
    let count = 3 * width as usize * height as usize;
    let values = gaussian(seed, count, NOISE_MEAN, level as f32);
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

/// A picture of an image that may be too large to look at on the way: at most [`PREVIEW_SIDE`] pixels long.
pub(super) fn preview(image: &Tensor) -> Result<RgbImage, TchError> {
    let (_, _, height, width) = image.size4()?;
    let (width, height) = (width as u32, height as u32);
    let (smaller_width, smaller_height) = if width.max(height) > PREVIEW_SIDE {
        fit(width, height, PREVIEW_SIDE)
    } else {
        (width, height)
    };
    let smaller = resized(image, smaller_width, smaller_height)?;
    Ok(to_picture(&smaller, PictureFormat::Jpeg, None)?
        .to_rgb8()
        .into_owned())
}

/// An image, `[1, 3, height, width]`, as a picture of 8 or 16 bits a channel, as its format has it, with the photo's
/// transparency; colours out of range become the nearest that a screen can show.
pub(super) fn to_picture(
    image: &Tensor,
    format: PictureFormat,
    transparency: Option<&GrayImage>,
) -> Result<Picture, TchError> {
    let (_, _, height, width) = image.size4()?;
    let (width, height) = (width as u32, height as u32);
    let is_deep = format == PictureFormat::Png16;
    let values = image
        .f_squeeze_dim(0)?
        .f_clamp(0.0, 1.0)?
        .f_mul_scalar(if is_deep { 65_535.0 } else { 255.0 })?
        .f_round()?
        .f_to_kind(Kind::Int)?
        .f_to_device(Device::Cpu)?
        .f_permute([1, 2, 0])?
        .f_contiguous()?;
    let mut numbers = vec![0_i32; values.numel()];
    values.f_copy_data(&mut numbers, values.numel())?;
    let colours = if is_deep {
        let words = numbers.into_iter().map(|number| number as u16).collect();
        Rgb16Image::from_raw(width, height, words).map(Colours::Sixteen)
    } else {
        let bytes = numbers.into_iter().map(|number| number as u8).collect();
        RgbImage::from_raw(width, height, bytes).map(Colours::Eight)
    };
    let colours =
        colours.ok_or_else(|| TchError::Shape(format!("{width} × {height} is no picture")))?;
    let alpha = transparency
        .map(|alpha| imageops::resize(alpha, width, height, imageops::FilterType::CatmullRom));
    Ok(Picture::new(colours, alpha))
}
