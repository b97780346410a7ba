//! A sweep multiplied out: a variant for each combination of its values.

use atelier_proto::settings::SettingsPatch;

use super::{CELLS_MAX, PlanError};

/// One point of a sweep.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VariantPlan {
    /// `key=value key2=value2`.
    pub name: String,
    /// Overrides of the artist's and the grid's settings.
    pub settings: SettingsPatch,
}

/// One setting and the values that a sweep gives it, each with how it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct SweptSetting {
    /// The setting.
    pub key: String,
    /// Its values.
    pub values: Vec<(String, SettingsPatch)>,
}

/// Every combination of a sweep's values, the last setting changing fastest.
pub fn variants(sweep: &[SweptSetting]) -> Result<Vec<VariantPlan>, PlanError> {
    if sweep.is_empty() {
        return Ok(Vec::new());
    }
    let mut count: usize = 1;
    for setting in sweep {
        count = count.saturating_mul(setting.values.len());
        if count == 0 {
            return Err(PlanError::NoCells {
                what: "a sweep over no values",
            });
        }
        if count > CELLS_MAX {
            return Err(PlanError::TooManyCells {
                photos: 1,
                artists: 1,
                variants: count,
                reconstructions: false,
            });
        }
        let mut seen: Vec<&SettingsPatch> = Vec::new();
        for (written, patch) in &setting.values {
            if seen.contains(&patch) {
                let name = format!("{}={written}", setting.key);
                return Err(PlanError::SameVariant { name });
            }
            seen.push(patch);
        }
    }
    Ok((0..count).map(|number| variant(sweep, number)).collect())
}

/// A combination by its number: a digit for each setting, the last one's the lowest.
fn variant(sweep: &[SweptSetting], mut number: usize) -> VariantPlan {
    let mut chosen = Vec::with_capacity(sweep.len());
    for setting in sweep.iter().rev() {
        let (written, patch) = &setting.values[number % setting.values.len()];
        number /= setting.values.len();
        chosen.push((setting.key.as_str(), written, patch));
    }
    chosen.reverse();
    let names = chosen
        .iter()
        .map(|(key, written, _)| format!("{key}={written}"));
    let name = names.collect::<Vec<_>>().join(" ");
    let singles = chosen
        .into_iter()
        .map(|(key, _, patch)| (key, patch.clone()));
    VariantPlan {
        name,
        settings: SettingsPatch::together(singles),
    }
}
