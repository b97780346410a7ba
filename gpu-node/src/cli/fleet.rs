//! What a node's operator says of it: labels, and what it costs.

use std::collections::HashMap;
use std::str::FromStr;

use clap::Args;

/// Most labels of a node.
const LABELS_MAX: usize = 32;
/// Longest name or value of a label, characters.
const LABEL_CHARS_MAX: usize = 100;

/// What the fleet's operator says of a node.
#[derive(Debug, Clone, Args)]
pub struct FleetArgs {
    /// What grids may ask of their nodes, as in zone=a; may be given several times, or several with commas between
    #[arg(
        long = "label",
        env = "ATELIER_LABELS",
        value_delimiter = ',',
        value_name = "NAME=VALUE"
    )]
    pub labels: Vec<Label>,
    /// What an hour of this node costs, US dollars, so that grids tell what they cost [default: nobody knows]
    #[arg(
        long,
        env = "ATELIER_DOLLARS_PER_HOUR",
        value_name = "DOLLARS",
        allow_negative_numbers = true
    )]
    pub dollars_per_hour: Option<DollarsPerHour>,
}

/// Why labels cannot be those of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// Two of them have one name.
    #[error("the label {name} is given twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// There are more than 32.
    #[error(
        "there are {count} labels, those of --ec2 included, but a node has at most {LABELS_MAX}"
    )]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

impl FleetArgs {
    /// The labels by their names.
    ///
    /// # Errors
    /// When two have one name, or there are too many.
    pub fn labels(&self) -> Result<HashMap<String, String>, LabelsError> {
        check_labels_count(self.labels.len())?;
        let mut labels = HashMap::new();
        for Label { name, value } in self.labels.iter().cloned() {
            if labels.insert(name.clone(), value).is_some() {
                return Err(LabelsError::Twice { name });
            }
        }
        Ok(labels)
    }
}

/// Whether a node may have so many labels.
///
/// # Errors
/// When there are too many.
pub(crate) fn check_labels_count(count: usize) -> Result<(), LabelsError> {
    if count > LABELS_MAX {
        return Err(LabelsError::TooMany { count });
    }
    Ok(())
}

/// `--label`: a name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// 1..=100 characters.
    pub name: String,
    /// Up to 100 characters.
    pub value: String,
}

/// A text that is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it must be NAME=VALUE, as in zone=a, with at most {LABEL_CHARS_MAX} characters each")]
pub struct MalformedLabel;

impl FromStr for Label {
    type Err = MalformedLabel;

    fn from_str(text: &str) -> Result<Self, MalformedLabel> {
        let (name, value) = text.split_once('=').ok_or(MalformedLabel)?;
        let (name, value) = (name.trim(), value.trim());
        let fits = |text: &str| text.chars().count() <= LABEL_CHARS_MAX;
        if name.is_empty() || !fits(name) || !fits(value) {
            return Err(MalformedLabel);
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

/// `--dollars-per-hour`: 0 or more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DollarsPerHour(pub f64);

/// A price that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it must be a number of 0 or more, as in 2.99")]
pub struct MalformedPrice;

impl FromStr for DollarsPerHour {
    type Err = MalformedPrice;

    fn from_str(text: &str) -> Result<Self, MalformedPrice> {
        let dollars: f64 = text.trim().parse().map_err(|_| MalformedPrice)?;
        if dollars.is_finite() && dollars >= 0.0 {
            Ok(Self(dollars))
        } else {
            Err(MalformedPrice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(labels: &[&str]) -> FleetArgs {
        FleetArgs {
            labels: labels.iter().map(|text| text.parse().unwrap()).collect(),
            dollars_per_hour: None,
        }
    }

    #[test]
    fn a_label_has_a_name_and_a_value_that_may_be_empty() {
        let labels = args(&["zone=a", " gpu = H100=80GB ", "spot="]);
        let labels = labels.labels().unwrap();
        assert_eq!(labels["zone"], "a");
        assert_eq!(labels["gpu"], "H100=80GB");
        assert_eq!(labels["spot"], "");
        let long = "a".repeat(101);
        for wrong in ["", "zone", "=a", &format!("{long}=a"), &format!("a={long}")] {
            assert_eq!(wrong.parse::<Label>(), Err(MalformedLabel), "{wrong}");
        }
    }

    #[test]
    fn labels_are_few_and_have_different_names() {
        let twice = args(&["zone=a", "zone=b"]).labels().unwrap_err();
        assert_eq!(twice.to_string(), "the label zone is given twice");
        let many: Vec<String> = (0..33).map(|number| format!("n{number}=")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(args(&many[..32]).labels().unwrap().len(), 32);
        let error = args(&many).labels().unwrap_err();
        assert_eq!(error, LabelsError::TooMany { count: 33 });
    }

    #[test]
    fn a_price_is_a_number_that_is_not_negative() {
        assert_eq!("2.99".parse(), Ok(DollarsPerHour(2.99)));
        assert_eq!("0".parse(), Ok(DollarsPerHour(0.0)));
        for wrong in ["", "-1", "inf", "nan", "$3"] {
            assert_eq!(wrong.parse::<DollarsPerHour>(), Err(MalformedPrice));
        }
    }
}
