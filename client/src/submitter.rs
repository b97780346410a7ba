//! Who submits, as far as this machine knows. Where a coordinator asks who calls, it knows better.

/// Names the submitter.
pub const SUBMITTER_VARIABLE: &str = "ATELIER_SUBMITTER";
/// Where systems keep the user's name.
const USER_VARIABLES: [&str; 2] = ["USER", "LOGNAME"];

/// Who submits: somebody who was named, or whoever calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Submitter {
    /// Whom somebody named, which may be nobody at all; `None`: nobody was named.
    pub named: Option<String>,
    /// What this system calls its user; empty if it does not say.
    pub user: String,
}

impl Submitter {
    /// Who this is: as the command line or else the environment says.
    pub fn own(named: Option<String>) -> Self {
        Self::of(named, |variable| std::env::var(variable).ok())
    }

    fn of(named: Option<String>, environment: impl Fn(&str) -> Option<String>) -> Self {
        // One that is set and empty is meant so.
        let named = named.or_else(|| environment(SUBMITTER_VARIABLE));
        let mut users = USER_VARIABLES.into_iter().filter_map(&environment);
        let user = users.find(|it| !it.is_empty()).unwrap_or_default();
        Self { named, user }
    }

    /// What a coordinator is told: who was named, and what stands in for that.
    pub fn wire(&self) -> (String, String) {
        match &self.named {
            Some(named) => (named.clone(), String::new()),
            None => (String::new(), self.user.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_comes_before_the_user_and_any_name_before_none() {
        let with = |named: Option<&str>, set: &'static [(&str, &str)]| {
            let environment = move |wanted: &str| {
                let mut set = set.iter();
                let found = set.find(|(variable, _)| *variable == wanted);
                found.map(|(_, value)| (*value).to_owned())
            };
            Submitter::of(named.map(str::to_owned), environment).wire()
        };
        let told = |named: &str, user: &str| (named.to_owned(), user.to_owned());
        let lab = [("USER", "ann"), ("ATELIER_SUBMITTER", "lab")].as_slice();
        assert_eq!(with(None, lab), told("lab", ""));
        assert_eq!(with(Some("bob"), lab), told("bob", ""));
        let nobody = [("USER", "ann"), ("ATELIER_SUBMITTER", "")].as_slice();
        assert_eq!(with(None, nobody), told("", ""));
        assert_eq!(
            with(None, &[("USER", ""), ("LOGNAME", "bob")]),
            told("", "bob")
        );
        assert_eq!(with(None, &[]), told("", ""));
    }
}
