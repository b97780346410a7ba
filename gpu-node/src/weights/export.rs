//! A network as a safetensors file, so that other programs can paint with it.

use std::collections::HashMap;
use std::path::Path;

use ::safetensors::tensor::{Dtype, TensorView};
use ::safetensors::{SafeTensorError, serialize};

use super::assemble::{Normalisation, torchvision_positions};
use super::{Convolution, VggWeights};
use crate::whole_file::{WholeFile, WriteError};

/// Why a network is not in a file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file or its folder cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A kernel or bias does not have as many numbers as its shape says.
    #[error("the network cannot be written as safetensors: {0}")]
    Malformed(#[from] SafeTensorError),
}

/// Writes a network with torchvision's names, in float32; the file appears whole or not at all.
///
/// What the network wants to see of a colour stands in the header under `normalisation`: a JSON object with the lists
/// `mean` and `deviation`. [`super::read`] goes by it, and so must any other reader: folded into the first layer, it
/// would change what lies beyond the border of a zero-padded picture. One network makes one file, to the last byte.
///
/// # Errors
/// When the file cannot be written.
pub fn export(weights: &VggWeights, path: &Path) -> Result<(), ExportError> {
    let content = to_bytes(weights)?;
    Ok(WholeFile::begin(path)?.finish(&content)?)
}

pub(super) fn to_bytes(weights: &VggWeights) -> Result<Vec<u8>, SafeTensorError> {
    let stored = torchvision_positions(weights.architecture)
        .zip(&weights.convolutions)
        .flat_map(|(position, convolution)| stored(position, convolution));
    let stored: Vec<Stored> = stored.collect();
    let views = stored
        .iter()
        .map(|tensor| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &tensor.bytes)?;
            Ok((tensor.name.as_str(), view))
        })
        .collect::<Result<Vec<_>, SafeTensorError>>()?;
    let normalisation = Normalisation {
        mean: weights.mean,
        deviation: weights.deviation,
    };
    // One key, because the order of several would differ from run to run.
    let header = HashMap::from([(
        Normalisation::KEY.to_owned(),
        normalisation.to_json().to_string(),
    )]);
    serialize(views, Some(header))
}

/// A tensor as it lies in the file.
struct Stored {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn stored(position: u32, convolution: &Convolution) -> [Stored; 2] {
    let Convolution {
        input_channels,
        output_channels,
        ..
    } = *convolution;
    [
        Stored {
            name: format!("features.{position}.weight"),
            shape: vec![output_channels, input_channels, 3, 3],
            bytes: little_endian(&convolution.kernel),
        },
        Stored {
            name: format!("features.{position}.bias"),
            shape: vec![output_channels],
            bytes: little_endian(&convolution.bias),
        },
    ]
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}
