//! Who calls, and what they may do: one table for every call, and one rule for whose a grid is.

mod rules;

pub use atelier_proto::holder::Role;

use atelier_proto::holder::Holder;
use atelier_proto::ids::TokenId;
use jiff::Timestamp;

pub use self::rules::{METRICS, REFLECTION, RULES, Rule, Who, rule};
use super::field::{InvalidField, Problem, check_text};

/// Longest name of an identity that people give here; names of an OpenID Connect issuer may be as long as a submitter's.
pub const NAME_CHARS_MAX: usize = 64;

/// Somebody who was told apart from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name, as people gave it.
    pub name: String,
    /// What it is.
    pub role: Role,
}

/// Whom a certificate names.
impl From<Holder> for Identity {
    fn from(holder: Holder) -> Self {
        Self {
            name: holder.name().to_owned(),
            role: holder.role(),
        }
    }
}

/// Checks the name of an identity: it stands in commands, logs and certificates, so letters, digits and `._-@+` will do.
///
/// # Errors
/// When it is empty, too long, or holds something else.
pub fn check_name(field: &str, name: &str) -> Result<(), InvalidField> {
    check_text(field, name, 1, NAME_CHARS_MAX)?;
    let is_plain = |letter: char| {
        letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-' | '@' | '+')
    };
    if name.chars().all(is_plain) {
        return Ok(());
    }
    let problem = Problem::OutOfRange {
        value: format!("{name:?}"),
        range: "of letters, digits, `.`, `_`, `-`, `@` and `+`",
    };
    Err(InvalidField::new(field, problem))
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Whoever reaches a coordinator that asks nobody who they are: in every role at once.
    Anyone,
    /// Somebody who was told apart.
    Known(Identity),
}

/// A client named somebody else as the submitter of its grid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "submitter: is {named:?}, but you are {own:?}, and only an operator may submit for somebody else\n\
     hint: leave out --submitter and the variable ATELIER_SUBMITTER"
)]
pub struct ForeignSubmitter {
    /// Who was named.
    pub named: String,
    /// Who called.
    pub own: String,
}

impl Caller {
    /// Its name, if it was told apart.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Anyone => None,
            Self::Known(identity) => Some(&identity.name),
        }
    }

    /// Whose grids it is confined to; `None`: it sees those of all.
    pub fn confined_to(&self) -> Option<&str> {
        match self {
            Self::Known(Identity {
                name,
                role: Role::Client,
            }) => Some(name),
            Self::Known(_) | Self::Anyone => None,
        }
    }

    /// Whether it sees and touches what this submitter submitted, as far as its role lets it.
    pub fn reaches(&self, submitter: &str) -> bool {
        self.confined_to().is_none_or(|own| own == submitter)
    }

    /// Who is the submitter of a grid that it submits: whom it names, or else itself; where nobody is asked who they are, whom
    /// it names or else what its system calls its user.
    ///
    /// # Errors
    /// When a client names somebody else.
    pub fn submitter(&self, named: &str, user: &str) -> Result<String, ForeignSubmitter> {
        let or = |other: &str| if named.is_empty() { other } else { named }.to_owned();
        match self {
            Self::Anyone => Ok(or(user)),
            Self::Known(identity) => {
                if named.is_empty() || named == identity.name || identity.role == Role::Operator {
                    return Ok(or(&identity.name));
                }
                Err(ForeignSubmitter {
                    named: named.to_owned(),
                    own: identity.name.clone(),
                })
            }
        }
    }
}

/// How somebody showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By none: nobody was asked.
    None,
    /// By a token that an operator made.
    Token(TokenId),
    /// By the first operator's token, in the coordinator's own file.
    OperatorToken,
    /// By the token that all nodes may show, in a file, too.
    NodeToken,
    /// By a certificate.
    Certificate,
    /// By a token of the OpenID Connect issuer.
    Oidc,
    /// By the board's key, where nobody is asked who they are.
    BoardKey,
}

impl Proof {
    /// The kind of it, for logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Token(_) => "token",
            Self::OperatorToken => "operator-token",
            Self::NodeToken => "node-token",
            Self::Certificate => "certificate",
            Self::Oidc => "oidc",
            Self::BoardKey => "board-key",
        }
    }
}

/// Somebody who was let in, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Who.
    pub caller: Caller,
    /// How that was shown.
    pub proof: Proof,
    /// When that is over by itself; `None`: never, or that is not known here.
    pub until: Option<Timestamp>,
}

