//! An Auto Scaling group of EC2, as the fleet's driver: the only code that names its SDK.
//!
//! Calls are few and small, and each may fail: whoever calls tries again at the next look, because everything is decided from
//! what is there.

use std::time::Duration;

use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::config::retry::RetryConfig;
use aws_sdk_autoscaling::config::timeout::TimeoutConfig;
use aws_sdk_autoscaling::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_autoscaling::types::{AutoScalingGroup, LifecycleState, ScalingActivityStatusCode};

use crate::domain::fleet::{MachineId, Phase};

/// How long one call may take with its repetitions.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Attempts at one call; the SDK waits longer between them when it is throttled.
const ATTEMPTS_MAX: u32 = 3;
/// Machines that one call protects at most.
const PROTECTED_MAX: usize = 50;
/// Activities that are looked through for a failed start.
const ACTIVITIES_MAX: i32 = 10;

/// Why the cloud did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// There is no such group.
    #[error(
        "there is no Auto Scaling group {group:?} in this region\n\
         hint: name it with --fleet-group, and the region with AWS_REGION"
    )]
    NoGroup {
        /// Its name.
        group: String,
    },
    /// It asks for fewer calls.
    #[error("AWS wants fewer calls ({call}); trying again")]
    Throttled {
        /// What was called.
        call: &'static str,
    },
    /// It may not be asked.
    #[error(
        "AWS refuses {call}: {problem}\nhint: the coordinator's role must allow autoscaling:{call}"
    )]
    Forbidden {
        /// What was called.
        call: &'static str,
        /// What it says.
        problem: String,
    },
    /// What is asked makes no sense to it as things are.
    #[error("AWS finds {call} wrong: {problem}")]
    Invalid {
        /// What was called.
        call: &'static str,
        /// What it says.
        problem: String,
    },
    /// Anything else.
    #[error("AWS did not answer {call} as it should: {problem}")]
    Failed {
        /// What was called.
        call: &'static str,
        /// What it says.
        problem: String,
    },
}

impl CloudError {
    fn of<E, R>(call: &'static str, error: SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
        SdkError<E, R>: std::error::Error,
    {
        let code = error
            .as_service_error()
            .and_then(ProvideErrorMetadata::code);
        let told = error
            .as_service_error()
            .and_then(ProvideErrorMetadata::message)
            .map(str::to_owned);
        let problem = || told.unwrap_or_else(|| DisplayErrorContext(&error).to_string());
        match code {
            Some("Throttling" | "ThrottlingException" | "RequestLimitExceeded") => {
                Self::Throttled { call }
            }
            Some(
                "AccessDenied"
                | "AccessDeniedException"
                | "UnauthorizedOperation"
                | "InvalidClientTokenId"
                | "ExpiredToken",
            ) => Self::Forbidden {
                call,
                problem: problem(),
            },
            Some("ValidationError") => Self::Invalid {
                call,
                problem: problem(),
            },
            _ => Self::Failed {
                call,
                problem: problem(),
            },
        }
    }
}

/// The group as AWS tells it; nodes are for others to add.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// How many machines it is asked for.
    pub desired: u32,
    /// The least and the most that it can be asked for.
    pub size: (u32, u32),
    /// Its machines.
    pub machines: Vec<ToldMachine>,
    /// Instance types that it may start, if it has a choice of them.
    pub instance_types: Vec<String>,
    /// Percent of its machines that are paid for by the list, above those that always are.
    pub on_demand_percent: u32,
}

/// A machine as AWS tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldMachine {
    /// Its id.
    pub id: MachineId,
    /// Where it stands.
    pub phase: Phase,
    /// A smaller group does not choose it.
    pub is_protected: bool,
    /// As in `g6.xlarge`.
    pub instance_type: Option<String>,
}

/// The group. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Asg {
    client: Client,
    group: String,
}

impl Asg {
    /// A client for the group of this name, with this machine's AWS credentials and region.
    pub async fn connect(group: String) -> Self {
        let timeouts = TimeoutConfig::builder().operation_timeout(CALL_TIMEOUT);
        let config = aws_config::from_env()
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(timeouts.build())
            .load()
            .await;
        Self {
            client: Client::new(&config),
            group,
        }
    }

    /// The group as it is told now, eventually consistent.
    ///
    /// # Errors
    /// When it is not there, or AWS does not answer.
    pub async fn read(&self) -> Result<Told, CloudError> {
        let call = "DescribeAutoScalingGroups";
        let described = self
            .client
            .describe_auto_scaling_groups()
            .auto_scaling_group_names(&self.group)
            .send()
            .await
            .map_err(|error| CloudError::of(call, error))?;
        let group = described.auto_scaling_groups.unwrap_or_default().pop();
        group.map(told).ok_or_else(|| CloudError::NoGroup {
            group: self.group.clone(),
        })
    }

