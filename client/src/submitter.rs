//! Who submits, if the command line does not say so.

/// Names the submitter.
pub const SUBMITTER_VARIABLE: &str = "ATELIER_SUBMITTER";
/// Where systems keep the user's name.
const USER_VARIABLES: [&str; 2] = ["USER", "LOGNAME"];

/// Who this is: as the environment says, or else the user; empty if nobody knows.
pub fn own() -> String {
    of(|variable| std::env::var(variable).ok())
}

fn of(environment: impl Fn(&str) -> Option<String>) -> String {
    // One that is set and empty is meant so.
    if let Some(name) = environment(SUBMITTER_VARIABLE) {
        return name;
    }
    let names = USER_VARIABLES.into_iter().filter_map(environment);
    names
        .into_iter()
        .find(|it| !it.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_comes_before_the_user_and_any_name_before_none() {
        let with = |set: &'static [(&str, &str)]| {
            of(move |wanted| {
                let mut set = set.iter();
                let found = set.find(|(variable, _)| *variable == wanted);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(
            with(&[("USER", "ann"), ("ATELIER_SUBMITTER", "lab")]),
            "lab"
        );
        assert_eq!(with(&[("USER", "ann"), ("ATELIER_SUBMITTER", "")]), "");
        assert_eq!(with(&[("USER", ""), ("LOGNAME", "bob")]), "bob");
        assert_eq!(with(&[]), "");
    }
}
