//! What a stack is given: checked by the template's own words before anything is called, and told by the options that people
//! know.

use std::collections::BTreeMap;

use atelier_proto::suggest::did_you_mean;

use super::template::Template;
use crate::text::printable;

/// Parameters of the template that have an option of their own; the others are set with `--set`.
pub const OPTIONS: [(&str, &str); 18] = [
    ("CoordinatorImage", "--coordinator-image"),
    ("NodeImage", "--node-image"),
    ("Weights", "--weights"),
    ("Scheme", "--public"),
    ("ClientCidr", "--client-cidr"),
    ("CertificateArn", "--certificate"),
    ("EndpointName", "--endpoint-name"),
    ("VpcId", "--vpc"),
    ("SubnetIds", "--subnets"),
    ("VolumeZone", "--volume-zone"),
    ("Database", "--database"),
    ("NodesMin", "--nodes-min"),
    ("NodesMax", "--nodes-max"),
    ("DrainMinutes", "--drain-time"),
    ("IdleMinutes", "--idle-time"),
    ("DollarsPerHourMax", "--dollars-per-hour-max"),
    ("GridDollarsMax", "--grid-dollars-max"),
    ("AlarmEmail", "--alarm-email"),
];

const ADDRESS_HINT: &str = "\nhint: `curl https://checkip.amazonaws.com` tells your own address; with /32 after it, it is you alone";

/// Values by the names of parameters.
pub type Values = BTreeMap<String, String>;

/// Why a stack cannot be given this.
#[derive(Debug, thiserror::Error)]
pub enum ParameterError {
    /// A new stack needs them.
    #[error("a new stack needs more:{}{ADDRESS_HINT}", described(missing))]
    Missing {
        /// Options, and what they are.
        missing: Vec<(String, String)>,
    },
    /// The template has none of this name.
    #[error(
        "--set {}: the template has no such parameter; {suggestion}",
        printable(name)
    )]
    Unknown {
        /// As it was given.
        name: String,
        /// What it may have meant.
        suggestion: String,
    },
    /// It assigns nothing.
    #[error("--set {}: say Parameter=VALUE, as in LogDays=90", printable(text))]
    Assignment {
        /// As it was given.
        text: String,
    },
    /// It is said twice.
    #[error("{first} and {second} say the same thing: leave one out")]
    Twice {
        /// An option.
        first: String,
        /// Another one.
        second: String,
    },
    /// The template does not take it.
    #[error("{option} {:?}: {problem}{}", value, address_hint(option))]
    Bad {
        /// The option.
        option: String,
        /// As it was given.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Two of them do not go together.
    #[error("{0}")]
    Together(String),
}

fn address_hint(option: &str) -> &'static str {
    if option == option_of("ClientCidr") {
        ADDRESS_HINT
    } else {
        ""
    }
}

fn described(missing: &[(String, String)]) -> String {
    let line =
        |(option, description): &(String, String)| format!("\n  {option:<20}  {description}");
    missing.iter().map(line).collect::<Vec<_>>().concat()
}

/// The option that sets a parameter.
pub fn option_of(parameter: &str) -> String {
    let own = OPTIONS.iter().find(|(name, _)| *name == parameter);
    own.map_or_else(
        || format!("--set {parameter}"),
        |(_, option)| (*option).to_owned(),
    )
}

/// What was given on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    values: Values,
    /// Those that were said with `--set`.
    set: Vec<String>,
}

#[cfg(test)]
impl Given {
    /// What must be said, and what else is.
    pub(crate) fn with(said: &[(&str, &str)]) -> Self {
        let mut given = Self::default();
        let needed = [
            ("CoordinatorImage", "r.example/c:1"),
            ("NodeImage", "r.example/n:1"),
            ("ClientCidr", "203.0.113.0/24"),
        ];
        for (name, value) in needed.iter().chain(said) {
            given.say(name, Some((*value).to_owned()));
        }
        given
    }
}

impl Given {
    /// Takes what an option says.
    pub fn say(&mut self, parameter: &str, value: Option<String>) {
        if let Some(value) = value {
            self.values.insert(parameter.to_owned(), value);
        }
    }

    /// Takes what `--set` says, `Parameter=VALUE`.
    pub fn set(&mut self, assignment: &str) -> Result<(), ParameterError> {
        let parts = assignment.split_once('=');
        let (name, value) = parts.ok_or_else(|| ParameterError::Assignment {
            text: assignment.to_owned(),
        })?;
        let known = &Template::shipped().parameters;
        if !known.contains_key(name) {
            return Err(ParameterError::Unknown {
                name: name.to_owned(),
                suggestion: did_you_mean(name, known.keys().map(String::as_str)),
            });
        }
        if self
            .values
            .insert(name.to_owned(), value.to_owned())
            .is_some()
        {
            let first = if self.set.iter().any(|set| set == name) {
                format!("--set {name}")
            } else {
                option_of(name)
            };
            return Err(ParameterError::Twice {
                first,
                second: format!("--set {name}"),
            });
        }
        self.set.push(name.to_owned());
        Ok(())
    }

    /// What was given for a parameter.
    pub fn value(&self, parameter: &str) -> Option<&str> {
        self.values.get(parameter).map(String::as_str)
    }

    /// Everything that was given.
    pub fn values(&self) -> &Values {
        &self.values
    }

    fn option(&self, parameter: &str) -> String {
        if self.set.iter().any(|set| set == parameter) {
            format!("--set {parameter}")
        } else {
            option_of(parameter)
        }
    }

