//! What a stack is made of, and what an hour of it costs by a table of prices. Estimates: the bill is AWS'.

use atelier_proto::prices::{Capacity, Prices};

use super::parameters::Values;
use super::template::Template;
use crate::table::plain_table;
use crate::text::dollars;

/// Hours of a month, as AWS counts them.
const MONTH_HOURS: f64 = 730.0;
/// Disk of a coordinator, GB.
const COORDINATOR_DISK_GB: f64 = 30.0;
/// Disk of a node, GB.
const NODE_DISK_GB: f64 = 60.0;
/// Volume or storage of the database, GB.
const DATABASE_GB: f64 = 20.0;
/// Alarms of a stack.
const ALARMS: f64 = 3.0;

/// A part of a stack.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What people call it.
    pub name: &'static str,
    /// What it is.
    pub what: String,
    /// What an hour of it costs, US dollars; `None`: that goes by use.
    pub dollars: Option<f64>,
}

/// What a stack is made of, and what it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    /// What is there without a node, too.
    pub parts: Vec<Part>,
    /// What an hour of one node on spot capacity costs: of the cheapest kind and of the dearest.
    pub node: (f64, f64),
    /// Kinds of nodes: the cheapest and the dearest.
    pub node_types: (String, String),
    /// Least and most nodes.
    pub nodes: (u32, u32),
    /// Of them on demand.
    pub on_demand: u32,
    /// The bound on what nodes cost together.
    pub dollars_max: Option<f64>,
    /// Of what the prices are: as in `prices of 2025-06 in us-east-1`.
    pub source: String,
}

impl Costs {
    /// Of a stack with these values of all parameters.
    pub fn of(values: &Values, prices: &Prices) -> Self {
        let value = |name: &str| values.get(name).map(String::as_str).unwrap_or_default();
        let number = |name: &str| value(name).parse().unwrap_or_default();
        let kinds = Template::shipped().node_types.iter();
        let disk = monthly(prices, "volume-gb-month", NODE_DISK_GB);
        let address = own_address(values, prices);
        let mut nodes: Vec<(f64, &str)> = kinds
            .filter_map(|kind| Some((prices.machine(kind, Capacity::Spot)?, kind.as_str())))
            .map(|(price, kind)| (price + disk + address, kind))
            .collect();
        nodes.sort_by(|left, right| left.0.total_cmp(&right.0));
        let ends = (nodes.first().copied(), nodes.last().copied());
        let (least, most) = (ends.0.unwrap_or_default(), ends.1.unwrap_or_default());
        Self {
            parts: parts(values, prices),
            node: (least.0, most.0),
            node_types: (least.1.to_owned(), most.1.to_owned()),
            nodes: (number("NodesMin"), number("NodesMax")),
            on_demand: number("OnDemandBase"),
            dollars_max: value("DollarsPerHourMax").parse().ok(),
            source: format!("prices of {} in {}", prices.as_of, prices.region),
        }
    }

    /// What an hour costs without a node, US dollars.
    pub fn standing_by(&self) -> f64 {
        self.parts.iter().filter_map(|part| part.dollars).sum()
    }

    /// What an hour costs at most, US dollars.
    pub fn most(&self) -> f64 {
        let nodes = f64::from(self.nodes.1) * self.node.1;
        self.standing_by() + self.dollars_max.map_or(nodes, |most| most.min(nodes))
    }

    /// All of it as a table.
    pub fn table(&self) -> String {
        let mut table = plain_table(&["PART", "WHAT", "$/H"]);
        for part in &self.parts {
            let cost = part.dollars.map_or_else(|| "by use".to_owned(), dollars);
            table.add_row([part.name.to_owned(), part.what.clone(), cost]);
        }
        let (least, most) = self.nodes;
        let (cheapest, dearest) = &self.node_types;
        let on_demand = match self.on_demand {
            0 => String::new(),
            count => format!(", the first {count} on demand"),
        };
        let each = format!("each of them on spot, from {cheapest} to {dearest}{on_demand}");
        let each_costs = format!("{} to {}", dollars(self.node.0), dollars(self.node.1));
        let standing_by = dollars(self.standing_by());
        let bound = match self.dollars_max {
            Some(_) => "by the bound on what nodes may cost",
            None => "all nodes of the dearest kind",
        };
        for (name, what, cost) in [
            ("= standing by", "with no node".to_owned(), standing_by),
            (
                "nodes",
                format!("{least} to {most}, by the backlog"),
                String::new(),
            ),
            ("", each, each_costs),
            ("= at most", bound.to_owned(), dollars(self.most())),
        ] {
            table.add_row([name.to_owned(), what, cost]);
        }
        table.trim_fmt()
    }

    /// How sure all of this is.
    pub fn caveat(&self) -> String {
        format!(
            "estimates by {}; traffic to the internet and what the bucket holds come on top",
            self.source
        )
    }
}

