//! Statements about the fleet: one row, of JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::super::StoreError;
use super::rows::damaged;

/// What is kept of the fleet, each in a column of its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Bounds,
    Standing,
}

impl Part {
    fn column(self) -> &'static str {
        match self {
            Self::Bounds => "bounds",
            Self::Standing => "standing",
        }
    }
}

/// A part, if it was ever kept.
pub(super) async fn read<T: DeserializeOwned>(
    connection: &mut AnyConnection,
    part: Part,
) -> Result<Option<T>, StoreError> {
    let column = part.column();
    let statement = format!("SELECT {column} FROM fleet");
    let text: Option<String> = sqlx::query_scalar(AssertSqlSafe(statement))
        .fetch_one(connection)
        .await?;
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| damaged("fleet", column, &error))
}

/// Keeps a part.
pub(super) async fn keep<T: Serialize + Sync>(
    connection: &mut AnyConnection,
    part: Part,
    value: &T,
) -> Result<(), StoreError> {
    let column = part.column();
    let text = serde_json::to_string(value).map_err(|error| damaged("fleet", column, &error))?;
    let statement = format!("UPDATE fleet SET {column} = $1");
    sqlx::query(AssertSqlSafe(statement))
        .bind(text)
        .execute(connection)
        .await?;
    Ok(())
}
