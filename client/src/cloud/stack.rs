//! Stacks as CloudFormation keeps them.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::operation::update_stack::UpdateStackError;
use aws_sdk_cloudformation::primitives::DateTime;
use aws_sdk_cloudformation::types::{
    Capability, Parameter, StackEvent, StackStatus, StackSummary, Tag,
};

use super::events::Event;
use super::parameters::Values;
use super::template::TEXT;
use super::{Cloud, CloudError};

/// The tag by which a stack is known to be an atelier. Its value is the stack's name, so that bills can be told apart by it.
pub const TAG: &str = "atelier";
/// What the bucket is called in the template.
pub const BUCKET: &str = "Bucket";
/// What the nodes' group is called in the template.
pub const NODE_GROUP: &str = "NodeGroup";
/// What the coordinators' group is called in the template.
pub const COORDINATOR_GROUP: &str = "CoordinatorGroup";
/// Pages of events that are read at most; one has a hundred or so.
const EVENT_PAGES_MAX: usize = 20;

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

    fn told(stack: &aws_sdk_cloudformation::types::Stack) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
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
    /// Whether it is there, or may be.
    pub fn is_there(&self) -> bool {
        !self.id.is_empty() && self.status != "DELETE_COMPLETE"
    }
}

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// It has begun.
    Begun,
    /// There is nothing to change.
    Unchanged,
}

impl Cloud {
    /// The stack of this name or id; `None` if there is none.
    pub async fn stack(&self, name: &str) -> Result<Option<Stack>, CloudError> {
        let call = "DescribeStacks";
        let described = self.stacks.describe_stacks().stack_name(name).send().await;
        match described {
            Ok(answer) => Ok(answer.stacks().first().map(Stack::told)),
            Err(error) if says(error.as_service_error(), "does not exist") => Ok(None),
            Err(error) => Err(CloudError::of(call, &error)),
        }
    }

    /// The atelier of this name.
    ///
    /// # Errors
    /// When there is none, or it is somebody else's.
    pub async fn atelier(&self, name: &str) -> Result<Stack, CloudError> {
        let region = || self.region().to_owned();
        let name = name.to_owned();
        let stack = self.stack(&name).await?;
        let stack = stack.filter(|stack| stack.standing() != Standing::Gone);
        match stack {
            Some(stack) if stack.is_ours => Ok(stack),
            Some(_) => Err(CloudError::Foreign {
                name,
                region: region(),
            }),
            None => Err(CloudError::NoStack {
                name,
                region: region(),
            }),
        }
    }

