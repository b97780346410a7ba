//! Tokens, and who somebody is.

use std::fmt;

use atelier_proto::ids::TokenId;
use jiff::Timestamp;
use serde::Serialize;

/// What somebody is to a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Submits grids, and sees and touches its own.
    Client,
    /// Renders.
    Node,
    /// Sees and touches everything.
    Operator,
    /// Sees everything and touches nothing.
    ReadOnly,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Client => "client",
            Self::Node => "node",
            Self::Operator => "operator",
            Self::ReadOnly => "read-only",
        })
    }
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenView {
    /// Its id.
    pub token_id: TokenId,
    /// Whom it stands for.
    pub name: String,
    /// What it lets its holder do.
    pub role: Role,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// By whom.
    pub created_by: String,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When somebody ended it.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl TokenView {
    /// Whether it lets somebody in at a time.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| at > now)
    }
}

/// How somebody showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// By a token that an operator made.
    Token,
    /// By the first operator's token, in the coordinator's own file.
    OperatorToken,
    /// By the token that all nodes may show.
    NodeToken,
    /// By a certificate.
    Certificate,
    /// By a token of the company's issuer.
    Oidc,
}

/// Who a coordinator takes somebody for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhoView {
    /// The name; empty where nobody is asked.
    pub name: String,
    /// The role; `None` where nobody is asked.
    pub role: Option<Role>,
    /// How that was shown.
    pub proof: Option<Proof>,
    /// By which token.
    pub token_id: Option<TokenId>,
    /// When that ends.
    pub expires_at: Option<Timestamp>,
}
