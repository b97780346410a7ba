//! A stack, as CloudFormation tells of it, and what can be done with it. Nothing here calls anything.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::{ResourceStatus, StackResourceSummary};

use super::parameters::Values;

/// The tag by which a stack is known to be an atelier. Its value is the stack's name, so that bills can be told apart by it.
pub const TAG: &str = "atelier";
/// What the bucket is called in the template.
pub const BUCKET: &str = "Bucket";
/// What the nodes' group is called in the template.
pub const NODE_GROUP: &str = "NodeGroup";
/// What the coordinators' group is called in the template.
pub const COORDINATOR_GROUP: &str = "CoordinatorGroup";

/// A stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stack {
    /// By which it is known also when it is gone.
    pub id: String,
    /// Its name.
    pub name: String,
    /// CloudFormation's word for how it stands.
    pub status: String,
    /// Why, if that is told.
    pub reason: String,
    /// What it was given.
    pub parameters: Values,
    /// What it says of itself.
    pub outputs: BTreeMap<String, String>,
    /// Whether it is an atelier.
    pub is_ours: bool,
}

/// What can be done with a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is being made, changed or removed.
    Busy,
    /// It is there.
    Ready,
    /// It never came about: it can only be removed.
    Unfinished,
    /// An update or a deletion got stuck: it can be removed.
    Stuck,
    /// It is no more.
    Gone,
}

impl Standing {
    /// What CloudFormation's word means.
    pub fn of(status: &str) -> Self {
        match status {
            "CREATE_COMPLETE"
            | "UPDATE_COMPLETE"
            | "UPDATE_ROLLBACK_COMPLETE"
            | "UPDATE_FAILED"
            | "IMPORT_COMPLETE"
            | "IMPORT_ROLLBACK_COMPLETE" => Self::Ready,
            "CREATE_FAILED" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "REVIEW_IN_PROGRESS" => {
                Self::Unfinished
            }
            "DELETE_COMPLETE" => Self::Gone,
            status if status.ends_with("_IN_PROGRESS") => Self::Busy,
            _ => Self::Stuck,
        }
    }
}

impl Stack {
    /// What can be done with it.
    pub fn standing(&self) -> Standing {
        Standing::of(&self.status)
    }

    /// One of its outputs.
    pub fn output(&self, name: &str) -> Option<&str> {
        self.outputs.get(name).map(String::as_str)
    }

    pub(super) fn told(stack: &aws_sdk_cloudformation::types::Stack) -> Self {
        let pair = |key: Option<&str>, value: Option<&str>| (text(key), text(value));
        let parameters = stack.parameters().iter();
        let outputs = stack.outputs().iter();
        Self {
            id: text(stack.stack_id()),
            name: text(stack.stack_name()),
            status: stack
                .stack_status()
                .map(|status| status.as_str().to_owned())
                .unwrap_or_default(),
            reason: text(stack.stack_status_reason()),
            parameters: parameters
                .map(|it| pair(it.parameter_key(), it.parameter_value()))
                .collect(),
            outputs: outputs
                .map(|it| pair(it.output_key(), it.output_value()))
                .collect(),
            is_ours: stack.tags().iter().any(|tag| tag.key() == Some(TAG)),
        }
    }
}

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name in the template.
    pub name: String,
    /// What AWS calls it.
    pub id: String,
    /// CloudFormation's word for how it stands.
    pub status: String,
}

impl Resource {
    pub(super) fn told(resource: &StackResourceSummary) -> Self {
        let status = resource.resource_status();
        Self {
            name: text(resource.logical_resource_id()),
            id: text(resource.physical_resource_id()),
            status: text(status.map(ResourceStatus::as_str)),
        }
    }

    /// Whether it is there, or may be.
    pub fn is_there(&self) -> bool {
        !self.id.is_empty() && self.status != "DELETE_COMPLETE"
    }
}

/// What is not told is empty.
pub(super) fn text(told: Option<&str>) -> String {
    told.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_cloudformation_says_what_can_be_done() {
        for (status, standing) in [
            ("CREATE_IN_PROGRESS", Standing::Busy),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Standing::Busy),
            ("UPDATE_ROLLBACK_IN_PROGRESS", Standing::Busy),
            ("ROLLBACK_IN_PROGRESS", Standing::Busy),
            ("DELETE_IN_PROGRESS", Standing::Busy),
            ("UPDATE_ROLLBACK_COMPLETE", Standing::Ready),
            ("ROLLBACK_COMPLETE", Standing::Unfinished),
            ("REVIEW_IN_PROGRESS", Standing::Unfinished),
            ("DELETE_FAILED", Standing::Stuck),
            ("UPDATE_ROLLBACK_FAILED", Standing::Stuck),
            ("DELETE_COMPLETE", Standing::Gone),
        ] {
            assert_eq!(Standing::of(status), standing, "{status}");
        }
    }
}
