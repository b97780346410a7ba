//! An Auto Scaling group that is kept by moto, with bad days: in front of moto stands a stub of our own that throttles calls
//! and refuses capacity, which moto never does. The rest it passes on.
//!
//! moto starts no machines: that is for the test, which starts a node for every instance that is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use crate::moto::{Moto, between, environment};
use crate::served::Served;

const VERSION: &str = "2011-01-01";
/// Name of the group.
pub const GROUP: &str = "atelier-nodes";

/// What the stub does of its own.
#[derive(Debug, Default)]
struct Weather {
    is_throttled: bool,
    /// What the group was asked for since there is no capacity; `None`: there is.
    refused: Option<u32>,
    is_full: bool,
    /// How often each action was called.
    calls: BTreeMap<String, u32>,
}

#[derive(Debug, Clone)]
struct Stub {
    moto: String,
    http: reqwest::Client,
    weather: Arc<Mutex<Weather>>,
}

/// The group, and the URL at which it is reached.
#[derive(Debug)]
pub struct Aws {
    moto: Moto,
    stub: Stub,
    served: Served,
}

impl Aws {
    /// A group of at most so many machines of one kind, of which none is there.
    pub async fn start(moto: Moto, instance_type: &str, size_max: u32) -> anyhow::Result<Self> {
        let template = [
            ("LaunchTemplateName", "node"),
            ("LaunchTemplateData.ImageId", "ami-12c6146b"),
            ("LaunchTemplateData.InstanceType", instance_type),
        ];
        moto.call("ec2", "2016-11-15", "CreateLaunchTemplate", &template)
            .await?;
        let mix = "MixedInstancesPolicy.";
        let specification = format!("{mix}LaunchTemplate.LaunchTemplateSpecification.");
        let group = [
            ("AutoScalingGroupName".to_owned(), GROUP.to_owned()),
            ("MinSize".to_owned(), "0".to_owned()),
            ("MaxSize".to_owned(), size_max.to_string()),
            (
                "AvailabilityZones.member.1".to_owned(),
                "us-east-1a".to_owned(),
            ),
            (
                format!("{specification}LaunchTemplateName"),
                "node".to_owned(),
            ),
            (format!("{specification}Version"), "1".to_owned()),
            (
                format!("{mix}LaunchTemplate.Overrides.member.1.InstanceType"),
                instance_type.to_owned(),
            ),
            (
                format!("{mix}InstancesDistribution.OnDemandPercentageAboveBaseCapacity"),
                "0".to_owned(),
            ),
            (
                "NewInstancesProtectedFromScaleIn".to_owned(),
                "true".to_owned(),
            ),
        ];
        let group: Vec<(&str, &str)> = group
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        moto.call("autoscaling", VERSION, "CreateAutoScalingGroup", &group)
            .await?;
        let stub = Stub {
            moto: moto.endpoint.clone(),
            http: reqwest::Client::builder().no_proxy().build()?,
            weather: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(stub.clone());
        let served = Served::start(router).await?;
        Ok(Self { moto, stub, served })
    }

    /// What a program needs in its environment to find it.
    pub fn environment(&self) -> [(&str, &str); 4] {
        environment(&self.served.url)
    }

    /// The machines that are there.
    pub async fn machines(&self) -> anyhow::Result<BTreeSet<String>> {
        let described = self.described().await?;
        Ok(between(&described, "InstanceId")
            .into_iter()
            .map(str::to_owned)
            .collect())
    }

    /// Those that a smaller group does not choose.
    pub async fn protected(&self) -> anyhow::Result<BTreeSet<String>> {
        let described = self.described().await?;
        let members = between(&described, "Instances").concat();
        let is_protected = |member: &&str| member.contains("<ProtectedFromScaleIn>true");
        Ok(between(&members, "member")
            .into_iter()
            .filter(is_protected)
            .flat_map(|member| between(member, "InstanceId"))
            .map(str::to_owned)
            .collect())
    }

    async fn described(&self) -> anyhow::Result<String> {
        let group = [("AutoScalingGroupNames.member.1", GROUP)];
        self.moto
            .call("autoscaling", VERSION, "DescribeAutoScalingGroups", &group)
            .await
    }

    /// Sets the size as a person does at the console.
    pub async fn set_desired_by_hand(&self, desired: u32) -> anyhow::Result<()> {
        let desired = desired.to_string();
        let parameters = [
            ("AutoScalingGroupName", GROUP),
            ("DesiredCapacity", &*desired),
        ];
        self.moto
            .call("autoscaling", VERSION, "SetDesiredCapacity", &parameters)
            .await?;
        Ok(())
    }

    /// Takes a machine away as the spot market does, without asking anybody: the group starts another one for it.
    pub async fn lose(&self, machine: &str) -> anyhow::Result<()> {
        let parameters = [
            ("InstanceId", machine),
            ("ShouldDecrementDesiredCapacity", "false"),
        ];
        let action = "TerminateInstanceInAutoScalingGroup";
        self.moto
            .call("autoscaling", VERSION, action, &parameters)
            .await?;
        Ok(())
    }

    /// From now on every call is throttled, or none.
    pub fn throttle(&self, is_throttled: bool) {
        self.stub.weather().is_throttled = is_throttled;
    }

    /// From now on no machine can be had: the group is asked in vain. Or they can again, and those come that were asked for.
    pub async fn refuse(&self, is_full: bool) -> anyhow::Result<()> {
        let asked = {
            let mut weather = self.stub.weather();
            weather.is_full = is_full;
            weather.refused.take()
        };
        match asked {
            Some(asked) if !is_full => self.set_desired_by_hand(asked).await,
            _ => Ok(()),
        }
    }

    /// How often an action was called through the stub.
    pub fn calls(&self, action: &str) -> u32 {
        self.stub.weather().calls.get(action).copied().unwrap_or(0)
    }
}

impl Stub {
    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the stub answers of its own, if it does.
    fn own_answer(&self, action: &str, body: &str) -> Option<(StatusCode, String)> {
        let mut weather = self.weather();
        *weather.calls.entry(action.to_owned()).or_default() += 1;
        if weather.is_throttled {
            return Some((
                StatusCode::BAD_REQUEST,
                error("Throttling", "Rate exceeded"),
            ));
        }
        if weather.is_full && action == "SetDesiredCapacity" {
            weather.refused = parameter(body, "DesiredCapacity").and_then(|it| it.parse().ok());
            return Some((StatusCode::OK, empty(action)));
        }
        if action == "DescribeScalingActivities" {
            return Some((StatusCode::OK, activities(weather.refused.is_some())));
        }
        None
    }

