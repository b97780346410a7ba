//! Whose colours a picture has (Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer",
//! <https://arxiv.org/abs/1606.05897>): the linear map that gives one picture the colour statistics of another, and the
//! separation of brightness from colour.
//!
//! Tensors are `[1, 3, height, width]`, float32, red, green and blue in 0..=1, sRGB as the files have it. Knows pictures,
//! no network and no loss.

use tch::{Device, Kind, TchError, Tensor};

/// The Y of YIQ (ITU-R BT.601), the space that the paper separates luminance in.
///
/// In YIQ, as in YUV and the space of JPEG, the grey axis has no colour and Y is this sum, so "the Y of one picture, the colour of
/// another" is the same picture in all three: the other one, moved along the grey axis.
const LUMINANCE: [f32; 3] = [0.299, 0.587, 0.114];
/// One step of 8 bits, squared. What varies less is rounding, and is not stretched as if it were colour: a grey painting
/// would come out as coloured noise.
const ROUNDING_VARIANCE: f64 = 1.0 / (255.0 * 255.0);
/// Divisors are at least this; far below what a colour can differ by.
const COLOUR_MIN: f64 = 1e-9;

/// The picture with the mean and the covariance of the reference's colours, by the Cholesky factors of both covariances
/// (the paper's colour matching, `L_reference · L_picture⁻¹`). The two may differ in size.
///
/// A direction in which the picture varies by less than one step of 8 bits is not stretched beyond what that step would
/// give; else the statistics are met exactly. A picture matched to itself stays as it is.
///
/// # Shapes
/// - returns: as `picture`; values may lie outside 0..=1, because cutting them off would move the statistics. Clamp
///   before the network or the screen sees them.
pub(super) fn matched(picture: &Tensor, reference: &Tensor) -> Result<Tensor, TchError> {
    let before = Statistics::of(picture)?;
    let wanted = Statistics::of(reference)?;
    let map = transform(&before.covariance, &wanted.covariance);
    let column = |values: [f64; 3]| {
        Tensor::f_from_slice(&values)?
            .f_view([1, 3, 1, 1])?
            .f_to_kind(picture.kind())?
            .f_to_device(picture.device())
    };
    let centred = picture.f_sub(&column(before.mean)?)?;
    let mut image = column(wanted.mean)?;
    // Not a convolution: on a GPU that may round to TF32, which is coarser than 8 bits.
    for (channel, share) in (0..).zip(map) {
        image = image.f_addcmul(&centred.f_narrow(1, channel, 1)?, &column(share)?)?;
    }
    Ok(image)
}

/// The brightness of the picture with the colour of the photo (the paper's luminance-only transfer). Both have one size.
///
/// A colour that no screen can show at that brightness loses saturation, and keeps hue and brightness; the paper cuts
/// channels off, which changes all three.
///
/// # Shapes
/// - `picture`: values outside 0..=1 count as the nearest within
/// - returns: as `picture`, in 0..=1
///
/// # Errors
/// When the sizes differ.
pub(super) fn photo_colours(picture: &Tensor, photo: &Tensor) -> Result<Tensor, TchError> {
    if picture.size() != photo.size() {
        return Err(TchError::Shape(format!(
            "a picture of {:?} cannot take the colours of a photo of {:?}",
            picture.size(),
            photo.size()
        )));
    }
    let brightness = luminance(&picture.f_clamp(0.0, 1.0)?)?;
    let colour = photo.f_sub(&luminance(photo)?)?;
    let above = brightness
        .f_neg()?
        .f_add_scalar(1.0)?
        .f_expand_as(&colour)?;
    let room = above.f_where_self(&colour.f_gt(0.0)?, &brightness)?;
    let saturation = room
        .f_div(&colour.f_abs()?.f_clamp_min(COLOUR_MIN)?)?
        .f_amin([1].as_slice(), true)?
        .f_clamp_max(1.0)?;
    brightness
        .f_addcmul(&colour, &saturation)?
        .f_clamp(0.0, 1.0)
}