    /// The atelier of this name that was removed last, if there was one in the last three months.
    pub async fn removed(&self, name: &str) -> Result<Option<Stack>, CloudError> {
        let call = self.stacks.list_stacks();
        let call = call.stack_status_filter(StackStatus::DeleteComplete);
        let mut pages = call.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| CloudError::of("ListStacks", &error))?;
            let of_name = page.stack_summaries().iter();
            let of_name = of_name.filter(|it| it.stack_name() == Some(name));
            let when = |it: &StackSummary| it.deletion_time().map(DateTime::secs);
            found.extend(of_name.map(|it| (when(it), it.stack_id().map(str::to_owned))));
        }
        let last = found.into_iter().max().and_then(|(_, id)| id);
        let stack = match last {
            Some(id) => self.stack(&id).await?,
            None => None,
        };
        Ok(stack.filter(|stack| stack.is_ours))
    }

    /// Begins to make a stack; its id.
    pub async fn create(&self, name: &str, values: &Values) -> Result<String, CloudError> {
        let call = self
            .stacks
            .create_stack()
            .stack_name(name)
            .template_body(TEXT)
            .capabilities(Capability::CapabilityIam)
            .tags(Tag::builder().key(TAG).value(name).build())
            .set_parameters(Some(parameters(values)));
        let answer = call.send().await;
        let answer = answer.map_err(|error| CloudError::of("CreateStack", &error))?;
        Ok(answer.stack_id.unwrap_or_else(|| name.to_owned()))
    }

    /// Begins to change a stack.
    pub async fn update(&self, id: &str, values: &Values) -> Result<Updated, CloudError> {
        let call = self
            .stacks
            .update_stack()
            .stack_name(id)
            .template_body(TEXT)
            .capabilities(Capability::CapabilityIam)
            .set_parameters(Some(parameters(values)));
        match call.send().await {
            Ok(_) => Ok(Updated::Begun),
            Err(error) if is_no_update(error.as_service_error()) => Ok(Updated::Unchanged),
            Err(error) => Err(CloudError::of("UpdateStack", &error)),
        }
    }

    /// Begins to remove a stack.
    pub async fn delete(&self, id: &str) -> Result<(), CloudError> {
        let deleted = self.stacks.delete_stack().stack_name(id).send().await;
        deleted.map_err(|error| CloudError::of("DeleteStack", &error))?;
        Ok(())
    }

    /// Whether a stack was made of the template as it is here.
    pub async fn has_this_template(&self, id: &str) -> Result<bool, CloudError> {
        let answer = self.stacks.get_template().stack_name(id).send().await;
        let answer = answer.map_err(|error| CloudError::of("GetTemplate", &error))?;
        Ok(answer.template_body() == Some(TEXT))
    }

    /// What a stack is made of, by the names in the template; also what it kept when it went.
    pub async fn resources(&self, id: &str) -> Result<Vec<Resource>, CloudError> {
        let call = self.stacks.list_stack_resources().stack_name(id);
        let mut pages = call.into_paginator().send();
        let mut resources = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| CloudError::of("ListStackResources", &error))?;
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            resources.extend(page.stack_resource_summaries().iter().map(|it| {
                Resource {
                    name: text(it.logical_resource_id()),
                    id: text(it.physical_resource_id()),
                    status: text(
                        it.resource_status()
                            .map(aws_sdk_cloudformation::types::ResourceStatus::as_str),
                    ),
                }
            }));
        }
        Ok(resources)
    }

    /// What AWS calls a resource of a stack, if it is there.
    pub async fn resource(&self, id: &str, name: &str) -> Result<Option<String>, CloudError> {
        let resources = self.resources(id).await?;
        let found = resources
            .into_iter()
            .find(|it| it.name == name && it.is_there());
        Ok(found.map(|resource| resource.id))
    }

    /// The id of the last thing that happened to a stack, so that what comes after it can be told apart.
    pub async fn last_event(&self, id: &str) -> Result<Option<String>, CloudError> {
        let answer = self.stacks.describe_stack_events().stack_name(id).send();
        let answer = answer.await;
        let answer = answer.map_err(|error| CloudError::of("DescribeStackEvents", &error))?;
        let last = answer.stack_events().first();
        Ok(last.and_then(StackEvent::event_id).map(str::to_owned))
    }

    /// What happened to a stack after an event, or since it began; in its order.
    pub async fn events(&self, id: &str, after: Option<&str>) -> Result<Vec<Event>, CloudError> {
        let call = self.stacks.describe_stack_events().stack_name(id);
        let mut pages = call.into_paginator().send();
        let mut events = Vec::new();
        let mut page_count = 0;
        // The newest come first.
        'pages: while let Some(page) = pages.next().await {
            let page = page.map_err(|error| CloudError::of("DescribeStackEvents", &error))?;
            for event in page.stack_events() {
                if after.is_some() && event.event_id() == after {
                    break 'pages;
                }
                events.push(told(event));
            }
            page_count += 1;
            if page_count == EVENT_PAGES_MAX {
                break;
            }
        }
        events.reverse();
        Ok(events)
    }
}

fn told(event: &StackEvent) -> Event {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Event {
        id: text(event.event_id()),
        resource: text(event.logical_resource_id()),
        kind: text(event.resource_type()),
        status: text(
            event
                .resource_status()
                .map(aws_sdk_cloudformation::types::ResourceStatus::as_str),
        ),
        reason: text(event.resource_status_reason()),
        // The stack is a resource of its own.
        is_stack: event.physical_resource_id() == event.stack_id(),
    }
}

/// All of them, so that what a newer template has by default is what was looked at.
fn parameters(values: &Values) -> Vec<Parameter> {
    let parameter = |(name, value): (&String, &String)| {
        Parameter::builder()
            .parameter_key(name)
            .parameter_value(value)
            .build()
    };
    values.iter().map(parameter).collect()
}

fn is_no_update(error: Option<&UpdateStackError>) -> bool {
    says(error, "No updates are to be performed")
}

/// CloudFormation has one code for most refusals, and tells them apart in words.
fn says<E: ProvideErrorMetadata>(error: Option<&E>, words: &str) -> bool {
    let message = error.and_then(ProvideErrorMetadata::message);
    message.is_some_and(|message| message.contains(words))
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