    /// What moto says, as it would be if the group had been asked for what it was.
    fn corrected(&self, action: &str, answer: String) -> String {
        let asked = self.weather().refused;
        match (action, asked) {
            ("DescribeAutoScalingGroups", Some(asked)) => {
                let before = between(&answer, "DesiredCapacity").concat();
                answer.replace(
                    &format!("<DesiredCapacity>{before}<"),
                    &format!("<DesiredCapacity>{asked}<"),
                )
            }
            _ => answer,
        }
    }
}

fn parameter(body: &str, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(body.as_bytes());
    pairs
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

async fn answer(State(stub): State<Stub>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let text = String::from_utf8_lossy(&body).into_owned();
    let action = parameter(&text, "Action").unwrap_or_default();
    if let Some(own) = stub.own_answer(&action, &text) {
        return own;
    }
    let mut request = stub.http.post(&stub.moto).body(body);
    for name in ["authorization", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value.as_bytes());
        }
    }
    let answered = async {
        let answer = request.send().await?;
        let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or_default();
        Ok::<_, reqwest::Error>((status, answer.text().await?))
    };
    match answered.await {
        Ok((status, answer)) => (status, stub.corrected(&action, answer)),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()),
    }
}

fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>stub</RequestId></ErrorResponse>"
    )
}

fn empty(action: &str) -> String {
    format!(
        "<{action}Response xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
         <ResponseMetadata><RequestId>stub</RequestId></ResponseMetadata></{action}Response>"
    )
}

fn activities(is_refused: bool) -> String {
    let (status, message) = if is_refused {
        let message = "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available \
                       that matches your request.";
        ("Failed", message)
    } else {
        ("Successful", "")
    };
    format!(
        "<DescribeScalingActivitiesResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
         <DescribeScalingActivitiesResult><Activities><member><ActivityId>stub</ActivityId>\
         <AutoScalingGroupName>{GROUP}</AutoScalingGroupName><Cause>stub</Cause>\
         <StartTime>2026-01-01T00:00:00Z</StartTime><StatusCode>{status}</StatusCode>\
         <StatusMessage>{message}</StatusMessage></member></Activities></DescribeScalingActivitiesResult>\
         <ResponseMetadata><RequestId>stub</RequestId></ResponseMetadata></DescribeScalingActivitiesResponse>"
    )
}
