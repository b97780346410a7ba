//! How much arithmetic a render is: the multiply-adds of its convolutions.

use atelier_proto::settings::{Layer, Mode, RenderSettings};

use crate::weights::{Architecture, Network};

/// The convolutions that a render computes, each with the multiply-adds of one position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arithmetic {
    convolutions: Vec<(Layer, u64)>,
}

impl Arithmetic {
    /// Of a network, cut after the deepest layer that the settings name. They must name layers: what a network would
    /// take by itself is not known here.
    pub(super) fn of(network: &Network, settings: &RenderSettings) -> Self {
        let content = settings.content_layers.iter().map(|(layer, _)| layer);
        let style = settings.style_layers.iter().map(|(layer, _)| layer);
        let deepest = match settings.mode {
            Mode::Transfer => content.chain(style).max(),
            Mode::Content => content.max(),
            Mode::Style => style.max(),
        };
        let convolutions = match network {
            Network::Trained(weights) => weights
                .convolutions
                .iter()
                .map(|convolution| {
                    let channels = convolution.input_channels * convolution.output_channels;
                    (convolution.layer, 9 * channels as u64)
                })
                .collect(),
            Network::Untrained { .. } => published(Architecture::Vgg16),
        };
        Self {
            convolutions: convolutions
                .into_iter()
                .take_while(|(layer, _)| deepest.is_some_and(|deepest| *layer <= deepest))
                .collect(),
        }
    }

    /// Operations of one evaluation of one picture of this size, a multiply-add being two.
    ///
    /// Counted are the convolutions on the way forward, and as much again on the way back: the gradient of a
    /// convolution's input is a convolution of the same size, and there is no gradient of its kernel. Gram matrices,
    /// poolings, losses and the optimiser are left out; they are some hundredths.
    pub(super) fn operations(&self, width: u32, height: u32) -> f64 {
        let forward: u64 = self
            .convolutions
            .iter()
            .map(|(layer, multiply_adds)| {
                let halved = |side: u32| u64::from((side >> (layer.block() - 1)).max(1));
                halved(width) * halved(height) * multiply_adds
            })
            .sum();
        2.0 * 2.0 * forward as f64
    }
}

/// A VGG as published: 64, 128, 256, 512 and 512 channels (Simonyan and Zisserman 2014, table 1,
/// <https://arxiv.org/abs/1409.1556>).
fn published(architecture: Architecture) -> Vec<(Layer, u64)> {
    let mut inputs = 3;
    let mut convolutions = Vec::new();
    for layer in architecture.layers() {
        let outputs = 64_u64 << (layer.block() - 1).min(3);
        convolutions.push((layer, 9 * inputs * outputs));
        inputs = outputs;
    }
    convolutions
}

#[cfg(test)]
mod tests {
    use atelier_proto::settings::SettingsPatch;

    use super::*;

    const UNTRAINED: Network = Network::Untrained { seed: 1 };

    fn settings(assignments: &[&str]) -> RenderSettings {
        let mut patch = SettingsPatch::default();
        for assignment in assignments {
            patch.set(assignment).unwrap();
        }
        patch.resolve()
    }

    /// Multiply-adds of the way forward, in thousands of millions.
    fn gmac(arithmetic: &Arithmetic, width: u32, height: u32) -> f64 {
        arithmetic.operations(width, height) / 4.0 / 1e9
    }

    #[test]
    fn vgg16_has_as_much_as_others_count() {
        // All 13 convolutions at 224²: 15.3 GMAC in the literature, as in "An analysis of deep neural network models"
        // (Canziani et al. 2016, <https://arxiv.org/abs/1605.07678>), the classifier's 0.12 left out.
        let all = settings(&["content_layers=conv4_2", "style_layers=conv1_1,conv5_3"]);
        let all = gmac(&Arithmetic::of(&UNTRAINED, &all), 224, 224);
        assert!((all - 15.35).abs() < 0.01, "{all}");
    }

    #[test]
    fn the_deepest_layer_that_counts_is_the_last() {
        let named = ["content_layers=conv1_2", "style_layers=conv1_1,conv2_1"];
        let (one_1, one_2, two_1) = (9 * 3 * 64, 9 * 64 * 64, 9 * 64 * 128);
        for (mode, wanted) in [
            (
                "mode=transfer",
                4.0 * f64::from(63 * (one_1 + one_2) + 12 * two_1),
            ),
            ("mode=content", 4.0 * f64::from(63 * (one_1 + one_2))),
            (
                "mode=style",
                4.0 * f64::from(63 * (one_1 + one_2) + 12 * two_1),
            ),
        ] {
            let arithmetic = Arithmetic::of(&UNTRAINED, &settings(&[&named[..], &[mode]].concat()));
            // 9 × 7 pixels, and 4 × 3 after one pooling.
            let found = arithmetic.operations(9, 7);
            assert!(
                (found - wanted).abs() < 0.5,
                "{mode}: {found}, not {wanted}"
            );
        }
        // A side of 1 stays.
        let deep = settings(&["content_layers=conv5_1", "style_layers=conv1_1"]);
        assert!(Arithmetic::of(&UNTRAINED, &deep).operations(1, 1) > 0.0);
    }
}
