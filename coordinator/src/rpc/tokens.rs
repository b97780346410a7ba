//! Who may call: operators make tokens and end them, and everybody may ask who they are.

use atelier_proto::ids::TokenId;
use atelier_proto::v1;
use atelier_proto::v1::tokens_server::Tokens;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status};

use super::convert::{self, Page};
use super::status::RpcError;
use super::{Context, about, admitted};
use crate::domain::access::{Admitted, Caller, Proof};
use crate::domain::token::TokenRecord;
use crate::identity::NewToken;

/// The `Tokens` service.
#[derive(Debug)]
pub(super) struct TokensService {
    context: Context,
}

impl TokensService {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    async fn make(
        &self,
        by: &Admitted,
        request: v1::CreateTokenRequest,
    ) -> Result<v1::CreateTokenResponse, RpcError> {
        let (identity, valid_for) = convert::new_token(request)?;
        let now = self.context.ledger.now();
        let token = NewToken::generate().map_err(RpcError::Random)?;
        let record = TokenRecord {
            id: token.id,
            identity,
            secret: token.secret,
            created_at: now,
            created_by: by.caller.name().unwrap_or_default().to_owned(),
            expires_at: valid_for
                .map(|valid_for| now.checked_add(valid_for).unwrap_or(Timestamp::MAX)),
            revoked_at: None,
            last_used_at: None,
        };
        self.context.ledger.store().create_token(&record).await?;
        Ok(v1::CreateTokenResponse {
            token: token.text.expose_secret().to_owned(),
            description: Some(convert::token(&record)),
        })
    }

    async fn page(
        &self,
        request: &v1::ListTokensRequest,
    ) -> Result<v1::ListTokensResponse, RpcError> {
        let page: Page<TokenId> = convert::page(request.page_size, &request.page_token)?;
        let store = self.context.ledger.store();
        let mut tokens = store.tokens(page.before, page.read_max()).await?;
        let next_page_token = page.cut(&mut tokens, |last| last.id);
        Ok(v1::ListTokensResponse {
            next_page_token,
            tokens: tokens.iter().map(convert::token).collect(),
        })
    }

    async fn end(&self, token: &str) -> Result<(), RpcError> {
        let token = convert::token_id(token)?;
        let ledger = &self.context.ledger;
        ledger.store().revoke_token(token, ledger.now()).await?;
        self.context.identities.forget_token(token);
        Ok(())
    }
}

/// Somebody who was let in, as they are told.
fn told(admitted: &Admitted) -> v1::WhoAmIResponse {
    let proof = match admitted.proof {
        Proof::None | Proof::BoardKey => v1::Proof::Unspecified,
        Proof::Token(_) => v1::Proof::Token,
        Proof::OperatorToken => v1::Proof::OperatorToken,
        Proof::NodeToken => v1::Proof::NodeToken,
        Proof::Certificate => v1::Proof::Certificate,
        Proof::Oidc => v1::Proof::Oidc,
    };
    let (name, role) = match &admitted.caller {
        Caller::Anyone => (String::new(), v1::Role::Unspecified),
        Caller::Known(identity) => (identity.name.clone(), convert::wire_role(identity.role)),
    };
    v1::WhoAmIResponse {
        name,
        role: role.into(),
        proof: proof.into(),
        token_id: match admitted.proof {
            Proof::Token(token) => token.to_string(),
            _ => String::new(),
        },
        expires_at: admitted.until.map(convert::timestamp),
    }
}

#[tonic::async_trait]
impl Tokens for TokensService {
    async fn create(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let (by, about) = (admitted(&request)?, about(&request));
        let made = self.make(&by, request.into_inner()).await?;
        if let Some(description) = &made.description {
            let v1::Token { token_id, name, .. } = description;
            about.say(&format!(
                "{token_id} {name} {}",
                description.role().as_str_name()
            ));
        }
        Ok(Response::new(made))
    }

    async fn list(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        Ok(Response::new(self.page(request.get_ref()).await?))
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let token = &request.get_ref().token_id;
        self.end(token).await?;
        about(&request).say(token);
        Ok(Response::new(v1::RevokeTokenResponse {}))
    }

    async fn who_am_i(
        &self,
        request: Request<v1::WhoAmIRequest>,
    ) -> Result<Response<v1::WhoAmIResponse>, Status> {
        Ok(Response::new(told(&admitted(&request)?)))
    }
}
