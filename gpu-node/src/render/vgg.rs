//! VGG as a feature extractor: convolutions and poolings, cut after the deepest layer that is asked for.

use std::collections::{BTreeMap, BTreeSet};

use atelier_proto::settings::{Layer, Padding, Pooling, RenderSettings};
use tch::{Device, Kind, TchError, Tensor};

use super::RenderError;
use super::gpu;
use super::layout::channels_last;
use super::packed::PackedKernel;
use super::statistics::by_row;
use crate::weights::{Architecture, Convolution, VggWeights};

/// In which numbers a network computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Of convolutions. Images, sums and losses are float32, or float64 where convolutions are.
    pub(super) convolutions: Kind,
    /// Channels lie side by side in memory, which libraries for convolutions prefer.
    pub(super) channels_last: bool,
}

impl Numbers {
    /// What an image, its gradient, the sums and the losses are kept in.
    pub(super) fn of_images(self) -> Kind {
        match self.convolutions {
            Kind::Double => Kind::Double,
            _ => Kind::Float,
        }
    }
}

/// A VGG on a device (Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>).
#[derive(Debug)]
pub(super) struct Vgg {
    architecture: Architecture,
    stages: Vec<Stage>,
    /// `[1, 3, 1, 1]` each.
    mean: Tensor,
    deviation: Tensor,
    numbers: Numbers,
}

/// One convolution with its rectification.
#[derive(Debug)]
struct Stage {
    layer: Layer,
    /// Channels that come out.
    channels: i64,
    kernel: Kernel,
    bias: Tensor,
}

/// A 3×3 kernel.
#[derive(Debug)]
enum Kernel {
    /// `[out, in, 3, 3]`.
    Plain(Tensor),
    Packed(PackedKernel),
    OnGpu(gpu::Convolution),
}

impl Vgg {
    /// Puts weights on a device, in the given numbers.
    pub(super) fn load(
        weights: &VggWeights,
        device: Device,
        numbers: Numbers,
    ) -> Result<Self, TchError> {
        let stages = weights.convolutions.iter().map(|convolution| {
            let (kernel, bias) = tensors(convolution)?;
            let kernel = kernel
                .f_to_device(device)?
                .f_to_kind(numbers.convolutions)?;
            let bias = bias.f_to_device(device)?.f_to_kind(numbers.convolutions)?;
            Ok(Stage {
                layer: convolution.layer,
                channels: kernel.size()[0],
                kernel: Kernel::of(&kernel, &bias, numbers.channels_last)?,
                bias,
            })
        });
        let colours = |values: &[f32; 3]| {
            Tensor::f_from_slice(values)?
                .f_view([1, 3, 1, 1])?
                .f_to_device(device)?
                .f_to_kind(numbers.of_images())
        };
        Ok(Self {
            architecture: weights.architecture,
            stages: stages.collect::<Result<_, TchError>>()?,
            mean: colours(&weights.mean)?,
            deviation: colours(&weights.deviation)?,
            numbers,
        })
    }

    /// In which numbers it computes.
    pub(super) fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// Its layers, shallowest first, with the channels of each.
    pub(super) fn layers(&self) -> impl Iterator<Item = (Layer, i64)> + Clone + '_ {
        self.stages
            .iter()
            .map(|stage| (stage.layer, stage.channels))
    }

    /// Says whether every layer that the settings name is there.
    pub(super) fn check_layers(&self, settings: &RenderSettings) -> Result<(), RenderError> {
        let content = settings.content_layers.iter();
        let mut wanted = content.chain(settings.style_layers.iter());
        let there: BTreeSet<Layer> = self.layers().map(|(layer, _)| layer).collect();
        match (
            wanted.find(|(layer, _)| !there.contains(layer)),
            there.last(),
        ) {
            (Some((layer, _)), Some(deepest)) => Err(RenderError::NoSuchLayer {
                layer,
                network: self.architecture.to_string(),
                deepest: *deepest,
            }),
            _ => Ok(()),
        }
    }

    /// Rectified features at the wanted layers, in the network's own numbers. Layers that are not there are left out; see
    /// [`Vgg::check_layers`].
    ///
    /// # Shapes
    /// - `images`: `[batch, 3, height, width]`, red, green and blue, 0..=1 (beyond is allowed)
    /// - returns, for a layer in block `b`: `[batch, channels, height / 2^(b-1), width / 2^(b-1)]`, rounded down but at
    ///   least 1
    pub(super) fn features(
        &self,
        images: &Tensor,
        wanted: impl IntoIterator<Item = Layer>,
        pooling: Pooling,
        padding: Padding,
    ) -> Result<BTreeMap<Layer, Tensor>, TchError> {
        let mut wanted: BTreeSet<Layer> = wanted.into_iter().collect();
        let mut found = BTreeMap::new();
        let mut features = self.seen(images)?;
        // Of the features at hand, as often as they were pooled.
        let mut block = 1;
        for (number, stage) in self.stages.iter().enumerate() {
            if wanted.is_empty() {
                break;
            }
            if stage.layer.block() != block {
                block = stage.layer.block();
                features = pool(&features, pooling)?;
            }
            let ends_block = self
                .stages
                .get(number + 1)
                .is_some_and(|next| next.layer.block() != block);
            if ends_block
                && pooling == Pooling::Average
                && !wanted.contains(&stage.layer)
                && let Some(pooled) = stage.rectified_and_pooled(&features, padding)?
            {
                features = pooled;
                block += 1;
                continue;
            }
            features = stage.rectified(&features, padding)?;
            if wanted.remove(&stage.layer) {
                found.insert(stage.layer, features.shallow_clone());
            }
        }
        Ok(found)
    }

    /// Images as the first convolution takes them.
    fn seen(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let Numbers {
            convolutions: kind,
            channels_last,
        } = self.numbers;
        if let Some(Kernel::OnGpu(_)) = self.stages.first().map(|stage| &stage.kernel) {
            return gpu::image(images, &self.mean, &self.deviation, kind);
        }
        let features = images.f_sub(&self.mean)?.f_div(&self.deviation)?;
        arranged(&features.f_to_kind(kind)?, channels_last)
    }
}

