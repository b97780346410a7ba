//! `atelier whoami`: who the coordinator takes this client for.

use clap::Args;

use crate::context::Context;
use crate::coordinator::view::{Proof, WhoView};
use crate::error::Error;
use crate::exit::Exit;
use crate::text::printable;

/// `atelier whoami`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier whoami
  atelier whoami --json | jq -r .role")]
pub struct WhoamiArgs {}

/// Tells who this is.
pub async fn run(context: &Context, _args: WhoamiArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let who = context.coordinator.who_am_i().await?;
    if printer.json_wanted() {
        printer.json(&who)?;
    } else {
        printer.data(&words(&who))?;
    }
    Ok(Exit::Ok)
}

fn words(who: &WhoView) -> String {
    let Some(role) = who.role else {
        return "anyone: this coordinator asks nobody who they are".to_owned();
    };
    let by = match (who.proof, who.token_id) {
        (Some(Proof::Token), Some(id)) => format!(", by the token {id}"),
        (Some(Proof::Token), None) => ", by a token".to_owned(),
        (Some(Proof::OperatorToken), _) => ", by the coordinator's own token".to_owned(),
        (Some(Proof::NodeToken), _) => ", by the token of all nodes".to_owned(),
        (Some(Proof::Certificate), _) => ", by a certificate".to_owned(),
        (Some(Proof::Oidc), _) => ", by a login".to_owned(),
        (None, _) => String::new(),
    };
    let until = who.expires_at.map(|at| format!(" that ends at {at:.0}"));
    format!(
        "{} ({role}){by}{}",
        printable(&who.name),
        until.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::view::Role;

    #[test]
    fn who_somebody_is_is_told_in_a_line() {
        let mut who = WhoView {
            name: "ann".to_owned(),
            role: Some(Role::Client),
            proof: Some(Proof::Token),
            token_id: Some("01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()),
            expires_at: Some("2026-07-30T10:00:00Z".parse().unwrap()),
        };
        assert_eq!(
            words(&who),
            "ann (client), by the token 01890a5d-ac96-774b-bcce-b302099a8057 that ends at 2026-07-30T10:00:00Z"
        );
        (who.proof, who.expires_at) = (Some(Proof::Certificate), None);
        assert_eq!(words(&who), "ann (client), by a certificate");
        who.role = None;
        assert!(words(&who).starts_with("anyone"));
    }
}
