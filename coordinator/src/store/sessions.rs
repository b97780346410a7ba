//! Sessions: who is logged in at the board, whichever coordinator they asked.

use super::rows::{Row, milliseconds, row_by_names};
use super::tokens::{role, secret};
use super::{Store, StoreError};
use crate::domain::access::{Identity, Proof};
use crate::domain::token::{SecretHash, SessionRecord};

/// Sessions of one identity; beyond that the oldest end.
const SESSIONS_MAX: i64 = 100;

/// `sessions`.
#[derive(Debug)]
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

row_by_names!(SessionRow {
    secret_sha256,
    name,
    role,
    proof,
    token_id,
    mark,
    created_at_ms,
    expires_at_ms,
});

impl SessionRow {
    fn record(self) -> Result<SessionRecord, StoreError> {
        // Nobody who reads an error is to log in with what stands there.
        let row = Row {
            table: "session",
            id: &"of somebody",
        };
        let proof = match (self.proof.as_str(), &self.token_id) {
            ("token", Some(token)) => Proof::Token(row.parsed(token)?),
            ("operator-token", _) => Proof::OperatorToken,
            ("node-token", _) => Proof::NodeToken,
            ("certificate", _) => Proof::Certificate,
            ("oidc", _) => Proof::Oidc,
            ("board-key", _) => Proof::BoardKey,
            (other, _) => return Err(row.wrong(&format!("its proof is {other:?}"))),
        };
        let identity = match (self.name, self.role) {
            (Some(name), Some(word)) => Some(Identity {
                name,
                role: role(&row, &word)?,
            }),
            _ => None,
        };
        Ok(SessionRecord {
            secret: secret(&row, &self.secret_sha256)?,
            identity,
            proof,
            mark: self.mark,
            created_at: row.time(self.created_at_ms)?,
            expires_at: row.time(self.expires_at_ms)?,
        })
    }
}

impl Store {
    /// Keeps that somebody is logged in at the board. Sessions that are over go, and so do the oldest of somebody who has very
    /// many.
    pub async fn begin_session(&self, session: &SessionRecord) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM sessions WHERE expires_at_ms <= $1")
            .bind(milliseconds(session.created_at))
            .execute(&mut *transaction)
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
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM sessions WHERE secret_sha256 IN (
                 SELECT secret_sha256 FROM sessions WHERE coalesce(name, '') = $1
                 ORDER BY created_at_ms DESC, secret_sha256 LIMIT 1000000 OFFSET $2)",
        )
        .bind(name.unwrap_or_default())
        .bind(SESSIONS_MAX)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Who is logged in by this secret, if somebody is.
    pub async fn session(&self, secret: SecretHash) -> Result<Option<SessionRecord>, StoreError> {
        let row: Option<SessionRow> =
            sqlx::query_as("SELECT * FROM sessions WHERE secret_sha256 = $1")
                .bind(secret.digest().to_string())
                .fetch_optional(&mut *self.read_once().await?)
                .await?;
        row.map(SessionRow::record).transpose()
    }

    /// Ends a session.
    pub async fn end_session(&self, secret: SecretHash) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM sessions WHERE secret_sha256 = $1")
            .bind(secret.digest().to_string())
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}
