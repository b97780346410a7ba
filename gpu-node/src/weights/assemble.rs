//! From named tensors to a VGG: which layer each is, which way its axes lie, and whether all fits.

use std::collections::BTreeMap;

use atelier_proto::ids::Digest;
use atelier_proto::settings::Layer;
use serde_json::{Value, json};

use super::{Architecture, Convolution, Problem, VggWeights};

/// What a network wants to see of a colour value `c` in 0..=1 is `(c - mean) / deviation`, for red, green and blue
/// each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Normalisation {
    pub(super) mean: [f32; 3],
    pub(super) deviation: [f32; 3],
}

impl Normalisation {
    /// Where the header of a safetensors file may say it, as JSON, if it is not the one of the file's names.
    pub(super) const KEY: &str = "normalisation";

    pub(super) fn to_json(self) -> Value {
        json!({ "mean": self.mean, "deviation": self.deviation })
    }

    /// None: it is not of the form that [`Normalisation::to_json`] makes, or some number makes no sense.
    pub(super) fn from_json(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let colours = |name: &str| -> Option<[f32; 3]> {
            let values = value.get(name)?.as_array()?;
            let values = values.iter().map(|value| Some(value.as_f64()? as f32));
            let values: [f32; 3] = values.collect::<Option<Vec<f32>>>()?.try_into().ok()?;
            values
                .iter()
                .all(|value| value.is_finite())
                .then_some(values)
        };
        let found = Self {
            mean: colours("mean")?,
            deviation: colours("deviation")?,
        };
        found
            .deviation
            .iter()
            .all(|value| *value > 0.0)
            .then_some(found)
    }
}

/// Whose names a file uses, which also fixes what its network wants to see unless the file says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// `features.0.weight`: kernels `[out, in, 3, 3]`, RGB in 0..=1, normalised by `ImageNet`'s mean and deviation
    /// (<https://docs.pytorch.org/vision/stable/models/vgg.html>).
    Torchvision,
    /// `block1_conv1`: kernels `[3, 3, in, out]`, BGR in 0..=255 minus the means of Caffe's VGG
    /// (`keras.applications.imagenet_utils.preprocess_input`, mode "caffe").
    Keras,
}

impl Naming {
    fn normalisation(self) -> Normalisation {
        match self {
            Self::Torchvision => Normalisation {
                mean: [0.485, 0.456, 0.406],
                deviation: [0.229, 0.224, 0.225],
            },
            Self::Keras => Normalisation {
                mean: [123.68 / 255.0, 116.779 / 255.0, 103.939 / 255.0],
                deviation: [1.0 / 255.0; 3],
            },
        }
    }
}

/// A tensor of a convolution as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// The convolutions that a file holds.
#[derive(Debug)]
pub(super) struct Tensors {
    naming: Naming,
    architecture: Architecture,
    normalisation: Normalisation,
    halves: BTreeMap<Layer, Halves>,
}

#[derive(Debug, Default)]
struct Halves {
    kernel: Option<Tensor>,
    bias: Option<Tensor>,
}

/// Says which tensors of a file belong to which layer, before any of them is read.
#[derive(Debug)]
pub(super) struct Index {
    naming: Naming,
    architecture: Architecture,
}

impl Index {
    /// Reads the naming and the architecture off the names of all tensors.
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Result<Self, Problem> {
        if names.clone().any(|name| name.contains("running_mean")) {
            return Err(Problem::BatchNormalised);
        }
        let keras: Vec<Layer> = names.clone().filter_map(keras_layer).collect();
        if !keras.is_empty() {
            return Ok(Self {
                naming: Naming::Keras,
                architecture: architecture_with(keras.iter().any(|layer| layer.index() == 4)),
            });
        }
        let positions: Vec<u32> = names.filter_map(torchvision_position).collect();
        if positions.is_empty() {
            return Err(Problem::NotVgg);
        }
        // Position 16 is conv3_4 in VGG19 and a pooling in VGG16.
        let architecture = architecture_with(positions.contains(&16));
        Ok(Self {
            naming: Naming::Torchvision,
            architecture,
        })
    }

    /// The layer that a tensor of this name belongs to, if any.
    pub(super) fn layer(&self, name: &str) -> Option<Layer> {
        match self.naming {
            Naming::Keras => keras_layer(name),
            Naming::Torchvision => {
                let position = torchvision_position(name)?;
                self.architecture
                    .layers()
                    .zip(torchvision_positions(self.architecture))
                    .find_map(|(layer, of_layer)| (of_layer == position).then_some(layer))
            }
        }
    }

    /// No tensors yet.
    pub(super) fn collect(self) -> Tensors {
        Tensors {
            naming: self.naming,
            architecture: self.architecture,
            normalisation: self.naming.normalisation(),
            halves: BTreeMap::new(),
        }
    }
}

fn architecture_with(fourth_convolutions: bool) -> Architecture {
    if fourth_convolutions {
        Architecture::Vgg19
    } else {
        Architecture::Vgg16
    }
}

/// The layer in a name such as `block4_conv2_W_1:0` or `block4_conv2/kernel:0`.
fn keras_layer(name: &str) -> Option<Layer> {
    let (_, rest) = name.split_once("block")?;
    let (block, rest) = rest.split_once("_conv")?;
    let index = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Layer::new(block.parse().ok()?, index.parse().ok()?)
}

