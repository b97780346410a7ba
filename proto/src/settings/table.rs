//! The one table of render settings, and what is made of it: the complete settings, the patch, and how both travel.

use serde::{Deserialize, Serialize};

use super::{
    Colour, Features, LayerWeights, LossKind, Mode, Optimiser, Padding, PictureFormat, Pooling,
    SettingsError, Start,
};
use crate::v1;

/// Evaluations over which a plateau is looked for.
pub const PLATEAU_EVALUATIONS: usize = 20;

/// How the type of one setting travels.
pub(super) trait Setting: Sized {
    /// Its type in [`v1::RenderSettings`], without the `Option`.
    type Wire;
    fn to_wire(&self) -> Self::Wire;
    fn from_wire(wire: Self::Wire) -> Result<Self, String>;
}

macro_rules! plain_setting {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            type Wire = $type;
            fn to_wire(&self) -> $type {
                *self
            }
            fn from_wire(wire: $type) -> Result<Self, String> {
                Ok(wire)
            }
        }
    )*};
}
plain_setting!(u32, u64, f64);

macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident: $type:ty = $default:expr, $range:literal, $allowed:expr;
    )*) => {
        /// Complete render settings, within their ranges.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct RenderSettings {
            $($(#[doc = $doc])* pub $name: $type,)*
        }

        impl Default for RenderSettings {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// Some render settings: overrides of those below them.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct SettingsPatch {
            $(
                $(#[doc = $doc])*
                #[serde(skip_serializing_if = "Option::is_none", default)]
                pub $name: Option<$type>,
            )*
        }

        impl SettingsPatch {
            /// The names of all settings.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($name)),*];

            /// This patch where it says something, `below` elsewhere.
            #[must_use]
            pub fn over(self, below: Self) -> Self {
                Self { $($name: self.$name.or(below.$name),)* }
            }

            /// Complete settings: this patch over the defaults.
            pub fn resolve(self) -> RenderSettings {
                let default = RenderSettings::default();
                RenderSettings { $($name: self.$name.unwrap_or(default.$name),)* }
            }

            /// Sets one field from a TOML value, within its range.
            pub(super) fn set_value(&mut self, key: &str, value: &toml::Value) -> Result<(), SettingsError> {
                match key {
                    $(stringify!($name) => {
                        const KEY: &str = stringify!($name);
                        let value = <$type>::deserialize(value.clone()).map_err(|error| {
                            SettingsError::Malformed { key: KEY, problem: error.message().trim().to_owned() }
                        })?;
                        self.$name = Some(in_range(KEY, value, $range, $allowed)?);
                    })*
                    _ => return Err(SettingsError::UnknownKey { key: key.chars().take(80).collect() }),
                }
                Ok(())
            }
        }

        impl From<RenderSettings> for SettingsPatch {
            fn from(settings: RenderSettings) -> Self {
                Self { $($name: Some(settings.$name),)* }
            }
        }

        impl From<&SettingsPatch> for v1::RenderSettings {
            fn from(patch: &SettingsPatch) -> Self {
                Self { $($name: patch.$name.as_ref().map(Setting::to_wire),)* }
            }
        }

        impl TryFrom<v1::RenderSettings> for SettingsPatch {
            type Error = SettingsError;

            fn try_from(wire: v1::RenderSettings) -> Result<Self, SettingsError> {
                Ok(Self {
                    $($name: match wire.$name {
                        None => None,
                        Some(value) => {
                            const KEY: &str = stringify!($name);
                            let value = <$type as Setting>::from_wire(value)
                                .map_err(|problem| SettingsError::Malformed { key: KEY, problem })?;
                            Some(in_range(KEY, value, $range, $allowed)?)
                        }
                    },)*
                })
            }
        }
    };
}

settings! {
    /// Long side of the picture, pixels; the photo's aspect ratio is kept.
    size: u32 = 512, "from 16 to 8192", |size| (16..=8192).contains(size);
    /// Evaluations of the loss at the last (full) scale. Each coarser scale is cheaper and gets half
    /// of these more.
    iterations: u32 = 100, "from 1 to 10000", |iterations| (1..=10_000).contains(iterations);
    /// Coarse-to-fine scales; each has half the size of the next one.
    scales: u32 = 3, "from 1 to 6", |scales| (1..=6).contains(scales);
    /// What the picture is before the first evaluation.
    start: Start = Start::Photo, "`noise`, `photo`, `painting`, `mix` or `file`", |_| true;
    /// Weight of the content loss.
    content_weight: f64 = 1.0, "from 0 to 1e9", weight_is_allowed;
    /// Weight of the style loss.
    style_weight: f64 = 3.0, "from 0 to 1e9", weight_is_allowed;
    /// Weight of the total variation: the mean squared difference of neighbouring pixels in 0..1.
    tv_weight: f64 = 3.0, "from 0 to 1e9", weight_is_allowed;
    /// Weight of the mean squared distance of colours from 0..1, which no screen can show.
    range_weight: f64 = 10.0, "from 0 to 1e9", weight_is_allowed;
    /// Layers that hold the content; empty: the network's own default.
    content_layers: LayerWeights = LayerWeights::default(), "layers", |_| true;
    /// Layers that hold the style; empty: the network's own default.
    style_layers: LayerWeights = LayerWeights::default(), "layers", |_| true;
    /// How the network halves its feature maps.
    pooling: Pooling = Pooling::Average, "`average` or `max`", |_| true;
    /// What the network sees beyond the border of a picture.
    padding: Padding = Padding::Replicate, "`replicate` or `zero`", |_| true;
    /// Which formula the losses follow.
    loss: LossKind = LossKind::Relative, "`relative`, `gatys` or `neural-style`", |_| true;
    /// Long side of the paintings relative to that of the picture.
    style_scale: f64 = 1.0, "from 0.05 to 8", |scale| (0.05..=8.0).contains(scale);
    /// Pairs of (step, gradient change) that L-BFGS remembers.
    history: u32 = 20, "from 1 to 200", |history| (1..=200).contains(history);
    /// Fixes the noise start.
    seed: u64 = 0, "from 0 to 2^63 - 1", |seed| i64::try_from(*seed).is_ok();
    /// File format of the picture.
    format: PictureFormat = PictureFormat::Jpeg, "`jpeg`, `png` or `png16`", |_| true;
    /// What is painted: a photo in an artist's style, or what the network keeps of one of them alone.
    mode: Mode = Mode::Transfer, "`transfer`, `content` or `style`", |_| true;
    /// Standard deviation of the noise of a start, in colours of 0..1.
    noise_level: f64 = 0.2, "from 0 to 1", |level| (0.0..=1.0).contains(level);
    /// Share of noise in a mixed start; the rest is the photo.
    noise_share: f64 = 0.5, "from 0 to 1", |share| (0.0..=1.0).contains(share);
    /// Scale of the features that losses are taken of.
    features: Features = Features::Normalised, "`normalised` or `raw`", |_| true;
    /// Which optimiser moves the picture.
    optimiser: Optimiser = Optimiser::Lbfgs, "`lbfgs` or `adam`", |_| true;
    /// Step of Adam, in colours of 0..1.
    learning_rate: f64 = 0.02, "from 0.0001 to 1", |rate| (1e-4..=1.0).contains(rate);
    /// Decay of the average of Adam's iterates; 0 takes the last iterate.
    averaging: f64 = 0.99, "from 0 to 0.9999", |decay| (0.0..=0.9999).contains(decay);
    /// Evaluations after which L-BFGS forgets its history and colours are brought into range.
    round: u32 = 10_000, "from 1 to 10000", |round| (1..=10_000).contains(round);
    /// A scale ends when [`PLATEAU_EVALUATIONS`] lower the loss by less than this share of it.
    plateau: f64 = 0.0, "from 0 to 0.5", |share| (0.0..=0.5).contains(share);
    /// Whose colours the picture has.
    colour: Colour = Colour::Painting, "`painting`, `photo`, `matched` or `matched-after`", |_| true;
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the table passes every type by reference"
)]
fn weight_is_allowed(weight: &f64) -> bool {
    (0.0..=1e9).contains(weight)
}

fn in_range<T: std::fmt::Debug>(
    key: &'static str,
    value: T,
    range: &'static str,
    allowed: impl Fn(&T) -> bool,
) -> Result<T, SettingsError> {
    if allowed(&value) {
        Ok(value)
    } else {
        let value = format!("{value:?}");
        Err(SettingsError::OutOfRange { key, value, range })
    }
}
