//! `atelier tokens revoke`: ends a token.

use atelier_proto::ids::TokenId;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// `atelier tokens revoke`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier tokens revoke 01890a5d-ac96-774b-bcce-b302099a8057

Every coordinator refuses it within 5 seconds, and what its holder was watching ends. `atelier tokens list` has the ids.")]
pub struct RevokeArgs {
    /// Id of the token
    #[arg(value_name = "ID")]
    pub id: TokenId,
}

/// What was revoked, as `--json` has it.
#[derive(Serialize)]
struct Revoked {
    token_id: TokenId,
}

/// Ends the token.
pub async fn run(context: &Context, args: RevokeArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    context.coordinator.revoke_token(args.id).await?;
    if printer.json_wanted() {
        let token_id = args.id;
        printer.json(&Revoked { token_id })?;
    }
    printer.say("revoked");
    Ok(Exit::Ok)
}