    /// Why the group could not start the last machine that it tried to; `None` if it could.
    ///
    /// # Errors
    /// When AWS does not answer.
    pub async fn refusal(&self) -> Result<Option<String>, CloudError> {
        let call = "DescribeScalingActivities";
        let described = self
            .client
            .describe_scaling_activities()
            .auto_scaling_group_name(&self.group)
            .max_records(ACTIVITIES_MAX)
            .send()
            .await
            .map_err(|error| CloudError::of(call, error))?;
        // The newest comes first.
        for activity in described.activities() {
            match activity.status_code() {
                Some(ScalingActivityStatusCode::Failed) => {
                    let told = activity.status_message().or(activity.description());
                    return Ok(Some(told.unwrap_or("it does not say why").to_owned()));
                }
                Some(ScalingActivityStatusCode::Successful) => return Ok(None),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Asks for so many machines.
    ///
    /// # Errors
    /// When AWS does not take it.
    pub async fn set_desired(&self, desired: u32) -> Result<(), CloudError> {
        let call = "SetDesiredCapacity";
        self.client
            .set_desired_capacity()
            .auto_scaling_group_name(&self.group)
            .desired_capacity(i32::try_from(desired).unwrap_or(i32::MAX))
            .honor_cooldown(false)
            .send()
            .await
            .map_err(|error| CloudError::of(call, error))?;
        Ok(())
    }

    /// Keeps machines from a group that becomes smaller, or no more.
    ///
    /// # Errors
    /// When AWS does not take it; some may be protected then.
    pub async fn protect(
        &self,
        machines: &[MachineId],
        is_protected: bool,
    ) -> Result<(), CloudError> {
        let call = "SetInstanceProtection";
        for some in machines.chunks(PROTECTED_MAX) {
            self.client
                .set_instance_protection()
                .auto_scaling_group_name(&self.group)
                .set_instance_ids(Some(some.to_vec()))
                .protected_from_scale_in(is_protected)
                .send()
                .await
                .map_err(|error| CloudError::of(call, error))?;
        }
        Ok(())
    }

    /// Terminates a machine, for which no other one comes.
    ///
    /// # Errors
    /// When AWS does not take it.
    pub async fn terminate(&self, machine: &MachineId) -> Result<(), CloudError> {
        let call = "TerminateInstanceInAutoScalingGroup";
        let terminated = self
            .client
            .terminate_instance_in_auto_scaling_group()
            .instance_id(machine)
            .should_decrement_desired_capacity(true)
            .send()
            .await;
        match terminated.map_err(|error| CloudError::of(call, error)) {
            // It is on its way out already, or gone: what is told of the group is some seconds old.
            Err(CloudError::Invalid { problem, .. }) => {
                tracing::info!(machine, problem, "cannot be terminated any more");
                Ok(())
            }
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }
}

fn count(number: Option<i32>) -> u32 {
    number
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(0)
}

fn told(group: AutoScalingGroup) -> Told {
    let policy = group.mixed_instances_policy.as_ref();
    let overrides = policy
        .and_then(|policy| policy.launch_template.as_ref())
        .and_then(|template| template.overrides.as_deref())
        .unwrap_or_default();
    let instance_types = overrides
        .iter()
        .filter_map(|override_| override_.instance_type.clone());
    let distribution = policy.and_then(|policy| policy.instances_distribution.as_ref());
    let machines = group.instances.unwrap_or_default().into_iter();
    Told {
        desired: count(group.desired_capacity),
        size: (count(group.min_size), count(group.max_size)),
        machines: machines
            .filter_map(|instance| {
                Some(ToldMachine {
                    phase: phase(instance.lifecycle_state.as_ref()),
                    is_protected: instance.protected_from_scale_in.unwrap_or(false),
                    instance_type: instance.instance_type,
                    id: instance.instance_id?,
                })
            })
            .collect(),
        instance_types: instance_types.collect(),
        // Without a mix all are.
        on_demand_percent: distribution.map_or(100, |distribution| {
            count(
                distribution
                    .on_demand_percentage_above_base_capacity
                    .or(Some(100)),
            )
        }),
    }
}

fn phase(state: Option<&LifecycleState>) -> Phase {
    match state {
        Some(LifecycleState::InService) => Phase::InService,
        Some(
            LifecycleState::Pending | LifecycleState::PendingWait | LifecycleState::PendingProceed,
        ) => Phase::Pending,
        // What is set aside works for nobody, whatever comes of it.
        _ => Phase::Leaving,
    }
}
