//! Rows that come as one value. A database hands over one row after the other through a queue between threads or a socket,
//! with a value of its own for each column; where rows are many that takes longer than to find them.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use sqlx::AssertSqlSafe;

use super::dialect::Column;
use super::error::damaged;
use super::{StoreError, Tables};

/// A parameter of a statement.
pub(super) enum Value {
    Text(String),
    Integer(i64),
}

/// Rows that come many at once, each deserialized from an array of the values of its columns.
pub(super) trait Fetched: DeserializeOwned {
    /// What is named where one cannot be.
    const TABLE: &'static str;
    /// In the order of its fields.
    const COLUMNS: &'static [Column];
}

impl Tables<'_> {
    /// The rows of a `SELECT` that has at least their columns, in the statement's order.
    pub(super) async fn fetch<T: Fetched>(
        &mut self,
        select: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<T>, StoreError> {
        let statement = self.dialect.as_one_value(T::COLUMNS, select);
        let mut query = sqlx::query_scalar(AssertSqlSafe(statement));
        for value in values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Integer(integer) => query.bind(integer),
            };
        }
        let rows: String = query.fetch_one(&mut *self.connection).await?;
        serde_json::from_str(&rows).map_err(|error| damaged(T::TABLE, "of many", &error))
    }
}

/// A real number as [`Dialect::as_one_value`](super::dialect::Dialect::as_one_value) writes it.
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
