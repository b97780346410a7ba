//! Why the truth could not be read or written.

use std::sync::Arc;

use atelier_proto::ids::{CellId, GridId, NodeId, RequestId, TokenId};

use super::verdict::Rejection;
use crate::domain::summary::GridState;

/// Why the truth could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No grid has this id.
    #[error("no grid has the id {0}")]
    UnknownGrid(GridId),
    /// No cell has this id.
    #[error("no cell has the id {0}")]
    UnknownCell(CellId),
    /// No node has registered with this id.
    #[error("no node has registered as {0}")]
    UnknownNode(NodeId),
    /// The node was registered by somebody else.
    #[error(
        "the node {0} belongs to another identity\nhint: start the node anew, so that it makes an id of its own"
    )]
    ForeignNode(NodeId),
    /// No token has this id.
    #[error("no token has the id {0}")]
    UnknownToken(TokenId),
    /// A submission's id was used for other content.
    #[error("the request {request} made the grid {grid} of other content")]
    RequestReused {
        /// The id.
        request: RequestId,
        /// The grid that it made.
        grid: GridId,
    },
    /// A cell changed between reading and writing, which a single writer rules out.
    #[error("the cell {0} changed under the hand of its writer")]
    Conflict(CellId),
    /// A row says what it cannot say.
    #[error("{table} {id} is damaged: {problem}")]
    Damaged {
        /// Table of the row.
        table: &'static str,
        /// Its key.
        id: String,
        /// What is wrong.
        problem: String,
    },
    /// A submitter has too many cells that have not ended.
    #[error(
        "{submitter:?} has {open} cells that have not ended, and {cells} more would be above the limit of {most}"
    )]
    TooManyOpen {
        /// The submitter.
        submitter: String,
        /// Its cells that have not ended.
        open: u64,
        /// What it would add.
        cells: u64,
        /// The limit.
        most: u32,
    },
    /// What is asked of a grid is for one that has not ended, or for one that has.
    #[error("the grid {grid} is {}{hint}", state.word())]
    WrongState {
        /// The grid.
        grid: GridId,
        /// Where it stands.
        state: GridState,
        /// What to do.
        hint: &'static str,
    },
    /// No cell that was chosen has ended without a picture.
    #[error("the cell {0} cannot be tried again: {1}")]
    NoRetry(CellId, Rejection),
    /// The URL of a database is none.
    #[error(
        "{url:?} is not the URL of a database\nhint: write it as in postgres://user@host/atelier?sslmode=verify-full"
    )]
    BadUrl {
        /// What was given, without a password.
        url: String,
    },
    /// The database cannot be opened.
    #[error("cannot open the database {database}: {source}\nhint: {hint}")]
    Open {
        /// Its file, or where it is served.
        database: String,
        /// Why.
        #[source]
        source: sqlx::Error,
        /// What to look at.
        hint: &'static str,
    },
    /// The database cannot be copied.
    #[error(
        "cannot copy the database {database}: {source}\nhint: is there room where the copy goes?"
    )]
    Copy {
        /// Its file.
        database: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The database is of another version.
    #[error(
        "cannot bring the database {database} up to date: {source}\n\
         hint: a newer atelier-coordinator may have used it; start that one, or name another with --data or --database"
    )]
    Migrate {
        /// Its file, or where it is served.
        database: String,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// The coordinator is leaving.
    #[error("the coordinator is leaving")]
    Ended,
    /// What several calls had done for them at once failed.
    #[error(transparent)]
    Together(Arc<StoreError>),
    /// The database does not answer as it should.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl StoreError {
    /// Whether the database does not answer at all, so that no other call would end better now.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Together(error) => error.is_away(),
            Self::Database(error) => matches!(
                error,
                sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_)
            ),
            _ => false,
        }
    }

    /// Whether the same call may succeed later: the database is away or refuses, as one does that is full, two writers met, or
    /// the coordinator leaves and another one may serve.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Together(error) => error.is_passing(),
            Self::Conflict(_) | Self::Ended | Self::Database(sqlx::Error::Database(_)) => true,
            other => other.is_away(),
        }
    }
}

/// A row that contradicts itself.
pub(super) fn damaged(
    table: &'static str,
    id: impl std::fmt::Display,
    problem: &impl ToString,
) -> StoreError {
    StoreError::Damaged {
        table,
        id: id.to_string(),
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_does_not_answer_is_away_and_may_come_back() {
        let silent = || StoreError::from(sqlx::Error::PoolTimedOut);
        let together = StoreError::Together(Arc::new(silent()));
        for error in [silent(), together] {
            assert!(error.is_away() && error.is_passing(), "{error}");
        }
        assert!(!StoreError::Ended.is_away() && StoreError::Ended.is_passing());
        for lasting in [
            StoreError::from(sqlx::Error::RowNotFound),
            damaged("cell", 7, &"it lacks a time"),
        ] {
            assert!(!lasting.is_away() && !lasting.is_passing(), "{lasting}");
        }
    }
}