fn parts(values: &Values, prices: &Prices) -> Vec<Part> {
    let value = |name: &str| values.get(name).map(String::as_str).unwrap_or_default();
    let is_sqlite = value("Database") == "sqlite";
    let is_public = value("Scheme") == "internet-facing";
    let hourly = |name: &str| prices.parts.get(name).copied().unwrap_or_default();
    let coordinators = if is_sqlite { 1.0 } else { 2.0 };
    let kind = value("CoordinatorInstanceType");
    let machine = prices.machine(kind, Capacity::OnDemand);
    let beside =
        own_address(values, prices) + monthly(prices, "volume-gb-month", COORDINATOR_DISK_GB);
    let network = if value("VpcId").is_empty() {
        Part {
            name: "network",
            what: "a VPC of its own with two public subnets, no NAT".to_owned(),
            dollars: Some(0.0),
        }
    } else {
        Part {
            name: "network",
            what: format!("in {}; its addresses or NAT come on top", value("VpcId")),
            dollars: None,
        }
    };
    let (database, secrets) = if is_sqlite {
        let what = "SQLite on an encrypted volume of 20 GB, in one zone";
        let volume = monthly(prices, "volume-gb-month", DATABASE_GB);
        ((what, volume), 1.0)
    } else {
        let what = "PostgreSQL of RDS, db.t4g.small in two zones";
        let instance = hourly("database.db.t4g.small");
        let storage = monthly(prices, "database-gb-month", DATABASE_GB);
        // The second zone costs as much as the first.
        ((what, 2.0 * (instance + storage)), 2.0)
    };
    let balancer = hourly("network-load-balancer");
    let balancers = if is_public {
        // One address in each of two zones, and a second one for nodes.
        let what = "public, with TLS, and an internal one for nodes";
        (what, 2.0 * balancer + 2.0 * hourly("public-address"))
    } else if value("CertificateArn").is_empty() {
        ("internal, without TLS", balancer)
    } else {
        ("internal, with TLS", balancer)
    };
    let watch = monthly(prices, "secret-month", secrets) + monthly(prices, "alarm-month", ALARMS);
    vec![
        Part {
            name: "bucket",
            what: "private, encrypted; stays when the stack goes".to_owned(),
            dollars: None,
        },
        network,
        Part {
            name: "coordinators",
            what: format!("{coordinators} × {kind}, on demand"),
            dollars: machine.map(|machine| coordinators * (machine + beside)),
        },
        Part {
            name: "database",
            what: database.0.to_owned(),
            dollars: Some(database.1),
        },
        Part {
            name: "load balancer",
            what: balancers.0.to_owned(),
            dollars: Some(balancers.1),
        },
        Part {
            name: "logs, alarms",
            what: format!(
                "kept for {} days; secrets for board and database",
                value("LogDays")
            ),
            dollars: Some(watch),
        },
    ]
}

fn monthly(prices: &Prices, name: &str, count: f64) -> f64 {
    prices.parts.get(name).copied().unwrap_or_default() * count / MONTH_HOURS
}

/// The public address that a machine has in subnets that are the stack's own.
fn own_address(values: &Values, prices: &Prices) -> f64 {
    let has_own = values.get("VpcId").is_none_or(String::is_empty);
    let price = prices.parts.get("public-address").filter(|_| has_own);
    price.copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::parameters::Given;

    fn costs(said: &[(&str, &str)]) -> Costs {
        Costs::of(
            &Given::with(said).settled(None).unwrap(),
            &Prices::shipped(),
        )
    }

    #[test]
    fn a_stack_is_told_by_part_with_what_it_costs() {
        let small = costs(&[("NodesMax", "4")]);
        let certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/0a";
        let large = costs(&[
            ("Database", "postgres"),
            ("Scheme", "internet-facing"),
            ("CertificateArn", certificate),
            ("EndpointName", "atelier.example.com"),
            ("VpcId", "vpc-0a1b2c3d"),
            ("SubnetIds", "subnet-0a1b2c3d,subnet-4e5f6a7b"),
            ("OnDemandBase", "1"),
            ("DollarsPerHourMax", "2.5"),
        ]);
        let told = [small, large].map(|costs| format!("{}\n{}", costs.table(), costs.caveat()));
        insta::assert_snapshot!("costs", told.join("\n\n"));
    }

    #[test]
    fn everything_that_the_template_can_make_has_a_price() {
        let prices = Prices::shipped();
        let template = Template::shipped();
        let coordinators = &template.parameters["CoordinatorInstanceType"].allowed;
        for kind in coordinators.iter().chain(&template.node_types) {
            assert!(prices.machine(kind, Capacity::OnDemand).is_some(), "{kind}");
        }
        for part in [
            "network-load-balancer",
            "database.db.t4g.small",
            "database-gb-month",
            "volume-gb-month",
            "public-address",
            "secret-month",
            "alarm-month",
        ] {
            assert!(prices.parts.contains_key(part), "{part}");
        }
    }
}
