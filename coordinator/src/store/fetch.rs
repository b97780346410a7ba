//! Rows that come as one value. A database hands over one row after the other through a queue between threads or a socket,
//! with a value of its own for each column; where rows are many that takes longer than to find them.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use sqlx::AssertSqlSafe;

use super::dialect::Column;
use super::error::damaged;
use super::{StoreError, Tables};

/// Rows of more bytes are read apart from the threads that serve everybody: one thread has much to do with them.
const LONG_BYTES: usize = 64 << 10;

/// A parameter of a statement.
pub(super) enum Value {
    Text(String),
    Integer(i64),
}

/// Rows that come many at once, each deserialized from an array of the values of its columns.
pub(super) trait Fetched: DeserializeOwned + 'static {
    /// What is named where one cannot be.
    const TABLE: &'static str;
    /// In the order of its fields.
    const COLUMNS: &'static [Column];
}

impl Tables<'_> {
    /// The rows of a `SELECT` that has at least their columns, in the statement's order, and of each what `read` makes of it.
    pub(super) async fn fetch<T: Fetched, U: Send + 'static>(
        &mut self,
        select: &str,
        values: impl IntoIterator<Item = Value>,
        read: fn(T) -> Result<U, StoreError>,
    ) -> Result<Vec<U>, StoreError> {
        let statement = self.dialect.as_one_value(T::COLUMNS, select);
        let mut query = sqlx::query_scalar(AssertSqlSafe(statement));
        for value in values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Integer(integer) => query.bind(integer),
            };
        }
        let rows: String = query.fetch_one(&mut *self.connection).await?;
        if rows.len() < LONG_BYTES {
            return parsed(&rows, read);
        }
        let reading = tokio::task::spawn_blocking(move || parsed(&rows, read));
        reading
            .await
            .map_err(|error| damaged(T::TABLE, "of many", &error))?
    }
}

fn parsed<T: Fetched, U>(
    rows: &str,
    read: fn(T) -> Result<U, StoreError>,
) -> Result<Vec<U>, StoreError> {
    let rows: Vec<T> =
        serde_json::from_str(rows).map_err(|error| damaged(T::TABLE, "of many", &error))?;
    rows.into_iter().map(read).collect()
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
