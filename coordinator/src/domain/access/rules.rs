//! The table of who may make which call.

use super::Role::{self, Client, Node, Operator, ReadOnly};

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Also those who do not say who they are.
    Everybody,
    /// Whoever says who they are.
    Identified,
    /// Those in one of these roles.
    Roles(&'static [Role]),
}

/// Who may make one call, and whether the audit log has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Service and method, as in `Grids.Submit`.
    pub call: &'static str,
    /// Who may make it.
    pub who: Who,
    /// Whether every such call goes into the audit log, because it changes something. What nodes say of the cells that they
    /// hold does not: every attempt is kept with its cell. Refusals always do.
    pub is_audited: bool,
}

const SUBMITTERS: Who = Who::Roles(&[Client, Operator]);
const SUBMITTERS_AND_READERS: Who = Who::Roles(&[Client, Operator, ReadOnly]);
const READERS: Who = Who::Roles(&[Operator, ReadOnly]);
const OPERATORS: Who = Who::Roles(&[Operator]);
const NODES: Who = Who::Roles(&[Node]);

const fn reads(call: &'static str, who: Who) -> Rule {
    Rule {
        call,
        who,
        is_audited: false,
    }
}

const fn changes(call: &'static str, who: Who) -> Rule {
    Rule {
        call,
        who,
        is_audited: true,
    }
}

/// Every call of `atelier.v1`.
pub const RULES: &[Rule] = &[
    // The keys of the whole bucket.
    reads("Grids.Storage", OPERATORS),
    changes("Grids.Submit", SUBMITTERS),
    reads("Grids.Get", SUBMITTERS_AND_READERS),
    reads("Grids.Logs", SUBMITTERS_AND_READERS),
    reads("Grids.List", SUBMITTERS_AND_READERS),
    reads("Grids.Watch", SUBMITTERS_AND_READERS),
    changes("Grids.Pause", SUBMITTERS),
    changes("Grids.Resume", SUBMITTERS),
    changes("Grids.Cancel", SUBMITTERS),
    changes("Grids.Retry", SUBMITTERS),
    changes("Grids.SetPriority", SUBMITTERS),
    changes("Grids.Delete", SUBMITTERS),
    changes("Nodes.Register", NODES),
    // What is signed for whom, `domain::rights` says.
    reads("Bucket.Sign", Who::Identified),
    reads("Bucket.ListObjects", SUBMITTERS_AND_READERS),
    reads("Nodes.Lease", NODES),
    reads("Nodes.Renew", NODES),
    reads("Nodes.Complete", NODES),
    reads("Nodes.Fail", NODES),
    reads("Nodes.Release", NODES),
    reads("Fleet.ListNodes", SUBMITTERS_AND_READERS),
    reads("Fleet.Describe", SUBMITTERS_AND_READERS),
    changes("Fleet.Drain", OPERATORS),
    changes("Fleet.Undrain", OPERATORS),
    changes("Fleet.Quarantine", OPERATORS),
    changes("Fleet.Scale", OPERATORS),
    changes("Tokens.Create", OPERATORS),
    reads("Tokens.List", OPERATORS),
    changes("Tokens.Revoke", OPERATORS),
    reads("Tokens.WhoAmI", Who::Identified),
];

/// Who may read the metrics of all.
pub const METRICS: Who = READERS;
/// Who may read what calls there are.
pub const REFLECTION: Who = Who::Identified;

/// The rule of a call, by its name as in `Grids.Submit`.
pub fn rule(call: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.call == call)
}
