//! Render settings: everything that fixes a cell's picture besides its photo, paintings and weights.
//!
//! One table, in [`table`], names every setting with its type, default and range; what people write
//! ([`SettingsPatch::single`], [`SettingsPatch::set`]), what travels ([`crate::v1::RenderSettings`]) and what
//! the renderer reads ([`RenderSettings`]) all come from it. Settings lie in layers: a patch overrides
//! the patch below it, and the defaults are at the bottom.
//!
//! ```
//! use atelier_proto::settings::SettingsPatch;
//!
//! let mut for_all = SettingsPatch::default();
//! for_all.set("size=512")?;
//! for_all.set("content_weight=1")?;
//! let mut for_braque = SettingsPatch::default();
//! for_braque.set("content_weight=3")?;
//!
//! let settings = for_braque.over(for_all).resolve();
//! assert_eq!((settings.size, settings.content_weight), (512, 3.0));
//!
//! let error = SettingsPatch::default().set("sise=256").unwrap_err();
//! assert_eq!(error.to_string(), "unknown setting `sise`; did you mean `size`?");
//! # Ok::<(), atelier_proto::settings::SettingsError>(())
//! ```

mod choices;
mod layers;
mod presets;
mod scales;
mod table;
#[cfg(test)]
mod tests;

use serde::Deserialize as _;

pub use self::choices::{
    Colour, Features, LossKind, Mode, Optimiser, Padding, PictureFormat, Pooling, Start,
};
pub use self::layers::{Layer, LayerWeights};
pub use self::presets::{Preset, UnknownPreset};
pub use self::scales::{SCALE_SIDE_MIN, fit};
pub use self::table::{PLATEAU_EVALUATIONS, RenderSettings, SettingsPatch};
use crate::suggest::did_you_mean;

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

/// What may be written on the left of an equals sign.
fn written_keys() -> impl Iterator<Item = &'static str> + Clone {
    SettingsPatch::KEYS
        .iter()
        .copied()
        .chain([PRESET_KEY, LAYERS_KEY])
}

impl SettingsPatch {
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
    /// Which weights leave the mode nothing to aim at, for people; none where it has something.
    pub fn missing_weight(&self) -> Option<&'static str> {
        let (content, style) = (self.content_weight > 0.0, self.style_weight > 0.0);
        match self.mode {
            Mode::Transfer if !content && !style => {
                Some("`content_weight` and `style_weight` are both 0")
            }
            Mode::Content if !content => Some("`content_weight` is 0"),
            Mode::Style if !style => Some("`style_weight` is 0"),
            Mode::Transfer | Mode::Content | Mode::Style => None,
        }
    }
}
