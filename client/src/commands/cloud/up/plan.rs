//! What is about to be made or changed, as it is told before.

use crate::cloud::costs::Costs;
use crate::cloud::parameters::{Values, option_of};
use crate::table::plain_table;
use crate::text::{dollars, printable, shortened};

/// A parameter that becomes another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    option: String,
    before: String,
    after: String,
}

/// What is about to be done.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    costs: Costs,
    /// None, if there is no stack yet.
    changes: Option<Vec<Change>>,
    has_new_template: bool,
    warnings: Vec<String>,
}

impl Plan {
    /// A new stack.
    pub(super) fn new(values: &Values, costs: Costs) -> Self {
        let value = |name: &str| values.get(name).map(String::as_str).unwrap_or_default();
        let mut warnings = Vec::new();
        if value("Scheme") == "internal" && value("VpcId").is_empty() {
            warnings.push(
                "only what is in its VPC or connected with it reaches this atelier: \
                 say --vpc to use one that you reach, or --public with a certificate"
                    .to_owned(),
            );
        }
        if value("DollarsPerHourMax").is_empty() {
            warnings.push(
                "nothing bounds what nodes cost but their number: see --dollars-per-hour-max"
                    .to_owned(),
            );
        }
        Self {
            costs,
            changes: None,
            has_new_template: false,
            warnings,
        }
    }

    /// Other values for a stack that is there, or another template.
    pub(super) fn change(before: &Values, after: &Values, is_same: bool, costs: Costs) -> Self {
        let old = |name: &str| before.get(name).cloned().unwrap_or_default();
        let changes: Vec<Change> = after
            .iter()
            .filter(|(name, value)| before.get(*name) != Some(value))
            .map(|(name, value)| Change {
                option: option_of(name),
                before: old(name),
                after: value.clone(),
            })
            .collect();
        let mut warnings = Vec::new();
        if old("Database") != after.get("Database").cloned().unwrap_or_default() {
            warnings.push(
                "the new database begins empty: of the one before a snapshot stays, and no grid is known any more"
                    .to_owned(),
            );
        }
        Self {
            costs,
            changes: Some(changes),
            has_new_template: !is_same,
            warnings,
        }
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        let changes = self.changes.as_ref();
        changes.is_some_and(Vec::is_empty) && !self.has_new_template
    }

    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// All of it.
    pub(super) fn text(&self, name: &str, region: &str) -> String {
        let costs = format!("{}\n({})", self.costs.table(), self.costs.caveat());
        let Some(changes) = &self.changes else {
            return format!("The stack {name} in {region} is to be made:\n\n{costs}\n");
        };
        let mut text = format!("The stack {name} in {region} is to be changed:\n");
        if !changes.is_empty() {
            let mut table = plain_table(&["WHAT", "BEFORE", "AFTER"]);
            for change in changes {
                let [before, after] = [&change.before, &change.after].map(|value| {
                    let value = printable(&shortened(value, 60));
                    if value.is_empty() {
                        "–".to_owned()
                    } else {
                        value
                    }
                });
                table.add_row([change.option.clone(), before, after]);
            }
            text = format!("{text}\n{}\n", table.trim_fmt());
        }
        if self.has_new_template {
            text.push_str(
                "\nIt gets the template of this client, which is another than its own.\n",
            );
        }
        format!(
            "{text}\nCoordinators that this touches start anew one after the other; a single one is away for some minutes.\n\n\
             It costs then:\n\n{costs}\n"
        )
    }

    pub(super) fn question(&self, name: &str) -> String {
        let standing_by = dollars(self.costs.standing_by());
        let most = dollars(self.costs.most());
        let cost = format!("about {standing_by} an hour standing by, at most {most}");
        match self.changes {
            None => format!("Make {name} ({cost})?"),
            Some(_) => format!("Change {name} ({cost})?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use atelier_proto::prices::Prices;

    use super::*;
    use crate::cloud::parameters::Given;

    fn values(said: &[(&str, &str)]) -> Values {
        Given::with(said).settled(None).unwrap()
    }

    fn told(plan: &Plan) -> String {
        let text = plan.text("studio", "eu-central-1");
        let warnings = plan.warnings().join("\n");
        format!("{text}\n{warnings}\n{}", plan.question("studio"))
    }

    #[test]
    fn what_is_about_to_be_done_is_told_before() {
        let prices = Prices::shipped();
        let costs = |values: &Values| Costs::of(values, &prices);
        let before = values(&[]);
        insta::assert_snapshot!("new", told(&Plan::new(&before, costs(&before))));
        let after = values(&[
            ("NodesMax", "20"),
            ("Database", "postgres"),
            ("Weights", &"0a".repeat(32)),
        ]);
        let plan = Plan::change(&before, &after, false, costs(&after));
        insta::assert_snapshot!("change", told(&plan));
        assert!(!plan.is_empty());
    }

    #[test]
    fn the_same_values_and_template_are_nothing_to_do() {
        let same = values(&[]);
        let costs = || Costs::of(&same, &Prices::shipped());
        assert!(Plan::change(&same, &same, true, costs()).is_empty());
        assert!(!Plan::change(&same, &same, false, costs()).is_empty());
        assert!(!Plan::new(&same, costs()).is_empty());
    }
}