/// The picture without its colours: its luminance in all three channels.
pub(super) fn grey(picture: &Tensor) -> Result<Tensor, TchError> {
    luminance(picture)?.f_repeat([1, 3, 1, 1])
}

/// The painting without its colours, its luminance moved to the mean and the standard deviation of the photo's, so that a
/// dark painting does not darken a bright photo (the same: `σ_photo / σ_painting · (Y − μ_painting) +
/// μ_photo`). The two may differ in size; a flat painting stays flat.
///
/// # Shapes
/// - returns: as `painting`, three equal channels; values may lie outside 0..=1, as in [`matched`]
pub(super) fn luminance_matched(painting: &Tensor, photo: &Tensor) -> Result<Tensor, TchError> {
    let painting = luminance(painting)?;
    let (before, variance) = mean_and_variance(&painting)?;
    let (wanted, wanted_variance) = mean_and_variance(&luminance(photo)?)?;
    painting
        .f_sub_scalar(before)?
        .f_mul_scalar(gain(variance, wanted_variance))?
        .f_add_scalar(wanted)?
        .f_repeat([1, 3, 1, 1])
}

/// Y of YIQ: `[batch, 3, height, width]` → `[batch, 1, height, width]`.
fn luminance(picture: &Tensor) -> Result<Tensor, TchError> {
    let weights = Tensor::f_from_slice(&LUMINANCE)?
        .f_view([1, 3, 1, 1])?
        .f_to_kind(picture.kind())?
        .f_to_device(picture.device())?;
    picture
        .f_mul(&weights)?
        .f_sum_dim_intlist([1].as_slice(), true, None)
}

fn mean_and_variance(values: &Tensor) -> Result<(f64, f64), TchError> {
    let mean = values.f_mean(Kind::Double)?.f_double_value(&[])?;
    let variance = values
        .f_sub_scalar(mean)?
        .f_square()?
        .f_mean(Kind::Double)?
        .f_double_value(&[])?;
    Ok((mean, variance))
}

/// Mean and covariance of a picture's colours.
struct Statistics {
    mean: [f64; 3],
    covariance: [[f64; 3]; 3],
}

impl Statistics {
    /// Sums are taken in float64, differences from the mean in the picture's own kind.
    fn of(picture: &Tensor) -> Result<Self, TchError> {
        let positions = [0, 2, 3].as_slice();
        let means = picture.f_mean_dim(positions, true, Kind::Double)?;
        let centred = picture.f_sub(&means.f_to_kind(picture.kind())?)?;
        let mut rows = vec![means.f_view([3])?];
        for channel in 0..3 {
            let products = centred.f_mul(&centred.f_narrow(1, channel, 1)?)?;
            rows.push(products.f_mean_dim(positions, false, Kind::Double)?);
        }
        let numbers = Tensor::f_stack(&rows, 0)?
            .f_to_device(Device::Cpu)?
            .f_contiguous()?;
        let mut table = [0.0; 12];
        numbers.f_copy_data(&mut table, 12)?;
        let row = |index: usize| [table[3 * index], table[3 * index + 1], table[3 * index + 2]];
        Ok(Self {
            mean: row(0),
            covariance: [row(1), row(2), row(3)],
        })
    }
}

/// How much a direction of variance `before` is stretched to have the variance `wanted`.
fn gain(before: f64, wanted: f64) -> f64 {
    // Never less than what is wanted, if that is small itself: so that equal variances give exactly 1.
    let before = before.max(wanted.min(ROUNDING_VARIANCE));
    if before > 0.0 && wanted > 0.0 {
        (wanted / before).sqrt()
    } else {
        0.0
    }
}

