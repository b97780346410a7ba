//! Statements about tokens and sessions.

use atelier_proto::ids::{Digest, TokenId};
use jiff::Timestamp;
use sqlx::{AnyConnection, FromRow};

use super::super::StoreError;
use super::rows::{damaged, milliseconds};
use crate::domain::access::{Identity, Proof, Role};
use crate::domain::token::{SecretHash, SessionRecord, TokenRecord};

/// Sessions of one identity; beyond that the oldest end.
const SESSIONS_MAX: i64 = 100;

/// `tokens`.
#[derive(Debug, FromRow)]
struct TokenRow {
    token_id: String,
    name: String,
    role: String,
    secret_sha256: String,
    created_at_ms: i64,
    created_by: String,
    expires_at_ms: Option<i64>,
    revoked_at_ms: Option<i64>,
    last_used_at_ms: Option<i64>,
}

impl TokenRow {
    fn record(self) -> Result<TokenRecord, StoreError> {
        let id = &self.token_id;
        let some_time = |milliseconds: Option<i64>| {
            milliseconds
                .map(|milliseconds| time("token", id, milliseconds))
                .transpose()
        };
        Ok(TokenRecord {
            id: id.parse().map_err(|error| damaged("token", id, &error))?,
            identity: Identity {
                role: role("token", id, &self.role)?,
                name: self.name,
            },
            secret: hash("token", id, &self.secret_sha256)?,
            created_at: time("token", id, self.created_at_ms)?,
            created_by: self.created_by,
            expires_at: some_time(self.expires_at_ms)?,
            revoked_at: some_time(self.revoked_at_ms)?,
            last_used_at: some_time(self.last_used_at_ms)?,
        })
    }
}

fn role(table: &'static str, id: &str, word: &str) -> Result<Role, StoreError> {
    word.parse()
        .map_err(|_| damaged(table, id, &format!("its role is {word:?}")))
}

fn hash(table: &'static str, id: &str, text: &str) -> Result<SecretHash, StoreError> {
    let digest: Digest = text.parse().map_err(|error| damaged(table, id, &error))?;
    Ok(SecretHash::from_digest(digest))
}

fn time(table: &'static str, id: &str, milliseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(milliseconds).map_err(|error| damaged(table, id, &error))
}

/// Keeps a token.
pub(super) async fn insert(
    connection: &mut AnyConnection,
    token: &TokenRecord,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tokens (token_id, name, role, secret_sha256, created_at_ms, created_by, expires_at_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(token.id.to_string())
    .bind(token.identity.name.clone())
    .bind(token.identity.role.as_str())
    .bind(token.secret.digest().to_string())
    .bind(milliseconds(token.created_at))
    .bind(token.created_by.clone())
    .bind(token.expires_at.map(milliseconds))
    .execute(connection)
    .await?;
    Ok(())
}

/// A token as it stands, if there is one of this id.
pub(super) async fn one(
    connection: &mut AnyConnection,
    token: TokenId,
) -> Result<Option<TokenRecord>, StoreError> {
    let row: Option<TokenRow> = sqlx::query_as("SELECT * FROM tokens WHERE token_id = $1")
        .bind(token.to_string())
        .fetch_optional(connection)
        .await?;
    row.map(TokenRow::record).transpose()
}

/// Tokens as they stand, newest first.
pub(super) async fn list(
    connection: &mut AnyConnection,
    before: Option<TokenId>,
    tokens_max: u32,
) -> Result<Vec<TokenRecord>, StoreError> {
    let rows: Vec<TokenRow> =
        sqlx::query_as("SELECT * FROM tokens WHERE token_id < $1 ORDER BY token_id DESC LIMIT $2")
            // Above every id.
            .bind(before.map_or_else(|| "g".to_owned(), |before| before.to_string()))
            .bind(i64::from(tokens_max))
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(TokenRow::record).collect()
}

/// Ends a token, unless it was ended before.
pub(super) async fn revoke(
    connection: &mut AnyConnection,
    token: TokenId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let revoked = sqlx::query(
        "UPDATE tokens SET revoked_at_ms = coalesce(revoked_at_ms, $2) WHERE token_id = $1",
    )
    .bind(token.to_string())
    .bind(milliseconds(now))
    .execute(connection)
    .await?;
    if revoked.rows_affected() == 0 {
        return Err(StoreError::UnknownToken(token));
    }
    Ok(())
}

/// Keeps when a token was shown.
pub(super) async fn used(
    connection: &mut AnyConnection,
    token: TokenId,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE tokens SET last_used_at_ms = $2
         WHERE token_id = $1 AND (last_used_at_ms IS NULL OR last_used_at_ms < $2)",
    )
    .bind(token.to_string())
    .bind(milliseconds(at))
    .execute(connection)
    .await?;
    Ok(())
}

