//! The machine that a node runs on, as EC2 knows it: what it is, and that it is taken away.
//!
//! [`metadata`] asks the metadata service (`IMDSv2`), [`notice`] decides what follows from its answers, [`lifecycle`] tells
//! the Auto Scaling group that the node is ready for the machine's end.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod lifecycle;
mod metadata;
mod notice;

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};

pub use self::lifecycle::Hook;
use self::lifecycle::LifecycleError;
use self::metadata::{Metadata, Trouble};
use self::notice::{Answers, Known, Notice, Question, Told};
use crate::departure::{Departure, Reason};

/// How often the metadata service is asked for notices. AWS recommends every 5 s; a spot instance ends two minutes after
/// its notice, one that hibernates at once.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How long a node that has left waits for the end of its machine: the coordinator takes a machine back on which nobody works
/// for some minutes.
const END_PATIENCE: Duration = Duration::from_mins(15);
/// How long the metadata service may take to be there at the start.
const IDENTITY_PATIENCE: Duration = Duration::from_secs(10);

/// Why nothing is known of the machine.
#[derive(Debug, thiserror::Error)]
pub enum Ec2Error {
    /// The service does not answer as it should.
    #[error(
        "the EC2 metadata service does not tell what this machine is: {trouble}\n\
         hint: leave --ec2 out if this is no EC2 instance; in a container the instance must allow a second hop: \
         aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2"
    )]
    Metadata {
        /// The last answer.
        trouble: Trouble,
    },
    /// It answers, and knows no instance.
    #[error(
        "the EC2 metadata service knows no instance id\nhint: name it with --instance-id, without --ec2"
    )]
    NoInstance,
}

/// What EC2 says of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// As in `i-0abcd1234efgh5678`.
    pub instance_id: String,
    /// As in `g6e.xlarge`.
    pub instance_type: Option<String>,
    /// `spot` or `on-demand`, or what else EC2 may sell.
    pub capacity: Option<String>,
    /// The availability zone, as in `eu-central-1a`.
    pub zone: Option<String>,
    /// As in `eu-central-1`.
    pub region: Option<String>,
}

impl Identity {
    /// Adds the labels that grids may ask for, where the operator gave none of that name.
    pub fn label(&self, labels: &mut HashMap<String, String>) {
        let known = [
            ("instance-type", &self.instance_type),
            ("capacity", &self.capacity),
            ("zone", &self.zone),
        ];
        for (name, value) in known {
            if let Some(value) = value {
                let label = labels.entry(name.to_owned());
                label.or_insert_with(|| value.clone());
            }
        }
    }
}

/// What an operator says of the machine.
#[derive(Debug, Default)]
pub struct InstanceOptions {
    /// It is an EC2 instance whose metadata service answers here.
    pub is_ec2: bool,
    /// Its id, for machines where that service is not asked or says another one.
    pub id: Option<String>,
    /// What waits for the node before the machine ends.
    pub hook: Option<Hook>,
}

/// The machine that a node runs on.
#[derive(Debug)]
pub struct Instance {
    metadata: Option<Metadata>,
    id: Option<String>,
    hook: Option<Hook>,
    identity: OnceLock<Identity>,
}

impl Instance {
    /// Asks nobody yet.
    pub fn new(options: InstanceOptions) -> Self {
        Self {
            metadata: options.is_ec2.then(Metadata::new),
            id: options.id,
            hook: options.hook,
            identity: OnceLock::new(),
        }
    }

    /// Its id, as far as it is known.
    pub fn id(&self) -> Option<&str> {
        let found = self.identity.get();
        let found = found.map(|identity| identity.instance_id.as_str());
        self.id.as_deref().or(found)
    }

