//! In what the statements of the two databases differ. All else is written once: both count parameters as `$1`.

use std::fmt::Write as _;

/// A database's way to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// What a column of rows that come as JSON holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Text(&'static str),
    Integer(&'static str),
    Real(&'static str),
}

impl Dialect {
    /// What begins a transaction that writes. `SQLite` takes its one lock at once, so that what is read first cannot
    /// change before it is written; PostgreSQL locks rows, see [`Dialect::for_update`].
    pub(super) fn begin_writing(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// What begins a transaction that reads one moment of the database.
    pub(super) fn begin_reading(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }

    /// What a `SELECT` ends with whose rows are written afterwards. Rows are locked in the order of their keys, grids
    /// before nodes before submitters, so that no two writers wait for each other.
    pub(super) fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE",
        }
    }

    /// The rows of a parameter that is a JSON array of arrays, as a table `given`.
    pub(super) fn given(self, parameter: u8, columns: &[Column]) -> String {
        let mut table = "(SELECT ".to_owned();
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                table.push_str(", ");
            }
            let (name, kind) = match column {
                Column::Text(name) => (name, "TEXT"),
                Column::Integer(name) => (name, "BIGINT"),
                Column::Real(name) => (name, "DOUBLE PRECISION"),
            };
            // Writing into a string does not fail.
            let _ = match self {
                Self::Sqlite => write!(table, "value ->> {index} AS {name}"),
                Self::Postgres => write!(table, "CAST(value ->> {index} AS {kind}) AS {name}"),
            };
        }
        let _ = match self {
            Self::Sqlite => write!(table, " FROM json_each(${parameter})) AS given"),
            Self::Postgres => write!(
                table,
                " FROM jsonb_array_elements(CAST(${parameter} AS jsonb)) AS rows (value)) AS given"
            ),
        };
        table
    }

    /// A `SELECT` of these columns, whose rows come as one JSON array of arrays.
    pub(super) fn as_one_value(self, columns: &[Column], select: &str) -> String {
        let value = |column: &Column| match (self, column) {
            // JSON of SQLite has 15 digits, and a number needs 17 to come back as it was.
            (Self::Sqlite, Column::Real(name)) => {
                format!("CASE WHEN {name} IS NOT NULL THEN printf('%!.17g', {name}) END")
            }
            (_, Column::Text(name) | Column::Integer(name) | Column::Real(name)) => {
                (*name).to_owned()
            }
        };
        let values: Vec<String> = columns.iter().map(value).collect();
        let values = values.join(", ");
        match self {
            Self::Sqlite => {
                format!("SELECT json_group_array(json_array({values})) FROM ({select})")
            }
            Self::Postgres => format!(
                "SELECT CAST(coalesce(json_agg(json_build_array({values})), '[]') AS TEXT) FROM ({select}) AS selected"
            ),
        }
    }
}
