//! `atelier tokens …`: who may call a coordinator that asks who they are.

pub mod create;
pub mod list;
pub mod revoke;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// What is done with tokens.
#[derive(Debug, Subcommand)]
pub enum TokensCommand {
    /// Make a token, and print it
    Create(create::CreateArgs),
    /// List tokens, newest first
    List(list::ListArgs),
    /// End a token
    Revoke(revoke::RevokeArgs),
}

/// Does it.
pub async fn run(context: &Context, command: TokensCommand) -> Result<Exit, Error> {
    match command {
        TokensCommand::Create(args) => create::run(context, args).await,
        TokensCommand::List(args) => list::run(context, args).await,
        TokensCommand::Revoke(args) => revoke::run(context, args).await,
    }
}
