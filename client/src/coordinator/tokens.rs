//! What is asked of tokens, and who this client is.

use std::time::Duration;

use atelier_proto::connect::Route;
use atelier_proto::ids::TokenId;
use atelier_proto::v1;
use atelier_proto::v1::tokens_client::TokensClient;

use super::convert::ConvertError;
use super::view::{Role, TokenView, WhoView};
use super::{Coordinator, RpcError};
use crate::error::Error;

/// Tokens in one answer of List.
const PAGE_TOKENS: u32 = 1000;
/// Tokens that are listed at most.
const TOKENS_MAX: usize = 100_000;

fn client(route: Route) -> TokensClient<Route> {
    TokensClient::new(route)
}

impl Coordinator {
    /// Makes a token that is good for so long, or for ever; the token, and what is known of it.
    pub async fn create_token(
        &self,
        name: &str,
        role: Role,
        valid_for: Option<Duration>,
    ) -> Result<(String, TokenView), Error> {
        // One that no wire can hold is refused by its coordinator, as one that is too long.
        let wire = |duration: Duration| duration.try_into().unwrap_or_default();
        let message = v1::CreateTokenRequest {
            name: name.to_owned(),
            role: v1::Role::from(role).into(),
            valid_for: valid_for.map(wire),
            never_expires: valid_for.is_none(),
        };
        let made = self
            .call_once(message, async |route, request| {
                client(route).create(request).await
            })
            .await?;
        let description = made.description.ok_or(ConvertError::Missing("token"))?;
        Ok((made.token, TokenView::try_from(description)?))
    }

    /// All tokens, newest first.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, Error> {
        let mut tokens = Vec::new();
        let mut page_token = String::new();
        loop {
            let message = v1::ListTokensRequest {
                page_size: PAGE_TOKENS,
                page_token,
            };
            let answer = self
                .call(message, async |route, request| {
                    client(route).list(request).await
                })
                .await?;
            for token in answer.tokens {
                tokens.push(TokenView::try_from(token)?);
            }
            if answer.next_page_token.is_empty() || tokens.len() >= TOKENS_MAX {
                return Ok(tokens);
            }
            page_token = answer.next_page_token;
        }
    }

    /// Ends a token.
    pub async fn revoke_token(&self, token: TokenId) -> Result<(), Error> {
        let message = v1::RevokeTokenRequest {
            token_id: token.to_string(),
        };
        let revoked = self.call(message, async |route, request| {
            client(route).revoke(request).await
        });
        revoked.await.map_err(RpcError::of_tokens)?;
        Ok(())
    }

    /// Who the coordinator takes this client for.
    pub async fn who_am_i(&self) -> Result<WhoView, Error> {
        let answer = self
            .call(v1::WhoAmIRequest {}, async |route, request| {
                client(route).who_am_i(request).await
            })
            .await?;
        Ok(WhoView::try_from(answer)?)
    }
}