/// `sessions`.
#[derive(Debug, FromRow)]
struct SessionRow {
    secret_sha256: String,
    name: Option<String>,
    role: Option<String>,
    proof: String,
    token_id: Option<String>,
    mark: String,
    created_at_ms: i64,
    expires_at_ms: i64,
}

impl SessionRow {
    fn record(self) -> Result<SessionRecord, StoreError> {
        // Nobody who reads an error is to log in with what stands there.
        let id = "of somebody";
        let proof = match (self.proof.as_str(), &self.token_id) {
            ("token", Some(token)) => Proof::Token(
                token
                    .parse()
                    .map_err(|error| damaged("session", id, &error))?,
            ),
            ("operator-token", _) => Proof::OperatorToken,
            ("node-token", _) => Proof::NodeToken,
            ("certificate", _) => Proof::Certificate,
            ("oidc", _) => Proof::Oidc,
            ("board-key", _) => Proof::BoardKey,
            (other, _) => return Err(damaged("session", id, &format!("its proof is {other:?}"))),
        };
        let identity = match (self.name, self.role) {
            (Some(name), Some(word)) => Some(Identity {
                name,
                role: role("session", id, &word)?,
            }),
            _ => None,
        };
        Ok(SessionRecord {
            secret: hash("session", id, &self.secret_sha256)?,
            identity,
            proof,
            mark: self.mark,
            created_at: time("session", id, self.created_at_ms)?,
            expires_at: time("session", id, self.expires_at_ms)?,
        })
    }
}

/// Keeps a session; those that are over go, and so do the oldest of somebody who has very many.
pub(super) async fn begin_session(
    connection: &mut AnyConnection,
    session: &SessionRecord,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sessions WHERE expires_at_ms <= $1")
        .bind(milliseconds(session.created_at))
        .execute(&mut *connection)
        .await?;
    let token = match session.proof {
        Proof::Token(token) => Some(token.to_string()),
        _ => None,
    };
    let (name, role) = match &session.identity {
        Some(identity) => (Some(identity.name.clone()), Some(identity.role.as_str())),
        None => (None, None),
    };
    sqlx::query(
        "INSERT INTO sessions (secret_sha256, name, role, proof, token_id, mark, created_at_ms, expires_at_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(session.secret.digest().to_string())
    .bind(name.clone())
    .bind(role)
    .bind(session.proof.word())
    .bind(token)
    .bind(session.mark.clone())
    .bind(milliseconds(session.created_at))
    .bind(milliseconds(session.expires_at))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM sessions WHERE secret_sha256 IN (
             SELECT secret_sha256 FROM sessions WHERE coalesce(name, '') = $1
             ORDER BY created_at_ms DESC, secret_sha256 LIMIT 1000000 OFFSET $2)",
    )
    .bind(name.unwrap_or_default())
    .bind(SESSIONS_MAX)
    .execute(connection)
    .await?;
    Ok(())
}

/// A session, by its secret's hash.
pub(super) async fn session(
    connection: &mut AnyConnection,
    secret: SecretHash,
) -> Result<Option<SessionRecord>, StoreError> {
    let row: Option<SessionRow> = sqlx::query_as("SELECT * FROM sessions WHERE secret_sha256 = $1")
        .bind(secret.digest().to_string())
        .fetch_optional(connection)
        .await?;
    row.map(SessionRow::record).transpose()
}

/// Ends a session.
pub(super) async fn end_session(
    connection: &mut AnyConnection,
    secret: SecretHash,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sessions WHERE secret_sha256 = $1")
        .bind(secret.digest().to_string())
        .execute(connection)
        .await?;
    Ok(())
}
