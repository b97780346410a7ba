//! What a node is told of the machine that it runs on.

use std::str::FromStr;

use clap::Args;

use crate::ec2::{Hook, InstanceOptions};

/// Longest id of an instance, and longest name of a group or a hook (AWS allows 255), characters.
const NAME_CHARS_MAX: usize = 255;

/// The machine, for nodes in the cloud.
#[derive(Debug, Clone, Default, Args)]
pub struct InstanceArgs {
    /// This machine is an EC2 instance: its id, and the labels instance-type, capacity (spot or on-demand) and zone, are
    /// those that its metadata service tells; and it leaves when that says that the machine is taken away
    #[arg(long, env = "ATELIER_EC2")]
    pub ec2: bool,
    /// The cloud's id of this machine, where --ec2 does not tell it
    #[arg(long, env = "ATELIER_INSTANCE_ID", value_name = "ID")]
    pub instance_id: Option<AwsName>,
    /// The Auto Scaling group of this machine, one of whose lifecycle hooks this node completes when it leaves
    #[arg(
        long,
        env = "ATELIER_LIFECYCLE_GROUP",
        value_name = "NAME",
        requires = "lifecycle_hook"
    )]
    pub lifecycle_group: Option<AwsName>,
    /// That hook, which holds back the end of the machine
    #[arg(
        long,
        env = "ATELIER_LIFECYCLE_HOOK",
        value_name = "NAME",
        requires = "lifecycle_group"
    )]
    pub lifecycle_hook: Option<AwsName>,
}

impl InstanceArgs {
    /// The first option that says which machine this is; none if none was given.
    pub fn given(&self) -> Option<&'static str> {
        if self.ec2 {
            Some("--ec2")
        } else {
            self.instance_id.as_ref().map(|_| "--instance-id")
        }
    }

    /// The same for [`crate::ec2::Instance`].
    pub fn options(&self) -> InstanceOptions {
        let name = |name: &Option<AwsName>| name.clone().map(|name| name.0);
        let group = name(&self.lifecycle_group);
        InstanceOptions {
            is_ec2: self.ec2,
            id: name(&self.instance_id),
            hook: group
                .zip(name(&self.lifecycle_hook))
                .map(|(group, name)| Hook { group, name }),
        }
    }
}

/// An id or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsName(String);

/// A text that is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must have from 1 to {NAME_CHARS_MAX} characters, all of them visible, and no space at its ends"
)]
pub struct MalformedName;

impl FromStr for AwsName {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<Self, MalformedName> {
        let chars = text.chars().count();
        // Groups may have spaces within their names.
        let is_visible = |letter: char| !letter.is_control();
        if text.trim() == text
            && (1..=NAME_CHARS_MAX).contains(&chars)
            && text.chars().all(is_visible)
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(MalformedName)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Cli, Command};
    use super::*;

    fn run(args: &[&str]) -> Result<InstanceArgs, clap::Error> {
        let args = ["atelier-node", "run"].iter().chain(args);
        match Cli::try_parse_from(args)?.command {
            Command::Run(args) => Ok(args.instance),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_hook_has_a_group_and_a_group_a_hook() {
        let none = run(&[]).unwrap();
        assert_eq!(none.given(), None);
        assert!(none.options().hook.is_none());
        let both = [
            "--lifecycle-group",
            "painters 1",
            "--lifecycle-hook",
            "gone",
        ];
        let both = run(&both).unwrap().options();
        let hook = Hook {
            group: "painters 1".to_owned(),
            name: "gone".to_owned(),
        };
        assert_eq!(both.hook, Some(hook));
        for half in ["--lifecycle-group", "--lifecycle-hook"] {
            let error = run(&[half, "painters"]).unwrap_err();
            let other = "--lifecycle-";
            assert!(error.to_string().contains(other), "{error}");
        }
    }

    #[test]
    fn an_id_is_a_visible_text() {
        let given = run(&["--instance-id", "i-0abc"]).unwrap();
        assert_eq!(given.given(), Some("--instance-id"));
        assert_eq!(given.options().id.as_deref(), Some("i-0abc"));
        assert_eq!(run(&["--ec2"]).unwrap().given(), Some("--ec2"));
        let long = "i".repeat(256);
        for wrong in ["", " ", "i-\n", &long] {
            assert_eq!(wrong.parse::<AwsName>(), Err(MalformedName), "{wrong:?}");
        }
    }
}