/// The columns of `L_wanted · L_before⁻¹`, where `L·Lᵀ` are the two covariances.
///
/// Written with unit factors and variances, `L = U·√D`, the product is `U_wanted · gain · U_before⁻¹`: the one division
/// that a singular covariance breaks is in [`gain`].
fn transform(before: &[[f64; 3]; 3], wanted: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let (before, variances) = unit_cholesky(before);
    let (wanted, wanted_variances) = unit_cholesky(wanted);
    let columns = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    columns.map(|mut inverse| {
        // Forward substitution: this column of U_before⁻¹.
        for row in 0..3 {
            let known: f64 = (0..row).map(|k| before[row][k] * inverse[k]).sum();
            inverse[row] -= known;
        }
        wanted.map(|row| {
            (0..3)
                .map(|k| row[k] * gain(variances[k], wanted_variances[k]) * inverse[k])
                .sum()
        })
    })
}

/// `U` (unit lower triangle) and the diagonal of `D` of a covariance `U·D·Uᵀ`; where a variance is 0, its column of `U`
/// is 0 below the diagonal.
fn unit_cholesky(covariance: &[[f64; 3]; 3]) -> ([[f64; 3]; 3], [f64; 3]) {
    let mut factor = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let mut variances: [f64; 3] = [0.0; 3];
    for column in 0..3 {
        let rest = |row: usize, factor: &[[f64; 3]; 3]| {
            let known: f64 = (0..column)
                .map(|k| factor[row][k] * variances[k] * factor[column][k])
                .sum();
            covariance[row][column] - known
        };
        // Rounding leaves a little of either sign where nothing is left.
        let variance = rest(column, &factor);
        let negligible = covariance[column][column] * f64::from(f32::EPSILON);
        if variance <= negligible {
            continue;
        }
        for row in column + 1..3 {
            factor[row][column] = rest(row, &factor) / variance;
        }
        variances[column] = variance;
    }
    (factor, variances)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waves with correlated channels around `level`, each channel `swing` high.
    fn waves(height: i64, width: i64, level: [f64; 3], swing: [f64; 3], turn: f64) -> Tensor {
        let mut values = Vec::new();
        for channel in 0..3 {
            for position in 0..height * width {
                let place = position as f64 + turn;
                let shared = (place * 0.37).sin();
                let own = (place * (0.11 + 0.07 * channel as f64)).cos();
                values.push((level[channel] + swing[channel] * (0.6 * shared + 0.4 * own)) as f32);
            }
        }
        Tensor::from_slice(&values).view([1, 3, height, width])
    }

    fn painting() -> Tensor {
        waves(40, 50, [0.3, 0.5, 0.6], [0.2, 0.25, 0.1], 0.0)
    }

    fn photo() -> Tensor {
        waves(30, 70, [0.6, 0.4, 0.3], [0.1, 0.05, 0.2], 9.0)
    }

    fn difference(left: &Tensor, right: &Tensor) -> f64 {
        (left - right).abs().max().double_value(&[])
    }

    #[test]
    fn matching_gives_the_mean_and_covariance_of_the_reference() {
        let found = Statistics::of(&matched(&painting(), &photo()).unwrap()).unwrap();
        let wanted = Statistics::of(&photo()).unwrap();
        for row in 0..3 {
            // The picture is float32, the statistics are about 0.01 to 0.5.
            assert!((found.mean[row] - wanted.mean[row]).abs() < 1e-6);
            for column in 0..3 {
                let (found, wanted) = (
                    found.covariance[row][column],
                    wanted.covariance[row][column],
                );
                assert!((found - wanted).abs() < 1e-7, "{found} is not {wanted}");
            }
        }
    }

    #[test]
    fn a_picture_matched_to_itself_stays() {
        let grey_painting = grey(&painting()).unwrap();
        let flat = Tensor::full([1, 3, 8, 8], 0.25, (Kind::Float, Device::Cpu));
        // Colour of a tenth of a step of 8 bits must neither vanish nor grow.
        let faint = waves(20, 20, [0.5; 3], [1e-4, 2e-4, 3e-4], 0.0);
        for picture in [painting(), grey_painting, flat, faint] {
            let same = matched(&picture, &picture).unwrap();
            assert!(difference(&same, &picture) < 1e-6);
        }
    }

    #[test]
    fn grey_and_flat_pictures_are_tinted_and_not_torn() {
        let wanted = Statistics::of(&photo()).unwrap();
        let red_deviation = wanted.covariance[0][0].sqrt();
        // Grey, as JPEG leaves it: each channel off by up to half a step of 8 bits.
        let rounding = waves(40, 50, [0.0; 3], [0.5 / 255.0; 3], 3.0);
        for picture in [
            grey(&painting()).unwrap(),
            grey(&painting()).unwrap() + rounding,
            Tensor::full([1, 3, 8, 8], 0.25, (Kind::Float, Device::Cpu)),
        ] {
            let found = matched(&picture, &photo()).unwrap();
            let statistics = Statistics::of(&found).unwrap();
            for channel in 0..3 {
                assert!((statistics.mean[channel] - wanted.mean[channel]).abs() < 1e-5);
                let (found, wanted) = (
                    statistics.covariance[channel][channel],
                    wanted.covariance[channel][channel],
                );
                assert!(found <= wanted + 1e-6, "{found} varies more than {wanted}");
            }
            // Values go where the photo's go, up to a few of its deviations.
            let range = difference(&found, &(found.zeros_like() + 0.5));
            assert!(range < 0.5 + 4.0 * red_deviation, "{range}");
        }
    }

    #[test]
    fn a_grey_reference_takes_the_colour_away() {
        let found = matched(&painting(), &grey(&photo()).unwrap()).unwrap();
        assert!(difference(&found, &grey(&found).unwrap()) < 1e-5);
    }

    #[test]
    fn the_brightness_is_the_pictures_and_the_colour_the_photos() {
        let picture = waves(30, 70, [0.5; 3], [0.2, 0.1, 0.15], 4.0);
        let found = photo_colours(&picture, &photo()).unwrap();
        let colour = |picture: &Tensor| picture - luminance(picture).unwrap();
        // A few roundings of float32 at 1.
        assert!(difference(&luminance(&found).unwrap(), &luminance(&picture).unwrap()) < 1e-6);
        assert!(difference(&colour(&found), &colour(&photo())) < 1e-6);
    }

    #[test]
    fn a_colour_out_of_range_pales_and_keeps_its_brightness() {
        let picture = grey(&waves(10, 20, [0.5; 3], [0.6; 3], 0.0)).unwrap();
        let colours = [0.0_f32, 0.0, 1.0];
        let blue = Tensor::from_slice(&colours)
            .view([1, 3, 1, 1])
            .expand_as(&picture);
        let found = photo_colours(&picture, &blue).unwrap();
        let shown = picture.clamp(0.0, 1.0);
        assert!(found.min().double_value(&[]) >= 0.0 && found.max().double_value(&[]) <= 1.0);
        assert!(difference(&luminance(&found).unwrap(), &luminance(&shown).unwrap()) < 1e-6);
        // Blue against grey: red and green stay equal, and blue is never less than they.
        let channel = |index| found.narrow(1, index, 1);
        assert!(difference(&channel(0), &channel(1)) < 1e-6);
        assert!((channel(2) - channel(0)).min().double_value(&[]) > -1e-6);
    }

    #[test]
    fn colours_of_another_size_are_refused() {
        assert!(matches!(
            photo_colours(&painting(), &photo()),
            Err(TchError::Shape(_))
        ));
    }

    #[test]
    fn a_grey_painting_takes_the_luminance_of_the_photo() {
        let found = luminance_matched(&painting(), &photo()).unwrap();
        assert_eq!(found.size(), painting().size());
        let (mean, variance) = mean_and_variance(&luminance(&found).unwrap()).unwrap();
        let (wanted, wanted_variance) = mean_and_variance(&luminance(&photo()).unwrap()).unwrap();
        assert!((mean - wanted).abs() < 1e-6 && (variance - wanted_variance).abs() < 1e-7);
        assert!(difference(&found, &grey(&found).unwrap()) < 1e-6);
    }
}
