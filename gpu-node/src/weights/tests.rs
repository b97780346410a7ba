use std::collections::BTreeMap;
use std::path::PathBuf;

use ::safetensors::tensor::{Dtype, TensorView};
use half::f16;
use proptest::prelude::*;

use super::assemble::{Index, Tensor};
use super::*;

/// Channels of the narrow VGGs that these tests make.
const WIDTH: usize = 4;

fn inputs(layer: Layer) -> usize {
    if layer == Layer::new(1, 1).unwrap() {
        3
    } else {
        WIDTH
    }
}

/// A number that is another one for every place of a kernel, not the same in neighbouring layers, and one that float16
/// holds exactly: whole 1024ths, none above 1 in size.
fn value(layer: Layer, output: usize, input: usize, place: usize) -> f32 {
    let layer = usize::from(layer.block() * 4 + layer.index()) % 7;
    (layer * 256 + output * 64 + input * 9 + place) as f32 / 1024.0 - 1.0
}

fn kernel_outputs_first(layer: Layer) -> Vec<f32> {
    let mut values = Vec::new();
    for output in 0..WIDTH {
        for input in 0..inputs(layer) {
            values.extend((0..9).map(|place| value(layer, output, input, place)));
        }
    }
    values
}

/// The same kernel as Keras stores it: outputs last, and blue first.
fn kernel_of_keras(layer: Layer) -> Vec<f32> {
    let count = inputs(layer);
    let mut values = Vec::new();
    for place in 0..9 {
        for input in 0..count {
            let input = if count == 3 { 2 - input } else { input };
            values.extend((0..WIDTH).map(|output| value(layer, output, input, place)));
        }
    }
    values
}

type Named = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn torchvision(architecture: Architecture) -> Named {
    let positions: &[usize] = match architecture {
        Architecture::Vgg16 => &[0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
        Architecture::Vgg19 => &[0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34],
    };
    let mut named = Named::new();
    for (layer, position) in architecture.layers().zip(positions) {
        let shape = vec![WIDTH, inputs(layer), 3, 3];
        named.insert(
            format!("features.{position}.weight"),
            (shape, kernel_outputs_first(layer)),
        );
        named.insert(
            format!("features.{position}.bias"),
            (vec![WIDTH], vec![0.5; WIDTH]),
        );
    }
    named.insert("classifier.0.weight".to_owned(), (vec![2, 2], vec![0.0; 4]));
    named
}

fn keras(architecture: Architecture) -> Named {
    let mut named = Named::new();
    for layer in architecture.layers() {
        let name = format!("block{}_conv{}", layer.block(), layer.index());
        let shape = vec![3, 3, inputs(layer), WIDTH];
        named.insert(format!("{name}/kernel:0"), (shape, kernel_of_keras(layer)));
        named.insert(format!("{name}/bias:0"), (vec![WIDTH], vec![0.5; WIDTH]));
    }
    named
}

/// A safetensors file of the tensors, in float16 or float32.
fn file(named: &Named, half: bool) -> Vec<u8> {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = named
        .iter()
        .map(|(name, (shape, values))| {
            let bytes = if half {
                values
                    .iter()
                    .flat_map(|value| f16::from_f32(*value).to_le_bytes())
                    .collect()
            } else {
                values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect()
            };
            (name.clone(), shape.clone(), bytes)
        })
        .collect();
    let dtype = if half { Dtype::F16 } else { Dtype::F32 };
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(dtype, shape.clone(), bytes).unwrap();
        (name.as_str(), view)
    });
    ::safetensors::serialize(views, None).unwrap()
}

/// What a fuzzer begins with: a file of each kind, as narrow and as shallow as it may be.
pub(crate) fn seeds() -> Vec<(String, Vec<u8>)> {
    let only = |mut named: Named, kept: &[&str]| {
        named.retain(|name, _| kept.iter().any(|kept| name.starts_with(kept)));
        named
    };
    let torch = only(
        torchvision(Architecture::Vgg16),
        &["features.0.", "features.2.", "features.5.", "classifier"],
    );
    let keras = only(keras(Architecture::Vgg16), &["block1_", "block2_conv1"]);
    let shallowest = only(torch.clone(), &["features.0.", "features.2."]);
    let exported = export::to_bytes(&read_bytes(&file(&shallowest, false)).unwrap()).unwrap();
    let seeds = [
        ("torchvision.safetensors", file(&torch, true)),
        ("keras.safetensors", file(&keras, true)),
        ("float32.safetensors", file(&shallowest, false)),
        ("normalised.safetensors", exported),
        (
            "keras.h5",
            include_bytes!("../../tests/data/keras_narrow.h5").to_vec(),
        ),
    ];
    let seeds = seeds.into_iter();
    seeds.map(|(name, seed)| (name.to_owned(), seed)).collect()
}

