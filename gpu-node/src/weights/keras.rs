//! Weights in Keras' HDF5 files: `block1_conv1/block1_conv1_W_1:0` of the published VGGs, and the names that newer
//! Keras versions give.

use atelier_proto::settings::Layer;
use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Hdf5File};

use super::Problem;
use super::assemble::{Index, Tensor, Tensors};

/// Groups within groups: `model_weights/block1_conv1/block1_conv1` is three.
const DEPTH_MAX: usize = 6;
/// Datasets in a file; VGG19 with its classifier has 38.
const DATASETS_MAX: usize = 2_000;
/// Values of one tensor; the largest convolution has 512 × 512 × 3 × 3.
const VALUES_MAX: u64 = 16_000_000;

/// The convolutions in a file.
pub(super) fn tensors(content: Vec<u8>) -> Result<Tensors, Problem> {
    let file = Hdf5File::from_vec(content).map_err(Problem::damaged)?;
    let mut found = Vec::new();
    walk(
        &file.root_group().map_err(Problem::damaged)?,
        "",
        0,
        &mut found,
    )?;
    let index = Index::of(found.iter().map(|(path, _)| path.as_str()))?;
    let wanted: Vec<(Layer, Dataset)> = found
        .into_iter()
        .filter_map(|(path, dataset)| Some((index.layer(&path)?, dataset)))
        .collect();
    let mut tensors = index.collect();
    for (layer, dataset) in wanted {
        tensors.add(layer, tensor(layer, &dataset)?)?;
    }
    Ok(tensors)
}

fn walk(
    group: &Group,
    path: &str,
    depth: usize,
    found: &mut Vec<(String, Dataset)>,
) -> Result<(), Problem> {
    let (groups, datasets) = group.members().map_err(Problem::damaged)?;
    for dataset in datasets {
        found.push((format!("{path}/{}", dataset.name()), dataset));
    }
    if found.len() > DATASETS_MAX || (depth == DEPTH_MAX && !groups.is_empty()) {
        return Err(Problem::NotVgg);
    }
    for child in groups {
        let name = child.name().to_owned();
        // An optimiser's state repeats the names of the layers.
        if !name.contains("optimizer") {
            walk(&child, &format!("{path}/{name}"), depth + 1, found)?;
        }
    }
    Ok(())
}

fn tensor(layer: Layer, dataset: &Dataset) -> Result<Tensor, Problem> {
    let shape: Vec<usize> = dataset.shape().iter().map(|axis| *axis as usize).collect();
    let count = dataset.num_elements().map_err(Problem::damaged)?;
    if count > VALUES_MAX {
        return Err(Problem::WrongShape {
            layer,
            shape,
            wanted: "no convolution of VGG is so large".to_owned(),
        });
    }
    let mut values = vec![0_f32; count as usize];
    dataset
        .read_into(&mut values)
        .map_err(|error| Problem::damaged(format!("{layer}: {error}")))?;
    Ok(Tensor { shape, values })
}