/// The position in a name such as `features.28.weight`.
fn torchvision_position(name: &str) -> Option<u32> {
    let (_, rest) = name.split_once("features.")?;
    let (position, half) = rest.split_once('.')?;
    matches!(half, "weight" | "bias").then(|| position.parse().ok())?
}

/// Where torchvision's `features` have the convolutions: each is followed by a `ReLU`, each block by a pooling.
pub(super) fn torchvision_positions(architecture: Architecture) -> impl Iterator<Item = u32> {
    architecture.layers().scan((0, 1), |(next, block), layer| {
        if layer.block() != *block {
            *block = layer.block();
            *next += 1;
        }
        let position = *next;
        *next += 2;
        Some(position)
    })
}

impl Tensors {
    /// Says what the network wants to see, where it is not what its names say.
    pub(super) fn normalise_by(&mut self, normalisation: Normalisation) {
        self.normalisation = normalisation;
    }

    /// Adds a tensor of a layer; a kernel has four axes, a bias one.
    pub(super) fn add(&mut self, layer: Layer, tensor: Tensor) -> Result<(), Problem> {
        if !tensor.values.iter().all(|value| value.is_finite()) {
            return Err(Problem::NotFinite { layer });
        }
        let halves = self.halves.entry(layer).or_default();
        let half = match tensor.shape.len() {
            4 => &mut halves.kernel,
            1 => &mut halves.bias,
            _ => {
                return Err(Problem::WrongShape {
                    layer,
                    shape: tensor.shape,
                    wanted: "a convolution has a kernel of four axes and a bias of one".to_owned(),
                });
            }
        };
        match half.replace(tensor) {
            None => Ok(()),
            Some(_) => Err(Problem::Twice { layer }),
        }
    }
}

/// The network that the tensors make.
pub(super) fn assemble(tensors: Tensors, digest: Digest) -> Result<VggWeights, Problem> {
    let Tensors {
        naming,
        architecture,
        normalisation,
        mut halves,
    } = tensors;
    let mut convolutions = Vec::new();
    let mut channels = 3;
    for layer in architecture.layers() {
        if halves.is_empty() {
            break;
        }
        let Halves { kernel, bias } = halves
            .remove(&layer)
            .ok_or(Problem::MissingLayer { layer })?;
        let kernel = kernel.ok_or(Problem::HalfLayer {
            layer,
            half: "kernel",
        })?;
        let bias = bias.ok_or(Problem::HalfLayer {
            layer,
            half: "bias",
        })?;
        let convolution = convolution(layer, channels, kernel, bias, naming)?;
        channels = convolution.output_channels;
        convolutions.push(convolution);
    }
    if convolutions.is_empty() {
        return Err(Problem::NotVgg);
    }
    Ok(VggWeights {
        architecture,
        convolutions,
        mean: normalisation.mean,
        deviation: normalisation.deviation,
        digest,
    })
}

fn convolution(
    layer: Layer,
    input_channels: usize,
    kernel: Tensor,
    bias: Tensor,
    naming: Naming,
) -> Result<Convolution, Problem> {
    // No VGG has 3 output channels, so the place of the 3×3 tells the order of the axes.
    let (output_channels, values) = match kernel.shape[..] {
        [outputs, inputs, 3, 3] if inputs == input_channels => (outputs, kernel.values),
        [3, 3, inputs, outputs] if inputs == input_channels => {
            let values = outputs_first(&kernel.values, inputs, outputs);
            (outputs, values)
        }
        _ => {
            let wanted = format!("a kernel here is [out, {input_channels}, 3, 3]");
            let shape = kernel.shape;
            return Err(Problem::WrongShape {
                layer,
                shape,
                wanted,
            });
        }
    };
    if output_channels == 0 {
        return Err(Problem::WrongShape {
            layer,
            shape: kernel.shape,
            wanted: "a convolution makes at least one channel".to_owned(),
        });
    }
    if bias.shape != [output_channels] {
        return Err(Problem::WrongShape {
            layer,
            shape: bias.shape,
            wanted: format!("its bias is [{output_channels}]"),
        });
    }
    let is_first = layer.block() == 1 && layer.index() == 1;
    let kernel = if is_first && naming == Naming::Keras {
        swap_red_and_blue(&values)
    } else {
        values
    };
    Ok(Convolution {
        layer,
        input_channels,
        output_channels,
        kernel,
        bias: bias.values,
    })
}

/// `[3, 3, in, out]` as `[out, in, 3, 3]`.
fn outputs_first(values: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    let mut turned = Vec::with_capacity(values.len());
    for output in 0..outputs {
        for input in 0..inputs {
            turned.extend((0..9).map(|place| values[(place * inputs + input) * outputs + output]));
        }
    }
    turned
}

/// A kernel that reads blue, green, red as one that reads red, green, blue.
fn swap_red_and_blue(kernel: &[f32]) -> Vec<f32> {
    kernel
        .chunks_exact(3 * 9)
        .flat_map(|filter| [&filter[18..27], &filter[9..18], &filter[..9]].concat())
        .collect()
}
