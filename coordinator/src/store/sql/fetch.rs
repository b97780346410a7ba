//! Rows that come as one value. A database hands over one row after the other through a queue between threads or a socket,
//! with a value of its own for each column; where rows are many that takes longer than to find them.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use sqlx::{AnyConnection, AssertSqlSafe};

use super::super::StoreError;
use super::dialect::{Column, Dialect};
use super::rows::damaged;

/// A parameter of a statement.
pub(super) enum Value {
    Text(String),
    Integer(i64),
}

/// The rows of a `SELECT` of these columns, each deserialized from an array of their values, in the statement's order;
/// `table` is named where one cannot be.
pub(super) async fn fetch<T: DeserializeOwned>(
    connection: &mut AnyConnection,
    dialect: Dialect,
    table: &'static str,
    columns: &[Column],
    select: &str,
    values: Vec<Value>,
) -> Result<Vec<T>, StoreError> {
    let statement = dialect.as_one_value(columns, select);
    let mut query = sqlx::query_scalar(AssertSqlSafe(statement));
    for value in values {
        query = match value {
            Value::Text(text) => query.bind(text),
            Value::Integer(integer) => query.bind(integer),
        };
    }
    let rows: String = query.fetch_one(connection).await?;
    serde_json::from_str(&rows).map_err(|error| damaged(table, "of many", &error))
}

/// A real number as [`Dialect::as_one_value`] writes it.
pub(super) fn real<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let written = Real::deserialize(deserializer)?;
    written.number().map_err(D::Error::custom)
}

/// Like [`real`], of a column that may be NULL.
pub(super) fn some_real<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    let written = Option::<Real>::deserialize(deserializer)?;
    let number = written.map(Real::number).transpose();
    number.map_err(D::Error::custom)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Real {
    Number(f64),
    Text(String),
}

impl Real {
    fn number(self) -> Result<f64, std::num::ParseFloatError> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => text.parse(),
        }
    }
}
