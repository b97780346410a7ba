//! Rows as the domain's types. What a row says that it cannot say is an error with its key, never a default.

/// Has rows become a type by the names of its fields. sqlx derives the same, for the price that [`super::migrations`] tells.
macro_rules! row_by_names {
    ($row:ident { $($field:ident),+ $(,)? }) => {
        impl sqlx::FromRow<'_, sqlx::any::AnyRow> for $row {
            fn from_row(row: &sqlx::any::AnyRow) -> sqlx::Result<Self> {
                Ok(Self {
                    $($field: sqlx::Row::try_get(row, stringify!($field))?),+
                })
            }
        }
    };
}
pub(super) use row_by_names;

mod cells;
mod grids;
mod nodes;

use jiff::Timestamp;

pub(super) use self::cells::{AttemptRow, CellRow, QueuedRow, StateColumns};
pub(super) use self::grids::{GridRow, LineRow};
pub(super) use self::nodes::NodeRow;
use super::StoreError;
use super::error::damaged;
use crate::domain::summary::GridState;

/// A time as it is stored.
pub(super) fn milliseconds(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// A sequence number as it is stored; one beyond what is stored is beyond every grid's.
pub(super) fn stored_sequence(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// What is wrong with a row.
pub(super) struct Row<'a> {
    pub(super) table: &'static str,
    pub(super) id: &'a dyn std::fmt::Display,
}

impl Row<'_> {
    pub(super) fn wrong(&self, problem: &impl ToString) -> StoreError {
        damaged(self.table, self.id, problem)
    }

    pub(super) fn parsed<T>(&self, text: &str) -> Result<T, StoreError>
    where
        T: std::str::FromStr<Err: ToString>,
    {
        text.parse().map_err(|error| self.wrong(&error))
    }

    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| self.wrong(&error))
    }

    pub(super) fn time(&self, milliseconds: i64) -> Result<Timestamp, StoreError> {
        Timestamp::from_millisecond(milliseconds).map_err(|error| self.wrong(&error))
    }

    pub(super) fn some_time(&self, milliseconds: Option<i64>) -> Result<Timestamp, StoreError> {
        self.time(milliseconds.ok_or_else(|| self.wrong(&"it lacks a time"))?)
    }

    pub(super) fn count(&self, count: i64) -> Result<u32, StoreError> {
        u32::try_from(count).map_err(|error| self.wrong(&error))
    }

    pub(super) fn grid_state(&self, word: &str) -> Result<GridState, StoreError> {
        let known = GridState::ALL.into_iter();
        let mut known = known.filter(|state| state.word() == word);
        known
            .next()
            .ok_or_else(|| self.wrong(&format!("its state is {word:?}")))
    }
}
