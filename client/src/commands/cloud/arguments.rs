//! What `atelier cloud up` gives to the template.

use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::cloud::CloudError;
use crate::cloud::parameters::Given;
use crate::cloud::weights::Wanted;

/// What a stack is to be like. Of one that is there already, what is not said stays.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What it is like")]
pub struct TemplateArgs {
    /// Image of the coordinator, as in registry.example/atelier-coordinator:1
    #[arg(long, value_name = "IMAGE")]
    pub coordinator_image: Option<String>,
    /// Image of the node for GPUs, as in registry.example/atelier-node:1-cuda
    #[arg(long, value_name = "IMAGE")]
    pub node_image: Option<String>,
    /// Addresses from which clients and browsers may come, as in 203.0.113.0/24; 0.0.0.0/0 for all, who still show a token
    #[arg(long, value_name = "BLOCK")]
    pub client_cidr: Option<String>,
    /// For people who come from the internet, not from within the VPC; needs --certificate and --endpoint-name
    #[arg(long)]
    pub public: bool,
    /// Certificate in AWS Certificate Manager with which clients are served by TLS
    #[arg(long, value_name = "ARN")]
    pub certificate: Option<String>,
    /// DNS name that the certificate is for, which you point at the load balancer
    #[arg(long, value_name = "HOST")]
    pub endpoint_name: Option<String>,
    /// A VPC that is there [default: one of its own]
    #[arg(long, value_name = "ID")]
    pub vpc: Option<String>,
    /// Two or more of its subnets, in different zones
    #[arg(long, value_name = "ID,ID", value_delimiter = ',')]
    pub subnets: Vec<String>,
    /// Zone of the first of these subnets, where the database of a single coordinator lives [default: the region's first]
    #[arg(long, value_name = "ZONE")]
    pub volume_zone: Option<String>,
    /// `sqlite`: one coordinator, in one zone; `postgres`: two, in two zones [default: sqlite]
    #[arg(long, value_name = "sqlite|postgres", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(["sqlite", "postgres"]))]
    pub database: Option<String>,
    /// Which network paints: a file (safetensors or Keras .h5), which is put into the bucket, the SHA-256 of one that is
    /// there, or `untrained` [default: untrained]
    #[arg(long, value_name = "FILE|SHA256|untrained")]
    pub weights: Option<String>,
    /// Nodes that run even when there is nothing to render [default: 0]
    #[arg(long, value_name = "COUNT")]
    pub nodes_min: Option<u32>,
    /// Most nodes at once [default: 10]
    #[arg(long, value_name = "COUNT")]
    pub nodes_max: Option<u32>,
    /// Within what the backlog should be rendered; less means more nodes [default: 15m]
    #[arg(long, value_name = "DURATION", value_parser = minutes)]
    pub drain_time: Option<u64>,
    /// How long the last idle nodes are kept: a tenth of all, and five at least. Others end after a minute without work
    /// [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = minutes)]
    pub idle_time: Option<u64>,
    /// Most that all nodes together may cost in an hour, US dollars [default: no bound]
    #[arg(long, value_name = "DOLLARS")]
    pub dollars_per_hour_max: Option<String>,
    /// What a grid may have cost before no more nodes come for it, US dollars [default: no bound]
    #[arg(long, value_name = "DOLLARS")]
    pub grid_dollars_max: Option<String>,
    /// Address that alarms are sent to, once it has confirmed [default: nobody]
    #[arg(long, value_name = "ADDRESS")]
    pub alarm_email: Option<String>,
    /// Any parameter of the template, as in LogDays=90; may be said several times
    #[arg(long = "set", value_name = "Parameter=VALUE")]
    pub set: Vec<String>,
}

impl TemplateArgs {
    /// What is said, and the weights that are meant; each value is looked at by itself.
    pub async fn given(self) -> Result<(Given, Option<Wanted>), CloudError> {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let subnets = (!self.subnets.is_empty()).then(|| self.subnets.join(","));
        let scheme = self.public.then(|| "internet-facing".to_owned());
        let mut given = Given::default();
        given.say("CoordinatorImage", self.coordinator_image);
        given.say("NodeImage", self.node_image);
        given.say("ClientCidr", self.client_cidr);
        given.say("Scheme", scheme);
        given.say("CertificateArn", self.certificate);
        given.say("EndpointName", self.endpoint_name);
        given.say("VpcId", self.vpc);
        given.say("SubnetIds", subnets);
        given.say("VolumeZone", self.volume_zone);
        given.say("Database", self.database);
        given.say("NodesMin", number(self.nodes_min.map(u64::from)));
        given.say("NodesMax", number(self.nodes_max.map(u64::from)));
        given.say("DrainMinutes", number(self.drain_time));
        given.say("IdleMinutes", number(self.idle_time));
        given.say("DollarsPerHourMax", self.dollars_per_hour_max);
        given.say("GridDollarsMax", self.grid_dollars_max);
        given.say("AlarmEmail", self.alarm_email);
        // Whatever way weights are named, they are looked for.
        let mut weights = None;
        if let Some(text) = self.weights {
            let wanted = Wanted::read(&text).await?;
            given.say("Weights", Some(wanted.parameter()));
            weights = Some(wanted);
        }
        for assignment in &self.set {
            given.set(assignment)?;
        }
        given.check()?;
        if weights.is_none()
            && let Some(text) = given.value("Weights")
        {
            weights = Some(Wanted::read(text).await?);
        }
        Ok((given, weights))
    }
}

/// A duration in whole minutes, which is what the template takes.
fn minutes(text: &str) -> Result<u64, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let minutes = duration.as_secs() / 60;
    if Duration::from_mins(minutes) == duration && minutes > 0 {
        Ok(minutes)
    } else {
        Err("it must be whole minutes, as in 15m".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::parameters::OPTIONS;

    #[test]
    fn times_are_whole_minutes() {
        assert_eq!(minutes("15m"), Ok(15));
        assert_eq!(minutes("1h 30m"), Ok(90));
        for wrong in ["90s", "0s", "15", "soon"] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn every_option_is_passed_on() {
        let text = |text: &str| Some(text.to_owned());
        let args = TemplateArgs {
            coordinator_image: text("r.example/c:1"),
            node_image: text("r.example/n:1"),
            client_cidr: text("10.0.0.0/8"),
            public: true,
            certificate: text("arn:aws:acm:eu-central-1:123456789012:certificate/0a"),
            endpoint_name: text("atelier.example.com"),
            vpc: text("vpc-0a"),
            subnets: vec!["subnet-0a".to_owned(), "subnet-0b".to_owned()],
            volume_zone: text("eu-central-1a"),
            database: text("postgres"),
            weights: text(&"0a".repeat(32)),
            nodes_min: Some(1),
            nodes_max: Some(2),
            drain_time: Some(30),
            idle_time: Some(3),
            dollars_per_hour_max: text("4"),
            grid_dollars_max: text("5.5"),
            alarm_email: text("ann@example.com"),
            set: vec!["LogDays=90".to_owned()],
        };
        let (given, weights) = args.given().await.unwrap();
        assert_eq!(weights.unwrap().parameter(), "0a".repeat(32));
        for (name, option) in OPTIONS {
            assert!(given.value(name).is_some(), "{option}");
        }
        assert_eq!(given.values().len(), OPTIONS.len() + 1);
        assert_eq!(given.value("SubnetIds"), Some("subnet-0a,subnet-0b"));
        given.settled(None).unwrap();
    }
}
