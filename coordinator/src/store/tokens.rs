//! Tokens, by which callers are known.

use atelier_proto::ids::{Digest, TokenId};
use jiff::Timestamp;

use super::rows::{Row, milliseconds, row_by_names};
use super::{Store, StoreError};
use crate::domain::access::{Identity, Role};
use crate::domain::token::{SecretHash, TokenRecord};

/// `tokens`.
#[derive(Debug)]
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

row_by_names!(TokenRow {
    token_id,
    name,
    role,
    secret_sha256,
    created_at_ms,
    created_by,
    expires_at_ms,
    revoked_at_ms,
    last_used_at_ms,
});

impl TokenRow {
    fn record(self) -> Result<TokenRecord, StoreError> {
        let row = Row {
            table: "token",
            id: &self.token_id,
        };
        let some_time = |at_ms: Option<i64>| at_ms.map(|at_ms| row.time(at_ms)).transpose();
        Ok(TokenRecord {
            id: row.parsed(&self.token_id)?,
            identity: Identity {
                role: role(&row, &self.role)?,
                name: self.name,
            },
            secret: secret(&row, &self.secret_sha256)?,
            created_at: row.time(self.created_at_ms)?,
            created_by: self.created_by,
            expires_at: some_time(self.expires_at_ms)?,
            revoked_at: some_time(self.revoked_at_ms)?,
            last_used_at: some_time(self.last_used_at_ms)?,
        })
    }
}

/// The role that a row says.
pub(super) fn role(row: &Row<'_>, word: &str) -> Result<Role, StoreError> {
    word.parse()
        .map_err(|_| row.wrong(&format!("its role is {word:?}")))
}

/// The secret's hash that a row says.
pub(super) fn secret(row: &Row<'_>, sha256: &str) -> Result<SecretHash, StoreError> {
    let digest: Digest = row.parsed(sha256)?;
    Ok(SecretHash::from_digest(digest))
}

impl Store {
    /// Keeps a token.
    pub async fn create_token(&self, token: &TokenRecord) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
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
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// A token, if there is one of this id.
    pub async fn token(&self, token: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        let row: Option<TokenRow> = sqlx::query_as("SELECT * FROM tokens WHERE token_id = $1")
            .bind(token.to_string())
            .fetch_optional(&mut *self.read_once().await?)
            .await?;
        row.map(TokenRow::record).transpose()
    }

    /// Tokens, newest first, older than `before`.
    pub async fn tokens(
        &self,
        before: Option<TokenId>,
        tokens_max: u32,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let rows: Vec<TokenRow> = sqlx::query_as(
            "SELECT * FROM tokens WHERE token_id < $1 ORDER BY token_id DESC LIMIT $2",
        )
        // Above every id.
        .bind(before.map_or_else(|| "g".to_owned(), |before| before.to_string()))
        .bind(i64::from(tokens_max))
        .fetch_all(&mut *self.read_once().await?)
        .await?;
        rows.into_iter().map(TokenRow::record).collect()
    }

    /// Ends a token; one that was ended before stays so.
    pub async fn revoke_token(&self, token: TokenId, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        let revoked = sqlx::query(
            "UPDATE tokens SET revoked_at_ms = coalesce(revoked_at_ms, $2) WHERE token_id = $1",
        )
        .bind(token.to_string())
        .bind(milliseconds(now))
        .execute(&mut *transaction)
        .await?;
        if revoked.rows_affected() == 0 {
            return Err(StoreError::UnknownToken(token));
        }
        Ok(transaction.commit().await?)
    }

    /// Keeps when a token was last shown.
    pub async fn token_used(&self, token: TokenId, at: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "UPDATE tokens SET last_used_at_ms = $2
             WHERE token_id = $1 AND (last_used_at_ms IS NULL OR last_used_at_ms < $2)",
        )
        .bind(token.to_string())
        .bind(milliseconds(at))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }
}