impl Kernel {
    /// Of `[out, in, 3, 3]`, in the quickest way that there is. `[out]`, the bias, is looked at only: what is not a finite
    /// number must reach the loss, and packed kernels rectify it to 0.
    fn of(kernel: &Tensor, bias: &Tensor, channels_last: bool) -> Result<Self, TchError> {
        if channels_last && is_finite(kernel)? && is_finite(bias)? {
            if let Some(packed) = PackedKernel::of(kernel)? {
                return Ok(Self::Packed(packed));
            }
            if let Some(convolution) = gpu::Convolution::of(kernel, bias)? {
                return Ok(Self::OnGpu(convolution));
            }
        }
        Ok(Self::Plain(arranged(kernel, channels_last)?))
    }
}

impl Stage {
    /// `[batch, in, height, width]` → `[batch, channels, height, width]`.
    fn rectified(&self, features: &Tensor, padding: Padding) -> Result<Tensor, TchError> {
        match &self.kernel {
            Kernel::Plain(kernel) => {
                convolve(features, kernel, Some(&self.bias), padding)?.f_relu_()
            }
            Kernel::Packed(kernel) => {
                let (padded, margin) = padded(features, padding)?;
                by_row(&padded, |row| {
                    kernel.convolve_rectified(row, &self.bias, margin)
                })
            }
            Kernel::OnGpu(convolution) => {
                let replicates = padding == Padding::Replicate;
                convolution.convolve_rectified(features, &self.bias, replicates, false)
            }
        }
    }

    /// The same, averaged over two by two positions; none where that is no step of its own.
    fn rectified_and_pooled(
        &self,
        features: &Tensor,
        padding: Padding,
    ) -> Result<Option<Tensor>, TchError> {
        let (_, _, height, width) = features.size4()?;
        match &self.kernel {
            Kernel::OnGpu(convolution) if height.min(width) >= 2 => {
                let replicates = padding == Padding::Replicate;
                convolution
                    .convolve_rectified(features, &self.bias, replicates, true)
                    .map(Some)
            }
            _ => Ok(None),
        }
    }
}

fn is_finite(tensor: &Tensor) -> Result<bool, TchError> {
    Ok(tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0)
}

/// The same values with channels side by side in memory, if so wanted.
fn arranged(tensor: &Tensor, is_last: bool) -> Result<Tensor, TchError> {
    if is_last {
        channels_last(tensor)
    } else {
        Ok(tensor.shallow_clone())
    }
}

/// Kernel `[out, in, 3, 3]` and bias `[out]` of a convolution.
fn tensors(convolution: &Convolution) -> Result<(Tensor, Tensor), TchError> {
    let shape = [
        convolution.output_channels as i64,
        convolution.input_channels as i64,
        3,
        3,
    ];
    let kernel = Tensor::f_from_slice(&convolution.kernel)?.f_view(shape)?;
    Ok((kernel, Tensor::f_from_slice(&convolution.bias)?))
}

/// A 3×3 convolution that keeps height and width.
pub(super) fn convolve(
    features: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    padding: Padding,
) -> Result<Tensor, TchError> {
    let (padded, margin) = padded(features, padding)?;
    by_row(&padded, |row| row.f_conv2d(kernel, bias, 1, margin, 1, 1))
}

/// Features for a convolution that keeps height and width, and how many positions of zeros are still to go around them.
fn padded(features: &Tensor, padding: Padding) -> Result<(Tensor, i64), TchError> {
    Ok(match padding {
        Padding::Zero => (features.shallow_clone(), 1),
        Padding::Replicate => (replicated(features)?, 0),
    })
}

/// The border positions once more around feature maps.
fn replicated(features: &Tensor) -> Result<Tensor, TchError> {
    let (_, channels, _, _) = features.size4()?;
    let channels_last = channels > 1 && features.stride().get(1) == Some(&1);
    if !channels_last {
        return features.f_replication_pad2d([1, 1, 1, 1]);
    }
    // libtorch's own padding takes longer than the convolution after it where channels lie side by side; joining rows
    // and columns takes a third of that.
    let mut turned = features.f_permute([0, 2, 3, 1])?;
    for axis in [1, 2] {
        let last = turned.size().get(axis as usize).map_or(0, |side| side - 1);
        let before = turned.f_narrow(axis, 0, 1)?;
        let after = turned.f_narrow(axis, last, 1)?;
        turned = Tensor::f_cat(&[&before, &turned, &after], axis)?;
    }
    turned.f_permute([0, 3, 1, 2])
}

/// Halves height and width, rounding down; a side of 1 stays.
pub(super) fn pool(features: &Tensor, pooling: Pooling) -> Result<Tensor, TchError> {
    let (_, _, height, width) = features.size4()?;
    let window = [height.min(2), width.min(2)];
    match pooling {
        Pooling::Average if window == [2, 2] && gpu::serves(features) => gpu::pool(features),
        Pooling::Average => features.f_avg_pool2d(window, window, [0, 0], false, true, None),
        Pooling::Max => features.f_max_pool2d(window, window, [0, 0], [1, 1], false),
    }
}
