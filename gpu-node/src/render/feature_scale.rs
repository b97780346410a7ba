//! Brings the features of any weights file to one scale.
//!
//! Published settings were made for the original weights of Simonyan and Zisserman, which see colours in 0..=255;
//! torchvision's features are some 58 times smaller, and losses of Gram matrices go with the fourth power of that.
//! Multiplying every layer so that its mean activation on a fixed noise is what the original weights have there gives one
//! balance of content and style for all files (Gatys et al. 2015, section 2, normalise to 1 for the same reason). The
//! network itself is left as it is: a factor on a distance does the same.
//!
//! The features of the untrained network differ more from picture to picture than trained ones with the same mean, and
//! style counts by the fourth power: they are brought to a share of that scale ([`untrained::STRENGTH`]).

use std::collections::BTreeMap;

use atelier_proto::settings::{Layer, Padding, Pooling};
use tch::{Device, Kind, TchError};

use super::untrained;
use super::vgg::Vgg;

/// Mean activation of VGG19's original weights on the noise of [`NOISE_SEED`], average pooling, by block and index.
const REFERENCE: [(u8, u8, f64); 16] = [
    (1, 1, 30.43),
    (1, 2, 141.4),
    (2, 1, 125.6),
    (2, 2, 147.3),
    (3, 1, 82.91),
    (3, 2, 113.7),
    (3, 3, 257.0),
    (3, 4, 402.7),
    (4, 1, 274.5),
    (4, 2, 179.0),
    (4, 3, 91.6),
    (4, 4, 13.65),
    (5, 1, 9.295),
    (5, 2, 3.411),
    (5, 3, 1.862),
    (5, 4, 0.4639),
];
const NOISE_SEED: u64 = 1;

/// What the features of each layer are to be multiplied by to have `strength` times the scale of the original weights.
pub(super) fn factors(
    vgg: &Vgg,
    strength: f64,
    device: Device,
) -> Result<BTreeMap<Layer, f64>, TchError> {
    let means = mean_activations(vgg, device)?;
    let factor = |(block, index, reference): &(u8, u8, f64)| {
        let layer = Layer::new(*block, *index)?;
        let mean = means.get(&layer).filter(|mean| **mean > 0.0)?;
        Some((layer, strength * reference / mean))
    };
    Ok(REFERENCE.iter().filter_map(factor).collect())
}

fn mean_activations(vgg: &Vgg, device: Device) -> Result<BTreeMap<Layer, f64>, TchError> {
    tch::no_grad(|| {
        let noise = untrained::noise_pictures(NOISE_SEED)?
            .f_to_device(device)?
            .f_to_kind(vgg.numbers().of_images())?;
        let layers: Vec<Layer> = vgg.layers().map(|(layer, _)| layer).collect();
        let features = vgg.features(&noise, layers, Pooling::Average, Padding::Replicate)?;
        features
            .into_iter()
            .map(|(layer, features)| {
                Ok((layer, features.f_mean(Kind::Double)?.f_double_value(&[])?))
            })
            .collect()
    })
}