impl Admitted {
    /// Whoever reaches a coordinator that asks nobody.
    pub const ANYONE: Self = Self {
        caller: Caller::Anyone,
        proof: Proof::None,
        until: None,
    };
}

/// Why a call is not for this caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{call} is for {needed}; {name:?} is {held}\nhint: `atelier whoami` says who you are, and an operator gives out tokens of other roles"
)]
pub struct NotAllowed {
    /// The call, as in `Grids.Submit`.
    pub call: String,
    /// The roles that may.
    pub needed: String,
    /// Who called.
    pub name: String,
    /// The role that they have.
    pub held: Role,
}

/// Lets a caller make a call, by its name as in `Grids.Submit`. A call that is not in the table is for nobody who has a role:
/// whoever adds one says whose it is.
///
/// # Errors
/// When it is for other roles.
pub fn check(caller: &Caller, call: &str) -> Result<(), NotAllowed> {
    let who = rule(call).map_or(Who::Roles(&[]), |rule| rule.who);
    check_role(caller, call, who)
}

/// Lets a caller do what is for these.
///
/// # Errors
/// When it is none of them.
pub fn check_role(caller: &Caller, call: &str, who: Who) -> Result<(), NotAllowed> {
    let Caller::Known(identity) = caller else {
        return Ok(());
    };
    match who {
        Who::Everybody | Who::Identified => Ok(()),
        Who::Roles(roles) if roles.contains(&identity.role) => Ok(()),
        Who::Roles(roles) => {
            let words: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            Err(NotAllowed {
                call: call.to_owned(),
                needed: if words.is_empty() {
                    "nobody".to_owned()
                } else {
                    words.join(" and ")
                },
                name: identity.name.clone(),
                held: identity.role,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use atelier_proto::v1;
    use prost::Message as _;

    use super::*;

    fn known(name: &str, role: Role) -> Caller {
        let name = name.to_owned();
        Caller::Known(Identity { name, role })
    }

    #[test]
    fn every_call_is_in_the_table_once_and_nothing_else_is() {
        let set = prost_types::FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).unwrap();
        let mut calls = BTreeSet::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    calls.insert(format!("{}.{}", service.name(), method.name()));
                }
            }
        }
        assert!(calls.contains("Grids.Submit"));
        let listed: BTreeSet<String> = RULES.iter().map(|rule| rule.call.to_owned()).collect();
        assert_eq!(listed, calls);
        assert_eq!(listed.len(), RULES.len(), "a call has one rule");
    }

    #[test]
    fn what_changes_something_is_never_for_those_who_only_read() {
        for rule in RULES {
            if let Who::Roles(roles) = rule.who {
                assert!(!roles.is_empty(), "{}", rule.call);
                assert!(
                    !(rule.is_audited && roles.contains(&Role::ReadOnly)),
                    "{}",
                    rule.call
                );
            }
        }
    }

    #[test]
    fn a_denial_names_the_role_that_is_needed_and_the_one_that_is_held() {
        let denied = check(&known("ann", Role::Client), "Fleet.Drain").unwrap_err();
        let text = denied.to_string();
        assert!(
            text.starts_with("Fleet.Drain is for operator; \"ann\" is client"),
            "{text}"
        );
        assert!(check(&known("ann", Role::Operator), "Fleet.Drain").is_ok());
        assert!(check(&Caller::Anyone, "Fleet.Drain").is_ok());
        assert!(check(&known("ann", Role::Operator), "Fleet.New").is_err());
    }

    #[test]
    fn a_client_is_confined_to_its_own_grids_and_submits_in_its_own_name() {
        let ann = known("ann", Role::Client);
        assert!(ann.reaches("ann") && !ann.reaches("bob") && !ann.reaches(""));
        for role in [Role::Operator, Role::ReadOnly] {
            assert!(known("ann", role).reaches("bob"));
        }
        assert_eq!(ann.submitter("", "user").unwrap(), "ann");
        assert_eq!(ann.submitter("ann", "user").unwrap(), "ann");
        let refused = ann.submitter("bob", "user").unwrap_err().to_string();
        assert!(
            refused.contains("\"bob\"") && refused.contains("\"ann\""),
            "{refused}"
        );
        let operator = known("eve", Role::Operator);
        assert_eq!(operator.submitter("bob", "user").unwrap(), "bob");
        assert_eq!(operator.submitter("", "user").unwrap(), "eve");
        assert_eq!(Caller::Anyone.submitter("", "user").unwrap(), "user");
        assert_eq!(Caller::Anyone.submitter("bob", "user").unwrap(), "bob");
    }
}