fn read_bytes(content: &[u8]) -> Result<VggWeights, WeightsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    std::fs::write(&path, content).unwrap();
    read(&path)
}

fn problem(named: &Named) -> Problem {
    match read_bytes(&file(named, false)).unwrap_err() {
        WeightsError::Unusable { problem, .. } => problem,
        other @ WeightsError::Unreadable { .. } => panic!("{other}"),
    }
}

fn layer(name: &str) -> Layer {
    name.parse().unwrap()
}

#[test]
fn the_same_network_comes_out_of_either_naming_and_any_float() {
    for architecture in [Architecture::Vgg16, Architecture::Vgg19] {
        let ours = read_bytes(&file(&torchvision(architecture), false)).unwrap();
        assert_eq!(ours.architecture, architecture);
        assert_eq!(ours.convolutions.len(), architecture.layers().count());
        for convolution in &ours.convolutions {
            assert_eq!(convolution.kernel, kernel_outputs_first(convolution.layer));
        }
        let half = read_bytes(&file(&torchvision(architecture), true)).unwrap();
        let keras = read_bytes(&file(&keras(architecture), false)).unwrap();
        assert_eq!(half.convolutions, ours.convolutions);
        assert_eq!(keras.convolutions, ours.convolutions);
        assert_eq!(keras.architecture, architecture);
        // White and black as each publisher's code feeds them to its network.
        assert!((ours.mean[0] - 0.485).abs() < 1e-6);
        let blue_of_white = (1.0 - keras.mean[2]) / keras.deviation[2];
        assert!((blue_of_white - (255.0 - 103.939)).abs() < 1e-3);
    }
}

#[test]
fn a_network_may_end_early_but_lack_nothing_on_the_way() {
    let mut named = torchvision(Architecture::Vgg16);
    named.remove("features.28.weight");
    named.remove("features.28.bias");
    let cut = read_bytes(&file(&named, false)).unwrap();
    assert_eq!(cut.convolutions.last().unwrap().layer, layer("conv5_2"));

    named.remove("features.7.weight");
    let conv2_2 = layer("conv2_2");
    let kernel = Problem::HalfLayer {
        layer: conv2_2,
        half: "kernel",
    };
    assert_eq!(problem(&named), kernel);
    named.remove("features.7.bias");
    assert_eq!(problem(&named), Problem::MissingLayer { layer: conv2_2 });
}

#[test]
fn an_exported_network_is_read_as_it_was() {
    for architecture in [Architecture::Vgg16, Architecture::Vgg19] {
        let mut weights = read_bytes(&file(&torchvision(architecture), false)).unwrap();
        // Neither publisher's, and not numbers that survive a detour over decimal digits by chance.
        weights.mean = [0.1, 0.5, 1.0 / 3.0];
        weights.deviation = [0.25, 1e-3, 2.0 / 3.0];
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        std::fs::write(&one, "what was there before").unwrap();
        export(&weights, &one).unwrap();
        export(&weights, &other).unwrap();
        let again = read(&one).unwrap();
        assert_eq!(read(&other).unwrap().digest, again.digest);
        let digest = again.digest;
        assert_eq!(again, VggWeights { digest, ..weights });
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 2, "no partial file stays");
    }
    let weights = read_bytes(&file(&torchvision(Architecture::Vgg16), true)).unwrap();
    let error = export(&weights, &PathBuf::from("no/such/folder/vgg.safetensors")).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("no/such/folder/vgg.safetensors"), "{error}");
}

