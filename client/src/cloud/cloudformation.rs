//! Calls CloudFormation: stacks made, changed, looked at and removed.

use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::operation::update_stack::UpdateStackError;
use aws_sdk_cloudformation::primitives::DateTime;
use aws_sdk_cloudformation::types::{
    Capability, Parameter, ResourceStatus, StackEvent, StackStatus, StackSummary, Tag,
};

use super::events::Event;
use super::parameters::Values;
use super::stack::{Resource, Stack, Standing, TAG, text};
use super::template::TEXT;
use super::{Cloud, CloudError};

/// Pages of events that are read at most; one has a hundred or so.
const EVENT_PAGES_MAX: usize = 20;

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
            resources.extend(page.stack_resource_summaries().iter().map(Resource::told));
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
    Event {
        id: text(event.event_id()),
        resource: text(event.logical_resource_id()),
        kind: text(event.resource_type()),
        status: text(event.resource_status().map(ResourceStatus::as_str)),
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
