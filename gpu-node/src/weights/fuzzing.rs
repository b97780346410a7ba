//! Weights files from anywhere.

use atelier_proto::ids::Digest;

use super::assemble::assemble;
use super::{Problem, VggWeights, export, tensors};

/// Longest text of a problem, bytes.
const PROBLEM_BYTES_MAX: usize = 4_000;

/// A file that is read is a VGG up to some layer, whose tensors fit into one another and hold finite numbers, and is the same
/// network once it was exported; what is told of another one is short and leaves a terminal as it is.
///
/// # Panics
/// Where that is not so.
pub fn weights(bytes: &[u8]) {
    let read = |bytes: &[u8]| -> Result<VggWeights, Problem> {
        assemble(tensors(bytes.to_vec())?, Digest::of(b""))
    };
    let network = match read(bytes) {
        Ok(network) => network,
        Err(problem) => {
            let told = problem.to_string();
            assert!(told.len() <= PROBLEM_BYTES_MAX, "{} bytes", told.len());
            let moves = |letter: char| letter.is_control() && letter != '\n';
            assert!(!told.chars().any(moves), "{told:?}");
            return;
        }
    };
    assert!(
        network
            .deviation
            .iter()
            .all(|it| it.is_finite() && *it > 0.0)
    );
    assert!(network.mean.iter().all(|it| it.is_finite()));
    let layers = network.architecture.layers();
    let mut channels = 3;
    for (layer, convolution) in layers.zip(&network.convolutions) {
        assert_eq!(convolution.layer, layer);
        assert_eq!(convolution.input_channels, channels);
        channels = convolution.output_channels;
        assert!(channels > 0, "{layer} makes nothing");
        assert_eq!(
            convolution.kernel.len(),
            channels * convolution.input_channels * 9
        );
        assert_eq!(convolution.bias.len(), channels);
        let mut values = convolution.kernel.iter().chain(&convolution.bias);
        assert!(values.all(|value| value.is_finite()), "{layer}");
    }
    match export::to_bytes(&network).map(|exported| read(&exported)) {
        Ok(Ok(again)) => assert!(again == network, "another network after the export"),
        trouble => panic!("what was read cannot be exported: {trouble:?}"),
    }
}
