//! Who shares an allowance: callers are told apart by who they are, or by where they call from.

use std::net::IpAddr;

use crate::domain::access::{Admitted, Caller, Role};
use crate::domain::network::network;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Client,
    Node,
    /// It is not known who it is, and that was asked.
    Stranger,
}

/// Who shares an allowance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Identity(Kind, String),
    Address(Kind, IpAddr),
    /// Those for whom there is no place left.
    Others(Kind),
}

impl Key {
    /// Who shares an allowance with this caller. `who` is `None` if that is not known although it is asked.
    pub(super) fn of(who: Option<&Admitted>, from: IpAddr, call: &str) -> Self {
        let Some(who) = who else {
            return Self::Address(Kind::Stranger, network(from));
        };
        match &who.caller {
            Caller::Known(identity) => {
                let kind = match identity.role {
                    Role::Node => Kind::Node,
                    Role::Client | Role::Operator | Role::ReadOnly => Kind::Client,
                };
                // People have names in several roles: who has two has two allowances.
                Self::Identity(kind, format!("{} {}", identity.role, identity.name))
            }
            // Whoever may be everything is what the call is for. Clients need few signatures where nodes need many.
            Caller::Anyone => {
                let is_for_nodes = call.starts_with("Nodes.") || call.starts_with("Bucket.");
                let kind = if is_for_nodes {
                    Kind::Node
                } else {
                    Kind::Client
                };
                Self::Address(kind, network(from))
            }
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Identity(kind, _) | Self::Address(kind, _) | Self::Others(kind) => *kind,
        }
    }

    /// As a refusal names it.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Identity(_, name) => format!("{name:?}"),
            Self::Address(_, address) => format!("{address}"),
            Self::Others(_) => "this address, with many others,".to_owned(),
        }
    }
}