    /// Whether something waits for the node before the machine ends.
    pub fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    /// What EC2 says of it, if it was asked.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.get()
    }

    /// Asks EC2 what it is, where that is wanted. From then on its notices are listened for.
    ///
    /// # Errors
    /// When the metadata service does not answer within some seconds.
    pub async fn identify(&self, departure: &Departure) -> Result<Option<&Identity>, Ec2Error> {
        let Some(metadata) = &self.metadata else {
            return Ok(None);
        };
        let identity = (|| identity(metadata))
            .retry(at_start())
            .when(|error| matches!(error, Ec2Error::Metadata { .. }))
            .notify(|error, after| {
                if let Ec2Error::Metadata { trouble } = error {
                    tracing::info!(%trouble, ?after, "the EC2 metadata service is not there yet");
                }
            })
            .await?;
        tracing::info!(
            instance_id = identity.instance_id,
            instance_type = identity.instance_type,
            capacity = identity.capacity,
            zone = identity.zone,
            "on an EC2 instance"
        );
        tokio::spawn(listen(metadata.clone(), departure.clone()));
        Ok(Some(self.identity.get_or_init(|| identity)))
    }

    /// Waits, where the machine's end is held back for this node and will be heard of, until it comes: a node that was drained
    /// has left while its machine still runs. Over after a while, because an operator may keep the machine.
    pub async fn await_end(&self, departure: &Departure) {
        if self.hook.is_none() || self.metadata.is_none() {
            return;
        }
        let ending = departure.at_once();
        if !ending.is_cancelled() {
            tracing::info!(
                "left; waiting for the end of the machine, to complete its lifecycle action"
            );
            // What comes of it is the same: the state of the machine is asked for.
            let _ = tokio::time::timeout(END_PATIENCE, ending.cancelled()).await;
        }
    }

    /// Tells the Auto Scaling group, where it waits for that, that this node has left. A node that leaves a machine which
    /// stays has nobody to tell.
    pub async fn complete_lifecycle(&self, reason: Option<Reason>, within: Duration) {
        let Some(hook) = &self.hook else {
            return;
        };
        let completing = async {
            if !self.ends(reason).await {
                tracing::info!("the machine stays: no lifecycle action to complete");
                return Ok(());
            }
            let id = self.id().ok_or(LifecycleError::NoInstance)?;
            let identity = self.identity.get();
            let region = identity.and_then(|identity| identity.region.clone());
            Box::pin(hook.complete(id, region)).await?;
            tracing::info!(
                group = hook.group,
                hook = hook.name,
                "lifecycle action completed"
            );
            Ok(())
        };
        let completed = tokio::time::timeout(within, completing).await;
        if let Err(error) = completed.unwrap_or(Err(LifecycleError::TooSlow { within })) {
            tracing::warn!(
                group = hook.group,
                hook = hook.name,
                %error,
                "lifecycle action not completed: the group waits until its heartbeat timeout"
            );
        }
    }

    /// Whether the machine is to end, as far as anybody knows: where the metadata service is not asked or does not answer,
    /// a node that was told to leave takes it that the machine does too.
    async fn ends(&self, reason: Option<Reason>) -> bool {
        if reason >= Some(Reason::InstanceTerminates) {
            return true;
        }
        let Some(metadata) = &self.metadata else {
            return reason.is_some();
        };
        let state = metadata.ask(Question::TargetState.path()).await;
        match notice::target_state(state) {
            Ok(notice) => notice == Some(Notice::Terminates),
            Err(_) => reason.is_some(),
        }
    }
}

fn at_start() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(2))
        .with_total_delay(Some(IDENTITY_PATIENCE))
        .without_max_times()
}

async fn identity(metadata: &Metadata) -> Result<Identity, Ec2Error> {
    let ask = |item: &'static str| metadata.ask(item);
    let answers = tokio::try_join!(
        ask("/latest/meta-data/instance-id"),
        ask("/latest/meta-data/instance-type"),
        ask("/latest/meta-data/instance-life-cycle"),
        ask("/latest/meta-data/placement/availability-zone"),
        ask("/latest/meta-data/placement/region"),
    );
    let answers = answers.map_err(|trouble| Ec2Error::Metadata { trouble })?;
    let (instance_id, instance_type, capacity, zone, region) = answers;
    let named = |text: Option<String>| text.and_then(|text| notice::name(&text));
    Ok(Identity {
        instance_id: named(instance_id).ok_or(Ec2Error::NoInstance)?,
        instance_type: named(instance_type),
        capacity: named(capacity),
        zone: named(zone),
        region: named(region),
    })
}

/// Listens for notices as long as the program runs, and asks for the departure that they call for.
async fn listen(metadata: Metadata, departure: Departure) {
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut known = Known::default();
    loop {
        ticks.tick().await;
        let (instance_action, rebalance, target_state) = tokio::join!(
            metadata.ask(Question::InstanceAction.path()),
            metadata.ask(Question::Rebalance.path()),
            metadata.ask(Question::TargetState.path()),
        );
        let answers = Answers {
            instance_action,
            rebalance,
            target_state,
        };
        let step = notice::decide(known, answers);
        known = step.known;
        for told in step.told {
            tell(&told);
        }
        if let Some(reason) = step.leave {
            departure.ask(reason);
        }
    }
}

fn tell(told: &Told) {
    match told {
        Told::Notice(notice) => tracing::warn!(%notice, "a notice of EC2"),
        Told::Trouble(question, trouble) => tracing::warn!(
            path = question.path(),
            %trouble,
            "the EC2 metadata service does not answer as it should: notices may be missed"
        ),
        Told::Over(question) => {
            tracing::info!(
                path = question.path(),
                "the EC2 metadata service answers again"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ec2_says_becomes_labels_beside_those_of_the_operator() {
        let identity = Identity {
            instance_id: "i-0".to_owned(),
            instance_type: Some("g6e.xlarge".to_owned()),
            capacity: Some("spot".to_owned()),
            zone: None,
            region: None,
        };
        let mut labels = HashMap::from([("capacity".to_owned(), "cheap".to_owned())]);
        identity.label(&mut labels);
        let expected = [("capacity", "cheap"), ("instance-type", "g6e.xlarge")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(labels, HashMap::from(expected));
    }

    #[tokio::test]
    async fn where_ec2_is_not_asked_a_node_that_is_told_to_leave_takes_the_machine_along() {
        let instance = Instance::new(InstanceOptions::default());
        assert!(!instance.ends(None).await, "drained by the coordinator");
        assert!(instance.ends(Some(Reason::Terminate)).await);
        assert!(instance.ends(Some(Reason::SpotInterruption)).await);
        let departure = Departure::default();
        assert_eq!(instance.identify(&departure).await.unwrap(), None);
    }
}