#[test]
fn a_header_whose_normalisation_makes_no_sense_is_refused() {
    let refused = |text: &str| {
        let header = [("normalisation".to_owned(), text.to_owned())];
        let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
        let content = ::safetensors::serialize([("features.0.bias", view)], Some(header.into()));
        match read_bytes(&content.unwrap()).unwrap_err() {
            WeightsError::Unusable { problem, .. } => problem,
            other @ WeightsError::Unreadable { .. } => panic!("{other}"),
        }
    };
    for text in [
        "none",
        r#"{"mean": [0, 0, 0]}"#,
        r#"{"mean": [0, 0], "deviation": [1, 1]}"#,
        r#"{"mean": [0, 0, 0], "deviation": [1, 0, 1]}"#,
        r#"{"mean": [0, 0, 1e300], "deviation": [1, 1, 1]}"#,
    ] {
        let text = text.to_owned();
        assert_eq!(refused(&text), Problem::WrongNormalisation { text });
    }
    // One that makes sense is no hindrance: what is missing is a kernel.
    let problem = refused(r#"{"mean": [0, 0, 0], "deviation": [1, 1, 1]}"#);
    assert!(matches!(problem, Problem::HalfLayer { .. }), "{problem}");
}

#[test]
fn tensors_that_do_not_fit_are_refused_by_name() {
    let mut named = torchvision(Architecture::Vgg16);
    named.insert(
        "features.0.bias".to_owned(),
        (vec![WIDTH + 1], vec![0.0; WIDTH + 1]),
    );
    assert_eq!(
        problem(&named).to_string(),
        "conv1_1 has the shape [5], but its bias is [4]"
    );
    let mut named = torchvision(Architecture::Vgg16);
    named.insert(
        "features.0.bias".to_owned(),
        (vec![WIDTH], vec![0.0, 1.0, f32::NAN, 0.0]),
    );
    assert_eq!(
        problem(&named),
        Problem::NotFinite {
            layer: layer("conv1_1")
        }
    );
    let mut named = torchvision(Architecture::Vgg16);
    named.insert("features.1.running_mean".to_owned(), (vec![1], vec![0.0]));
    assert_eq!(problem(&named), Problem::BatchNormalised);
    let other = Named::from([("encoder.weight".to_owned(), (vec![1], vec![0.0]))]);
    assert_eq!(problem(&other), Problem::NotVgg);
}

#[test]
fn what_is_no_weights_file_is_told_by_its_path_and_a_hint() {
    let missing = read(&PathBuf::from("no/such/file"))
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("cannot read the weights no/such/file"),
        "{missing}"
    );
    let pickled = read_bytes(b"PK\x03\x04rest").unwrap_err().to_string();
    assert!(
        pickled.contains("PyTorch archive") && pickled.contains("\nhint: convert it"),
        "{pickled}"
    );
    let text = read_bytes(b"hello").unwrap_err().to_string();
    assert!(text.contains("neither safetensors nor HDF5"), "{text}");
    let mut cut = file(&torchvision(Architecture::Vgg16), false);
    cut.truncate(cut.len() / 2);
    assert!(matches!(
        read_bytes(&cut).unwrap_err(),
        WeightsError::Unusable {
            problem: Problem::Damaged(_),
            ..
        }
    ));
    assert!(read_bytes(b"\x89HDF\r\n\x1a\nrest of nothing").is_err());
}

#[test]
fn keras_names_of_every_age_are_known() {
    for name in [
        "/block3_conv2/block3_conv2_W_1:0",
        "/model_weights/block3_conv2/block3_conv2/kernel:0",
        "/layers/block3_conv2/vars/0",
        "block3_conv2.bias",
    ] {
        let index = Index::of([name].into_iter()).unwrap();
        assert_eq!(index.layer(name), Some(layer("conv3_2")), "{name}");
    }
}

#[test]
fn a_layer_that_comes_twice_is_refused() {
    let mut tensors = Index::of(["block1_conv1/kernel:0"].into_iter())
        .unwrap()
        .collect();
    let bias = Tensor {
        shape: vec![1],
        values: vec![0.0],
    };
    let conv1_1 = layer("conv1_1");
    tensors.add(conv1_1, bias.clone()).unwrap();
    assert_eq!(
        tensors.add(conv1_1, bias),
        Err(Problem::Twice { layer: conv1_1 })
    );
}

#[test]
fn a_file_that_h5py_wrote_is_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keras_narrow.h5");
    let weights = read(&PathBuf::from(path)).unwrap();
    assert_eq!(weights.convolutions.len(), 4);
    let first = &weights.convolutions[0];
    // Filter 1, red, places 0 and 1: red is Keras' input 2, and a step of one place is 3 inputs × 4 outputs.
    assert!((first.kernel[27] - 9.0).abs() < 1e-6);
    assert!((first.kernel[28] - 21.0).abs() < 1e-6);
    let last = &weights.convolutions[3];
    assert_eq!(last.layer, layer("conv2_2"));
    assert_eq!(last.bias, [4.0; WIDTH]);
    // Filter 0, input 1, place 0.
    assert!((last.kernel[9] - 4004.0).abs() < 1e-6);
}

#[test]
fn real_weights_are_read() {
    let Ok(assets) = std::env::var("ATELIER_TEST_ASSETS") else {
        println!("skipped: ATELIER_TEST_ASSETS names no folder with real weights");
        return;
    };
    let path = PathBuf::from(assets).join("weights/vgg19_conv_f16.safetensors");
    let weights = read(&path).unwrap();
    assert_eq!(weights.architecture, Architecture::Vgg19);
    assert_eq!(weights.convolutions.len(), 16);
}

proptest! {
    #[test]
    fn no_content_makes_the_reader_panic(
        mut content in proptest::collection::vec(any::<u8>(), 0..600),
        kind in 0_u8..3,
    ) {
        match kind {
            0 => content.splice(0..0, *b"\x89HDF\r\n\x1a\n").for_each(drop),
            1 => content.splice(0..0, *b"\x40\0\0\0\0\0\0\0{").for_each(drop),
            _ => {}
        }
        prop_assert!(read_bytes(&content).is_err());
    }
}