    /// Looks at each value by itself.
    ///
    /// # Errors
    /// When the template does not take one.
    pub fn check(&self) -> Result<(), ParameterError> {
        for (name, value) in &self.values {
            if let Some(problem) = problem_of(name, value) {
                return Err(ParameterError::Bad {
                    option: self.option(name),
                    value: value.clone(),
                    problem,
                });
            }
        }
        Ok(())
    }

    /// What all parameters are then: as given, or else as before, or else by default.
    ///
    /// # Errors
    /// When one is missing, or the template takes one not, or two not together.
    pub fn settled(&self, before: Option<&Values>) -> Result<Values, ParameterError> {
        self.check()?;
        let mut settled = Values::new();
        let mut missing = Vec::new();
        for (name, parameter) in &Template::shipped().parameters {
            let before = before.and_then(|before| before.get(name));
            let value = self.values.get(name).or(before);
            match value.or(parameter.default.as_ref()) {
                Some(value) => drop(settled.insert(name.clone(), value.clone())),
                None => missing.push((option_of(name), parameter.description.clone())),
            }
        }
        if !missing.is_empty() {
            return Err(ParameterError::Missing { missing });
        }
        match against(&settled) {
            Some(problem) => Err(ParameterError::Together(problem)),
            None => Ok(settled),
        }
    }
}

/// What is wrong with one value.
fn problem_of(name: &str, value: &str) -> Option<String> {
    let problem = Template::shipped().parameters[name].problem(value);
    problem.or_else(|| {
        // The pattern lets any three digits pass.
        let address = value.split_once('/').map(|(address, _)| address)?;
        let is_bad = name == "ClientCidr" && address.parse::<std::net::Ipv4Addr>().is_err();
        is_bad.then(|| "must be an IPv4 block, each number of it from 0 to 255".to_owned())
    })
}

/// What does not go together: the rules of the template, in words for who types options, and what a template cannot say.
fn against(values: &Values) -> Option<String> {
    let value = |name: &str| values.get(name).map(String::as_str).unwrap_or_default();
    let has = |name: &str| !value(name).is_empty();
    let number = |name: &str| value(name).parse::<i64>().unwrap_or_default();
    if value("Scheme") == "internet-facing" && !has("CertificateArn") {
        return Some(
            "--public needs --certificate, so that nothing crosses the internet in the clear\n\
             hint: `aws acm request-certificate` makes one for a name that is yours"
                .to_owned(),
        );
    }
    if has("CertificateArn") && !has("EndpointName") {
        return Some("--certificate needs --endpoint-name, the name that it is for".to_owned());
    }
    if has("VpcId") && !has("SubnetIds") {
        return Some(
            "--vpc needs --subnets, two or more of its subnets in different zones".to_owned(),
        );
    }
    if !has("VpcId") && (has("SubnetIds") || has("VolumeZone")) {
        return Some(
            "--subnets and --volume-zone need --vpc, whose subnets they tell of".to_owned(),
        );
    }
    let (least, most) = (number("NodesMin"), number("NodesMax"));
    (least > most).then(|| format!("--nodes-min {least} is above --nodes-max {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_as_before_or_by_default() {
        let settled = Given::with(&[("NodesMax", "4")]).settled(None).unwrap();
        assert_eq!(
            (settled["NodesMax"].as_str(), settled["NodesMin"].as_str()),
            ("4", "0")
        );
        assert_eq!(settled["Database"], "sqlite");
        let mut more = Given::default();
        more.set("LogDays=90").unwrap();
        let after = more.settled(Some(&settled)).unwrap();
        assert_eq!(
            (after["NodesMax"].as_str(), after["LogDays"].as_str()),
            ("4", "90")
        );
        assert_eq!(after["NodeImage"], settled["NodeImage"]);
    }

    #[test]
    fn mistakes_are_told_with_the_options_that_made_them() {
        let refusal =
            |said: &[(&str, &str)]| Given::with(said).settled(None).unwrap_err().to_string();
        let mut told = vec![
            Given::default().settled(None).unwrap_err().to_string(),
            refusal(&[("ClientCidr", "203.0.113.7")]),
            refusal(&[("ClientCidr", "999.0.0.1/8")]),
            refusal(&[("NodeImage", "atelier-node")]),
            refusal(&[("NodesMax", "0")]),
            refusal(&[("NodesMin", "11")]),
            refusal(&[("DollarsPerHourMax", "$3")]),
            refusal(&[("Scheme", "internet-facing")]),
            refusal(&[(
                "CertificateArn",
                "arn:aws:acm:eu-central-1:123456789012:certificate/0a",
            )]),
            refusal(&[("VpcId", "vpc-0a1b2c3d")]),
            refusal(&[("VolumeZone", "eu-central-1a")]),
            refusal(&[("SubnetIds", "subnet-0a1b2c3d")]),
        ];
        let mut typed = Given::with(&[("NodesMax", "4")]);
        for assignment in ["NodesMax=5", "Nodesmax=5", "LogDays", "LogDays=2"] {
            let set = typed.set(assignment).err();
            let error = set.or_else(|| typed.settled(None).err());
            told.push(error.unwrap().to_string());
        }
        insta::assert_snapshot!("mistakes", told.join("\n\n"));
    }

    #[test]
    fn every_option_sets_what_the_template_has() {
        let known = &Template::shipped().parameters;
        for (name, _) in OPTIONS {
            assert!(known.contains_key(name), "{name}");
        }
        // Its rules are told here in other words; a new one has to be, too.
        let rules = super::super::template::TEXT.split("\nRules:\n").nth(1);
        let rules = rules.and_then(|rest| rest.split("\nConditions:\n").next());
        let named = rules
            .unwrap_or_default()
            .matches("    RuleCondition:")
            .count();
        assert_eq!(named, 4);
    }
}
