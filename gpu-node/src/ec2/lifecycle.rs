//! A lifecycle hook of an Auto Scaling group: it holds the end of a machine back until the node on it has left.

use std::time::Duration;

use aws_config::meta::region::RegionProviderChain;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::error::ProvideErrorMetadata as _;

use crate::causes;

/// What goes on when the action is completed: the end of the machine.
const CONTINUE: &str = "CONTINUE";

/// A hook of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Name of the Auto Scaling group.
    pub group: String,
    /// Name of its lifecycle hook.
    pub name: String,
}

/// Why the group was not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum LifecycleError {
    /// Nobody knows which machine this is.
    #[error("this machine has no instance id")]
    NoInstance,
    /// AWS says why not.
    #[error("{0}")]
    Refused(String),
    /// No answer in time.
    #[error("no answer within {within:?}")]
    TooSlow { within: Duration },
}

impl Hook {
    /// Completes the action of this hook for the machine with this id. `region` is where the machine is, for where the
    /// environment names none.
    pub(super) async fn complete(
        &self,
        instance_id: &str,
        region: Option<String>,
    ) -> Result<(), LifecycleError> {
        let region = match region {
            Some(region) => RegionProviderChain::default_provider().or_else(Region::new(region)),
            None => RegionProviderChain::default_provider(),
        };
        let config = aws_config::defaults(BehaviorVersion::latest()).region(region);
        let call = Client::new(&config.load().await)
            .complete_lifecycle_action()
            .auto_scaling_group_name(&self.group)
            .lifecycle_hook_name(&self.name)
            .instance_id(instance_id)
            .lifecycle_action_result(CONTINUE);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(LifecycleError::Refused(match error.message() {
                Some(message) => message.to_owned(),
                None => causes::root(&error),
            })),
        }
    }
}
