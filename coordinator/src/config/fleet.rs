//! What a coordinator is told of the fleet: who starts machines, between what bounds, by what rules.

use std::path::PathBuf;
use std::time::Duration;

use atelier_proto::prices::{Prices, PricesError};
use clap::{Args, ValueEnum};

use super::parse::{UP_TO_A_DAY, between, parse_dollars};
use crate::domain::fleet::{Bounds, Mode, NODES_MAX, Policy};
use crate::scaler::{Driver, Scaling};

/// `--fleet-driver`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DriverChoice {
    /// Nobody but people.
    None,
    /// An Auto Scaling group.
    Asg,
}

/// How the fleet follows the backlog.
#[derive(Debug, Args)]
#[command(next_help_heading = "The fleet")]
pub struct FleetArgs {
    /// What starts and ends the machines of nodes: an Auto Scaling group of EC2, with this machine's AWS credentials and
    /// region, or nobody. How many nodes are wanted is told all the same, by `atelier fleet` and as a metric
    #[arg(
        long,
        env = "ATELIER_FLEET_DRIVER",
        default_value = "none",
        value_name = "none|asg",
        hide_possible_values = true,
        requires_if("asg", "fleet_group")
    )]
    pub fleet_driver: DriverChoice,
    /// Name of the Auto Scaling group
    #[arg(long, env = "ATELIER_FLEET_GROUP", value_name = "NAME")]
    pub fleet_group: Option<String>,
    /// Nodes that are there without work, too; `atelier fleet scale` changes it
    #[arg(long, env = "ATELIER_FLEET_MIN", default_value_t = 0, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(0..=i64::from(NODES_MAX)))]
    pub fleet_min: u32,
    /// Most nodes; `atelier fleet scale` changes it
    #[arg(long, env = "ATELIER_FLEET_MAX", default_value_t = 10, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(0..=i64::from(NODES_MAX)))]
    pub fleet_max: u32,
    /// Within what time the backlog is to be done: there are as many nodes as that takes by what was measured
    #[arg(long, env = "ATELIER_FLEET_DRAIN_TIME", default_value = "15m", value_name = "DURATION",
          value_parser = between(UP_TO_A_DAY))]
    pub fleet_drain_time: Duration,
    /// How long the last idle machines are kept: a tenth of all, and five at least. Others go after a minute without work
    #[arg(long, env = "ATELIER_FLEET_IDLE_TIME", default_value = "5m", value_name = "DURATION",
          value_parser = between(UP_TO_A_DAY))]
    pub fleet_idle_time: Duration,
    /// A machine is taken back of which no node was heard for so long
    #[arg(long, env = "ATELIER_FLEET_REGISTER_TIMEOUT", default_value = "15m", value_name = "DURATION",
          value_parser = between(UP_TO_A_DAY))]
    pub fleet_register_timeout: Duration,
    /// Most machines that are asked for at once
    #[arg(long, env = "ATELIER_FLEET_STEP_MAX", default_value_t = 50, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(NODES_MAX)))]
    pub fleet_step_max: u32,
    /// Least time between two steps up
    #[arg(long, env = "ATELIER_FLEET_STEP_INTERVAL", default_value = "30s", value_name = "DURATION",
          value_parser = between(UP_TO_A_DAY))]
    pub fleet_step_interval: Duration,
    /// What all machines may cost in an hour, US dollars, by --prices: the fleet grows no further [default: no ceiling]
    #[arg(long, env = "ATELIER_FLEET_DOLLARS_PER_HOUR_MAX", value_name = "DOLLARS", value_parser = parse_dollars)]
    pub fleet_dollars_per_hour_max: Option<f64>,
    /// What a grid may have cost before the fleet grows no more for it, US dollars [default: no ceiling]
    #[arg(long, env = "ATELIER_GRID_DOLLARS_MAX", value_name = "DOLLARS", value_parser = parse_dollars)]
    pub grid_dollars_max: Option<f64>,
    /// A file of what machines cost, for estimates [default: a table of 2025-06, for us-east-1]
    #[arg(long, env = "ATELIER_PRICES", value_name = "FILE")]
    pub prices: Option<PathBuf>,
}

/// Bounds that are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "--fleet-min {nodes_min} is more than --fleet-max {nodes_max}\nhint: name a maximum that is no less"
)]
pub struct Crossed {
    nodes_min: u32,
    nodes_max: u32,
}

/// Why there is no way to scale.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The bounds are none.
    #[error(transparent)]
    Crossed(#[from] Crossed),
    /// There are no prices.
    #[error(transparent)]
    Prices(#[from] PricesError),
}

impl TryFrom<FleetArgs> for Scaling {
    type Error = FleetError;

    fn try_from(args: FleetArgs) -> Result<Self, FleetError> {
        let (nodes_min, nodes_max) = (args.fleet_min, args.fleet_max);
        if nodes_min > nodes_max {
            return Err(Crossed {
                nodes_min,
                nodes_max,
            }
            .into());
        }
        Ok(Self {
            // clap sees to it that the group has a name.
            driver: match (args.fleet_driver, args.fleet_group) {
                (DriverChoice::Asg, Some(group)) => Driver::Asg(group),
                _ => Driver::None,
            },
            bounds: Bounds {
                mode: Mode::Automatic,
                nodes_min,
                nodes_max,
            },
            policy: Policy {
                drain_time: args.fleet_drain_time,
                idle_time: args.fleet_idle_time,
                register_timeout: args.fleet_register_timeout,
                step_max: args.fleet_step_max,
                step_interval: args.fleet_step_interval,
                dollars_per_hour_max: args.fleet_dollars_per_hour_max,
                grid_dollars_max: args.grid_dollars_max,
            },
            prices: match args.prices {
                None => Prices::shipped(),
                Some(path) => Prices::load(&path)?,
            },
        })
    }
}
