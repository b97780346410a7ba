//! What the claims of a verified token say: until when it is good, who holds it, and in which role.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::OidcConfig;
use crate::domain::access::{Identity, Role};
use crate::domain::field::check_text;
use crate::domain::share::SUBMITTER_CHARS_MAX;

/// How far the issuer's clock may be from ours.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);
/// Where a token names its holder for the issuer alone.
const SUBJECT: &str = "sub";
/// A name that others may have chosen for themselves until the issuer has seen to it.
const EMAIL: &str = "email";

/// Why claims let nobody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// Its time is over.
    #[error("this login expired at {0:.0}\nhint: log in anew")]
    Expired(Timestamp),
    /// Its time has not come.
    #[error(
        "this login is good from {0:.0} on\nhint: check the clocks of this machine and of the issuer"
    )]
    NotYet(Timestamp),
    /// A time that is none.
    #[error("the claim {0:?} of this login is no time")]
    NoTime(&'static str),
    /// It has no name that can be used.
    #[error(
        "the claim {claim:?} of this login is no name of 1 to {SUBMITTER_CHARS_MAX} characters"
    )]
    NoName {
        /// The claim.
        claim: String,
    },
    /// The issuer has not seen that the address is its holder's.
    #[error(
        "the address of this login is not verified\nhint: verify it at the issuer, and log in anew"
    )]
    Unverified,
    /// It gives its holder no role.
    #[error(
        "this login gives you no role here: its claim {claim:?} {}\nhint: ask who keeps the issuer for one of client, operator, read-only and node",
        match said { Some(said) => format!("says {said}"), None => "is missing".to_owned() }
    )]
    NoRole {
        /// The claim.
        claim: String,
        /// What it says.
        said: Option<String>,
    },
}

/// When a login is over, if it is good now.
pub(super) fn until(claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, ClaimsError> {
    let time = |claim: &'static str| match claims.get(claim) {
        None => Ok(None),
        // Whole seconds or fractions of them, says RFC 7519.
        Some(value) => value
            .as_f64()
            .and_then(|seconds| Timestamp::from_second(seconds.floor() as i64).ok())
            .map(Some)
            .ok_or(ClaimsError::NoTime(claim)),
    };
    let expires = time("exp")?.ok_or(ClaimsError::NoTime("exp"))?;
    let later = |at: Timestamp, by| at.checked_add(by).unwrap_or(Timestamp::MAX);
    let until = later(expires, LEEWAY);
    if now >= until {
        return Err(ClaimsError::Expired(expires));
    }
    match time("nbf")? {
        Some(from) if from > later(now, LEEWAY) => Err(ClaimsError::NotYet(from)),
        Some(_) | None => Ok(until),
    }
}

/// Who holds a token.
pub(super) fn holder(
    claims: &Map<String, Value>,
    config: &OidcConfig,
) -> Result<Identity, ClaimsError> {
    Ok(Identity {
        name: name(claims, config)?,
        role: role(claims, config)?,
    })
}

fn name(claims: &Map<String, Value>, config: &OidcConfig) -> Result<String, ClaimsError> {
    let has_own = claims
        .get(&config.name_claim)
        .is_some_and(|it| !it.is_null());
    let claim = if has_own { &config.name_claim } else { SUBJECT };
    // Some issuers let people write any address for themselves.
    if claim == EMAIL && claims.get("email_verified") == Some(&Value::Bool(false)) {
        return Err(ClaimsError::Unverified);
    }
    let name = claims
        .get(claim)
        .and_then(Value::as_str)
        .unwrap_or_default();
    match check_text("name", name, 1, SUBMITTER_CHARS_MAX) {
        Ok(()) => Ok(name.to_owned()),
        Err(_) => Err(ClaimsError::NoName {
            claim: claim.to_owned(),
        }),
    }
}

