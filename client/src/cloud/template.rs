//! The template, which travels with the client, and what it says of its parameters.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex_lite::Regex;
use saphyr::{LoadableYamlNode as _, Yaml};

/// The template as it is sent.
pub const TEXT: &str = include_str!("../../../deploy/cloudformation/atelier.yaml");

static SHIPPED: LazyLock<Template> =
    LazyLock::new(|| Template::read(TEXT).unwrap_or_else(|| unreachable!("a test reads it")));

/// What the template says of itself.
#[derive(Debug)]
pub struct Template {
    /// By name.
    pub parameters: BTreeMap<String, Parameter>,
    /// Instance types of nodes.
    pub node_types: Vec<String>,
}

/// What a parameter may be.
#[derive(Debug)]
pub struct Parameter {
    /// What it is, in words.
    pub description: String,
    /// What it is if nobody says; `None`: it must be said.
    pub default: Option<String>,
    /// What it must look like.
    pattern: Option<Regex>,
    /// What it must look like, in words.
    constraint: Option<String>,
    /// All that it may be, if these are few.
    pub allowed: Vec<String>,
    /// From and to what, for a number.
    range: Option<(i64, i64)>,
}

impl Template {
    /// The one that is shipped.
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    fn read(text: &str) -> Option<Self> {
        let documents = Yaml::load_from_str(text).ok()?;
        let document = documents.first()?;
        let parameters = at(document, &["Parameters"])?.as_mapping()?;
        let parameters = parameters
            .iter()
            .map(|(name, parameter)| Some((name.as_str()?.to_owned(), Parameter::read(parameter)?)))
            .collect::<Option<_>>()?;
        let overrides = [
            "Resources",
            "NodeGroup",
            "Properties",
            "MixedInstancesPolicy",
            "LaunchTemplate",
            "Overrides",
        ];
        let overrides = at(document, &overrides)?.as_sequence()?;
        let node_types = overrides
            .iter()
            .map(|one| Some(at(one, &["InstanceType"])?.as_str()?.to_owned()))
            .collect::<Option<_>>()?;
        Some(Self {
            parameters,
            node_types,
        })
    }
}

impl Parameter {
    fn read(yaml: &Yaml<'_>) -> Option<Self> {
        let text = |key| at(yaml, &[key]).and_then(scalar);
        let number = |key| at(yaml, &[key]).and_then(Yaml::as_integer);
        let pattern = text("AllowedPattern").map(|pattern| Regex::new(&pattern).ok());
        let allowed = at(yaml, &["AllowedValues"]).and_then(Yaml::as_sequence);
        Some(Self {
            description: text("Description")?,
            default: text("Default"),
            // One that cannot be read would let everything pass.
            pattern: match pattern {
                Some(pattern) => Some(pattern?),
                None => None,
            },
            constraint: text("ConstraintDescription"),
            allowed: match allowed {
                Some(allowed) => allowed.iter().map(scalar).collect::<Option<_>>()?,
                None => Vec::new(),
            },
            range: number("MinValue").zip(number("MaxValue")),
        })
    }

    /// What is wrong with a value, in words that follow it; `None`: nothing is.
    pub fn problem(&self, value: &str) -> Option<String> {
        let is_of_pattern = |pattern: &Regex| pattern.is_match(value);
        if self.pattern.as_ref().is_some_and(|it| !is_of_pattern(it)) {
            let constraint = self.constraint.as_deref();
            return Some(constraint.unwrap_or("is of another form").to_owned());
        }
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed == value) {
            return Some(format!("must be one of {}", self.allowed.join(", ")));
        }
        let (least, most) = self.range?;
        let is_within = |number: i64| (least..=most).contains(&number);
        let is_well = value.parse().is_ok_and(is_within);
        (!is_well).then(|| format!("must be a whole number from {least} to {most}"))
    }
}

fn at<'a, 'text>(yaml: &'a Yaml<'text>, path: &[&str]) -> Option<&'a Yaml<'text>> {
    path.iter()
        .try_fold(yaml, |yaml, key| yaml.as_mapping_get(key))
}

fn scalar(yaml: &Yaml<'_>) -> Option<String> {
    let number = || yaml.as_integer().map(|number| number.to_string());
    yaml.as_str().map(str::to_owned).or_else(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What CloudFormation takes with a call.
    const BYTES_MAX: usize = 51_200;

    #[test]
    fn the_template_is_read_and_its_own_defaults_are_what_it_takes() {
        assert!(TEXT.len() <= BYTES_MAX);
        let template = Template::shipped();
        assert!(template.parameters.len() > 20);
        assert!(template.node_types.iter().any(|name| name == "g6.xlarge"));
        let without_default: Vec<&str> = template
            .parameters
            .iter()
            .filter(|(_, parameter)| parameter.default.is_none())
            .map(|(name, _)| name.as_str())
            .collect();
        let wanted = ["ClientCidr", "CoordinatorImage", "NodeImage"];
        assert_eq!(without_default, wanted);
        for (name, parameter) in &template.parameters {
            let default = parameter.default.as_deref();
            assert_eq!(default.and_then(|it| parameter.problem(it)), None, "{name}");
        }
    }

    #[test]
    fn what_a_parameter_may_not_be_is_told_in_words() {
        let problem = |name: &str, value| Template::shipped().parameters[name].problem(value);
        assert_eq!(problem("ClientCidr", "203.0.113.0/24"), None);
        assert_eq!(problem("Weights", ""), None);
        assert_eq!(problem("LogDays", "90"), None);
        let told = [
            problem("ClientCidr", "203.0.113.7"),
            problem("Database", "mysql"),
            problem("NodesMax", "0"),
            problem("NodesMax", "many"),
            problem("LogDays", "2"),
        ];
        insta::assert_snapshot!("problems", told.map(Option::unwrap).join("\n"));
    }
}
