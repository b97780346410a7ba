//! What a coordinator is told of who may call.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::domain::access::Role;
use crate::identity::oidc::{OidcConfig, check_url};

/// `--identity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IdentityChoice {
    /// Whoever reaches the coordinator may make every call.
    Open,
    /// Everybody says who they are.
    Required,
}

/// `--oidc-default-role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DefaultRole {
    /// They are not let in.
    None,
    /// They submit grids.
    Client,
    /// They look.
    ReadOnly,
}

/// Who may call.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who may call")]
pub struct IdentityArgs {
    /// Whether callers must say who they are, by a token, a certificate or a login; `open` asks nobody. Without TLS, `required` is
    /// for coordinators behind something that ends TLS [default: required with TLS, open without]
    #[arg(
        long,
        env = "ATELIER_IDENTITY",
        value_name = "open|required",
        hide_possible_values = true
    )]
    pub identity: Option<IdentityChoice>,
    /// The file of the first operator's token, made if it is not there; for coordinators that share a database
    /// [default: operator-token in the data folder]
    #[arg(long, env = "ATELIER_OPERATOR_TOKEN_FILE", value_name = "FILE")]
    pub operator_token_file: Option<PathBuf>,
    /// The file of a token that all nodes may show, for machines that are started with a secret; 32 characters at least
    #[arg(long, env = "ATELIER_NODE_TOKEN_FILE", value_name = "FILE")]
    pub node_token_file: Option<PathBuf>,
    /// URL of an OpenID Connect issuer whose tokens let people in, as it writes itself
    #[arg(long, env = "ATELIER_OIDC_ISSUER", value_name = "URL", requires = "oidc_audience",
          value_parser = parse_issuer)]
    pub oidc_issuer: Option<String>,
    /// For whom its tokens must be: the client id that it knows this atelier by
    #[arg(
        long,
        env = "ATELIER_OIDC_AUDIENCE",
        value_name = "NAME",
        requires = "oidc_issuer"
    )]
    pub oidc_audience: Option<String>,
    /// The claim of its tokens that has the role: client, operator, read-only or node, alone or in a list
    #[arg(
        long,
        env = "ATELIER_OIDC_ROLE_CLAIM",
        default_value = "atelier_role",
        value_name = "NAME"
    )]
    pub oidc_role_claim: String,
    /// The claim that has the name; `sub` where a token lacks it
    #[arg(
        long,
        env = "ATELIER_OIDC_NAME_CLAIM",
        default_value = "email",
        value_name = "NAME"
    )]
    pub oidc_name_claim: String,
    /// The role of those whose tokens have no such claim; with `none` they are not let in
    #[arg(
        long,
        env = "ATELIER_OIDC_DEFAULT_ROLE",
        default_value = "none",
        value_name = "none|client|read-only",
        hide_possible_values = true
    )]
    pub oidc_default_role: DefaultRole,
    /// A file to which it is written, as JSON lines, who changed what and who was refused; SIGHUP opens it anew
    #[arg(long, env = "ATELIER_AUDIT_LOG", value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
}

/// How it is found out who calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityConfig {
    /// Everybody says who they are.
    pub is_required: bool,
    /// The file of the first operator's token; `None`: the one in the data folder.
    pub operator_token: Option<PathBuf>,
    /// The file of a token of all nodes, if there is one.
    pub node_token: Option<PathBuf>,
    /// A company's issuer.
    pub oidc: Option<OidcConfig>,
    /// The file of the audit log.
    pub audit_log: Option<PathBuf>,
}

/// What was said of who may call makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Nobody is asked, and somebody is to be told from others.
    #[error(
        "{option} is for a coordinator that asks who calls\nhint: say --identity required, or leave out {option}"
    )]
    NobodyAsked {
        /// What was said.
        option: &'static str,
    },
}

impl IdentityArgs {
    /// What was said, for a coordinator that speaks TLS or not.
    pub(super) fn config(self, tls: bool) -> Result<IdentityConfig, IdentityError> {
        let is_required = match self.identity {
            Some(choice) => choice == IdentityChoice::Required,
            None => tls,
        };
        // clap sees to it that neither comes without the other.
        let oidc = self.oidc_issuer.zip(self.oidc_audience);
        let oidc = oidc.map(|(issuer, audience)| OidcConfig {
            issuer,
            audience,
            role_claim: self.oidc_role_claim,
            name_claim: self.oidc_name_claim,
            default_role: match self.oidc_default_role {
                DefaultRole::None => None,
                DefaultRole::Client => Some(Role::Client),
                DefaultRole::ReadOnly => Some(Role::ReadOnly),
            },
        });
        let said = [
            ("--oidc-issuer", oidc.is_some()),
            ("--node-token-file", self.node_token_file.is_some()),
        ];
        if let Some((option, _)) = said
            .into_iter()
            .find(|(_, is_said)| *is_said && !is_required)
        {
            return Err(IdentityError::NobodyAsked { option });
        }
        Ok(IdentityConfig {
            is_required,
            operator_token: self.operator_token_file,
            node_token: self.node_token_file,
            oidc,
            audit_log: self.audit_log,
        })
    }
}

fn parse_issuer(text: &str) -> Result<String, String> {
    match check_url(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Told {
        #[command(flatten)]
        identity: IdentityArgs,
    }

    fn config(args: &[&str], tls: bool) -> Result<IdentityConfig, String> {
        let told = Told::try_parse_from([&["atelier-coordinator"], args].concat());
        let told = told.map_err(|error| error.to_string())?;
        told.identity.config(tls).map_err(|error| error.to_string())
    }

    #[test]
    fn callers_say_who_they_are_where_there_is_tls_and_where_that_was_said() {
        let is_required = |args: &[&str], tls| config(args, tls).unwrap().is_required;
        assert!(!is_required(&[], false) && is_required(&[], true));
        assert!(is_required(&["--identity", "required"], false));
        assert!(!is_required(&["--identity", "open"], true));
        assert!(config(&["--identity", "closed"], true).is_err());
    }

    #[test]
    fn an_issuer_has_a_url_and_an_audience_and_is_asked() {
        let issuer = ["--oidc-issuer", "https://issuer.example/realm"];
        let both = [&issuer[..], &["--oidc-audience", "atelier"]].concat();
        let oidc = config(&both, true).unwrap().oidc.unwrap();
        assert_eq!(oidc.issuer, "https://issuer.example/realm");
        assert_eq!(
            (oidc.role_claim.as_str(), oidc.default_role),
            ("atelier_role", None)
        );
        let client = [&both[..], &["--oidc-default-role", "client"]].concat();
        let oidc = config(&client, true).unwrap().oidc.unwrap();
        assert_eq!(oidc.default_role, Some(Role::Client));
        assert!(config(&issuer, true).is_err());
        assert!(config(&["--oidc-audience", "atelier"], true).is_err());
        let plain = [
            "--oidc-issuer",
            "http://issuer.example",
            "--oidc-audience",
            "a",
        ];
        assert!(config(&plain, true).unwrap_err().contains("https://"));
        assert!(
            config(&both, false)
                .unwrap_err()
                .contains("--identity required")
        );
        let nodes = ["--node-token-file", "node-token"];
        assert!(config(&nodes, true).unwrap().node_token.is_some());
        assert!(config(&nodes, false).unwrap_err().contains(nodes[0]));
        let operators = [&both[..], &["--oidc-default-role", "operator"]].concat();
        assert!(config(&operators, true).is_err());
    }
}
