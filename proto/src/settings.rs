//! Render settings: everything that fixes a cell's picture besides its photo, paintings and weights.
//!
//! One table, below, names every setting with its type, default and range; what people write
//! ([`SettingsPatch::from_toml`], [`SettingsPatch::set`]), what travels ([`v1::RenderSettings`]) and what
//! the renderer reads ([`RenderSettings`]) all come from it. Settings lie in layers: a patch overrides
//! the patch below it, and the defaults are at the bottom.

mod choices;
mod layers;
mod presets;

use serde::{Deserialize, Serialize};

pub use self::choices::{
    Colour, Features, LossKind, Mode, Optimiser, Padding, PictureFormat, Pooling, Start,
};
pub use self::layers::{Layer, LayerWeights};
pub use self::presets::{Preset, UnknownPreset};
use crate::suggest::did_you_mean;
use crate::v1;

/// A scale below this many pixels leaves nothing of a picture to optimise.
pub const SCALE_SIDE_MIN: u32 = 16;

/// Evaluations over which a plateau is looked for.
pub const PLATEAU_EVALUATIONS: usize = 20;

/// The key that stands for the many settings of a [`Preset`] in a table of settings.
pub const PRESET_KEY: &str = "preset";

/// The key that stands for both `content_layers` and `style_layers`.
pub const LAYERS_KEY: &str = "layers";

/// Why a setting was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// No setting is called so.
    #[error("unknown setting `{key}`; {}", did_you_mean(key, written_keys()))]
    UnknownKey {
        /// What was written.
        key: String,
    },
    /// No preset is called so.
    #[error(transparent)]
    UnknownPreset(#[from] UnknownPreset),
    /// The value is of another type or none of the known words.
    #[error("setting `{key}`: {problem}")]
    Malformed {
        /// The setting.
        key: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
    /// The value is of the right type but too small, too large or not a number.
    #[error("setting `{key}` is {value}, but must be {range}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is allowed, in words.
        range: &'static str,
    },
    /// `--set` without an equals sign.
    #[error("`{text}` is not of the form key=value, as in size=256")]
    NotAnAssignment {
        /// What was written.
        text: String,
    },
}

