//! Tokens and roles.

use atelier_proto::v1;

use super::{ConvertError, time};
use crate::coordinator::view::{Proof, Role, TokenView, WhoView};

impl From<Role> for v1::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Client => Self::Client,
            Role::Node => Self::Node,
            Role::Operator => Self::Operator,
            Role::ReadOnly => Self::ReadOnly,
        }
    }
}

/// `None`: nobody is asked.
fn role(wire: i32) -> Result<Option<Role>, ConvertError> {
    match v1::Role::try_from(wire) {
        Ok(v1::Role::Client) => Ok(Some(Role::Client)),
        Ok(v1::Role::Node) => Ok(Some(Role::Node)),
        Ok(v1::Role::Operator) => Ok(Some(Role::Operator)),
        Ok(v1::Role::ReadOnly) => Ok(Some(Role::ReadOnly)),
        Ok(v1::Role::Unspecified) => Ok(None),
        Err(_) => Err(ConvertError::UnknownState {
            what: "token",
            value: wire,
        }),
    }
}

impl TryFrom<v1::Token> for TokenView {
    type Error = ConvertError;

    fn try_from(wire: v1::Token) -> Result<Self, ConvertError> {
        Ok(Self {
            token_id: wire.token_id.parse()?,
            role: role(wire.role)?.ok_or(ConvertError::Missing("role"))?,
            name: wire.name,
            created_at: time(wire.created_at.map(|it| (it.seconds, it.nanos)))?,
            created_by: wire.created_by,
            expires_at: time(wire.expires_at.map(|it| (it.seconds, it.nanos)))?,
            revoked_at: time(wire.revoked_at.map(|it| (it.seconds, it.nanos)))?,
            last_used_at: time(wire.last_used_at.map(|it| (it.seconds, it.nanos)))?,
        })
    }
}

impl TryFrom<v1::WhoAmIResponse> for WhoView {
    type Error = ConvertError;

    fn try_from(wire: v1::WhoAmIResponse) -> Result<Self, ConvertError> {
        let id = Some(&wire.token_id).filter(|id| !id.is_empty());
        Ok(Self {
            proof: match wire.proof() {
                v1::Proof::Token => Some(Proof::Token),
                v1::Proof::OperatorToken => Some(Proof::OperatorToken),
                v1::Proof::NodeToken => Some(Proof::NodeToken),
                v1::Proof::Certificate => Some(Proof::Certificate),
                v1::Proof::Oidc => Some(Proof::Oidc),
                v1::Proof::Unspecified => None,
            },
            role: role(wire.role)?,
            token_id: id.map(|id| id.parse()).transpose()?,
            expires_at: time(wire.expires_at.map(|it| (it.seconds, it.nanos)))?,
            name: wire.name,
        })
    }
}
