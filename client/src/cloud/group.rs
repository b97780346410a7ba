//! The nodes' Auto Scaling group.

use std::collections::BTreeMap;
use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use atelier_proto::prices::{Capacity, Prices};
use aws_sdk_autoscaling::types::AutoScalingGroup;

use super::{Cloud, CloudError};

/// Machines that one call protects, or no more, at most.
const PROTECTED_MAX: usize = 50;

/// The group as AWS tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How many machines it is asked for.
    pub desired: i32,
    /// Most machines.
    pub most: i32,
    /// Of them paid for by the list, before all others are spot.
    pub on_demand_base: i32,
    /// Its machines.
    pub machines: Vec<Machine>,
}

/// A machine of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its id.
    pub id: String,
    /// As in `g6.xlarge`.
    pub kind: String,
    /// AWS' word for how it stands, as in `InService`.
    pub state: String,
    /// A smaller group does not choose it.
    pub is_protected: bool,
}

impl Group {
    /// Machines by how they stand: `starting`, `running`, `leaving` or AWS' word in lower case.
    pub fn by_state(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for machine in &self.machines {
            let state = match machine.state.as_str() {
                "InService" => "running".to_owned(),
                state if state.starts_with("Pending") => "starting".to_owned(),
                state if state.starts_with("Terminat") => "leaving".to_owned(),
                state => state.to_lowercase(),
            };
            *counts.entry(state).or_default() += 1;
        }
        counts
    }

    /// What an hour of its machines costs, US dollars, by a table of prices. Which of them are on demand is not told, so the
    /// first ones count as such.
    pub fn dollars_per_hour(&self, prices: &Prices) -> f64 {
        let price = |(place, machine): (usize, &Machine)| {
            let is_spot = place >= usize::try_from(self.on_demand_base).unwrap_or_default();
            let capacity = if is_spot {
                Capacity::Spot
            } else {
                Capacity::OnDemand
            };
            prices.machine(&machine.kind, capacity)
        };
        self.machines.iter().enumerate().filter_map(price).sum()
    }

    fn told(group: &AutoScalingGroup) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let policy = group.mixed_instances_policy();
        let distribution = policy.and_then(|policy| policy.instances_distribution());
        let machine = |it: &aws_sdk_autoscaling::types::Instance| Machine {
            id: text(it.instance_id()),
            kind: text(it.instance_type()),
            state: text(
                it.lifecycle_state()
                    .map(aws_sdk_autoscaling::types::LifecycleState::as_str),
            ),
            is_protected: it.protected_from_scale_in().unwrap_or_default(),
        };
        Self {
            name: text(group.auto_scaling_group_name()),
            desired: group.desired_capacity().unwrap_or_default(),
            most: group.max_size().unwrap_or_default(),
            on_demand_base: distribution
                .and_then(
                    aws_sdk_autoscaling::types::InstancesDistribution::on_demand_base_capacity,
                )
                .unwrap_or_default(),
            machines: group.instances().iter().map(machine).collect(),
        }
    }
}

impl Cloud {
    /// The group of this name; `None` if there is none.
    pub async fn group(&self, name: &str) -> Result<Option<Group>, CloudError> {
        let call = self.groups.describe_auto_scaling_groups();
        let answer = call.auto_scaling_group_names(name).send().await;
        let answer = answer.map_err(|error| CloudError::of("DescribeAutoScalingGroups", &error))?;
        Ok(answer.auto_scaling_groups().first().map(Group::told))
    }

    /// Sets the bounds of a group, and asks for no machine where it may have none.
    pub async fn bound(&self, name: &str, most: i32) -> Result<(), CloudError> {
        let call = self.groups.update_auto_scaling_group();
        let mut call = call
            .auto_scaling_group_name(name)
            .min_size(0)
            .max_size(most);
        if most == 0 {
            call = call.desired_capacity(0);
        }
        let updated = call.send().await;
        updated.map_err(|error| CloudError::of("UpdateAutoScalingGroup", &error))?;
        Ok(())
    }

    /// Has the machines of a group end, and no other one start, and waits until they are gone. `tell` is told how many
    /// there still are. Whether they were gone in time.
    pub async fn empty(
        &self,
        name: &str,
        patience: Duration,
        poll_interval: Duration,
        tell: impl Fn(usize),
    ) -> Result<bool, CloudError> {
        let since = Stopwatch::start();
        let mut is_bound = false;
        loop {
            let Some(group) = self.group(name).await? else {
                return Ok(true);
            };
            // A machine that works is protected, and so is one that has come meanwhile.
            if !is_bound || group.machines.iter().any(|machine| machine.is_protected) {
                self.unprotect(&group).await?;
                // Not only the size: a coordinator that still has a backlog would ask for machines again.
                self.bound(name, 0).await?;
                if !is_bound {
                    // One that came a moment before is not in what was told.
                    is_bound = true;
                    continue;
                }
            }
            if group.machines.is_empty() {
                return Ok(true);
            }
            tell(group.machines.len());
            if since.elapsed() > patience {
                return Ok(false);
            }
            tokio::time::sleep(poll_interval).await;
        }
    }

    async fn unprotect(&self, group: &Group) -> Result<(), CloudError> {
        let protected = group.machines.iter().filter(|machine| machine.is_protected);
        let ids: Vec<String> = protected.map(|machine| machine.id.clone()).collect();
        for ids in ids.chunks(PROTECTED_MAX) {
            let call = self.groups.set_instance_protection();
            let call = call
                .auto_scaling_group_name(&group.name)
                .set_instance_ids(Some(ids.to_vec()))
                .protected_from_scale_in(false);
            let done = call.send().await;
            match done.map_err(|error| CloudError::of("SetInstanceProtection", &error)) {
                // One that has begun to end since cannot be told any more.
                Ok(_) | Err(CloudError::Failed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_counted_by_state_and_cost_by_kind() {
        let machine = |kind: &str, state: &str| Machine {
            id: "i-0a".to_owned(),
            kind: kind.to_owned(),
            state: state.to_owned(),
            is_protected: true,
        };
        let group = Group {
            on_demand_base: 1,
            machines: vec![
                machine("g4dn.xlarge", "InService"),
                machine("g4dn.xlarge", "InService"),
                machine("g6.xlarge", "Pending:Wait"),
                machine("g6.xlarge", "Terminating:Wait"),
                machine("unknown", "Standby"),
            ],
            ..Group::default()
        };
        let counts: Vec<_> = group.by_state().into_iter().collect();
        let told = counts.iter().map(|(state, count)| (state.as_str(), *count));
        let wanted = [
            ("leaving", 1),
            ("running", 2),
            ("standby", 1),
            ("starting", 1),
        ];
        assert!(told.eq(wanted));
        let dollars = group.dollars_per_hour(&Prices::shipped());
        assert!(
            (dollars - (0.526 + 0.21 + 0.35 + 0.35)).abs() < 1e-9,
            "{dollars}"
        );
    }
}
