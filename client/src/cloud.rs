//! An atelier on AWS: the stack of `deploy/cloudformation/atelier.yaml`, made, looked at and removed.
//!
//! The only code of the client that names the SDKs of AWS. What it decides is pure and apart from what it calls:
//! - [`template`]: what the template takes; [`parameters`]: what it is given, checked before anything is called;
//!   [`weights`]: what its nodes paint with
//! - [`costs`]: what a stack is made of and what an hour of it costs
//! - [`stack`]: what a stack is, and [`cloudformation`], which has it; [`group`]: the nodes' Auto Scaling group; [`bucket`]: S3
//! - [`events`]: how an operation gets on, of which [`wait`] tells until it has ended; [`asked`]: whether grids run

pub mod asked;
pub mod bucket;
pub mod cloudformation;
pub mod costs;
mod error;
pub mod events;
pub mod group;
pub mod parameters;
pub mod stack;
pub mod template;
pub mod wait;
pub mod weights;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};

pub use self::error::CloudError;

/// Attempts that an SDK makes at one call; it waits longer between them when it is throttled.
const ATTEMPTS_MAX: u32 = 6;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one attempt at a call may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);

/// AWS in one region, with this machine's credentials. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cloud {
    region: String,
    stacks: aws_sdk_cloudformation::Client,
    groups: aws_sdk_autoscaling::Client,
    s3: aws_sdk_s3::Client,
}

impl Cloud {
    /// AWS in this region, or else in the one of this machine's AWS configuration. Nothing is called.
    ///
    /// # Errors
    /// When nobody names a region.
    pub async fn connect(region: Option<String>) -> Result<Self, CloudError> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut config = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(timeouts);
        if let Some(region) = region {
            config = config.region(Region::new(region));
        }
        let config = config.load().await;
        let region = config.region().ok_or(CloudError::NoRegion)?.to_string();
        // Where an endpoint is named it is none of AWS', and has no name of its own for every bucket.
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(config.endpoint_url().is_some());
        Ok(Self {
            region,
            stacks: aws_sdk_cloudformation::Client::new(&config),
            groups: aws_sdk_autoscaling::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
        })
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }
}