/// How the type of one setting travels.
trait Setting: Sized {
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
            fn set_value(&mut self, key: &str, value: &toml::Value) -> Result<(), SettingsError> {
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
    /// Evaluations of the loss at the last (full) scale. Each coarser scale is cheaper and gets half as
    /// many again.
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

/// What may be written on the left of an equals sign.
fn written_keys() -> impl Iterator<Item = &'static str> + Clone {
    SettingsPatch::KEYS
        .iter()
        .copied()
        .chain([PRESET_KEY, LAYERS_KEY])
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

impl SettingsPatch {
    /// Reads a table of settings, as `[render]` in a grid file.
    ///
    /// # Errors
    /// Names the first key that is unknown, of a wrong type or out of range.
    pub fn from_toml(table: &toml::Table) -> Result<Self, SettingsError> {
        let mut singles = Vec::with_capacity(table.len());
        for (key, value) in table {
            singles.push((key.as_str(), Self::single(key, value)?));
        }
        Ok(Self::together(singles))
    }

    /// What keys that are written side by side set together, whatever their order: a preset gives way to all the others,
    /// and `layers` to the settings that it stands for.
    pub fn together<'a>(singles: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let mut singles: Vec<_> = singles.into_iter().collect();
        singles.sort_by_key(|(key, _)| match *key {
            PRESET_KEY => 0,
            LAYERS_KEY => 1,
            _ => 2,
        });
        singles
            .into_iter()
            .fold(Self::default(), |beneath, (_, single)| single.over(beneath))
    }

    /// Applies one assignment, as `--set size=256` has it. The value is read as TOML where it is TOML and
    /// as a bare word elsewhere.
    pub fn set(&mut self, assignment: &str) -> Result<(), SettingsError> {
        let (key, value) =
            assignment
                .split_once('=')
                .ok_or_else(|| SettingsError::NotAnAssignment {
                    text: assignment.chars().take(80).collect(),
                })?;
        let key = key.trim();
        let single = Self::single(key, &parse_value(value))?;
        let before = std::mem::take(self);
        // Of two assignments the later one counts, but a preset is what the others are made to.
        *self = if key == PRESET_KEY {
            before.over(single)
        } else {
            single.over(before)
        };
        Ok(())
    }

    /// Reads one setting, as one value of a `[sweep]` list; `preset` sets as many as a preset has, `layers` two.
    pub fn single(key: &str, value: &toml::Value) -> Result<Self, SettingsError> {
        if key == PRESET_KEY {
            let name = value.as_str().ok_or_else(|| SettingsError::Malformed {
                key: PRESET_KEY,
                problem: format!("is {value}, but must be the name of a preset"),
            })?;
            return Ok(name.parse::<Preset>()?.patch());
        }
        if key == LAYERS_KEY {
            let layers = LayerWeights::deserialize(value.clone()).map_err(|error| {
                let problem = error.message().trim().to_owned();
                let key = LAYERS_KEY;
                SettingsError::Malformed { key, problem }
            })?;
            return Ok(Self {
                content_layers: Some(layers.clone()),
                style_layers: Some(layers),
                ..Self::default()
            });
        }
        let mut patch = Self::default();
        patch.set_value(key, value)?;
        Ok(patch)
    }

    /// Whether it overrides nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads what a person typed after the equals sign: TOML, or else a bare word.
pub fn parse_value(text: &str) -> toml::Value {
    let text = text.trim();
    format!("value = {text}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

impl RenderSettings {
    /// Width and height of the picture for a photo of the given size: the long side is
    /// [`RenderSettings::size`], the other keeps the aspect ratio and is at least 1.
    pub fn picture_size(&self, photo_width: u32, photo_height: u32) -> (u32, u32) {
        fit(photo_width, photo_height, self.size)
    }

    /// Long side of the picture at each scale, pixels, coarsest first; no scale but the full one is below
    /// [`SCALE_SIDE_MIN`], so a small picture has fewer than it asks for.
    pub fn scale_sides(&self) -> Vec<u32> {
        let sides = (0..self.scales).map(|coarser_by| self.size >> coarser_by);
        let mut sides: Vec<u32> = sides
            .take_while(|side| *side == self.size || *side >= SCALE_SIDE_MIN)
            .collect();
        sides.reverse();
        sides
    }

    /// Evaluations at each scale, coarsest first.
    pub fn evaluations_per_scale(&self) -> Vec<u32> {
        (0..self.scale_sides().len() as u32)
            .rev()
            .map(|coarser_by| self.iterations + self.iterations * coarser_by / 2)
            .collect()
    }

    /// Evaluations over all scales.
    pub fn evaluations_planned(&self) -> u32 {
        self.evaluations_per_scale().iter().sum()
    }
}

/// Scales a size so that its long side is `long_side`, keeping the aspect ratio; neither side falls
/// below 1.
pub fn fit(width: u32, height: u32, long_side: u32) -> (u32, u32) {
    let longest = f64::from(width.max(height).max(1));
    let scaled = |side: u32| {
        let side = f64::from(side) * f64::from(long_side) / longest;
        (side.round() as u32).max(1)
    };
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> toml::Table {
        text.parse().unwrap()
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let error = SettingsPatch::from_toml(&table("contentweight = 2")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown setting `contentweight`; did you mean `content_weight`?"
        );
    }

    #[test]
    fn a_wrong_type_a_wrong_word_and_a_wrong_range_are_told_apart() {
        let message = |text: &str| {
            SettingsPatch::from_toml(&table(text))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            message("size = 'large'"),
            "setting `size`: invalid type: string \"large\", expected u32"
        );
        assert_eq!(
            message("start = 'sketch'"),
            "setting `start`: unknown variant `sketch`, expected one of `noise`, `photo`, `painting`, `mix`, `file`"
        );
        assert_eq!(
            message("size = 0"),
            "setting `size` is 0, but must be from 16 to 8192"
        );
        assert_eq!(
            message("style_weight = nan"),
            "setting `style_weight` is NaN, but must be from 0 to 1e9"
        );
        assert_eq!(
            message("style_layers = ['conv9_1']"),
            "setting `style_layers`: `conv9_1` is not a layer; layers are conv1_1 and 1_2, 2_1 and 2_2, \
             3_1 to 3_4, 4_1 to 4_4, 5_1 to 5_4"
        );
    }

    #[test]
    fn assignments_take_numbers_words_and_lists() {
        let mut patch = SettingsPatch::default();
        for assignment in [
            "size=256",
            "start = noise",
            "content_weight=2",
            "style_layers=conv1_1,conv2_1:0.5",
            "content_layers={conv4_2 = 1.0}",
        ] {
            patch.set(assignment).unwrap();
        }
        assert_eq!(patch.size, Some(256));
        assert_eq!(patch.start, Some(Start::Noise));
        assert_eq!(patch.content_weight, Some(2.0));
        assert_eq!(
            patch.style_layers.unwrap().to_string(),
            "conv1_1,conv2_1:0.5"
        );
        assert_eq!(patch.content_layers.unwrap().to_string(), "conv4_2");
        assert!(SettingsPatch::default().set("size").is_err());
    }

    #[test]
    fn layers_stand_for_both_kinds_and_give_way_to_either_whatever_the_order() {
        let layers = |patch: &SettingsPatch| {
            let written = |layers: &Option<LayerWeights>| layers.as_ref().map(ToString::to_string);
            (written(&patch.content_layers), written(&patch.style_layers))
        };
        let own = |layers: &str| Some(layers.to_owned());
        let text = "style_layers = 'conv2_1'\nlayers = ['conv1_1']\npreset = 'classic'\ncontent_layers = 'conv3_1'";
        let patch = SettingsPatch::from_toml(&table(text)).unwrap();
        assert_eq!(layers(&patch), (own("conv3_1"), own("conv2_1")));
        let patch = SettingsPatch::from_toml(&table("layers = 'conv1_1'\npreset = 'classic'"));
        let patch = patch.unwrap();
        assert_eq!(layers(&patch), (own("conv1_1"), own("conv1_1")));
        assert_eq!(patch.iterations, Some(200), "the preset's");
        let mut patch = SettingsPatch::default();
        for assignment in ["style_layers=conv2_1", "layers=conv1_1", "preset=classic"] {
            patch.set(assignment).unwrap();
        }
        assert_eq!(layers(&patch), (own("conv1_1"), own("conv1_1")));
        assert_eq!(
            patch.set("layers=conv9_1").unwrap_err().to_string(),
            "setting `layers`: `conv9_1` is not a layer; layers are conv1_1 and 1_2, 2_1 and 2_2, \
             3_1 to 3_4, 4_1 to 4_4, 5_1 to 5_4"
        );
    }

    #[test]
    fn a_patch_survives_the_wire_and_the_wire_is_not_trusted() {
        let patch = SettingsPatch::from(RenderSettings::default());
        let wire = v1::RenderSettings::from(&patch);
        assert_eq!(SettingsPatch::try_from(wire.clone()), Ok(patch));

        let mut too_large = wire.clone();
        too_large.size = Some(u32::MAX);
        assert!(matches!(
            SettingsPatch::try_from(too_large),
            Err(SettingsError::OutOfRange { key: "size", .. })
        ));
        let mut unknown_word = wire;
        unknown_word.pooling = Some(77);
        assert!(matches!(
            SettingsPatch::try_from(unknown_word),
            Err(SettingsError::Malformed { key: "pooling", .. })
        ));
    }

    #[test]
    fn every_setting_is_explained_to_users() {
        let readme = include_str!("../../README.md");
        for key in SettingsPatch::KEYS {
            let in_a_row = readme
                .lines()
                .any(|line| line.starts_with("| `") && line.contains(&format!("`{key}`")));
            assert!(in_a_row, "README.md has no row for {key}");
        }
    }

    #[test]
    fn an_override_hides_only_what_it_sets() {
        let grid = SettingsPatch::from_toml(&table("size = 256\nseed = 1")).unwrap();
        let artist = SettingsPatch::from_toml(&table("content_weight = 4\nseed = 2")).unwrap();
        let settings = artist.over(grid).resolve();
        assert_eq!(
            (settings.size, settings.seed, settings.content_weight),
            (256, 2, 4.0)
        );
    }

    #[test]
    fn coarse_scales_come_first_and_get_more_evaluations() {
        let settings = RenderSettings {
            iterations: 40,
            scales: 3,
            ..RenderSettings::default()
        };
        assert_eq!(settings.evaluations_per_scale(), [80, 60, 40]);
        assert_eq!(settings.evaluations_planned(), 180);
        assert_eq!(settings.scale_sides(), [128, 256, 512]);
    }

    #[test]
    fn a_small_picture_has_no_scale_that_shows_nothing() {
        let settings = RenderSettings {
            size: 50,
            scales: 6,
            iterations: 10,
            ..RenderSettings::default()
        };
        assert_eq!(settings.scale_sides(), [25, 50]);
        assert_eq!(settings.evaluations_per_scale(), [15, 10]);
    }

    #[test]
    fn a_picture_keeps_the_aspect_ratio() {
        assert_eq!(fit(1024, 512, 256), (256, 128));
        assert_eq!(fit(3, 3000, 512), (1, 512));
        assert_eq!(fit(20, 10, 512), (512, 256));
    }
}