/// The role that a claim says, in a word or in a list; of several that with the most rights.
fn role(claims: &Map<String, Value>, config: &OidcConfig) -> Result<Role, ClaimsError> {
    let no_role = |said| ClaimsError::NoRole {
        claim: config.role_claim.clone(),
        said,
    };
    let said = claims.get(&config.role_claim).unwrap_or(&Value::Null);
    let words = match said {
        Value::Null => return config.default_role.ok_or_else(|| no_role(None)),
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        Value::String(word) => vec![word.as_str()],
        _ => Vec::new(),
    };
    let by_rights = [Role::Operator, Role::Client, Role::ReadOnly, Role::Node];
    let mut by_rights = by_rights.into_iter();
    by_rights
        .find(|role| words.contains(&role.as_str()))
        .ok_or_else(|| {
            let said = said.to_string();
            // JSON writes some of what moves cursors as it is.
            let shown = said.chars().take(80).map(|letter| match letter {
                letter if letter.is_control() => char::REPLACEMENT_CHARACTER,
                letter => letter,
            });
            no_role(Some(shown.collect()))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(default_role: Option<Role>) -> OidcConfig {
        OidcConfig {
            issuer: "https://issuer.example".to_owned(),
            audience: "atelier".to_owned(),
            role_claim: "atelier_role".to_owned(),
            name_claim: "email".to_owned(),
            default_role,
        }
    }

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else {
            panic!("an object");
        };
        map
    }

    #[test]
    fn a_login_has_its_time_and_clocks_may_differ_by_a_minute() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let check = |claims: Value, now| until(&map(claims), at(now));
        let claims = json!({"exp": 1000, "nbf": 500.5});
        assert_eq!(check(claims.clone(), 1059), Ok(at(1060)));
        assert_eq!(
            check(claims.clone(), 1060),
            Err(ClaimsError::Expired(at(1000)))
        );
        assert_eq!(check(claims.clone(), 440), Ok(at(1060)));
        assert_eq!(check(claims, 439), Err(ClaimsError::NotYet(at(500))));
        assert_eq!(
            check(json!({"exp": "soon"}), 0),
            Err(ClaimsError::NoTime("exp"))
        );
        assert_eq!(check(json!({}), 0), Err(ClaimsError::NoTime("exp")));
    }

    #[test]
    fn a_role_is_said_in_a_word_or_a_list_and_a_wrong_one_lets_nobody_in() {
        let role_of =
            |said: Value, default| role(&map(json!({"atelier_role": said})), &config(default));
        assert_eq!(role_of(json!("client"), None), Ok(Role::Client));
        let several = json!(["staff", "read-only", "operator"]);
        assert_eq!(role_of(several, None), Ok(Role::Operator));
        assert_eq!(
            role(&map(json!({})), &config(Some(Role::ReadOnly))),
            Ok(Role::ReadOnly)
        );
        assert!(role(&map(json!({})), &config(None)).is_err());
        // The default is for those of whom nothing is said.
        for wrong in [json!("king"), json!(["staff"]), json!([]), json!(7)] {
            let refused = role_of(wrong, Some(Role::Client)).unwrap_err();
            assert!(refused.to_string().contains("atelier_role"), "{refused}");
        }
    }

    #[test]
    fn a_name_is_the_address_if_it_is_verified_or_else_the_subject() {
        let name_of = |claims: Value| name(&map(claims), &config(None));
        let claims = json!({"sub": "42", "email": "ann@example.com", "email_verified": true});
        assert_eq!(name_of(claims).unwrap(), "ann@example.com");
        assert_eq!(name_of(json!({"sub": "42"})).unwrap(), "42");
        let unverified = json!({"sub": "42", "email": "eve@example.com", "email_verified": false});
        assert_eq!(name_of(unverified), Err(ClaimsError::Unverified));
        for wrong in [
            json!({}),
            json!({"email": ""}),
            json!({"email": "a\nb"}),
            json!({"email": 7}),
        ] {
            assert!(name_of(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
