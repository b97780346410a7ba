//! Weights in safetensors files (<https://huggingface.co/docs/safetensors>).

use ::safetensors::SafeTensors;
use ::safetensors::tensor::{Dtype, TensorView};
use atelier_proto::settings::Layer;
use half::{bf16, f16};

use super::Problem;
use super::assemble::{Index, Normalisation, Tensor, Tensors};

/// Whether the content starts as such a file does: the length of a JSON object, then the object.
pub(super) fn is_likely(content: &[u8]) -> bool {
    content.get(8) == Some(&b'{')
}

/// The convolutions in a file.
pub(super) fn tensors(content: &[u8]) -> Result<Tensors, Problem> {
    let file = SafeTensors::deserialize(content).map_err(Problem::damaged)?;
    let index = Index::of(file.names().into_iter())?;
    let wanted: Vec<(Layer, TensorView<'_>)> = file
        .iter()
        .filter_map(|(name, view)| Some((index.layer(name)?, view)))
        .collect();
    let mut tensors = index.collect();
    if let Some(normalisation) = normalisation(content)? {
        tensors.normalise_by(normalisation);
    }
    for (layer, view) in wanted {
        let tensor = Tensor {
            shape: view.shape().to_vec(),
            values: floats(layer, &view)?,
        };
        tensors.add(layer, tensor)?;
    }
    Ok(tensors)
}

/// What the header says that the network wants to see, if it says so.
fn normalisation(content: &[u8]) -> Result<Option<Normalisation>, Problem> {
    let (_, header) = SafeTensors::read_metadata(content).map_err(Problem::damaged)?;
    let said = header
        .metadata()
        .as_ref()
        .and_then(|said| said.get(Normalisation::KEY));
    said.map(|text| {
        Normalisation::from_json(text).ok_or_else(|| Problem::WrongNormalisation {
            text: text.chars().take(80).collect(),
        })
    })
    .transpose()
}

fn floats(layer: Layer, view: &TensorView<'_>) -> Result<Vec<f32>, Problem> {
    let bytes = view.data();
    // Little-endian, as the format says.
    let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    match view.dtype() {
        Dtype::F32 => Ok(bytes
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
            .collect()),
        Dtype::F16 => Ok(pairs()
            .map(|pair| f16::from_le_bytes(pair).to_f32())
            .collect()),
        Dtype::BF16 => Ok(pairs()
            .map(|pair| bf16::from_le_bytes(pair).to_f32())
            .collect()),
        other => Err(Problem::WrongKind {
            layer,
            kind: format!("{other:?}"),
        }),
    }
}
