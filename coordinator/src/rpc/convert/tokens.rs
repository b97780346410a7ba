//! Tokens and roles.

use std::time::Duration;

use atelier_proto::ids::TokenId;
use atelier_proto::v1;

use super::fields::{Parsed, id, out_of_range};
use super::to_wire::timestamp;
use crate::domain::access::{Identity, Role, check_name};
use crate::domain::field::{InvalidField, Problem};
use crate::domain::token::TokenRecord;

/// How long a token is good of which nothing else is said, and between what bounds it may be.
const VALID_FOR: Duration = Duration::from_hours(24 * 90);
const VALID_FOR_MIN: Duration = Duration::from_mins(1);
const VALID_FOR_MAX: Duration = Duration::from_hours(24 * 366 * 10);

/// Whom a token is to stand for, and for how long; `None`: for ever.
pub(crate) fn new_token(request: v1::CreateTokenRequest) -> Parsed<(Identity, Option<Duration>)> {
    check_name("name", &request.name)?;
    let role = match request.role() {
        v1::Role::Client => Role::Client,
        v1::Role::Node => Role::Node,
        v1::Role::Operator => Role::Operator,
        v1::Role::ReadOnly => Role::ReadOnly,
        v1::Role::Unspecified => {
            let value = request.role;
            return Err(InvalidField::new("role", Problem::UnknownValue { value }));
        }
    };
    let valid_for = match (request.valid_for, request.never_expires) {
        (None, true) => None,
        (None, false) => Some(VALID_FOR),
        (Some(_), true) => {
            return Err(out_of_range("valid_for", "set", "unset with never_expires"));
        }
        (Some(valid_for), false) => {
            // What is below zero is as wrong as what is too short.
            let valid_for = Duration::try_from(valid_for).unwrap_or_default();
            if !(VALID_FOR_MIN..=VALID_FOR_MAX).contains(&valid_for) {
                let told = format!("{valid_for:?}");
                return Err(out_of_range("valid_for", told, "from 1 minute to 10 years"));
            }
            Some(valid_for)
        }
    };
    let name = request.name;
    Ok((Identity { name, role }, valid_for))
}

/// The id of a token.
pub(crate) fn token_id(text: &str) -> Parsed<TokenId> {
    id("token_id", text)
}

/// A role on the wire.
pub(crate) fn wire_role(role: Role) -> v1::Role {
    match role {
        Role::Client => v1::Role::Client,
        Role::Node => v1::Role::Node,
        Role::Operator => v1::Role::Operator,
        Role::ReadOnly => v1::Role::ReadOnly,
    }
}

/// What is told of a token.
pub(crate) fn token(record: &TokenRecord) -> v1::Token {
    v1::Token {
        token_id: record.id.to_string(),
        name: record.identity.name.clone(),
        role: wire_role(record.identity.role).into(),
        created_at: Some(timestamp(record.created_at)),
        created_by: record.created_by.clone(),
        expires_at: record.expires_at.map(timestamp),
        revoked_at: record.revoked_at.map(timestamp),
        last_used_at: record.last_used_at.map(timestamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_a_name_a_role_and_90_days_unless_something_else_is_said() {
        let request = |name: &str, seconds: Option<i64>, never_expires| v1::CreateTokenRequest {
            name: name.to_owned(),
            role: v1::Role::Node.into(),
            valid_for: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
            never_expires,
        };
        let (identity, valid_for) = new_token(request("studio-1", None, false)).unwrap();
        assert_eq!(
            (identity.name.as_str(), identity.role),
            ("studio-1", Role::Node)
        );
        assert_eq!(valid_for, Some(Duration::from_hours(24 * 90)));
        assert_eq!(new_token(request("a", None, true)).unwrap().1, None);
        let hour = new_token(request("a", Some(3600), false)).unwrap().1;
        assert_eq!(hour, Some(Duration::from_hours(1)));
        for (wrong, field) in [
            (request("", None, false), "name"),
            (request(&"a".repeat(65), None, false), "name"),
            (request("a b", None, false), "name"),
            (request("a", Some(59), false), "valid_for"),
            (request("a", Some(-1), false), "valid_for"),
            (request("a", Some(400_000_000), false), "valid_for"),
            (request("a", Some(60), true), "valid_for"),
        ] {
            assert_eq!(new_token(wrong).unwrap_err().field, field);
        }
        let mut nobody = request("a", None, false);
        nobody.role = 0;
        assert_eq!(new_token(nobody).unwrap_err().field, "role");
    }
}
