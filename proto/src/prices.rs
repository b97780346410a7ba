//! What cloud machines cost, for estimates: a small dated table that is shipped, and may be overridden by a file.
//!
//! Nothing is billed by it, and it is not asked for from anywhere: whoever shows an amount that comes from here says that it is
//! an estimate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

const SHIPPED: &str = include_str!("prices.toml");
/// Largest file of prices, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How a machine is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// By the list.
    OnDemand,
    /// By the market, and taken away when it wants.
    Spot,
}

impl Capacity {
    /// As the label `capacity` of a node says it, and the cloud: `on-demand` or `spot`.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "on-demand" => Some(Self::OnDemand),
            "spot" => Some(Self::Spot),
            _ => None,
        }
    }
}

/// What an hour of a machine costs, US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachinePrice {
    /// By the list.
    pub on_demand: f64,
    /// What is typical on the market.
    pub spot: f64,
}

/// A table of prices.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The month of the list, as in `2025-06`.
    pub as_of: String,
    /// The region that it is of.
    pub region: String,
    /// By the names of instance types.
    #[serde(default)]
    pub machines: BTreeMap<String, MachinePrice>,
    /// By the names of what else a stack has, US dollars an hour, or in a month or for a GB and a month where the
    /// name ends so.
    #[serde(default)]
    pub parts: BTreeMap<String, f64>,
}

/// Why a file gives no prices.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// It cannot be read.
    #[error("cannot read the prices in {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is of another form.
    #[error(
        "{path} holds no prices: {problem}\n\
         hint: write as_of and region, and under [machines] lines like \"g6.xlarge\" = {{ on_demand = 0.81, spot = 0.35 }}"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl Prices {
    /// The table that is shipped.
    ///
    /// # Panics
    /// Never: a test reads it.
    pub fn shipped() -> Self {
        toml::from_str(SHIPPED).unwrap_or_else(|error| unreachable!("shipped prices: {error}"))
    }

    /// The shipped table with what a file says instead or besides.
    ///
    /// # Errors
    /// When it cannot be read, has another form, or a price that is negative or no number.
    pub fn load(path: &Path) -> Result<Self, PricesError> {
        let read = |source| PricesError::Read {
            path: path.to_owned(),
            source,
        };
        let malformed = |problem| PricesError::Malformed {
            path: path.to_owned(),
            problem,
        };
        if std::fs::metadata(path).map_err(read)?.len() > FILE_BYTES_MAX {
            return Err(malformed("it is larger than 1 MiB".to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        let given: Self = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        given.check().map_err(malformed)?;
        let mut prices = Self::shipped();
        prices.as_of = given.as_of;
        prices.region = given.region;
        prices.machines.extend(given.machines);
        prices.parts.extend(given.parts);
        Ok(prices)
    }

    fn check(&self) -> Result<(), String> {
        let machines = self
            .machines
            .iter()
            .flat_map(|(name, price)| [(name, price.on_demand), (name, price.spot)]);
        let parts = self.parts.iter().map(|(name, price)| (name, *price));
        for (name, price) in machines.chain(parts) {
            if !(price.is_finite() && price >= 0.0) {
                return Err(format!(
                    "the price of {name:?} must be 0 or more, not {price}"
                ));
            }
        }
        Ok(())
    }

    /// What an hour of a machine costs, US dollars.
    pub fn machine(&self, instance_type: &str, capacity: Capacity) -> Option<f64> {
        let price = self.machines.get(instance_type)?;
        Some(match capacity {
            Capacity::OnDemand => price.on_demand,
            Capacity::Spot => price.spot,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_is_dated_and_has_the_machines_of_the_stack() {
        let prices = Prices::shipped();
        prices.check().unwrap();
        assert_eq!(prices.as_of.len(), "2025-06".len());
        for family in ["g4dn", "g5", "g6", "g6e"] {
            let name = format!("{family}.xlarge");
            let spot = prices.machine(&name, Capacity::Spot).unwrap();
            let listed = prices.machine(&name, Capacity::OnDemand).unwrap();
            assert!(0.0 < spot && spot < listed, "{name}");
        }
        assert_eq!(prices.machine("m1.small", Capacity::Spot), None);
    }

    #[test]
    fn a_file_replaces_what_it_names_and_is_refused_where_it_makes_no_sense() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prices.toml");
        let head = "as_of = \"2026-11\"\nregion = \"eu-central-1\"\n";
        let load = |rest: &str| {
            std::fs::write(&path, format!("{head}{rest}")).unwrap();
            Prices::load(&path)
        };
        let prices = load("[machines]\n\"g5.xlarge\" = { on_demand = 1.5, spot = 0.5 }\n").unwrap();
        assert_eq!(prices.machine("g5.xlarge", Capacity::Spot), Some(0.5));
        assert!(prices.machine("g6.xlarge", Capacity::Spot).is_some());
        assert_eq!(prices.region, "eu-central-1");
        for wrong in [
            "[machines]\n\"g5.xlarge\" = { on_demand = -1.0, spot = 0.5 }\n",
            "[machines]\n\"g5.xlarge\" = { on_demand = 1.0, spot = nan }\n",
            "[machines]\n\"g5.xlarge\" = 1.0\n",
            "[parts]\n\"nat\" = inf\n",
            "[machine]\n",
        ] {
            let error = load(wrong).unwrap_err().to_string();
            assert!(
                error.contains("prices.toml") && error.contains("hint:"),
                "{error}"
            );
        }
        drop(folder);
        assert!(matches!(Prices::load(&path), Err(PricesError::Read { .. })));
    }
}
