//! Presets: named sets of render settings, each with its source.

use std::fmt;
use std::str::FromStr;

use super::{
    Layer, LayerWeights, LossKind, Padding, Pooling, RenderSettings, SettingsPatch, Start,
};
use crate::suggest::did_you_mean;

/// A named set of render settings.
///
/// A preset fixes how a picture is optimised and says nothing of what people choose for one picture: its size, seed,
/// format, mode, colours and style scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// The default: coarse to fine, from the photo, losses relative to their targets; the best look per second.
    Fine,
    /// The source article's code, which is the notebook "neural-style" of fast.ai's second course: VGG16 with average
    /// pooling, the second layer of every block, noise at the start and ten rounds of L-BFGS of 20 evaluations each, after
    /// which colours are clipped (<https://github.com/fastai/courses/tree/master/deeplearning2>). `SciPy`'s line search is
    /// the one thing that is not followed.
    Classic,
    /// The code that Gatys published in `PyTorch`: VGG19 with maximum pooling, the photo at the start, 500 evaluations
    /// (<https://github.com/leongatys/PytorchNeuralStyleTransfer>).
    Gatys,
    /// The defaults of Johnson's neural-style: content 5, style 100, total variation 0.001 of sums over 0..255 (here for
    /// 512 pixels), 1000 evaluations from faint noise (<https://github.com/jcjohnson/neural-style>).
    NeuralStyle,
}

/// A text that names no preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no preset; {}", did_you_mean(text, Preset::ALL.map(Preset::name)))]
pub struct UnknownPreset {
    text: String,
}

impl Preset {
    /// Every preset, the default first.
    pub const ALL: [Self; 4] = [Self::Fine, Self::Classic, Self::Gatys, Self::NeuralStyle];

    /// As it is written: `fine`, `classic`, `gatys`, `neural-style`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Classic => "classic",
            Self::Gatys => "gatys",
            Self::NeuralStyle => "neural-style",
        }
    }

    /// The settings that it fixes.
    pub fn patch(self) -> SettingsPatch {
        let fine = RenderSettings::default();
        let settings = match self {
            Self::Fine => fine,
            Self::Classic => RenderSettings {
                iterations: 200,
                scales: 1,
                start: Start::Noise,
                // Uniform in ±2.5 of 255 has this deviation.
                noise_level: 0.0057,
                content_weight: 0.1,
                style_weight: 1.0,
                tv_weight: 0.0,
                range_weight: 0.0,
                content_layers: layers(&[(4, 2, 1.0)]),
                style_layers: layers(&[
                    (1, 2, 0.05),
                    (2, 2, 0.2),
                    (3, 2, 0.2),
                    (4, 2, 0.25),
                    (5, 2, 0.3),
                ]),
                pooling: Pooling::Average,
                padding: Padding::Zero,
                loss: LossKind::NeuralStyle,
                history: 10,
                round: 20,
                ..fine
            },
            Self::Gatys => RenderSettings {
                iterations: 500,
                scales: 1,
                start: Start::Photo,
                content_weight: 1.0,
                style_weight: 1.0,
                tv_weight: 0.0,
                range_weight: 0.0,
                content_layers: layers(&[(4, 2, 1.0)]),
                style_layers: first_of_each_block(),
                pooling: Pooling::Max,
                padding: Padding::Zero,
                loss: LossKind::Gatys,
                history: 100,
                ..fine
            },
            Self::NeuralStyle => RenderSettings {
                iterations: 1000,
                scales: 1,
                start: Start::Noise,
                // A thousandth of one of 255 levels.
                noise_level: 4e-6,
                content_weight: 5.0,
                style_weight: 100.0,
                range_weight: 0.0,
                // 0.001 / 2 of the sum of squares over 0..255 is so many times the mean of squares over 0..1.
                tv_weight: 0.0005 * 255.0 * 255.0 * 3.0 * 512.0 * 512.0,
                content_layers: layers(&[(4, 2, 1.0)]),
                style_layers: first_of_each_block(),
                pooling: Pooling::Max,
                padding: Padding::Zero,
                loss: LossKind::NeuralStyle,
                history: 100,
                ..fine
            },
        };
        SettingsPatch {
            size: None,
            style_scale: None,
            seed: None,
            format: None,
            mode: None,
            noise_share: None,
            colour: None,
            ..settings.into()
        }
    }
}

/// Block, index and weight of each.
fn layers(places: &[(u8, u8, f64)]) -> LayerWeights {
    let layers = places
        .iter()
        .filter_map(|(block, index, weight)| Some((Layer::new(*block, *index)?, *weight)));
    LayerWeights::new(layers.collect()).unwrap_or_default()
}

fn first_of_each_block() -> LayerWeights {
    layers(&[
        (1, 1, 1.0),
        (2, 1, 1.0),
        (3, 1, 1.0),
        (4, 1, 1.0),
        (5, 1, 1.0),
    ])
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, UnknownPreset> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == text)
            .ok_or_else(|| UnknownPreset {
                text: text.chars().take(80).collect(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::table;

    fn patch(text: &str) -> SettingsPatch {
        table(text).unwrap()
    }

    #[test]
    fn a_preset_gives_way_to_what_is_written_beside_it_whatever_the_order() {
        for text in [
            "preset = 'classic'\niterations = 7",
            "iterations = 7\npreset = 'classic'",
        ] {
            let settings = patch(text).resolve();
            assert_eq!(settings.iterations, 7);
            assert_eq!(settings.start, Start::Noise);
        }
        let mut assigned = SettingsPatch::default();
        assigned.set("iterations=7").unwrap();
        assigned.set("preset=classic").unwrap();
        assert_eq!(assigned, patch("preset = 'classic'\niterations = 7"));
    }

    #[test]
    fn a_preset_hides_another_one_below_it() {
        let classic = patch("preset = 'classic'\nsize = 64");
        let settings = patch("preset = 'fine'").over(classic).resolve();
        let fine = RenderSettings {
            size: 64,
            ..RenderSettings::default()
        };
        assert_eq!(settings, fine);
    }

    #[test]
    fn every_preset_is_within_the_ranges_and_is_spelt_as_it_is_read() {
        for preset in Preset::ALL {
            assert_eq!(preset.name().parse(), Ok(preset));
            let wire = crate::v1::RenderSettings::from(&preset.patch());
            assert_eq!(SettingsPatch::try_from(wire), Ok(preset.patch()));
        }
    }

    #[test]
    fn an_unknown_preset_names_the_nearest() {
        let error = SettingsPatch::default()
            .set("preset=clasic")
            .unwrap_err()
            .to_string();
        assert_eq!(error, "\"clasic\" is no preset; did you mean `classic`?");
    }
}
